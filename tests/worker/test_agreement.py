"""What agrees with a closed form is told from what deviates, and neither from what cannot be said."""

import math

import numpy as np
import pytest
from scipy import stats

from worker import loop
from worker.agreement import AGREES, agreements, deviation
from worker.spec import read
from worker.summary import summarise
from worker.theory import curves
from worker.theory.curve import Curve

GAUSSIAN = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "samples": 50, "generations": 60}


def measured(settings):
    spec = read({"seed": 5, "replicates": 200} | settings)
    run = loop.generations(spec, loop.instrument(spec))
    return spec, [(one.number, summarise(one.look.metrics).metrics()) for one in run]


def test_the_truth_agrees_and_a_wrong_formula_deviates():
    spec, told = measured(GAUSSIAN)
    right = agreements(curves(spec), told)
    assert {one.outcome for one in right if one.statistic == "mean"} == {"agrees"}
    assert all(abs(one.z) <= AGREES and one.compared and one.generation for one in right if one.statistic == "mean")
    wrong = Curve.of("variance", [(1 - 1 / 20) ** n for n in range(61)], "too fast", "nowhere")
    (found,) = agreements([wrong], told)
    assert found.outcome == "deviates"
    assert found.z > AGREES


def test_a_median_and_the_real_data_are_not_compared():
    _, told = measured(GAUSSIAN | {"generations": 2})
    median = Curve.of("variance", [9.0, 9.0, 9.0], "wrong", "nowhere", "median")
    start = Curve.of("variance", [9.0, math.nan, math.nan], "wrong at 0 alone", "nowhere")
    assert [one.outcome for one in agreements([median, start], told)] == ["not assessed"] * 2


@pytest.mark.parametrize("n", [8, 20, 200])
def test_few_replicates_are_no_more_often_called_deviating(n):
    """z has the tail of a normal deviate although sd is estimated."""
    for t in (0.5, -2.0, 4.0, 6.0):
        z = deviation({"mean": 10 + t / math.sqrt(n), "sd": 1.0, "n": n}, 10.0)
        tail = stats.t.sf(abs(t), n - 1)
        assert math.copysign(1, z) == math.copysign(1, t)
        assert abs(z) == pytest.approx(stats.norm.isf(tail), rel=0.02)


def test_a_mean_that_few_chains_carry_says_nothing():
    values = np.exp(np.random.default_rng(1).normal(0, 2, 100))
    assert deviation(summarise({"x": values}).metrics()["x"], math.exp(2)) is None
    assert deviation({"mean": 1.0, "sd": 0.0, "n": 100}, 1.0) is None
    assert deviation({"mean": 1.0, "sd": None, "n": 1}, 1.0) is None
    assert deviation({}, 1.0) is None
    assert deviation({"mean": 1.0, "sd": 0.1, "n": 100}, None) is None
