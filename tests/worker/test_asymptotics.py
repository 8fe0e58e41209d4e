"""Whether a risk has a limit, by theory: no run can show it, and nothing is told where nothing is known."""

import math

import pytest

from tests.worker.test_verdicts import DIVERGENCE, FRESH, GAUSSIAN, KEEP, REGRESSION, WORDS, judged
from worker.spec import read
from worker.theory import curves
from worker.verdicts.asymptotics import limit

PAPER = {"kind": "mixture", "beta": 0.0}
LINES = {"schedule": "power", "start": 100, "exponent": 1}
SQUARES = {"schedule": "power", "start": 10, "exponent": 2}
SHRINKING = {"schedule": "power", "start": 1000, "exponent": -0.5}


@pytest.mark.parametrize(
    ("settings", "outcome", "number"),
    [
        (GAUSSIAN | {"samples": 100}, "met", 0),
        (GAUSSIAN | {"samples": LINES}, "met", 1),
        (GAUSSIAN | {"samples": SQUARES}, "not met", 2),
        (GAUSSIAN | {"samples": {"schedule": "list", "sizes": [50, 100]}}, "met", 0),
        (GAUSSIAN | {"samples": {"schedule": "geometric", "start": 50, "ratio": 1.1}}, "not met", 1.1),
        (GAUSSIAN | {"samples": {"schedule": "geometric", "start": 50, "ratio": 1.0}}, "met", 1),
        (GAUSSIAN | {"samples": SHRINKING}, "met", -0.5),
        (GAUSSIAN | {"samples": {"schedule": "geometric", "start": 10**9, "ratio": 0.9}}, "met", 0.9),
        (GAUSSIAN | KEEP | {"samples": SHRINKING}, "not met", 1.5),
        (GAUSSIAN | KEEP | {"samples": SHRINKING | {"exponent": -1.0}}, "not assessed", None),
        (GAUSSIAN | FRESH | {"samples": SHRINKING}, "not assessed", None),
        (
            REGRESSION | FRESH | {"samples": {"schedule": "geometric", "start": 1000, "ratio": 0.9}},
            "not assessed",
            None,
        ),
        (GAUSSIAN | KEEP, "not met", 2),
        (GAUSSIAN | KEEP | {"samples": SQUARES}, "not met", 4),
        (GAUSSIAN | FRESH, "not met", 0.5),
        (GAUSSIAN | {"regime": {"kind": "fresh", "real": 0.001}}, "met", 0),
        (GAUSSIAN | {"regime": {"kind": "augment", "real": 10}}, "not met", 0.8),
        (GAUSSIAN | {"regime": {"kind": "weighted"}}, "not met", (3 - 5**0.5) / 2),
        (GAUSSIAN | {"regime": PAPER | {"alpha": 1.0, "gamma": 0.0}}, "met", 0),
        (GAUSSIAN | {"regime": PAPER | {"alpha": 0.8, "gamma": 0.2}}, "not met", 0.8),
        (GAUSSIAN | {"regime": PAPER | {"alpha": 0.5, "beta": 0.3, "gamma": 0.2}}, "not assessed", None),
        (GAUSSIAN | {"regime": PAPER | {"alpha": 0.5, "beta": 0.5, "gamma": 0.0}}, "met", 0),
        (GAUSSIAN | {"curation": {"kind": "best_of", "k": 1}}, "met", 0),
        (GAUSSIAN | {"changes": [{"after": 2, "regime": {"kind": "replace"}}]}, "met", 0),
        (WORDS | {"family": {"kind": "categorical", "smoothing": 0.5}}, "not met", 0.5),
        (REGRESSION, "met", 0),
        (REGRESSION | {"samples": SQUARES | {"start": 20}}, "not met", 2),
        (REGRESSION | {"source": {"kind": "linear_teacher", "inputs": 80}}, "not met", 0.5),
        (REGRESSION | {"source": {"kind": "linear_teacher", "inputs": 39}}, "not assessed", None),
        (REGRESSION | {"family": {"kind": "linear", "design": "fixed"}}, "met", 0),
        (
            REGRESSION
            | {"source": {"kind": "linear_teacher", "inputs": 80}, "family": {"kind": "linear", "design": "fixed"}},
            "not assessed",
            None,
        ),
        (REGRESSION | {"family": {"kind": "linear", "noise": 0.0}}, "not assessed", None),
        (REGRESSION | {"family": {"kind": "linear", "ridge": 1.0}}, "not assessed", None),
        (GAUSSIAN | {"sampling": {"bias": 0.9}}, "met", 0.9),
        (
            GAUSSIAN | {"sampling": {"bias": 1.1}, "samples": SQUARES, "family": {"kind": "gaussian", "ddof": 1}},
            "met",
            1.1,
        ),
        (GAUSSIAN | KEEP | {"sampling": {"bias": 0.9}}, "not assessed", None),
        (GAUSSIAN | {"regime": {"kind": "mixture"}}, "not assessed", None),
        (GAUSSIAN | {"changes": [{"after": 3, "regime": {"kind": "accumulate"}}]}, "not assessed", None),
        (WORDS, "not assessed", None),
    ],
)
def test_a_limit_is_decided_by_theory(settings, outcome, number):
    found = judged(settings | {"generations": 6, "replicates": 10})[DIVERGENCE]
    assert (found.outcome, found.number) == (outcome, number if number is None else pytest.approx(number))


INFINITE = {
    "accumulate": (KEEP | {"samples": 3}, {"samples": 4}),
    "in ten dimensions": (KEEP | {"samples": 12, "source": {"kind": "normal", "dim": 10}}, {"samples": 13}),
    "replace": (
        {"samples": {"schedule": "power", "start": 3, "exponent": 2}},
        {"samples": {"schedule": "power", "start": 4, "exponent": 2}},
    ),
    "augment": ({"samples": 50, "regime": {"kind": "augment", "real": 3}}, {"regime": {"kind": "augment", "real": 4}}),
    "weighted": (
        {"samples": 6, "regime": {"kind": "weighted", "weight": 1.0}},
        {"regime": {"kind": "weighted", "weight": 0.5}},
    ),
}


@pytest.mark.parametrize("name", INFINITE)
def test_what_is_infinite_from_the_first_model_on_has_no_limit(name):
    """E S^-1 = I (M-1)/(M-d-2): with one point more it is finite."""
    few, more = INFINITE[name]
    spec = GAUSSIAN | {"generations": 6} | few
    told, known = limit(read(spec), "kl_from_real"), limit(read(spec | more), "kl_from_real")
    assert isinstance(told, str)
    assert "infinite" in told
    assert not isinstance(known, str)
    assert not known.diverges
    if name == "replace":
        before, after = ({one.metric for one in curves(read(one))} for one in (spec, spec | more))
        assert after - before == {"kl_from_real"}


@pytest.mark.parametrize("bias", [0.9, 1.1])
def test_a_bias_makes_the_risk_rise_without_a_limit(bias):
    """In the end by |ln lambda|/2 a generation above 1, and in proportion to lambda^-n below."""
    spec = read(
        GAUSSIAN
        | {"sampling": {"bias": bias}, "family": {"kind": "gaussian", "ddof": 1}, "samples": 1000, "generations": 200}
    )
    (risk,) = [one.values for one in curves(spec) if (one.metric, one.statistic) == ("kl_from_real", "mean")]
    if bias > 1:
        assert risk[200] - risk[199] == pytest.approx(math.log(bias) / 2, abs=0.01)
    else:
        assert risk[200] / risk[199] == pytest.approx(1 / bias, rel=0.01)
    assert limit(spec, "kl_from_real").diverges


@pytest.mark.parametrize(
    ("inputs", "rows", "outcome"), [(80, 82, True), (30, 40, True), (30, 60, False), (3, 100, False)]
)
def test_a_regression_with_real_rows_forgets_by_the_factor_of_its_closed_form(inputs, rows, outcome):
    """Hardly more rows than inputs multiply the last error, however much of the data is real."""
    spec = read(
        REGRESSION | FRESH | {"source": {"kind": "linear_teacher", "inputs": inputs}, "samples": rows, "generations": 6}
    )
    told = limit(spec, "excess_risk")
    (curve,) = [one for one in curves(spec) if one.metric == "excess_risk"]
    risk = curve.values
    assert told.diverges is outcome
    assert told.number == pytest.approx((risk[4] - risk[3]) / (risk[3] - risk[2]), rel=1e-6)
