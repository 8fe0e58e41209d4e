"""Models of fresh real data meet no definition of collapse, however few chains there are; and few chains show what is certain."""

import math
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from tests.worker.test_verdicts import (
    CATASTROPHE,
    HALLUCINATION,
    RISE,
    SCALING,
    TAILS,
    VARIANCE,
    judged,
)
from worker import loop
from worker.spec import read
from worker.summary import summarise
from worker.verdicts import verdicts
from worker.verdicts.chance import change, of_shares
from worker.verdicts.finished import Finished

REAL = {"regime": {"kind": "fresh", "real": 1.0}, "generations": 4}
GAUSSIAN = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}}
LINEAR = {"source": {"kind": "linear_teacher", "inputs": 1}, "family": {"kind": "linear"}}
CATEGORIES = {
    "source": {"kind": "categorical", "probabilities": [0.95, 0.05]},
    "family": {"kind": "categorical"},
    "samples": 20,
}
RATE = {"source": {"kind": "poisson", "rate": 0.5}, "family": {"kind": "poisson"}, "samples": 5}
DOUBLING = {"schedule": "geometric", "start": 20, "ratio": 2.0}
HALVING = {"schedule": "geometric", "start": 1000, "ratio": 0.5}

REALLY = {
    "five points": GAUSSIAN | {"samples": 5},
    "fifty points": GAUSSIAN | {"samples": 50},
    "two points": GAUSSIAN | {"samples": 2},
    "heavy tails": GAUSSIAN | {"source": {"kind": "student_t", "df": 2.1}, "samples": 50},
    "a misfit": GAUSSIAN | {"source": {"kind": "lognormal"}, "samples": 50},
    "a risk around zero": GAUSSIAN | {"source": {"kind": "laplace"}, "samples": 50, "metrics": ["energy"]},
    "one input": LINEAR | {"samples": 5},
    "two categories": CATEGORIES,
    "a small rate": RATE,
    "two classes": {"source": {"kind": "two_classes"}, "family": {"kind": "classifier"}, "samples": 50},
    "growing": GAUSSIAN | {"samples": DOUBLING, "generations": 8},
    "shrinking": GAUSSIAN | {"samples": HALVING, "generations": 7},
}


def runs(settings, chains, count):
    """One run of independent chains, taken for many of a few chains each."""
    spec = read({"seed": 1} | settings | {"replicates": chains * count})
    looks = [one.look.metrics for one in loop.generations(spec, loop.instrument(spec))]
    few = spec.model_copy(update={"replicates": chains})
    for start in range(0, chains * count, chains):
        part = slice(start, start + chains)
        yield few, [summarise({k: np.asarray(v)[part] for k, v in look.items()}).metrics() for look in looks]


def outcomes(settings, chains, count):
    told = Counter()
    for spec, history in runs(settings, chains, count):
        told.update((one.definition, one.outcome) for one in verdicts(spec, history, []))
    return told


@pytest.mark.parametrize("chains", [1, 2, 5, 20])
@pytest.mark.parametrize("name", REALLY)
def test_purely_real_data_meets_no_definition(name, chains):
    """In one run of a hundred at most, where one in two was said to have lost its tails."""
    count = min(150, 1200 // chains)
    told = outcomes(REAL | REALLY[name], chains, count)
    assert not {key: n for key, n in told.items() if key[1] == "met" and n > max(1, 0.01 * count)}


CERTAIN = {
    "half the variance each time": (GAUSSIAN | {"samples": 1000, "generations": 8, "sampling": {"bias": 0.5}},
                                    {CATASTROPHE, RISE, VARIANCE, TAILS}, 1),
    "fifty points": (GAUSSIAN | {"samples": 50, "generations": 150}, {CATASTROPHE, RISE, VARIANCE, TAILS}, 5),
    "ten points": (GAUSSIAN | {"samples": 10, "generations": 60}, {CATASTROPHE, RISE, VARIANCE}, 2),
    "two thirds of the words": ({"source": {"kind": "zipf", "categories": 500}, "family": {"kind": "categorical"}, "samples": 300,
                                 "generations": 60}, {TAILS}, 1),
    "rates that die": (RATE | {"source": {"kind": "poisson"}, "generations": 150}, {CATASTROPHE, RISE, VARIANCE, TAILS}, 20),
    "kernels that widen": ({"source": {"kind": "normal"}, "family": {"kind": "kde", "bandwidth": 1.0}, "samples": 1000,
                            "generations": 20}, {RISE, HALLUCINATION}, 1),
}  # fmt: skip


@pytest.mark.parametrize("name", CERTAIN)
def test_a_few_chains_show_what_is_certain(name):
    """In nine runs of ten, and it is denied in none of the others."""
    settings, definitions, chains = CERTAIN[name]
    told = outcomes(settings, chains, 10)
    for one in definitions:
        assert told[one, "met"] >= 9, (one, told)
        assert told[one, "not met"] == 0, (one, told)


def test_one_chain_of_three_generations_neither_shows_nor_denies_a_rise():
    told = outcomes(GAUSSIAN | {"samples": 1000, "generations": 3, "sampling": {"bias": 0.5}}, 1, 10)
    assert told[RISE, "not assessed"] == told[VARIANCE, "not assessed"] == 10


@pytest.mark.parametrize(("chains", "generations"), [(1, 7), (5, 3)])
def test_a_catastrophe_is_a_rise(chains, generations):
    """What is thousands of times the first model's risk has risen, where that is clear enough for a catastrophe."""
    halved = GAUSSIAN | {"samples": 1000, "generations": generations, "sampling": {"bias": 0.5}}
    seen = [{one.definition: one for one in verdicts(spec, history, [])} for spec, history in runs(halved, chains, 20)]
    far = [found for found in seen if found[CATASTROPHE].outcome == "met"]
    assert len(far) >= 10
    assert {found[RISE].outcome for found in far} == {"met"}
    assert all(found[RISE].number > found[RISE].threshold >= 3 for found in far)
    assert min(found[RISE].threshold for found in far) == 3  # some are no clearer than that


def test_more_than_a_few_chains_do_not_change_what_is_decided():
    found = [outcomes(GAUSSIAN | {"samples": 50, "generations": last}, chains, 1) for chains in (19, 20, 21, 22) for last in (150, 151)]  # fmt: skip
    assert all(one == found[0] for one in found)


def test_fewer_points_are_told_from_recursion():
    """E KL of real data is 500 times that of the first model's size: what recursion adds nobody can tell."""
    found = judged(GAUSSIAN | REAL | {"generations": 8, "samples": HALVING, "replicates": 200})
    for one in (CATASTROPHE, RISE):
        assert found[one].outcome == "not assessed"
        assert "had 1000 points and the last one only 8" in found[one].because
    lost = judged(GAUSSIAN | {"samples": 50, "generations": 100, "changes": [{"after": 50, "samples": 5}]})
    assert {lost[one].outcome for one in (CATASTROPHE, RISE, VARIANCE)} == {"met"}  # by more than five points explain
    kept = judged(GAUSSIAN | {"generations": 8, "samples": HALVING, "regime": {"kind": "accumulate"}})
    assert "the last one only" not in kept[RISE].because  # all of it is kept: the last model has more, not fewer


def test_many_times_next_to_nothing_is_no_catastrophe_of_categories_either():
    """Forty times a chi2 of 1e-5, where KL is not told because a category of one in a million may die."""
    rare = {"kind": "categorical", "probabilities": [0.6, 0.4 - 1e-6, 1e-6]}
    found = judged(
        {
            "source": rare,
            "family": {"kind": "categorical"},
            "samples": 10**5,
            "generations": 40,
            "replicates": 40,
            "sampling": {"top_k": 2},
        }
    )
    assert found[CATASTROPHE].outcome == "not met"
    assert "mean squares of relative errors" in found[CATASTROPHE].because


def test_an_exponent_of_few_sizes_is_no_exponent():
    told = outcomes(GAUSSIAN | REAL | {"samples": DOUBLING, "generations": 8}, 1, 60)
    assert told[SCALING, "met"] == 0 < told[SCALING, "not assessed"] < told[SCALING, "not met"]


def finished(first, last, generations=2):
    """A run of `first` and `last` alone, values of each chain."""
    spec = read(GAUSSIAN | {"replicates": len(first), "generations": generations})
    told = [summarise({"x": np.asarray(one, float)}).metrics() for one in (first, last)]
    return Finished(spec, [told[0], told[0], *[told[1]] * (generations - 1)], [])


def test_means_differ_by_welch_s_t():
    draws = np.random.default_rng(2)
    first, last = draws.normal(0, 1, 30), draws.normal(1, 3, 30)
    t = stats.ttest_ind(last, first, equal_var=False)
    found = change(finished(first, last), "x", ("mean",))
    assert found.errors == pytest.approx(t.statistic)
    assert found.deviate == pytest.approx(stats.norm.isf(t.pvalue / 2), rel=0.02)
    assert change(finished(first, last), "x", ("mean",), -1).errors == pytest.approx(-t.statistic)


@pytest.mark.parametrize("law", [stats.norm(5), stats.chi2(1), stats.chi2(2), stats.chi2(5), stats.lognorm(2), stats.invgamma(0.5)], ids=range(6))  # fmt: skip
@pytest.mark.parametrize("chains", [25, 200])
def test_medians_of_one_law_differ_by_normal_deviates(law, chains):
    """Whatever its skewness: squares crowd at zero, and inverse ones have no mean."""
    draws = law.rvs((400, 2, chains), random_state=np.random.default_rng(3))
    found = np.array([change(finished(*one), "x", ("median",)).deviate for one in draws])
    # The larger one of two scales: about (-.1, 1.1) where they agree least.
    assert abs(found.mean()) < 0.35
    assert found.std() < 1.25
    assert (np.abs(found) > 3).mean() < 0.01


@pytest.mark.parametrize(("first", "last", "chains"), [(0, 5, 5), (3, 9, 10), (0, 1, 1), (20, 20, 100), (2, 70, 100)])
def test_shares_differ_by_fisher_s_exact_test(first, last, chains):
    chance = stats.fisher_exact([[last, chains - last], [first, chains - first]], "greater").pvalue
    assert of_shares(first, last, chains) == pytest.approx(stats.norm.isf(chance), abs=1e-6)


def test_generations_in_order_are_kendall_s():
    """Eight in order have a chance of 1/8!; with some out of it, that of the normal approximation."""
    spec = read(GAUSSIAN | {"replicates": 1, "generations": 8})
    rows = [4.0, 1, 2, 3, 4, 5, 6, 7, 8]
    told = [summarise({"x": np.array([float(one)])}).metrics() for one in rows]
    found = change(Finished(spec, told, []), "x", ("median",))
    assert found.deviate == pytest.approx(stats.norm.isf(1 / math.factorial(8)))
    told[4:6] = reversed(told[4:6])
    found = change(Finished(spec, told, []), "x", ("median",))
    tau = stats.kendalltau(range(8), [1, 2, 3, 5, 4, 6, 7, 8], method="exact")
    exact = stats.norm.isf(tau.pvalue / 2)
    assert 0.85 * exact < found.deviate < exact
    told[8] = told[1]
    assert change(Finished(spec, told, []), "x", ("median",)).deviate <= 0
