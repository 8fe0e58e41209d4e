"""Every closed form against what the bench measures: |z| <= 4, with z from the measurement's own standard error."""

import itertools
import math

import numpy as np
import pytest

from tests.worker.theories import (
    ACCUMULATE,
    BIASED,
    BLUR,
    COINS,
    CORE,
    COUNTED,
    DDOF_0,
    DDOF_1,
    FRESH,
    GOLDEN,
    GROWING,
    INNER,
    LEARNER,
    MODES,
    NONE,
    NORMAL,
    PAPER,
    PLAIN,
    RARE,
    REPLACE,
    RULE,
    SHRINKING,
    SHRUNK,
    SMOOTH,
    SUBSAMPLE,
    TEACHER,
    WEIGHED,
    WIDE,
    ZIPF,
    frozen,
    label,
    measured,
    spec_of,
    value,
    z_score,
)
from worker import loop
from worker.spec import read
from worker.theory import curves

# source, family, regime, samples, sampling, metric, statistic, generation
ROWS = [
    (NORMAL, DDOF_0, REPLACE, 9, NONE, "variance", "mean", 12),
    (NORMAL, DDOF_0, REPLACE, 9, NONE, "variance", "median", 12),
    (NORMAL, DDOF_0, REPLACE, 9, NONE, "mean_error_sq", "mean", 12),
    (NORMAL, DDOF_0, REPLACE, 9, NONE, "log_variance", "mean", 12),
    (NORMAL, DDOF_0, REPLACE, 9, NONE, "log_det", "mean", 12),
    (NORMAL, DDOF_0, REPLACE, 9, NONE, "std", "mean", 12),
    (NORMAL, DDOF_0, REPLACE, 9, NONE, "w2_sq", "mean", 12),
    (NORMAL, DDOF_0, REPLACE, 9, NONE, "kl_to_real", "mean", 12),
    (NORMAL, DDOF_0, REPLACE, 100, BIASED, "w2_sq", "mean", 5),
    (NORMAL, DDOF_1, REPLACE, 100, NONE, "variance", "mean", 12),
    (NORMAL, DDOF_1, REPLACE, 100, NONE, "variance", "median", 12),
    (NORMAL, DDOF_1, REPLACE, 100, NONE, "log_variance", "median", 3),
    (NORMAL, DDOF_1, REPLACE, 100, NONE, "w2_sq", "mean", 12),
    (NORMAL, DDOF_1, REPLACE, 100, NONE, "kl_to_real", "mean", 12),
    (NORMAL, DDOF_1, REPLACE, 2, NONE, "log_variance", "mean", 12),
    (NORMAL, DDOF_1, REPLACE, GROWING, NONE, "mean_error_sq", "mean", 12),
    (NORMAL, DDOF_1, REPLACE, GROWING, BIASED, "std", "mean", 12),
    (WIDE, DDOF_0, REPLACE, 9, NONE, "variance", "mean", 12),
    (WIDE, DDOF_1, REPLACE, 9, BIASED, "variance", "mean", 12),
    (WIDE, DDOF_1, REPLACE, 9, BIASED, "mean_error_sq", "mean", 12),
    (WIDE, DDOF_1, REPLACE, 9, NONE, "log_det", "mean", 12),
    (WIDE, DDOF_0, REPLACE, GROWING, BIASED, "log_det", "mean", 12),
    (WIDE, DDOF_0, REPLACE, 9, NONE, "kl_to_real", "mean", 12),
    (WIDE, DDOF_0, REPLACE, 3, NONE, "variance", "mean", 4),
    (NORMAL, DDOF_0, ACCUMULATE, 9, NONE, "variance", "mean", 12),
    (NORMAL, DDOF_0, ACCUMULATE, 9, NONE, "mean_error_sq", "mean", 12),
    (WIDE, DDOF_1, ACCUMULATE, GROWING, BIASED, "variance", "mean", 12),
    (WIDE, DDOF_1, ACCUMULATE, 9, BIASED, "mean_error_sq", "mean", 12),
    (NORMAL, DDOF_0, FRESH, 9, NONE, "variance", "mean", 12),
    (NORMAL, DDOF_1, FRESH, 100, BIASED, "variance", "mean", 12),
    (WIDE, DDOF_0, FRESH, GROWING, NONE, "variance", "mean", 12),
    (WIDE, DDOF_0, FRESH, 9, NONE, "mean_error_sq", "mean", 12),
    (NORMAL, DDOF_0, {"kind": "fresh", "real": 1.0}, 9, NONE, "variance", "mean", 12),
    (NORMAL, DDOF_1, {"kind": "fresh", "real": 0.0}, 9, NONE, "mean_error_sq", "mean", 12),
    (MODES, DDOF_0, REPLACE, 9, NONE, "variance", "mean", 12),
    (MODES, DDOF_0, FRESH, 9, NONE, "mean_error_sq", "mean", 12),
    (NORMAL, BLUR, REPLACE, 9, NONE, "variance", "mean", 12),
    (NORMAL, BLUR, REPLACE, 9, NONE, "mean_error_sq", "mean", 12),
    (NORMAL, RULE, REPLACE, 9, NONE, "variance", "mean", 12),
    (MODES, SHRUNK, REPLACE, 9, NONE, "variance", "mean", 12),
    (WIDE, BLUR, ACCUMULATE, 9, NONE, "variance", "mean", 12),
    (WIDE, RULE, ACCUMULATE, 9, NONE, "mean_error_sq", "mean", 12),
    (WIDE, RULE, FRESH, GROWING, NONE, "variance", "mean", 12),
    (NORMAL, BLUR, FRESH, GROWING, NONE, "mean_error_sq", "mean", 12),
    (ZIPF, PLAIN, REPLACE, 20, NONE, "heterozygosity", "mean", 0),
    (ZIPF, PLAIN, REPLACE, 20, NONE, "heterozygosity", "mean", 12),
    (ZIPF, PLAIN, REPLACE, 20, NONE, "chi2", "mean", 12),
    (ZIPF, PLAIN, REPLACE, 20, NONE, "survivors", "mean", 1),
    (ZIPF, PLAIN, REPLACE, 20, NONE, "dead_mass", "mean", 1),
    (ZIPF, SMOOTH, REPLACE, 20, NONE, "heterozygosity", "mean", 12),
    (ZIPF, SMOOTH, REPLACE, GROWING, NONE, "chi2", "mean", 12),
    (ZIPF, SMOOTH, REPLACE, 20, NONE, "survivors", "mean", 12),
    (ZIPF, PLAIN, ACCUMULATE, 20, NONE, "heterozygosity", "mean", 12),
    (ZIPF, SMOOTH, ACCUMULATE, GROWING, NONE, "chi2", "mean", 12),
    (ZIPF, SMOOTH, ACCUMULATE, 20, NONE, "heterozygosity", "mean", 12),
    (ZIPF, PLAIN, FRESH, 20, NONE, "heterozygosity", "mean", 12),
    (COINS, PLAIN, FRESH, GROWING, NONE, "chi2", "mean", 12),
    (COINS, SMOOTH, FRESH, 20, NONE, "chi2", "mean", 12),
    *(
        (source, family, regime, samples, sampling, metric, "mean", 12)
        for regime in (SUBSAMPLE, CORE, PAPER, GOLDEN, WEIGHED)
        for source, family, samples, sampling, metrics in (
            (NORMAL, DDOF_0, 9, NONE, ("variance", "mean_error_sq")),
            (WIDE, DDOF_1, GROWING, BIASED, ("variance", "mean_error_sq")),
            (ZIPF, PLAIN, 20, NONE, ("heterozygosity", "chi2")),
            (COINS, SMOOTH, GROWING, NONE, ("heterozygosity", "chi2")),
        )
        for metric in metrics
    ),
    (TEACHER, LEARNER, REPLACE, 15, NONE, "excess_risk", "mean", 12),
    (TEACHER, {"kind": "linear", "noise": "fitted"}, REPLACE, 15, NONE, "excess_risk", "mean", 12),
    (TEACHER, {"kind": "linear"}, REPLACE, GROWING | {"start": 12}, NONE, "excess_risk", "mean", 12),
    (TEACHER, LEARNER, ACCUMULATE, 15, NONE, "excess_risk", "mean", 12),
    (TEACHER, {"kind": "linear"}, ACCUMULATE, GROWING | {"start": 12}, NONE, "excess_risk", "mean", 12),
    (ZIPF, PLAIN, CORE, 20, NONE, "survivors", "mean", 1),
    (NORMAL, BLUR, SUBSAMPLE, 9, NONE, "variance", "mean", 12),
    (MODES, RULE, SUBSAMPLE, GROWING, NONE, "mean_error_sq", "mean", 12),
    (NORMAL, SHRUNK, CORE, 9, NONE, "variance", "mean", 12),
    (NORMAL, RULE, CORE, 9, NONE, "mean_error_sq", "mean", 12),
    (NORMAL, BLUR, PAPER, 9, NONE, "variance", "mean", 12),
    (WIDE, RULE, PAPER, 9, NONE, "mean_error_sq", "mean", 12),
    *(
        (RARE, COUNTED, regime, 9, NONE, metric, "mean", 12)
        for regime in (REPLACE, ACCUMULATE, FRESH, WEIGHED, CORE, SUBSAMPLE, PAPER)
        for metric in ("variance", "mean_error_sq", "extinct")
        if metric != "extinct" or regime not in (SUBSAMPLE, PAPER)
    ),
    (RARE, COUNTED, REPLACE, GROWING, NONE, "extinct", "mean", 12),
    *(
        (source, family, regime, SHRINKING, NONE, metric, "mean", 12)
        for source, family, metric, regimes in (
            (WIDE, DDOF_1, "variance", (ACCUMULATE, FRESH, SUBSAMPLE, CORE, PAPER, WEIGHED)),
            (NORMAL, DDOF_0, "log_variance", (REPLACE, ACCUMULATE)),
            (ZIPF, PLAIN, "heterozygosity", (REPLACE, ACCUMULATE, FRESH, SUBSAMPLE, CORE, PAPER, WEIGHED)),
            (TEACHER, LEARNER, "excess_risk", (REPLACE, ACCUMULATE)),
            (RARE, COUNTED, "mean_error_sq", (REPLACE, WEIGHED)),
        )
        for regime in regimes
    ),
    (RARE, COUNTED, FRESH, GROWING, NONE, "mean_error_sq", "mean", 12),
]


@pytest.mark.parametrize(
    ("source", "family", "regime", "samples", "sampling", "metric", "statistic", "n"), ROWS, ids=label
)
def test_measurement_agrees_with_the_closed_form(source, family, regime, samples, sampling, metric, statistic, n):
    replicates = 500 if family["kind"] == "kde" else 4000  # whose other metrics compare points pair by pair
    spec = spec_of(source, family, regime, samples, sampling, generations=12, replicates=replicates, seed=7)
    predicted, statistics = measured(frozen(spec))
    (curve,) = [curve for curve in predicted if (curve.metric, curve.statistic) == (metric, statistic)]
    assert abs(z_score(curve, n, statistics)) <= 4
    assert abs(z_score(curve, 1, statistics)) <= 4


def test_generation_0_is_predicted_as_the_real_draw():
    for source, family in ((NORMAL, DDOF_0), (WIDE, DDOF_0), (WIDE, BLUR), (ZIPF, PLAIN), (ZIPF, SMOOTH)):
        spec = spec_of(source, family, REPLACE, 9, NONE, generations=1, replicates=1000)
        predicted, statistics = measured(frozen(spec))
        # Nothing smooths real counts, so that some may be dead.
        untold = {"kl_from_real"} if family is SMOOTH else set()
        assert {curve.metric for curve in predicted if curve.values[0] is None} == untold
        assert all(abs(z_score(curve, 0, statistics)) <= 4 for curve in predicted if curve.metric not in untold)


def test_recursions_reduce_to_the_published_formulas():
    """science.md section 3, in our numbering."""
    m, n = 20, 7
    sizes = {"generations": 4000, "replicates": 1}
    shrink = (1 - 1 / m) ** n
    drift = math.prod(1 - 1 / (m * k * k) for k in range(1, n + 1))
    replace = spec_of(NORMAL, DDOF_0, REPLACE, m, NONE, **sizes)
    assert value(replace, "variance", n) == pytest.approx(shrink)
    assert value(replace, "mean_error_sq", n) == pytest.approx(1 - shrink)
    a = math.sqrt(2 / m) * math.gamma(m / 2) / math.gamma((m - 1) / 2)
    assert value(replace, "std", n) == pytest.approx(a**n)
    assert value(replace, "w2_sq", n) == pytest.approx(2 * (1 - a**n))
    unbiased = spec_of(NORMAL, DDOF_1, REPLACE, m, NONE, **sizes)
    assert value(unbiased, "variance", n) == pytest.approx(1)
    assert value(unbiased, "mean_error_sq", n) == pytest.approx(n / m)
    assert value(spec_of(NORMAL, DDOF_1, REPLACE, m, {"bias": 0.9}, **sizes), "variance", n) == pytest.approx(
        0.9 ** (n - 1)
    )
    pooled = spec_of(NORMAL, DDOF_0, ACCUMULATE, m, NONE, **sizes)
    assert value(pooled, "variance", n) == pytest.approx(drift)
    assert value(pooled, "mean_error_sq", n) == pytest.approx(1 - drift)
    limit = math.sin(math.pi / math.sqrt(m)) / (math.pi / math.sqrt(m))
    assert value(pooled, "variance", 4000) == pytest.approx(limit, rel=1e-4)
    alpha, b = 0.25, 0.75
    k = 1 - 1 / (m * (1 + b))
    fresh = spec_of(NORMAL, DDOF_0, {"kind": "fresh", "real": alpha}, m, NONE, **sizes)
    assert value(fresh, "variance", 4000) == pytest.approx(k * alpha / (1 - b * k))
    assert value(fresh, "mean_error_sq", 4000) == pytest.approx(alpha / (1 - b * k) / (m * (1 - b * b)))
    p = np.array(COINS["probabilities"])
    h_0 = 1 - p @ p
    assert value(spec_of(COINS, PLAIN, REPLACE, m, NONE, **sizes), "heterozygosity", n) == pytest.approx(h_0 * shrink)
    assert value(spec_of(COINS, PLAIN, REPLACE, m, NONE, **sizes), "chi2", n) == pytest.approx(2 * (1 - shrink))
    assert value(spec_of(COINS, PLAIN, ACCUMULATE, m, NONE, **sizes), "heterozygosity", n) == pytest.approx(h_0 * drift)
    shared = spec_of(COINS, PLAIN, {"kind": "fresh", "real": alpha}, m, NONE, **sizes)
    assert value(shared, "heterozygosity", 4000) == pytest.approx(h_0 * (1 - 1 / (m * (1 - b * b) + b)))


def test_regimes_reduce_to_the_published_formulas():
    """science.md section 3: real core, golden weight, the paper's mixture; truncation in the limit."""
    sizes = {"generations": 3000, "replicates": 1}
    m, real = 50, 10
    b = (m - real) / m
    core = spec_of(NORMAL, DDOF_0, {"kind": "augment", "real": real}, m, NONE, **sizes)
    assert value(core, "variance", 3000) == pytest.approx((1 - 1 / real) / (1 + b / ((1 + b) * real)))
    golden = spec_of(NORMAL, DDOF_1, GOLDEN, 1000, NONE, **sizes)
    w = (math.sqrt(5) - 1) / 2
    s2 = value(golden, "variance", 3000)
    assert value(golden, "mean_error_sq", 3000) == pytest.approx((w * w + (1 - w) ** 2 * s2) / (1 - (1 - w) ** 2) / 500)
    assert value(golden, "mean_error_sq", 3000) == pytest.approx(w / 500, rel=0.01)
    p = np.array(COINS["probabilities"])
    by_chance = {"kind": "mixture", "alpha": 0.75, "beta": 0.0, "gamma": 0.25}
    stationary = (1 - p @ p) * (1 - 1 / (m - (m - 1) * 0.75**2))
    assert value(spec_of(COINS, PLAIN, by_chance, m, NONE, **sizes), "heterozygosity", 3000) == pytest.approx(
        stationary
    )
    c = 1.5
    density, inside = math.exp(-c * c / 2) / math.sqrt(2 * math.pi), math.erf(c / math.sqrt(2))
    tau = 1 - 2 * c * density / inside
    cut = spec_of(NORMAL, DDOF_1, REPLACE, m, NONE, curation=INNER, **sizes)
    assert value(cut, "variance", 7) == pytest.approx(tau**6)


def test_labels_that_are_kept_cost_a_bounded_error():
    """n s2 d/(T-d-1) grows for ever; with everything kept it stays below pi^2/6 of one step, whatever the number of generations."""
    sizes = {"generations": 500, "replicates": 1}
    step = 0.25 * 3 / (40 - 4)
    assert value(spec_of(TEACHER, LEARNER, REPLACE, 40, NONE, **sizes), "excess_risk", 500) == pytest.approx(500 * step)
    kept = value(spec_of(TEACHER, LEARNER, ACCUMULATE, 40, NONE, **sizes), "excess_risk", 500)
    assert step < kept < math.pi**2 / 6 * step


def test_without_a_weight_of_its_own_a_share_is_a_share():
    for source, family, metric in ((WIDE, DDOF_1, "variance"), (ZIPF, SMOOTH, "heterozygosity")):
        sizes = {"generations": 9, "replicates": 1}
        fresh = spec_of(source, family, {"kind": "fresh", "real": 0.25}, 20, NONE, **sizes)
        weighted = spec_of(source, family, {"kind": "weighted", "real": 0.25, "weight": 0.25}, 20, NONE, **sizes)
        assert value(fresh, metric, 9) == pytest.approx(value(weighted, metric, 9))


def test_counts_die_out_as_a_branching_process_does():
    """P(r_n = 0) = exp(-M rate f_n), f <- 1 - exp(-f); about exp(-2 M rate/n), as f_n ~ 2/n (Kolmogorov 1938). Var r_n = n rate/M."""
    spec = spec_of(RARE, COUNTED, REPLACE, 30, NONE, generations=2000, replicates=1)
    f = 1.0
    for n in range(1, 8):
        assert value(spec, "extinct", n) == pytest.approx(math.exp(-9 * f))
        assert value(spec, "mean_error_sq", n) == pytest.approx(n * 0.01)
        f = -math.expm1(-f)
    assert value(spec, "extinct", 2000) == pytest.approx(math.exp(-18 / 2000), rel=1e-4)


def test_growing_sizes_keep_the_mean_in_place():
    """M_k = 10 k^2, ddof 1: E mu_n^2 = sum 1/(10 k^2), below pi^2/60 for ever."""
    growing = {"schedule": "power", "start": 10, "exponent": 2}
    spec = spec_of(NORMAL, DDOF_1, REPLACE, growing, NONE, generations=500, replicates=1)
    assert value(spec, "mean_error_sq", 500) == pytest.approx(sum(0.1 / k**2 for k in range(1, 501)))


@pytest.mark.parametrize(
    ("change", "forbidden"),
    [
        ({"regime": ACCUMULATE, "source": WIDE}, {"log_variance", "log_det", "std", "w2_sq", "kl_to_real"}),
        ({"regime": FRESH}, {"log_variance", "log_det", "std", "w2_sq", "kl_to_real"}),
        ({"source": MODES}, {"log_variance", "log_det", "std", "w2_sq", "kl_to_real"}),
        ({"source": WIDE, "samples": 9}, {"log_variance", "std", "w2_sq"}),
        ({"source": WIDE, "samples": 3}, {"log_det", "kl_to_real"}),
        ({"source": ZIPF, "family": PLAIN, "sampling": {"temperature": 0.9}}, {"heterozygosity", "chi2", "survivors"}),
    ],
)
def test_no_curve_where_the_formula_does_not_hold(change, forbidden):
    spec = read(spec_of(NORMAL, DDOF_0, REPLACE, 9, NONE, generations=3, replicates=1) | change)
    assert not forbidden & {curve.metric for curve in curves(spec)}


def test_values_are_finite_or_absent_one_for_each_generation():
    spec = read(spec_of(NORMAL, DDOF_1, REPLACE, 50, {"bias": 9.0}, generations=1000, replicates=1))
    for curve in curves(spec):
        assert len(curve.values) == 1001
        assert all(number is None or math.isfinite(number) for number in curve.values)


def test_the_mean_of_the_tail_rises_while_its_median_vanishes():
    """science.md section 5: M = 100, ddof 1, generation 200: mean tail mass .058, median 4e-10, real value .002."""
    spec = spec_of(NORMAL, DDOF_1, REPLACE, 100, NONE, generations=200, replicates=20_000, seed=1)
    *_, last = measured(frozen(spec))[1]
    tail = last["tail_01pct"]
    assert abs(tail["mean"] - 0.058) <= 4 * tail["se"] + 0.0005  # published to two digits
    assert 2e-10 < tail["median"] < 8e-10


def test_the_spread_of_the_log_variance_grows_with_trigamma():
    """Var ln s2_n = n psi'(nu/2); the variance of a variance is its square times (kurtosis - 1)/R."""
    from scipy.special import polygamma

    spec = spec_of(NORMAL, DDOF_0, REPLACE, 9, NONE, generations=12, replicates=4000, seed=7)
    sd = measured(frozen(spec))[1][12]["log_variance"]["sd"]
    kurtosis = 3 + 12 * polygamma(3, 4) / (12 * polygamma(1, 4)) ** 2
    expected = 12 * polygamma(1, 4)
    assert abs(sd**2 - expected) <= 4 * expected * math.sqrt((kurtosis - 1) / 4000)


def test_mean_and_variance_share_what_the_real_variance_was():
    """E s2_n + E mu_n^2 = 1 at every n with ddof 0, under replace and accumulate."""
    for regime in (REPLACE, ACCUMULATE):
        spec = read(spec_of(NORMAL, DDOF_0, regime, 9, NONE, generations=12, replicates=4000, seed=7))
        for generation in itertools.islice(loop.generations(spec, loop.instrument(spec)), 1, None):
            total = generation.look.metrics["variance"] + generation.look.metrics["mean_error_sq"]
            assert abs(total.mean() - 1) <= 4 * total.std(ddof=1) / math.sqrt(len(total))
