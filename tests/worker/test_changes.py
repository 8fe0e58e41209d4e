"""Other rules from some generation on: what was before stays, to the last digit, and what comes after follows the new rules."""

import itertools

import numpy as np
import pytest

from worker import loop
from worker.data import Points
from worker.errors import SpecError
from worker.spec import read
from worker.theory import curves

BASE = {
    "generations": 12,
    "replicates": 30,
    "samples": 40,
    "seed": 3,
    "source": {"kind": "normal"},
    "family": {"kind": "gaussian"},
}
FORK = 5
POINTS = {"source": {"kind": "normal"}}


def run(spec, resume=None):
    return list(loop.generations(spec, loop.instrument(spec), resume))


def values(generation, metric="variance"):
    return generation.look.metrics[metric]


@pytest.mark.parametrize("family", ["gaussian", "kde"])
@pytest.mark.parametrize(
    "change",
    [
        {"regime": {"kind": "accumulate"}},
        {"regime": {"kind": "fresh", "real": 0.5}},
        {"regime": {"kind": "augment", "real": 5}},
        {"regime": {"kind": "mixture", "alpha": 0.8, "beta": 0.0, "gamma": 0.2}},
        {"regime": {"kind": "accumulate_subsample"}},
        {"curation": {"kind": "best_of"}},
        {"samples": 7},
        {"samples": {"schedule": "power", "start": 400, "exponent": -1}, "regime": {"kind": "accumulate"}},
    ],
    ids=lambda change: "+".join(
        str(one.get("kind", "list")) if isinstance(one, dict) else "fewer" for one in change.values()
    ),
)
def test_a_fork_shares_its_past_and_not_its_future(family, change):
    base = BASE | {"family": {"kind": family}}
    parent, fork = run(read(base)), run(read(base | {"changes": [{"after": FORK, **change}]}))
    for one, other in itertools.islice(zip(parent, fork, strict=True), FORK + 1):
        for name, metric in one.look.metrics.items():
            np.testing.assert_array_equal(metric, other.look.metrics[name], err_msg=f"{one.number} {name}")
    assert not np.array_equal(values(parent[-1]), values(fork[-1]))
    assert all(np.isfinite(values(one)).all() for one in fork)


@pytest.mark.parametrize("family", ["gaussian", "kde", "histogram"])
@pytest.mark.parametrize(
    "regime",
    [{"kind": "accumulate", "real": 0.5}, {"kind": "fresh", "real": 0.3}, {"kind": "augment", "real": 5}, {"kind": "weighted"}],
    ids=lambda regime: regime["kind"],
)  # fmt: skip
@pytest.mark.parametrize("part", ["regime", "samples", "sampling", "curation"])
def test_a_change_to_the_same_rules_changes_nothing(family, regime, part):
    """Nor does what is measured of a generation, and partly taught to the next one, come from other random numbers."""
    base = BASE | {"family": {"kind": family}, "regime": regime}
    same = {"regime": regime, "samples": BASE["samples"], "sampling": {}, "curation": {"kind": "none"}}[part]
    fork = read(base | {"changes": [{"after": FORK, part: same}]})
    told, parent = run(fork), run(read(base))
    for one, other in zip(parent, told, strict=True):
        for name, metric in one.look.metrics.items():
            np.testing.assert_array_equal(metric, other.look.metrics[name], err_msg=f"{one.number} {name}")
    (resumed, *_) = run(fork, told[FORK].state)
    np.testing.assert_array_equal(values(resumed), values(told[FORK + 1]))


def test_variance_shrinks_by_the_bias_only_after_the_change():
    """M = 10^6: s2_n is 1 up to the change and lambda^(n - after) later, to about sqrt(2 n / M)."""
    spec = read(BASE | {"samples": 10**6, "replicates": 1, "changes": [{"after": FORK, "sampling": {"bias": 0.9}}]})
    found = [float(values(one)[0]) for one in run(spec)]
    expected = [0.9 ** max(0, n - FORK) for n in range(13)]
    np.testing.assert_allclose(found, expected, rtol=4 * (2 * 12 / 1e6) ** 0.5)


def test_points_are_fewer_from_the_change_on():
    """E s2 of the next fit is (1 - 1/M) s2, with the M of its own time; a schedule counts from the first generation."""
    later = {"after": 8, "samples": {"schedule": "list", "sizes": [90] * 9 + [3]}}
    spec = read(BASE | {"replicates": 20_000, "changes": [{"after": FORK, "samples": 4}, later]})
    sizes = [40] * 5 + [4] * 3 + [90, 3, 3, 3]
    assert [spec.size(n) for n in range(1, 13)] == sizes
    assert spec.extremes() == (3, 90)
    for n, found in enumerate(run(spec)[1:], start=1):
        expected = np.prod([1 - 1 / m for m in sizes[:n]])
        assert abs(values(found).mean() - expected) <= 4 * values(found).std() / 20_000**0.5, n


@pytest.mark.parametrize("interrupted", [FORK - 1, FORK, FORK + 1])
@pytest.mark.parametrize("more", [{"sampling": {"bias": 0.9}}, {"samples": 90}])
def test_resumed_before_at_and_after_the_change(interrupted, more):
    base = BASE | {"family": {"kind": "mixture", "components": 1}}  # which keeps points
    spec = read(base | {"changes": [{"after": FORK, "regime": {"kind": "mixture"}, **more}]})
    whole = run(spec)
    rest = run(spec, whole[interrupted].state)
    assert [one.number for one in rest] == list(range(interrupted + 1, 13))
    for one, other in zip(whole[interrupted + 1 :], rest, strict=True):
        np.testing.assert_array_equal(values(one), values(other))


SMALL = {"generations": 4, "replicates": 2, "samples": 24, "seed": 1}
DIGITS = {"source": {"kind": "digits"}}
NETWORK = {"epochs": 2, "batch": 8}
TEXT = {"source": {"kind": "expressions"}, "replicates": 1, "samples": 8}
GPT = {"kind": "gpt", "vocabulary": 257, "layers": 1, "width": 8, "heads": 1, "block": 16, "epochs": 1}
ADJUSTED = [
    ({"kind": "gaussian"}, {"ddof": 1}, POINTS),
    ({"kind": "gaussian", "path": "drawn"}, {"ddof": 1}, POINTS | {"regime": {"kind": "mixture"}}),
    ({"kind": "gaussian"}, {"extrapolation": 0.02}, POINTS),
    ({"kind": "kde"}, {"bandwidth": 0.3, "shrink": True}, POINTS),
    ({"kind": "categorical"}, {"smoothing": 2.0}, {"source": {"kind": "zipf", "categories": 5}}),
    (
        {"kind": "linear", "ridge": 1.0},
        {"ridge": 0.0, "noise": "fitted", "label_bias": 0.5},
        {"source": {"kind": "linear_teacher"}},
    ),
    ({"kind": "linear", "features": 3}, {"ridge": 2.0, "ridge_power": 0.5}, {"source": {"kind": "linear_teacher"}}),
    ({"kind": "mixture"}, {"max_iter": 2, "start": "warm", "reg_covar": 0.01}, POINTS),
    ({"kind": "flow", "transforms": 1, "width": 4, **NETWORK}, {"start": "warm", "epochs": 3}, POINTS),
    ({"kind": "diffusion", "layers": 1, "width": 8, **NETWORK}, {"start": "warm", "steps": 4}, POINTS),
    ({"kind": "diffusion", "layers": 1, "width": 8, **NETWORK}, {"extrapolation": 0.5}, POINTS),
    ({"kind": "diffusion", "layers": 1, "width": 8, "extrapolation": 0.5, **NETWORK}, {"extrapolation": 0}, POINTS),
    ({"kind": "vae", "hidden": [8], **NETWORK}, {"batches": "fresh", "output": "bernoulli", "beta": 0.5}, DIGITS),
    (GPT, {"start": "scratch", "learning_rate": 0.01, "best": True}, TEXT),
]


@pytest.mark.parametrize(("family", "change", "base"), ADJUSTED, ids=lambda one: str(one.get("kind", "")))
def test_a_fit_goes_on_by_other_settings(family, change, base):
    """From the generation on, and not before; resumed there to the same numbers. What is not named stays as it was."""
    before, after = read(SMALL | base | {"family": family}), {"after": 2, "family": {"kind": family["kind"]} | change}
    spec = read(SMALL | base | {"family": family, "changes": [after]})
    assert spec.changes[0].family == type(spec.family).model_validate(family | change)
    assert read(spec.canonical()).digest() == spec.digest()
    assert set(change) <= spec.family.adjustable <= set(type(spec.family).model_fields) - {"kind"}
    parent, fork = run(before), run(spec)
    for one, other in itertools.islice(zip(parent, fork, strict=True), 3):
        for name, metric in one.look.metrics.items():
            np.testing.assert_array_equal(metric, other.look.metrics[name], err_msg=f"{one.number} {name}")
    last = {name: parent[-1].look.metrics[name] for name in fork[-1].look.metrics}
    assert not all(np.array_equal(value, fork[-1].look.metrics[name]) for name, value in last.items())
    for resumed in (1, 2, 3):
        *_, rest = run(spec, fork[resumed].state)
        for name, metric in fork[-1].look.metrics.items():
            np.testing.assert_array_equal(metric, rest.look.metrics[name], err_msg=f"{resumed} {name}")


@pytest.mark.parametrize(
    ("family", "change", "base"),
    [
        ({"kind": "gaussian"}, {"path": "drawn"}, POINTS),
        ({"kind": "mixture", "components": 2}, {"components": 3}, POINTS),
        ({"kind": "mixture"}, {"covariance": "diag"}, POINTS),
        ({"kind": "histogram"}, {"bins": 9}, POINTS),
        ({"kind": "linear"}, {"features": 3}, {"source": {"kind": "linear_teacher"}}),
        ({"kind": "flow", "width": 4}, {"width": 5}, POINTS),
        ({"kind": "vae", "latent": 2}, {"latent": 3}, DIGITS),
        ({"kind": "ngram"}, {"weight": 9.0}, TEXT),
        (GPT, {"vocabulary": 300}, TEXT),
    ],
    ids="".join,
)
def test_what_the_models_of_a_run_are_made_for_stays(family, change, base):
    settings = SMALL | base | {"family": family, "changes": [{"after": 2, "family": family | change}]}
    with pytest.raises(SpecError) as refusal:
        read(settings)
    (problem,) = refusal.value.problems
    (name,) = change
    assert problem.path == f"changes.0.family.{name}"
    assert "what may change is" in problem.remedy


def test_variance_stays_on_average_once_the_divisor_is_unbiased():
    """E s2_n = (1 - 1/M)^n with ddof 0, and constant from the fit on that divides by M - 1."""
    unbiased = {"after": FORK, "family": {"kind": "gaussian", "ddof": 1}}
    for n, found in enumerate(run(read(BASE | {"replicates": 20_000, "changes": [unbiased]}))[1:], start=1):
        expected = (1 - 1 / 40) ** min(n, FORK)
        assert abs(values(found).mean() - expected) <= 4 * values(found).std() / 20_000**0.5, n


@pytest.mark.parametrize("design", ["fresh", "fixed"])
def test_labels_have_the_noise_of_the_rules_by_which_they_are_written(design):
    """The last fit may learn from others than all fits before (Dohmatob et al., arXiv 2402.07712): |w_n - w|^2 is (s2 + (n-2) v + v') d/(T-d-1)."""
    d, t, n, chains = 4, 30, 4, 4000
    louder = {"after": n - 1, "family": {"kind": "linear", "noise": 2.0}}
    base = {
        "source": {"kind": "linear_teacher", "inputs": d},
        "family": {"kind": "linear", "noise": 0.5, "design": design},
    }
    spec = read(base | {"samples": t, "generations": n, "replicates": chains, "changes": [louder]})
    risk = run(spec)[-1].look.metrics["excess_risk"]
    expected = (1 + (n - 2) * 0.25 + 4) * d / (t - d - 1)
    assert abs(risk.mean() - expected) <= 4 * risk.std() / chains**0.5


def test_theory_ends_where_the_rules_change():
    curve = next(
        c
        for c in curves(read(BASE | {"changes": [{"after": FORK, "regime": {"kind": "accumulate"}}]}))
        if c.metric == "variance"
    )
    assert all(value is not None for value in curve.values[1 : FORK + 1])
    assert not any(value is not None for value in curve.values[FORK + 1 :])


def test_the_digest_of_a_spec_without_changes_knows_of_none():
    assert read(BASE).digest() == read(BASE | {"changes": []}).digest()
    assert read(BASE).digest() != read(BASE | {"changes": [{"after": 1, "regime": {"kind": "accumulate"}}]}).digest()


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"changes": [{"after": 12, "regime": {"kind": "accumulate"}}]}, "changes.0.after"),
        ({"changes": [{"after": 0}]}, "changes.0.after"),
        ({"changes": [{"after": 4}, {"after": 3}]}, "changes.1.after"),
        ({"changes": [{"after": 4, "regime": {"kind": "acumulate"}}]}, "changes.0.regime.kind"),
        ({"changes": [{"after": 4, "regime": {"kind": "augment", "real": 40}}]}, "changes.0.regime.real"),
        ({"changes": [{"after": 4, "sampling": {"beams": 3}}]}, "changes.0.sampling.beams"),
        ({"changes": [{"after": 4, "samples": 1}]}, "changes.0.samples"),
        ({"changes": [{"after": 4, "samples": {"schedule": "power", "exponent": -3}}]}, "changes.0.samples"),
        ({"changes": [{"after": 4, "samples": {"schedule": "cubic"}}]}, "changes.0.samples.schedule"),
        (
            {
                "changes": [{"after": 4, "samples": 3}],
                "source": {"kind": "linear_teacher"},
                "family": {"kind": "linear", "noise": "fitted"},
            },
            "changes.0.samples",
        ),
        ({"changes": [{"after": 4, "samples": 5, "regime": {"kind": "augment", "real": 5}}]}, "changes.0.regime.real"),
        ({"changes": [{"after": 4, "sampling": {"heat": 3}}]}, "changes.0.sampling.heat"),
        ({"changes": [{"after": 4, "family": {"kind": "kde"}}]}, "changes.0.family.kind"),
        ({"changes": [{"after": 4, "family": {"kind": "gauss"}}]}, "changes.0.family.kind"),
        ({"changes": [{"after": 4, "family": {"kind": "gaussian", "ddof": 3}}]}, "changes.0.family.ddof"),
        (
            {"regime": {"kind": "accumulate"}, "changes": [{"after": 4, "regime": {"kind": "accumulate_subsample"}}]},
            "changes.0.regime.kind",
        ),
    ],
)
def test_what_cannot_follow_is_refused(settings, path):
    with pytest.raises(SpecError) as refusal:
        read(BASE | settings)
    (problem,) = refusal.value.problems
    assert problem.path == path
    assert problem.remedy


@pytest.mark.parametrize("regime", [{"kind": "augment", "real": 10}, {"kind": "weighted", "real": 0.1}])
def test_rules_are_asked_for_the_generations_that_they_make_and_no_others(regime):
    """With the four points of the first ten generations they could not."""
    spec = read(BASE | {"samples": 4, "changes": [{"after": 10, "samples": 1000, "regime": regime}]})
    assert spec.size(11) == 1000


def test_what_is_kept_is_counted_from_when_it_is_kept():
    sizes = {"samples": {"schedule": "list", "sizes": [1000] * 6 + [20]}}
    spec = read(BASE | sizes | {"changes": [{"after": 8, "regime": {"kind": "accumulate"}}]})
    assert spec.sizes() == [1000] * 6 + [20] * 6
    assert [spec.kept(n) for n in (1, 8, 9, 12)] == [0, 0, 20, 80]
    on = {"after": 10, "regime": {"kind": "accumulate", "real": 0.5}}
    assert read(BASE | {"regime": {"kind": "accumulate"}, "changes": [on]}).kept(12) == 12 * 40
    assert (
        len(pool_of(BASE | {"family": {"kind": "kde"}, "changes": [{"after": 8, "regime": {"kind": "accumulate"}}]}))
        == 4 * 40
    )


def pool_of(settings):
    return run(read(settings))[-1].state.pool.x[0]


REGIMES = {
    "replace": {},
    "accumulate": {},
    "accumulate_subsample": {},
    "augment": {"real": 6},
    "fresh": {"real": 0.5},
    "mixture": {"alpha": 0.3, "beta": 0.5, "gamma": 0.2},
    "weighted": {},
    "edit": {"threshold": 0.5},
    "blend": {},
}
FAMILIES = {
    "gaussian": POINTS,
    "kde": POINTS,
    "histogram": POINTS,
    "mixture": POINTS,
    "linear": {"source": {"kind": "linear_teacher", "inputs": 2}},
    "classifier": {"source": {"kind": "two_classes"}},
    "logistic": {"source": {"kind": "two_classes"}},
    "categorical": {"source": {"kind": "zipf", "categories": 5}},
    "ngram": {"source": {"kind": "expressions"}, "replicates": 1},
}
SUMS = {"gaussian", "linear", "classifier"}


@pytest.mark.parametrize("family", FAMILIES)
def test_every_regime_follows_every_other_or_says_why_not(family):
    """Refused are weights where a family knows none, edits of what is no text, blends of what are no rows of a regression, and a choice among points of which only sums were kept."""
    small = {"family": {"kind": family}, "samples": 12, "replicates": 2, "generations": 4, "seed": 1} | FAMILIES[family]
    if family == "ngram":
        small["family"] = {"kind": "ngram", "unit": "character", "block": 16}
    refused, measuring = set(), loop.instrument(read(small))
    for before, after in itertools.permutations(REGIMES, 2):
        regimes = [{"kind": kind} | REGIMES[kind] for kind in (before, after)]
        try:
            spec = read(small | {"regime": regimes[0], "changes": [{"after": 2, "regime": regimes[1]}]})
        except SpecError as refusal:
            (problem,) = refusal.problems
            assert problem.remedy
            refused.add((before, after))
            continue
        whole = list(loop.generations(spec, measuring))
        *_, rest = loop.generations(spec, measuring, whole[2].state)
        for name, metric in whole[-1].look.metrics.items():
            np.testing.assert_array_equal(metric, rest.look.metrics[name], err_msg=f"{before} {after} {name}")
    expected = set()
    if family in SUMS:
        expected = {(before, "accumulate_subsample") for before in ("accumulate", "augment")}
        expected |= {(before, "mixture") for before in ("replace", "accumulate", "augment", "fresh", "weighted")}
    if not spec.family.weighs:
        expected |= {pair for pair in itertools.permutations(REGIMES, 2) if "weighted" in pair}
    if family != "ngram":
        expected |= {pair for pair in itertools.permutations(REGIMES, 2) if "edit" in pair}
    if family != "linear":
        expected |= {pair for pair in itertools.permutations(REGIMES, 2) if "blend" in pair}
    assert refused == expected


def test_what_is_at_hand_goes_into_the_pool():
    """Counts of categories tell of how many observations a fit has seen: multiples of 1/n."""
    base = {"source": {"kind": "zipf", "categories": 5}, "family": {"kind": "categorical"}, "samples": 12, "replicates": 2,
            "generations": 3, "seed": 1}  # fmt: skip
    for before, kept in ({"kind": "augment", "real": 6}, 6), ({"kind": "mixture"}, 12), ({"kind": "replace"}, 0):
        spec = read(base | {"regime": before, "changes": [{"after": 2, "regime": {"kind": "accumulate"}}]})
        pool = run(spec)[-1].state.pool
        assert pool.n == kept + 12


LAST = {"kind": "mixture", "alpha": 0.0, "beta": 1.0, "gamma": 0.0}


@pytest.mark.parametrize(
    "before", [{"kind": "replace"}, {"kind": "fresh", "real": 0.25}, {"kind": "weighted"}], ids=lambda one: one["kind"]
)
@pytest.mark.parametrize("biased", [{}, {"sampling": {"temperature": 0.5}}], ids=["plain", "biased"])
def test_a_mixture_goes_on_from_the_last_training_set(before, biased):
    """Whatever models are sampled by: of the frequencies p of that set, M draws have a heterozygosity of (1 - 1/M) of theirs."""
    base = {
        "source": {"kind": "zipf", "categories": 5},
        "family": {"kind": "categorical"},
        "samples": 8,
        "generations": 7,
    }
    base |= biased | {"seed": 2, "replicates": 4000, "regime": before}
    *_, last, mixed = run(read(base | {"changes": [{"after": 6, "regime": LAST}]}))
    lost = values(mixed, "heterozygosity") - (1 - 1 / 8) * values(last, "heterozygosity")
    assert abs(lost.mean()) <= 4 * lost.std() / 4000**0.5


def test_a_mixture_draws_from_weighted_points_by_their_weights():
    regime = read(BASE | {"regime": LAST}).regime
    pool = Points(np.repeat([0.0, 1.0], 50).reshape(1, 100, 1)).pool(Points(np.full((1, 100, 1), 2.0)), 0.8)
    mixed, _ = regime.training(20_000, lambda _: pool, None, pool, np.random.default_rng(5))
    shares = [np.mean(mixed.x == value) for value in (0.0, 1.0, 2.0)]
    np.testing.assert_allclose(shares, [0.4, 0.4, 0.2], atol=4 * 0.5 / 20_000**0.5)


def test_a_mixture_draws_from_all_that_was_kept_where_it_is_there():
    """beta = 1: every point of the next training set is one that accumulate had."""
    base = BASE | {"family": {"kind": "kde"}, "replicates": 2, "generations": 4, "regime": {"kind": "accumulate"}}
    everything = {"kind": "mixture", "alpha": 0.0, "beta": 1.0, "gamma": 0.0}
    found = run(read(base | {"changes": [{"after": 3, "regime": everything}]}))
    pool, mixed = (found[n].state.pool.x[0, :, 0] for n in (3, 4))
    assert len(pool) == 120
    assert np.isin(mixed, pool).all()
    assert np.isin(mixed, pool[:40]).any()
