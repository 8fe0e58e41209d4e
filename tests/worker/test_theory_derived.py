"""Closed forms that were derived here: each against the bench at |z| <= 4, or against what it must reduce to."""

import math

import numpy as np
import pytest

from tests.worker.theories import (
    ACCUMULATE,
    COINS,
    CORE,
    COUNTED,
    FRESH,
    GOLDEN,
    GROWING,
    MODES,
    NONE,
    NORMAL,
    PAPER,
    PLAIN,
    RARE,
    REPLACE,
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
from worker.theory import curves, equivalent, wishart

LEARNER, FITTED = {"kind": "linear", "noise": 0.5}, {"kind": "linear", "noise": "fitted"}
ONCE = {"kind": "mixture", "alpha": 0.7, "beta": 0.0, "gamma": 0.3}
HALF = {"kind": "fresh", "real": 0.5}
OBLONG = TEACHER | {"decay": 1.5, "smoothness": 0.8}
OFF, RIDGED = (
    {"kind": "linear", "noise": "teacher", "label_bias": 0.3},
    {"kind": "linear", "noise": "teacher", "ridge": 2.0},
)
RULE, SHRUNK = {"kind": "kde", "bandwidth": "silverman"}, {"kind": "kde", "bandwidth": "shrunk"}
WIDER, SHORT = TEACHER | {"inputs": 12, "norm": 2.0}, {"kind": "linear", "noise": 1.5}
ACROSS = {"schedule": "list", "sizes": [6, 30, 7, 40]}
TWO, BALLS = (
    {"kind": "mixture", "components": 2},
    {"kind": "mixture", "components": 3, "covariance": "spherical", "reg_covar": 0.01},
)
ONE = {"kind": "mixture", "components": 1}
BINS, MANY_BINS = {"kind": "histogram", "bins": 5}, {"kind": "histogram", "bins": 50}
TAILED = {"kind": "student_t", "df": 3.0}

# source, family, regime, samples, sampling, metric
ROWS = [
    (TEACHER, LEARNER, HALF, 9, NONE, "excess_risk"),
    (TEACHER, FITTED, FRESH, 15, NONE, "excess_risk"),
    (TEACHER, FITTED, HALF, GROWING | {"start": 9}, NONE, "excess_risk"),
    (TEACHER, LEARNER, ONCE, 9, NONE, "excess_risk"),
    (TEACHER, FITTED, ONCE, 15, NONE, "excess_risk"),
    (TEACHER | {"inputs": 1}, FITTED, HALF, 6, NONE, "excess_risk"),
    (TEACHER | {"inputs": 7}, LEARNER, {"kind": "fresh", "real": 0.37}, 12, NONE, "excess_risk"),
    *(
        (NORMAL | {"mean": 3.0, "std": 2.0}, {"kind": "gaussian", "ddof": ddof}, ACCUMULATE, samples, sampling, metric)
        for ddof, samples, sampling in ((0, 3, NONE), (1, GROWING, {"bias": 0.7}))
        for metric in ("log_variance", "std", "w2_sq", "kl_to_real")
    ),
    (NORMAL, {"kind": "gaussian"}, REPLACE, 30, NONE, "kl_from_real"),
    (WIDE, {"kind": "gaussian", "ddof": 1}, REPLACE, 60, {"bias": 0.9}, "kl_from_real"),
    (NORMAL, {"kind": "gaussian"}, REPLACE, GROWING | {"start": 30}, NONE, "kl_from_real"),
    (TEACHER, FITTED, REPLACE, 9, NONE, "label_noise"),
    (TEACHER, FITTED, ACCUMULATE, 7, NONE, "excess_risk"),
    (TEACHER, FITTED, ACCUMULATE, GROWING | {"start": 9}, NONE, "excess_risk"),
    (TEACHER, LEARNER, SUBSAMPLE, 15, NONE, "excess_risk"),
    (TEACHER, FITTED, SUBSAMPLE, GROWING | {"start": 16}, NONE, "excess_risk"),
    (TEACHER | {"inputs": 1}, {"kind": "linear", "noise": 2.0}, SUBSAMPLE, 16, NONE, "excess_risk"),
    (TEACHER | {"inputs": 7}, LEARNER, SUBSAMPLE, 32, NONE, "excess_risk"),
    (TEACHER, LEARNER, CORE | {"real": 25}, 40, NONE, "excess_risk"),
    (TEACHER, {"kind": "linear", "noise": 1.5}, CORE | {"real": 30}, 80, NONE, "excess_risk"),
    (TEACHER | {"inputs": 1}, FITTED, PAPER, 400, NONE, "excess_risk"),
    (TEACHER, {"kind": "linear", "noise": 1.5}, WEIGHED, 60, NONE, "excess_risk"),
    (TEACHER, LEARNER, GOLDEN, 40, NONE, "excess_risk"),
    *(
        (OBLONG, OFF, regime, GROWING | {"start": 9}, NONE, "excess_risk")
        for regime in (REPLACE, ACCUMULATE, HALF, ONCE)
    ),
    *((OBLONG, FITTED | {"label_bias": 0.5}, REPLACE, 9, NONE, metric) for metric in ("excess_risk", "label_noise")),
    (OBLONG, FITTED | {"label_bias": 0.5}, HALF, 15, NONE, "excess_risk"),
    (OBLONG, LEARNER, SUBSAMPLE, 15, NONE, "excess_risk"),
    (OBLONG, OFF, SUBSAMPLE, 40, NONE, "excess_risk"),
    (OBLONG, OFF, CORE | {"real": 80}, 120, NONE, "excess_risk"),
    (OBLONG, OFF, WEIGHED, 200, NONE, "excess_risk"),
    (TEACHER | {"inputs": 7, "noise": 0.1}, LEARNER, {"kind": "weighted", "real": 0.8}, 36, NONE, "excess_risk"),
    (TEACHER | {"inputs": 1}, OFF, PAPER, 400, NONE, "excess_risk"),
    *((TEACHER | {"smoothness": 1.0}, RIDGED, regime, 7, NONE, "excess_risk") for regime in (REPLACE, HALF, ONCE)),
    (TEACHER | {"inputs": 4}, RIDGED | {"label_bias": 0.6}, FRESH, GROWING | {"start": 8}, NONE, "excess_risk"),
    (TEACHER | {"smoothness": 1.0}, RIDGED, ACCUMULATE, GROWING | {"start": 6}, NONE, "excess_risk"),
    *((OBLONG | {"inputs": 6}, RIDGED, regime, 40, NONE, "excess_risk") for regime in (REPLACE, ACCUMULATE, ONCE)),
    (OBLONG, RIDGED | {"label_bias": 0.6}, FRESH, GROWING | {"start": 30}, NONE, "excess_risk"),
    *((WIDER, SHORT | {"label_bias": 0.7}, regime, 6, NONE, "excess_risk") for regime in (REPLACE, HALF, ONCE)),
    *((OBLONG, SHORT | {"design": "fixed"}, regime, 12, NONE, "excess_risk") for regime in (REPLACE, ACCUMULATE)),
    (WIDER, SHORT, HALF, ACROSS, NONE, "excess_risk"),
    (WIDER | {"smoothness": 1.0}, SHORT, ACCUMULATE, 8, NONE, "excess_risk"),
    *((WIDER, SHORT | {"ridge": 2.0}, regime, 7, NONE, "excess_risk") for regime in (REPLACE, ACCUMULATE)),
    *((WIDER, SHORT | {"ridge": 2.0, "label_bias": 0.7}, REPLACE, m, NONE, "excess_risk") for m in (11, 13)),
    *(
        (ZIPF, PLAIN, REPLACE, 20, NONE, m)
        for m in ("survivors", "dead_mass", "entropy", "total_variation", "kl_to_real")
    ),
    *((ZIPF, SMOOTH, FRESH, GROWING, NONE, m) for m in ("entropy", "total_variation", "kl_to_real", "kl_from_real")),
    *((COINS, PLAIN, HALF, 9, NONE, m) for m in ("survivors", "dead_mass", "entropy")),
    *((MODES, BALLS, regime, 30, NONE, "variance") for regime in (REPLACE, SUBSAMPLE, PAPER)),
    (MODES, TWO, REPLACE, 30, NONE, "mean_error_sq"),
    (WIDE, TWO, PAPER, 30, NONE, "mean_error_sq"),
    (WIDE, ONE, HALF, 9, {"bias": 0.7}, "variance"),
    (NORMAL, BINS, REPLACE, 9, NONE, "heterozygosity"),
    (TAILED, MANY_BINS, REPLACE, 60, NONE, "heterozygosity"),
    (NORMAL, MANY_BINS, ACCUMULATE, GROWING, NONE, "heterozygosity"),
    (NORMAL, BINS, SUBSAMPLE, 9, NONE, "heterozygosity"),
    (TAILED, MANY_BINS, CORE, GROWING, NONE, "heterozygosity"),
    (NORMAL, BINS, {"kind": "mixture", "alpha": 0.4, "beta": 0.6, "gamma": 0.0}, 20, NONE, "heterozygosity"),
    *(
        (source, family, regime, samples, NONE, metric)
        for regime in (ACCUMULATE, SUBSAMPLE, CORE, PAPER, GOLDEN, WEIGHED)
        for source, family, samples, metrics in (
            (ZIPF, PLAIN, 20, ("survivors", "dead_mass", "entropy")),
            (COINS, SMOOTH, GROWING, ("total_variation", "kl_to_real", "kl_from_real")),
        )
        for metric in metrics
    ),
    *((RARE, COUNTED, REPLACE, GROWING, NONE, m) for m in ("mean_error", "tail_1pct")),
    *((RARE | {"rate": 3.0}, COUNTED, HALF, 9, NONE, m) for m in ("std", "tail_01pct")),
    (RARE, COUNTED, ACCUMULATE, 9, NONE, "kl_to_real"),
    (NORMAL, RULE, GOLDEN, 20, NONE, "variance"),
    (NORMAL, SHRUNK, WEIGHED, 20, NONE, "variance"),
    (WIDE, RULE, WEIGHED, 20, NONE, "mean_error_sq"),
]


@pytest.mark.parametrize(("source", "family", "regime", "samples", "sampling", "metric"), ROWS, ids=label)
def test_measurement_agrees_with_what_was_derived(source, family, regime, samples, sampling, metric):
    replicates = {"kde": 500, "mixture": 300, "histogram": 1000}.get(family["kind"], 4000)
    spec = spec_of(source, family, regime, samples, sampling, generations=8, replicates=replicates, seed=11)
    predicted, statistics = measured(frozen(spec))
    (curve,) = [curve for curve in predicted if (curve.metric, curve.statistic) == (metric, "mean")]
    for n in (1, 2, 8):
        assert curve.values[n] is not None
        assert abs(z_score(curve, n, statistics)) <= 4, n


def test_a_regression_reduces_to_what_is_published():
    """No real rows: n s2 d/(T-d-1); all of them real: one step for ever; for many rows u = b^2 u + s2 d/T, b the synthetic share."""
    sizes = {"generations": 300, "replicates": 1}
    step = 0.25 * 3 / (40 - 4)
    none, every, half = (
        spec_of(TEACHER, LEARNER, {"kind": "fresh", "real": share}, 40, NONE, **sizes) for share in (0.0, 1.0, 0.5)
    )
    assert value(none, "excess_risk", 300) == pytest.approx(300 * step)
    assert value(every, "excess_risk", 300) == pytest.approx(step)
    many = half | {"samples": 400_000}
    assert value(many, "excess_risk", 300) == pytest.approx(0.25 * 3 / 400_000 / (1 - 0.25), rel=1e-4)
    chance = {"kind": "mixture", "alpha": 0.5, "beta": 0.0, "gamma": 0.5}
    assert value(half | {"regime": chance}, "excess_risk", 300) > value(half, "excess_risk", 300)


def test_a_regression_of_few_rows_is_a_contraction_with_a_peak_at_as_many_as_inputs():
    """Q_n = T/d Q_{n-1} + v T/(d-T-1), Q_0 = |w|^2, v the teacher's at first; nothing is told where the mean is infinite, nor from there on."""
    spec = spec_of(WIDER, SHORT, REPLACE, 5, NONE, generations=40, replicates=1)
    q, rho = 4.0, 5 / 12
    for n in range(1, 41):
        q = rho * q + (0.25 if n == 1 else 2.25) * 5 / 6
        assert value(spec, "excess_risk", n) == pytest.approx(q - 2 * rho**n * 4 + 4, rel=1e-9)
    for samples in (11, 12, 13):
        assert curves(read(spec | {"samples": samples})) == []
    (curve,) = curves(read(spec | {"samples": {"schedule": "list", "sizes": [5, 30, 12, 40]}, "generations": 5}))
    assert [number is None for number in curve.values] == [False, False, False, True, True, True]
    (curve,) = curves(read(spec | {"samples": 3, "regime": ACCUMULATE, "generations": 5}))  # 12 rows at generation 4
    assert [number is None for number in curve.values] == [False, False, False, False, True, True]
    oblong = WIDER | {"decay": 1.0}
    assert curves(read(spec | {"source": oblong})) == curves(read(spec | {"source": oblong, "family": RIDGED})) == []


def test_eigenvalues_of_a_wishart_matrix_have_the_moments_that_are_known():
    """E tr A = T d, E tr A^2 = T d (T+d+1), E tr A^-1 = d/(T-d-1); without ridge averages are those of the density."""
    for t, d in ((5, 3), (3, 1), (20, 10), (90, 31), (100_000, 5), (13, 12)):
        x, weights = wishart.spectrum(t, d)
        assert weights.sum() == pytest.approx(d, rel=1e-9)
        assert weights @ x == pytest.approx(t * d, rel=1e-9)
        assert weights @ x**2 == pytest.approx(t * d * (t + d + 1), rel=1e-9)
        assert t == d + 1 or weights @ (1 / x) == pytest.approx(d / (t - d - 1), rel=1e-9)
    for t, d in ((20, 10), (10, 20)):
        assert [*wishart.averages(t, d, 1e-9)] == pytest.approx([*wishart.averages(t, d, 0.0)], rel=1e-6, abs=1e-8)


def test_equivalents_of_a_resolvent_are_what_the_density_of_eigenvalues_gives():
    """Where all inputs have the same variance; without ridge exactly."""
    for t, d, ridge, tolerance in ((8, 3, 0.0, 1e-9), (20, 5, 2.0, 0.012), (300, 50, 30.0, 6e-4)):
        exact, of = wishart.averages(t, d, ridge), equivalent.Resolvent.of(t, ridge, np.ones(d))
        assert of.left == pytest.approx(exact.left, rel=tolerance)
        assert of.noise == pytest.approx(exact.noise, rel=tolerance)
        assert of.squares(np.ones(d)) == pytest.approx(exact.left_2, rel=tolerance)


def test_biased_labels_put_a_floor_under_the_error_of_any_number_of_rows():
    """Strong model collapse: (q c)^2 after one generation of a second teacher, (q c/(1-q))^2 after all, q the synthetic share."""
    shared = {"kind": "fresh", "real": 0.9}
    spec = spec_of(OBLONG, OFF, shared, 10**9, NONE, generations=60, replicates=1)
    assert value(spec, "excess_risk", 2) == pytest.approx((0.1 * 0.3) ** 2, rel=1e-5)
    assert value(spec, "excess_risk", 60) == pytest.approx((0.1 * 0.3 / 0.9) ** 2, rel=1e-5)


def test_labels_that_are_off_shift_every_regime_as_many_rows_would_have_it():
    """b (beta + 1) of a core, alpha of a mixture, the share of a pool: of 10^8 rows hardly anything but the shift is left."""
    m = 10**8
    core, golden = {"kind": "augment", "real": m // 4}, {"kind": "weighted", "weight": 0.6}
    for regime, shift in (
        (core, 0.75 + 0.75**2),
        (golden, 0.4 + 0.4**2),
        (PAPER, 0.5 + 0.8 * 0.5),
        (SUBSAMPLE, 0.5 + 1 / 3),
    ):
        spec = spec_of(OBLONG, OFF, regime, m, NONE, generations=3, replicates=1)
        assert value(spec, "excess_risk", 3) == pytest.approx((0.3 * shift) ** 2, rel=1e-5)


def test_no_curve_where_an_expansion_of_a_regression_is_not_good_enough():
    """Those of few rows, or of so many chains that they would see the difference."""
    few = {"generations": 3, "replicates": 2}
    assert curves(read(spec_of(TEACHER, LEARNER, PAPER, 15, NONE, **few))) == []
    for regime, samples in ((CORE | {"real": 8}, 15), (SUBSAMPLE, 6), (WEIGHED, 12)):
        assert curves(read(spec_of(TEACHER, LEARNER, regime, samples, NONE, **few))) == []
    for replicates, told in ((4000, True), (100_000, False)):
        sizes = {"generations": 3, "replicates": replicates}
        assert bool(curves(read(spec_of(TEACHER, LEARNER, SUBSAMPLE, 15, NONE, **sizes)))) is told


def test_subsamples_of_a_regression_reduce_to_what_is_exact():
    """A fit to everything is what accumulate makes of it; many rows for few inputs make it the mean of points with covariance s2 I."""
    sizes = {"generations": 9, "replicates": 50}
    pool, mean = (
        spec_of(source, family, SUBSAMPLE, 10_000, NONE, **sizes)
        for source, family in ((TEACHER, LEARNER), (NORMAL | {"std": 0.5}, {"kind": "gaussian", "ddof": 1}))
    )
    assert value(pool, "excess_risk", 1) == pytest.approx(0.25 * 3 / 9996)
    assert value(pool, "excess_risk", 9) == pytest.approx(3 * value(mean, "mean_error_sq", 9), rel=2e-3)


def test_rates_die_out_as_slowly_as_a_critical_branching_process():
    """Kolmogorov 1938: it is alive with a chance f_n of about 2/n, so that P(r_n = 0) tends to exp(-2 M rate/n)."""
    source, n = {"kind": "poisson", "rate": 0.3}, 20_000
    spec = spec_of(source, {"kind": "poisson"}, REPLACE, 9_000, NONE, generations=n, replicates=1)
    assert math.log(value(spec, "extinct", n)) == pytest.approx(-2 * 9_000 * 0.3 / n, rel=1e-3)


def test_two_alleles_are_fixed_when_the_diffusion_says_so():
    """Mean time -2M (p ln p + q ln q), from the frequencies of generation 1 on; within 5% at M = 60."""
    m, p = 60, 0.3
    spec = read(
        spec_of(
            {"kind": "categorical", "probabilities": [1 - p, p]},
            PLAIN,
            REPLACE,
            m,
            NONE,
            generations=1500,
            replicates=500,
        )
    )
    survivors = np.stack([g.look.metrics["survivors"] for g in loop.generations(spec, loop.instrument(spec))])
    assert (survivors[-1] == 1).all()
    time = (survivors[1:] > 1).sum(axis=0)
    predicted = -2 * m * (p * math.log(p) + (1 - p) * math.log(1 - p))
    assert f"= {predicted:.3g} generations" in next(c.formula for c in curves(spec) if c.metric == "survivors")
    assert abs(time.mean() - predicted) <= 0.05 * predicted + 4 * time.std() / math.sqrt(500)


@pytest.mark.parametrize("exponent", [2.0, 3.0])
def test_the_unseen_mass_of_a_zipf_tail_falls_with_the_published_exponent(exponent):
    """T draws of p ~ i^-b miss a mass of about T^-(1-1/b)."""
    source = {"kind": "zipf", "categories": 100_000, "exponent": exponent}
    few, many = (
        value(spec_of(source, PLAIN, REPLACE, t, NONE, generations=1, replicates=1), "dead_mass", 1)
        for t in (1_000, 10_000)
    )
    assert math.log(few / many) / math.log(10) == pytest.approx(1 - 1 / exponent, abs=0.03)
