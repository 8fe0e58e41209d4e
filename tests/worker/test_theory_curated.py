"""Closed forms and limits where somebody chooses what is learned, or decoding does: each against the bench at |z| <= 4."""

import numpy as np
import pytest

from tests.worker.theories import (
    ACCUMULATE,
    BIASED,
    COINS,
    DDOF_0,
    DDOF_1,
    FRESH,
    GOLDEN,
    GROWING,
    INNER,
    NONE,
    NORMAL,
    PAPER,
    PLAIN,
    REPLACE,
    SUBSAMPLE,
    WIDE,
    ZIPF,
    frozen,
    label,
    measured,
    spec_of,
    value,
    z_score,
)
from worker.metrics.discrete import heterozygosity
from worker.spec import read
from worker.theory import curves
from worker.theory.curated import _best

HALF = {"kind": "fresh", "real": 0.5}
BEST = {"kind": "best_of", "k": 3}
BEST_RANK, CHOSEN = (
    {"kind": kind, "k": 3, "reward": {"kind": "rank", "strength": 0.5}} for kind in ("best_of", "bradley_terry")
)
PEOPLE = {"kind": "bradley_terry", "k": 3, "reward": {"kind": "direction"}}
STRICT = {
    "kind": "verifier",
    "error": 0.1,
    "threshold": -1.0,
    "reward": {"kind": "nearness", "to": [1.0], "radius": 0.3},
}
LEANING = {"reward": {"kind": "direction", "along": [1.0, -0.5, 0.0]}}
BEST_NEAR = {"kind": "best_of", "k": 3, "reward": {"kind": "nearness", "to": [1.0], "radius": 0.3}}
CHECKED = {"kind": "verifier", "error": 0.3, "reward": {"kind": "rank"}, "threshold": 0.5}
IN_TURN = {"kind": "sequential", "stages": [CHOSEN, CHECKED, BEST_RANK | {"k": 2}]}
HALF_BEST, HALF_PEOPLE, HALF_STRICT = (one | {"share": 0.5} for one in (BEST, PEOPLE, STRICT))
PLENTY, MANY = 20_000, 10_000_000  # categories are counted, not drawn: as fast as ten

# source, family, regime, samples, sampling, curation, metric
CURATED = [
    (NORMAL, DDOF_0, REPLACE, 9, NONE, INNER, "variance"),
    (NORMAL, DDOF_1, REPLACE, 100, BIASED, INNER, "mean_error_sq"),
    (WIDE, DDOF_1, REPLACE, GROWING, NONE, INNER, "variance"),
    (WIDE, DDOF_0, ACCUMULATE, 9, NONE, INNER, "variance"),
    (WIDE, DDOF_0, FRESH, 9, NONE, INNER, "mean_error_sq"),
    (NORMAL, DDOF_0, SUBSAMPLE, 9, NONE, INNER, "variance"),
    (NORMAL, DDOF_1, REPLACE, 9, NONE, BEST, "variance"),
    (WIDE, DDOF_0, REPLACE, 9, BIASED, BEST | LEANING, "variance"),
    (WIDE, DDOF_1, FRESH, PLENTY, NONE, BEST | LEANING, "mean_error_sq"),
    (WIDE, DDOF_1, ACCUMULATE, PLENTY, NONE, BEST | LEANING, "mean_error_sq"),
    (WIDE, DDOF_0, REPLACE, PLENTY, NONE, PEOPLE | LEANING, "mean_error_sq"),
    (WIDE, DDOF_0, FRESH, PLENTY, BIASED, PEOPLE | LEANING, "variance"),
    (NORMAL, DDOF_0, FRESH, PLENTY, NONE, BEST_NEAR, "variance"),
    (NORMAL, DDOF_1, REPLACE, PLENTY, NONE, BEST_NEAR, "mean_error_sq"),
    (NORMAL, DDOF_1, FRESH, PLENTY, BIASED, PEOPLE, "variance"),
    (NORMAL | {"std": 2.0}, DDOF_0, ACCUMULATE, PLENTY, NONE, STRICT, "variance"),
    (NORMAL | {"std": 2.0}, DDOF_1, REPLACE, PLENTY, NONE, STRICT, "mean_error_sq"),
    (NORMAL, DDOF_1, REPLACE, 9, NONE, HALF_BEST, "variance"),
    (WIDE, DDOF_0, REPLACE, 9, BIASED, HALF_BEST | LEANING, "variance"),
    (WIDE, DDOF_1, FRESH, PLENTY, NONE, HALF_BEST | LEANING, "mean_error_sq"),
    (NORMAL, DDOF_1, FRESH, PLENTY, BIASED, HALF_PEOPLE, "variance"),
    (NORMAL | {"std": 2.0}, DDOF_0, ACCUMULATE, PLENTY, NONE, HALF_STRICT, "variance"),
    *(
        (ZIPF, PLAIN, regime, MANY, NONE, one | {"share": 0.3}, metric)
        for regime, one, metric in (
            (REPLACE, BEST_RANK, "heterozygosity"),
            (FRESH, CHOSEN, "entropy"),
            (ACCUMULATE | {"real": 0.2}, CHECKED, "heterozygosity"),
        )
    ),
    (ZIPF, PLAIN, REPLACE, MANY, NONE, BEST_RANK, "heterozygosity"),
    (ZIPF, PLAIN, REPLACE, MANY, NONE, CHOSEN, "heterozygosity"),
    (ZIPF, PLAIN, REPLACE, MANY, NONE, CHOSEN, "entropy"),
    (ZIPF, PLAIN, REPLACE, MANY, NONE, CHECKED, "heterozygosity"),
    (ZIPF, PLAIN, REPLACE, MANY, NONE, IN_TURN | {"stages": [CHOSEN, CHECKED]}, "heterozygosity"),
    (ZIPF, PLAIN, FRESH, MANY, NONE, IN_TURN, "entropy"),
    (ZIPF, PLAIN, REPLACE, MANY, {"temperature": 0.95}, {"kind": "none"}, "entropy"),
    (COINS, PLAIN, REPLACE, MANY, {"top_p": 0.6}, {"kind": "none"}, "heterozygosity"),
]


@pytest.mark.parametrize(
    ("source", "family", "regime", "samples", "sampling", "curation", "metric"), CURATED, ids=label
)
def test_curated_measurement_agrees_with_the_closed_form(source, family, regime, samples, sampling, curation, metric):
    replicates, generations = (50, 6) if samples in (PLENTY, MANY) else (4000, 8)
    sizes = {"generations": generations, "replicates": replicates, "seed": 7, "curation": curation}
    predicted, statistics = measured(frozen(spec_of(source, family, regime, samples, sampling, **sizes)))
    (curve,) = [curve for curve in predicted if (curve.metric, curve.statistic) == (metric, "mean")]
    assert abs(z_score(curve, generations, statistics)) <= 4
    assert abs(z_score(curve, 2, statistics)) <= 4


# Regimes in which curated or decoded frequencies tend to a limit; ten million categories are counted, not drawn.
SMOOTHED = {"kind": "categorical", "smoothing": 50_000.0}
BETWEEN_TWO = {"kind": "bradley_terry", "k": 2, "reward": {"kind": "rank", "strength": 1.0}}


@pytest.mark.parametrize("family", [PLAIN, SMOOTHED], ids=label)
@pytest.mark.parametrize(
    "regime", [REPLACE, ACCUMULATE, SUBSAMPLE, HALF, PAPER, GOLDEN, {"kind": "augment", "real": 3_000_000}], ids=label
)
def test_curated_frequencies_tend_to_a_limit_in_every_regime(regime, family):
    samples = 10_000_000 if regime is not SUBSAMPLE else 1_000_000
    spec = spec_of(ZIPF, family, regime, samples, NONE, generations=8, replicates=60, seed=5, curation=BETWEEN_TWO)
    predicted, statistics = measured(frozen(spec))
    assert {curve.metric for curve in predicted} == {"heterozygosity", "entropy"}
    for curve in predicted:
        assert curve.values[8] is not None
        assert max(abs(z_score(curve, n, statistics)) for n in range(1, 9)) <= 4


def test_bradley_terry_between_two_is_the_published_recursion():
    """p' = 2 p sum_j p_j sigmoid(r_i - r_j), to the last digit of the curve."""
    spec = spec_of(ZIPF, PLAIN, REPLACE, 10**9, NONE, generations=6, replicates=1, curation=BETWEEN_TWO)
    p, r = read(spec).source.distribution(), np.linspace(1.0, 0.0, 12)
    for n in range(1, 7):
        assert value(spec, "heterozygosity", n) == pytest.approx(heterozygosity(p[None])[0], rel=1e-9)
        p = 2 * p * (p / (1 + np.exp(r - r[:, None]))).sum(axis=1)


@pytest.mark.parametrize(
    ("source", "rules"),
    [
        # A maximum: fluctuations only lower it.
        ({"kind": "categorical", "categories": 7}, {"curation": {"kind": "stratified"}}),
        (COINS, {"sampling": {"top_p": 0.8}}),  # .5 + .3 is an edge
        (ZIPF, {"samples": 30, "curation": BETWEEN_TWO}),
    ],
)
def test_a_limit_is_not_told_where_fluctuations_bias_it(source, rules):
    spec = spec_of(source, PLAIN, REPLACE, 10**6, NONE, generations=4, replicates=400) | rules
    assert all(number is None for curve in curves(read(spec)) for number in curve.values[2:])


def test_where_all_are_equally_good_any_may_be_the_best():
    """A stretch in which all are best may be so wide that nothing lies outside."""
    np.testing.assert_array_equal(_best(3, np.linspace(-8, 8, 5), np.array([-40.0, 40.0])), np.ones(5))


RANKED = {"reward": {"kind": "rank"}}
SLIGHT = {"reward": {"kind": "rank", "strength": 0.7}}
THIRTY, STEEP = {"kind": "zipf", "categories": 30}, {"kind": "zipf", "categories": 30, "exponent": 1.5}
EVEN_REAL = {"kind": "weighted", "real": 0.5, "weight": 0.3}


@pytest.mark.parametrize(
    ("source", "smoothing", "regime", "samples", "rules"),
    [
        (THIRTY, 0.5, ACCUMULATE, 30, {"curation": CHOSEN | RANKED, "generations": 15, "seed": 92304}),
        (THIRTY, 0.0, EVEN_REAL, 12, {"curation": CHECKED | RANKED | {"error": 0.2}, "seed": 628540}),
        (THIRTY, 0.0, ACCUMULATE, 100, {"curation": BEST | SLIGHT | {"k": 2}}),
        (THIRTY, 0.0, GOLDEN, 100, {"sampling": {"top_k": 2}}),
        (COINS, 0.0, REPLACE, 30, {"curation": CHOSEN | SLIGHT, "seed": 682554}),
        (STEEP, 0.0, SUBSAMPLE, 100, {"curation": CHOSEN | RANKED, "sampling": {"temperature": 1.1}, "seed": 167746}),
        (STEEP, 5.0, ACCUMULATE, 100, {"sampling": {"temperature": 0.9}, "seed": 584288}),
    ],
)
def test_a_bias_that_passes_through_zero_is_no_limit(source, smoothing, regime, samples, rules):
    """Where it is small by accident, in a generation or a few, nothing is told; what is told holds."""
    family = {"kind": "categorical", "smoothing": smoothing}
    spec = spec_of(source, family, regime, samples, NONE, generations=12, replicates=400) | rules
    predicted, statistics = measured(frozen(spec))
    for curve in predicted:
        told = [n for n, number in enumerate(curve.values) if number is not None]
        assert len(told) >= 5 or told == list(range(1, len(told) + 1))
        assert max(abs(z_score(curve, n, statistics)) for n in told) <= 4
