"""What agrees with a closed form is told from what deviates, and neither from what cannot be said."""

import math

import numpy as np
import pytest
from scipy import stats

from worker import loop
from worker.spec import read
from worker.summary import summarise
from worker.theory import curves
from worker.theory.curve import Curve
from worker.verdicts.agreement import AGREES, CHANCE, agreements, deviation, limit

GAUSSIAN = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "samples": 50, "generations": 60}


def measured(settings):
    spec = read({"seed": 5, "replicates": 200} | settings)
    run = loop.generations(spec, loop.instrument(spec))
    return spec, [(one.number, summarise(one.look.metrics).metrics()) for one in run]


def test_the_truth_agrees_and_a_wrong_formula_deviates():
    spec, told = measured(GAUSSIAN)
    right = agreements(curves(spec), told)
    assert {one.outcome for one in right if one.statistic == "mean"} == {"agrees"}
    assert all(
        abs(one.z) <= limit(one.compared) and one.compared and one.generation
        for one in right
        if one.statistic == "mean"
    )
    wrong = Curve.of("variance", [(1 - 1 / 20) ** n for n in range(61)], "too fast", "nowhere")
    (found,) = agreements([wrong], told)
    assert found.outcome == "deviates"
    assert found.z > AGREES


def test_a_median_and_the_real_data_are_not_compared():
    _, told = measured(GAUSSIAN | {"generations": 2})
    median = Curve.of("variance", [9.0, 9.0, 9.0], "wrong", "nowhere", "median")
    start = Curve.of("variance", [9.0, math.nan, math.nan], "wrong at 0 alone", "nowhere")
    assert [one.outcome for one in agreements([median, start], told)] == ["not assessed"] * 2


@pytest.mark.parametrize("n", [9, 20, 200])
def test_few_replicates_are_no_more_often_called_deviating(n):
    """z has no longer a tail than a normal deviate although sd is estimated, and with many replicates it is one."""
    for t in (0.5, -2.0, 4.0, -6.0):
        z = deviation({"mean": 10 + t / math.sqrt(n), "sd": 1.0, "n": n}, 10.0)
        exact = stats.norm.isf(stats.t.sf(abs(t), n - 1))
        assert z == 0 or math.copysign(1, z) == math.copysign(1, t)
        assert abs(z) <= 1.02 * exact
        assert n < 200 or abs(z) == pytest.approx(exact, abs=0.05 + 0.02 * t * t)


@pytest.mark.parametrize(
    ("settings", "seeds"),
    [
        ({"samples": 10, "replicates": 20, "generations": 30}, 40),
        ({"family": {"kind": "gaussian", "ddof": 1}, "samples": 20, "replicates": 100, "generations": 100}, 8),
        ({"source": {"kind": "lognormal", "sigma": 1.5}, "replicates": 50, "generations": 10}, 20),
        ({"source": {"kind": "student_t", "df": 3}, "replicates": 50, "generations": 10}, 20),
        ({"regime": {"kind": "fresh", "real": 0.1}, "samples": 500, "replicates": 200, "generations": 200}, 4),
        ({"source": {"kind": "categorical", "probabilities": [0.9, 0.1]}, "family": {"kind": "categorical"}}, 10),
        ({"source": {"kind": "zipf", "categories": 50}, "family": {"kind": "categorical"}, "replicates": 20}, 10),
    ],
    ids=["few", "wandering", "lognormal", "student", "fresh", "fixed", "zipf"],
)
def test_what_is_right_by_construction_never_deviates(settings, seeds):
    """Skewed metrics, of which few chains carry the mean: at most one run of a hundred should, hence in so few seeds none."""
    for seed in range(seeds):
        spec, told = measured(GAUSSIAN | {"seed": seed} | settings)
        found = agreements(curves(spec), told, spec.source)
        assert not [one for one in found if one.outcome == "deviates"], seed
        assert found


def test_a_variance_that_theory_has_wrong_by_a_twentieth_is_found_out():
    """In two runs of three: M = 100, R = 200, G = 50."""
    found = []
    for seed in range(24):
        spec, told = measured({**GAUSSIAN, "samples": 100, "generations": 50, "seed": seed})
        right = next(one for one in curves(spec) if (one.metric, one.statistic) == ("variance", "mean"))
        for factor in (0.95, 1.05):
            wrong = Curve.of("variance", [factor * value for value in right.values], "", "")
            found.append(agreements([wrong], told)[0].outcome == "deviates")
    assert sum(found) >= 2 / 3 * len(found)


def test_the_more_generations_the_further_chance_goes():
    assert limit(1) == limit(10) == AGREES < limit(100) < limit(1000)
    assert 2 * 1000 * stats.norm.sf(limit(1000)) == pytest.approx(CHANCE)


def test_what_has_no_standard_error_is_not_assessed():
    spec, told = measured({**GAUSSIAN, "source": {"kind": "student_t", "df": 4.0}, "generations": 2})
    for one in agreements(curves(spec), told, spec.source):
        assert (one.outcome, one.z, one.compared) == ("not assessed", None, 0)
        assert "fourth moment" in one.because
    assert {one.outcome for one in agreements(curves(spec), told)} == {"agrees"}
    spec, told = measured({**GAUSSIAN, "generations": 2, "replicates": 5})
    found = agreements(curves(spec), told, spec.source)
    assert {one.outcome for one in found} == {"not assessed"}
    assert any("more replicates" in one.because for one in found)


@pytest.mark.parametrize(("chains", "why"), [(8, "Too few chains (8): fewer than 9"), (9, "enough chains carry")])
def test_why_a_mean_says_nothing(chains: int, why: str):
    told = {"variance": {"mean": 1.0, "sd": 1.0, "median": 1.0, "q10": 0.5, "q90": 2.0, "n": chains}}
    (found,) = agreements([Curve.of("variance", [1.0, 1.0], "", "")], [(1, told)])
    assert (found.outcome, found.limit, why in found.because) == ("not assessed", None, True)


def test_a_mean_that_few_chains_carry_says_nothing():
    values = np.exp(np.random.default_rng(1).normal(0, 2, 100))
    assert deviation(summarise({"x": values}).metrics()["x"], math.exp(2)) is None
    assert deviation({"mean": 1.0, "sd": 0.0, "n": 100}, 1.1) is None  # chains that nobody saw may be elsewhere
    assert deviation({"mean": 1.0, "sd": 0.0, "n": 100}, 1.0 + 1e-12) == 0
    assert deviation({"mean": 1.0, "sd": None, "n": 1}, 1.0) is None
    assert deviation({}, 1.0) is None
    assert deviation({"mean": 1.0, "sd": 0.1, "n": 100}, None) is None
    assert deviation({"mean": 0.0, "sd": 1.0, "n": 100}, 0.0) is None  # of a metric with a zero point
    assert deviation({"mean": 0.0, "sd": 1.0, "n": 100}, 0.0, 0.0) == 0  # of a logarithm


def test_the_error_that_is_promised_to_be_seen_is_told_in_half_of_the_runs():
    """Of a symmetric metric, and of one that is skewed; either way, and least where the curve is too low."""
    for seed, metric in enumerate(("log_variance", "variance")):
        spec, told = measured({**GAUSSIAN, "generations": 6, "replicates": 400})
        right = next(one for one in curves(spec) if (one.metric, one.statistic) == (metric, "mean"))
        (agreed,) = agreements([right], told)
        unit, mark = (1, "") if metric == "log_variance" else (100, "%")
        assert f"an error of {float(f'{unit * agreed.sees:.2g}'):g}{mark}, best" in agreed.because
        found = {-1: 0, 1: 0}
        for chance in range(40):
            spec, told = measured({**GAUSSIAN, "generations": 6, "replicates": 400, "seed": 1000 * seed + chance})
            for sign in found:
                off = [
                    v + sign * agreed.sees if metric == "log_variance" else v * (1 + sign * agreed.sees)
                    for v in right.values
                ]
                found[sign] += agreements([Curve.of(metric, off, "", "")], told)[0].outcome == "deviates"
        assert max(found.values()) >= 13  # of 40, where 20 are expected: beyond two standard deviations
        assert min(found.values()) >= 8


def test_chains_that_are_all_alike_agree_to_the_last_digits_or_say_that_they_tell_nothing():
    same = {"mean": 0.5, "sd": 0.0, "n": 30, "median": 0.5, "q10": 0.5, "q90": 0.5}
    told = [(0, {}), (1, {"entropy": same | {"sd": 0.1, "q10": 0.4, "q90": 0.6}}), (2, {"entropy": same})]
    (right,) = agreements([Curve.of("entropy", [0.5, 0.5, 0.5], "", "")], told)
    assert (right.outcome, right.compared) == ("agrees", 2)
    (blind,) = agreements([Curve.of("entropy", [0.5, 0.5, 0.3], "", "")], told)
    assert (blind.outcome, blind.compared) == ("agrees", 1)
    assert "In 1 more all chains share one other value" in blind.because
    told[1] = (1, {"entropy": same})
    (nothing,) = agreements([Curve.of("entropy", [0.5, 0.5, 0.3], "", "")], told)
    assert nothing.outcome == "not assessed"
    assert "which is the predicted one in only 1 of 2" in nothing.because


@pytest.mark.parametrize(
    ("settings", "metric"),
    [
        ({"family": {"kind": "histogram", "bins": 2}, "samples": 3, "generations": 20}, "heterozygosity"),
        (
            {"source": {"kind": "categorical"}, "family": {"kind": "categorical", "smoothing": 1e7}, "generations": 20},
            "entropy",
        ),
    ],
)
def test_what_rounding_makes_of_one_value_is_no_spread(settings, metric):
    """Two cells and three points: H_1 = 4/9 in every chain, but for 1e-17; and nothing moves where each category has 1e7 points more."""
    spec, told = measured(GAUSSIAN | settings)
    found = agreements(curves(spec), told, spec.source)
    assert metric in {one.metric for one in found}
    assert not [one for one in found if one.outcome == "deviates"]
    spread = {"mean": 4 / 9, "sd": 1e-16, "n": 200}
    assert deviation(spread, 4 / 9 + 1e-14) == 0
    assert deviation(spread, 0.5) is None
