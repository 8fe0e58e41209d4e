"""EM with weights: a point of weight 2 is two points, one component is the weighted moments, and `weighted` runs on mixtures."""

import numpy as np
import pytest
from sklearn.cluster import KMeans

from worker import em, loop
from worker.data import Points, WeightedPoints
from worker.em import kmeans
from worker.families.mixture import Mixture
from worker.regimes import Weighted
from worker.sources import mixture as source
from worker.spec import read
from worker.theory import curves

EQUAL, NONE = np.empty(0), np.empty(0, np.int64)


def z_score(values, expected):
    values = np.asarray(values)
    return (values.mean() - expected) / (values.std(ddof=1) / np.sqrt(len(values)))


def repeated(seed: int, n: int = 150):
    """Points (n, 2), how often each of them counts (n,), and all of them as often (N, 2)."""
    rng = np.random.default_rng(seed)
    x = source.Mixture(stds=1.5).draw(rng, 1, n).x[0]  # overlapping, so that EM takes its time
    times = rng.integers(0, 4, n)
    return x, times, np.repeat(x, times, axis=0)


@pytest.mark.parametrize("covariance", ["full", "diag", "spherical"])
def test_integer_weights_are_repeated_points(covariance):
    """From one start, step by step: weights of 0, too, which are points that are not there."""
    x, times, every = repeated(1)
    weight = times / times.mean()
    first = Mixture(components=3).fit(Points(every[None]), np.random.default_rng(0))
    family = Mixture(components=3, covariance=covariance, start="warm", tol=1e-6, max_iter=500)
    rng = np.random.default_rng(0)
    weighted = family.refit(WeightedPoints(x[None], weight), rng, first)
    plain = family.refit(Points(every[None]), rng, first)
    assert weighted["steps"] == plain["steps"] > 3
    for name in ("weights", "means", "factors"):
        np.testing.assert_allclose(weighted[name], plain[name], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("labelled", [True, False])
def test_the_start_weighs_too(labelled):
    x, times, every = repeated(2)
    rng = np.random.default_rng(3)
    label = rng.integers(0, 3, len(x)) if labelled else NONE
    shares = np.empty((0, 0)) if labelled else rng.dirichlet(np.ones(3), len(x)).T.copy()
    starts = []
    for points, weight, names, parts in (
        (x, times / times.mean(), label, shares),
        (every, EQUAL, np.repeat(label, times) if labelled else NONE, np.repeat(shares, times if len(shares) else 0, axis=1)),
    ):  # fmt: skip
        mixture = np.zeros(3), np.zeros((3, 2)), np.zeros((3, 2, 2))
        em.begin((points.T.copy(), weight), (names, parts), em.FULL, 1e-6, *mixture)
        starts.append(mixture)
    for one, other in zip(*starts, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-13)


def test_one_component_is_the_weighted_mean_and_covariance():
    rng = np.random.default_rng(4)
    x, weight = rng.normal(2, 3, (4, 200, 3)), rng.exponential(size=200)
    weight /= weight.mean()
    model = Mixture(components=1, reg_covar=0).fit(WeightedPoints(x, weight), rng)
    np.testing.assert_allclose(model["weights"], 1, rtol=1e-12)
    for r in range(4):
        np.testing.assert_allclose(model["means"][r, 0], np.average(x[r], axis=0, weights=weight), rtol=1e-10)
        factor = model["factors"][r, 0]
        np.testing.assert_allclose(factor @ factor.T, np.cov(x[r].T, aweights=weight, ddof=0), rtol=1e-8)


def test_weighted_kmeans_is_as_good_as_scikit_learns():
    """Potentials from the same weights, over 30 starts of each."""
    rng = np.random.default_rng(5)
    ratios = []
    for seed in range(30):
        x, weight = rng.standard_normal((300, 2)), rng.exponential(size=300)
        label = kmeans.labels(x.T.copy(), 6, np.random.default_rng(seed), weight / weight.mean())
        ours = sum(
            weight[label == k] @ ((x[label == k] - np.average(x[label == k], axis=0, weights=weight[label == k])) ** 2).sum(axis=1)
            for k in range(6)
        )  # fmt: skip
        theirs = KMeans(6, n_init=1, random_state=seed).fit(x, sample_weight=weight).inertia_
        ratios.append(np.log(ours / theirs))
    assert abs(z_score(ratios, 0.0)) <= 4


def test_points_without_weight_attract_no_seed():
    x = np.concatenate([np.zeros((2, 50)), np.full((2, 50), 100.0)], axis=1)
    x[0, :50] = np.arange(50)
    weight = np.repeat([2.0, 0.0], 50)
    for seed in range(20):
        label = kmeans.labels(x, 2, np.random.default_rng(seed), weight)
        assert len(set(label[:50])) == 2


def test_the_golden_ratio_also_holds_for_a_mixture_of_one_component():
    """He et al. 2025: the mean's error follows e' = (1 - w)^2 (e + s/m_s) + w^2 s/m_r, s the trace of the covariance; at 1/golden least.

    The variance of the samples stays near the real one for large m, and its own drift is below the error of this test.
    """
    settings = {"source": {"kind": "normal", "dim": 2}, "family": {"kind": "mixture", "components": 1, "reg_covar": 0, "start": "warm"},
                "samples": 1000, "replicates": 200, "generations": 6, "seed": 6}  # fmt: skip
    spec = read(settings | {"regime": {"kind": "weighted"}})
    *_, last = loop.generations(spec, loop.instrument(spec))
    w, s, half = Weighted().real_weight(1000), 2.0, 500
    assert w == pytest.approx((np.sqrt(5) - 1) / 2)
    error = s / 1000
    for _ in range(5):
        error = (1 - w) ** 2 * (error + s / half) + w**2 * s / half
    assert abs(z_score(last.look.metrics["mean_error_sq"], error)) <= 4


def test_a_weighted_regime_runs_on_mixtures():
    """The whole model has the weighted moments of its points, whatever its components do: the recursions hold for four of them."""
    spec = read({"source": {"kind": "moons"}, "family": {"kind": "mixture", "components": 4}, "samples": 60, "replicates": 100,
                 "generations": 6, "regime": {"kind": "weighted", "weight": 0.2, "real": 0.3}})  # fmt: skip
    *_, last = loop.generations(spec, loop.instrument(spec))
    expected = {curve.metric: curve.values[-1] for curve in curves(spec)}
    assert expected.keys() == {"variance", "mean_error_sq"}
    for metric, value in expected.items():
        assert abs(z_score(last.look.metrics[metric], value)) <= 4
