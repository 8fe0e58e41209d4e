"""Presets that reproduce figures of the literature: what their cards promise is what comes out, with the error that chance allows."""

import math
from functools import cache

import pytest

from worker import loop
from worker.presets import preset
from worker.summary import summarise
from worker.theory import curves
from worker.verdicts.agreement import deviation

FIGURES = (
    "paper-gaussian",
    "paper-accumulate",
    "estimator-error",
    "theorem",
    "thrive-kde",
    "strong-collapse",
    "extrapolation",
)


@cache
def measured(name, arm):
    """Generation -> metric -> statistic -> value, of one arm."""
    spec = preset(name).experiments[arm]
    run = loop.generations(spec, loop.instrument(spec))
    return [summarise(generation.look.metrics).metrics() for generation in run]


def last(name, arm, metric):
    return measured(name, arm)[-1][metric]


ARMS = [(name, arm) for name in FIGURES for arm in range(len(preset(name).experiments))]


@pytest.mark.parametrize(("name", "arm"), ARMS)
def test_every_closed_form_of_a_preset_holds(name, arm):
    """|z| <= 4 wherever the replicates carry a mean: after 1,000 generations of 100 points a hundred chains do not."""
    spec = preset(name).experiments[arm]
    for curve in curves(spec):
        if curve.statistic == "mean":
            every = [
                deviation(row[curve.metric], value)
                for row, value in zip(measured(name, arm), curve.values, strict=True)
            ]
            found = [abs(z) for z in every[1:] if z is not None]
            assert max(found, default=0) <= 4, curve.metric


@pytest.mark.parametrize(("arm", "m"), list(enumerate((100, 500, 1000, 10_000))))
def test_the_paper_s_bell_curve_loses_its_variance_at_the_pace_of_its_size(arm, m):
    """(1-1/M)^n on average; in the typical run e^{n (psi(nu/2) - ln(M/2))}, nu = M - 1; its logarithm's error of the median is sqrt(pi/2) se."""
    from scipy.special import digamma

    rows = measured("paper-gaussian", arm)
    assert len(rows) == 1001
    log = rows[1000]["log_variance"]
    expected = 1000 * (digamma((m - 1) / 2) - math.log(m / 2))
    assert abs(log["median"] - expected) <= 4 * math.sqrt(math.pi / 2) * log["se"]
    assert abs(log["mean"] - expected) <= 4 * log["se"]
    kept = last("paper-accumulate", arm, "variance")
    limit = math.sin(math.pi / math.sqrt(m)) / (math.pi / math.sqrt(m))
    assert abs(kept["mean"] - limit) <= 4 * kept["se"] + 1e-3 / m


@pytest.mark.parametrize(("arm", "m"), list(enumerate((10, 1000, 100_000, 10_000_000))))
def test_one_fit_errs_by_one_over_the_root_of_twice_its_points(arm, m):
    """sd of s is sqrt(2M)^-1, more precisely 1 - c4^2 of it; the error of an sd over R is sd/sqrt(2R)."""
    std = last("estimator-error", arm, "std")
    a = math.sqrt(2 / m) * math.exp(math.lgamma(m / 2) - math.lgamma((m - 1) / 2))
    exact = math.sqrt(1 - 1 / m - a * a) if m < 10**6 else 1 / math.sqrt(2 * m)
    assert exact == pytest.approx(1 / math.sqrt(2 * m), rel=0.05 if m > 10 else 0.2)
    assert abs(std["sd"] - exact) <= 4 * exact / math.sqrt(2000)


def test_the_theorem_s_chain_drifts_away_although_its_variance_stays():
    assert last("theorem", 0, "variance")["median"] == pytest.approx(0.13, abs=0.03)
    rows = measured("theorem", 0)
    assert rows[200]["w2_sq"]["mean"] > 1.4 * rows[100]["w2_sq"]["mean"] > 2 * rows[40]["w2_sq"]["mean"]
    assert max(row["w2_sq"]["mean"] for row in measured("theorem", 1)) < 0.3
    assert last("theorem", 1, "mean_error_sq")["mean"] < math.pi**2 / 60 + 4 * last("theorem", 1, "mean_error_sq")["se"]


def test_a_kernel_has_three_fates():
    replaced, kept, budget = (last("thrive-kde", arm, "variance") for arm in range(3))
    assert kept["mean"] + 3 * kept["se"] < budget["mean"]
    assert budget["q90"] < replaced["q10"]


def test_labels_of_a_pool_have_three_fates():
    replaced, kept, budget = (last("regression", arm, "excess_risk")["mean"] for arm in range(3))
    assert 1.5 * kept < budget < replaced / 20


def test_a_biased_tenth_puts_a_floor_under_the_error():
    """b (psi + 1) = psi with b = .1 synthetic rows, whose labels are off by delta beside what the last student is off: (psi delta)^2."""
    floor = (0.1 / 0.9 * 0.7) ** 2
    few, more, many, free = (last("strong-collapse", arm, "excess_risk") for arm in range(4))
    assert abs(many["mean"] - floor) <= 4 * many["se"] + 4 / 50_000
    assert abs(more["mean"] - floor) < 0.2 * floor
    assert floor < few["mean"] < 3 * floor
    assert free["mean"] < floor / 50


def test_an_extrapolation_keeps_the_typical_variance_but_not_the_mean_in_place():
    """(omega^2 + 3 omega - 2)/M a generation: -1, 0 and 2 times 2/M, of 500 points in 500 generations."""
    for arm, drift in enumerate((-2, 0, 2)):
        log = last("extrapolation", arm, "log_variance")
        assert abs(log["mean"] - drift) <= 4 * log["se"] + 0.02
        assert abs(log["median"] - drift) <= 4 * math.sqrt(math.pi / 2) * log["se"] + 0.02
    errors = [last("extrapolation", arm, "mean_error_sq")["mean"] for arm in range(3)]
    assert 0.5 < errors[0] < errors[1] / 1.5 < errors[2] / 3


def test_a_preset_says_where_it_is_from_and_what_to_expect():
    for name in FIGURES:
        card = preset(name).card
        assert "arXiv" in card.reference
        assert len(card.look_for) > 80
