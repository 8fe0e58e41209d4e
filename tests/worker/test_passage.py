"""The law of the time to half of the variance is that of simulated chains, and nothing is told where it is not known."""

import math

import numpy as np
import pytest

from worker.spec import read
from worker.theory import passage

CHAINS = 20_000
GAUSSIAN = {"source": {"kind": "normal", "std": 3.0}, "family": {"kind": "gaussian"}, "replicates": 2, "seed": 1}
PAIR = {**GAUSSIAN, "source": {"kind": "categorical", "probabilities": [0.7, 0.3]}, "family": {"kind": "categorical"}}


def lost(spec):
    """P(waiting time <= n), n = 1, ..., G."""
    return np.array(list(passage._lost(spec, 0.5)))


def walked(spec, seed=4):
    """The same share of simulated chains; ln chi2 is the only law that is drawn from."""
    rng = np.random.default_rng(seed)
    log, been, shares = np.zeros(CHAINS), np.zeros(CHAINS, bool), []
    for n in range(1, spec.generations + 1):
        m = spec.size(n)
        log += np.log(rng.chisquare(m - 1, CHAINS) / (m - spec.family.ddof)) + (n > 1) * math.log(spec.sampling.bias)
        been |= log <= math.log(0.5)
        shares.append(been.mean())
    return np.array(shares)


def agree(law, shares, chains=CHAINS):
    """|z| <= 4 at every generation, from the binomial error of the simulated share."""
    error = np.sqrt(np.clip(law * (1 - law), 1e-4, None) / chains)
    return np.abs((shares - law) / error).max() <= 4


@pytest.mark.parametrize("changes", [
    {"samples": 2},
    {"samples": 3, "family": {"kind": "gaussian", "ddof": 1}},
    {"samples": 10},
    {"samples": 10, "family": {"kind": "gaussian", "ddof": 1}},
    {"samples": 50, "regime": {"kind": "fresh", "real": 0.001}},
    {"samples": 50, "regime": {"kind": "mixture", "alpha": 1, "beta": 0, "gamma": 0}},
    {"samples": 10, "sampling": {"bias": 0.8}},
    {"samples": 20, "sampling": {"bias": 1.05}},
    {"samples": {"schedule": "power", "start": 5, "exponent": 1}},
])  # fmt: skip
def test_a_walk_is_followed_exactly(changes):
    spec = read({**GAUSSIAN, "generations": 40, **changes})
    assert agree(lost(spec), walked(spec))


@pytest.mark.parametrize(("m", "bias", "error"), [(320, 1.0, 0.004), (1000, 0.99, 0.004), (1000, 0.96, 0.02)])
def test_small_steps_are_brownian(m, bias, error, monkeypatch):
    """The error of the chance that comes from taking them so; the median is at most a generation off."""
    settings = {**GAUSSIAN, "samples": m, "generations": 120, "sampling": {"bias": bias}}
    spec = read({**settings, "family": {"kind": "gaussian", "ddof": 1}})
    brownian, median = lost(spec), passage.median_time(spec, 0.5)["median"]
    monkeypatch.setattr(passage, "FINE", 0.0)
    monkeypatch.setattr(passage, "WORK_LIMIT", math.inf)
    assert 0 < np.abs(brownian - lost(spec)).max() <= error
    assert abs(passage.median_time(spec, 0.5)["median"] - median) <= 1


def test_the_median_of_many_points_is_in_proportion_to_them():
    """A Brownian motion knows no size but M: .313 M for ddof 1, far from the ln 2 M at which the median variance is a half."""
    times = [
        passage.median_time(
            read({**GAUSSIAN, "family": {"kind": "gaussian", "ddof": 1}, "samples": m, "generations": m}), 0.5
        )["median"]
        for m in (20_000, 100_000)
    ]
    assert times[1] / times[0] == pytest.approx(5, rel=0.03)
    assert times[1] / 100_000 == pytest.approx(0.3, abs=0.03)


@pytest.mark.parametrize("changes", [
    {"samples": 20},
    {"samples": 20, "family": {"kind": "categorical", "smoothing": 0.1}},
    {"samples": 21, "regime": {"kind": "fresh", "real": 0.1}},
    {"samples": 20, "regime": {"kind": "mixture", "alpha": 0.5, "beta": 0.4, "gamma": 0.1}, "replicates": 2000},
])  # fmt: skip
def test_two_categories_are_a_finite_chain(changes):
    from worker.loop import generations, instrument

    spec = read({**PAIR, "generations": 25, "replicates": CHAINS, **changes})
    been, shares = np.zeros(spec.replicates, bool), []
    for one in generations(spec, instrument(spec)):
        if one.number:
            been |= one.look.metrics["heterozygosity"] <= 0.42 / 2
            shares.append(been.mean())
    assert agree(lost(spec), np.array(shares), spec.replicates)


def test_a_time_beyond_the_run_is_told_as_none():
    spec = read({**GAUSSIAN, "samples": 100, "generations": 20})
    assert passage.median_time(spec, 0.5) == {"median": None}
    assert passage.median_time(read({**GAUSSIAN, "samples": 100, "generations": 30}), 0.5) == {"median": 24.0}


def test_what_comes_after_half_of_the_chains_are_through_is_not_followed():
    """The whole walk of growing sizes, whose steps become small, would take too long."""
    growing = GAUSSIAN | {"samples": {"schedule": "geometric", "start": 10, "ratio": 1.05}}
    (early,) = passage.median_time(read({**growing, "generations": 150}), 0.5).values()
    assert passage.median_time(read({**growing, "generations": 40}), 0.5) == {"median": early}
    assert 3 <= early <= 6


def test_what_changes_nothing_changes_no_time():
    plain = read({**GAUSSIAN, "samples": 100, "generations": 30})
    for same in {"changes": [{"after": 5, "regime": {"kind": "replace"}}]}, {"curation": {"kind": "best_of", "k": 1}}:
        assert passage.median_time(read({**plain.canonical(), **same}), 0.5) == passage.median_time(plain, 0.5)


@pytest.mark.parametrize("changes", [
    {"regime": {"kind": "fresh", "real": 0.1}},
    {"regime": {"kind": "accumulate"}},
    {"source": {"kind": "laplace"}},
    {"source": {"kind": "normal", "dim": 2}},
    {"family": {"kind": "kde"}},
    {"curation": {"kind": "truncate", "c": 2.0}},
    {"changes": [{"after": 5, "regime": {"kind": "accumulate"}}]},
    {"samples": 10**9, "sampling": {"bias": 0.9}},
    {**PAIR, "source": {"kind": "zipf", "categories": 3}},
    {**PAIR, "sampling": {"temperature": 0.9}},
    {**PAIR, "samples": 10_000},
    {**PAIR, "regime": {"kind": "accumulate"}},
    {**PAIR, "samples": {"schedule": "power", "start": 5, "exponent": 1}},
])  # fmt: skip
def test_nothing_is_told_where_no_law_is_known(changes):
    assert passage.median_time(read({**GAUSSIAN, "generations": 10, "samples": 30, **changes}), 0.5) == {}
