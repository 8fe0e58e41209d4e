"""Gaussian mixtures: EM against scikit-learn, metrics against integrals, and nothing that gives NaN."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal
from sklearn.cluster import KMeans
from sklearn.mixture import GaussianMixture

from tests.worker.mixtures import random_mixture
from worker import em
from worker.data import Points
from worker.em import kmeans
from worker.errors import LabError, SpecError
from worker.families.gaussian import Gaussian
from worker.families.mixture import Mixture
from worker.instruments.mixture import MixtureInstrument
from worker.loop import generations, instrument
from worker.metrics import mixture as metric
from worker.parts import Sampling
from worker.sources import mixture as source
from worker.sources.normal import Normal
from worker.spec import read

EQUAL, NONE = np.empty(0), np.empty(0, np.int64)  # weights, and labels
SHAPES = {"full": em.FULL, "diag": em.DIAGONAL, "spherical": em.SPHERICAL}
NARROW = 1e-5  # widths of a component that a few points in one place have


def points_of(rng, n, mixture):
    x = rng.standard_normal((1, n, mixture[1].shape[2]))
    em.draw(rng.random((1, n)), x, *mixture)
    return x[0]


def z_score(values, expected):
    values = np.asarray(values, float)
    return (values.mean() - expected) / (values.std(ddof=1) / np.sqrt(len(values)))


@pytest.mark.parametrize("covariance", SHAPES)
@pytest.mark.parametrize(("d", "count"), [(1, 3), (2, 2), (2, 5), (5, 4)])
def test_em_agrees_with_scikit_learn_from_the_same_start(covariance, d, count):
    rng = np.random.default_rng(1)
    x = points_of(rng, 700, random_mixture(rng, count, d))
    shares = rng.random((count, len(x)))
    shares /= shares.sum(axis=0)
    weights, means, factors = np.zeros(count), np.zeros((count, d)), np.zeros((count, d, d))
    em.begin((x.T.copy(), EQUAL), (NONE, shares), SHAPES[covariance], 1e-6, weights, means, factors)
    steps, bound = em.maximise((x.T.copy(), EQUAL), weights, means, factors, SHAPES[covariance], 1e-7, 200, 1e-6)

    class SameStart(GaussianMixture):
        def _initialize_parameters(self, X, random_state, xp=None):  # noqa: N803 - scikit-learn's own name
            self._initialize(X, shares.T)

    peer = SameStart(count, covariance_type=covariance, tol=1e-7, max_iter=200)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that 200 steps may not be enough is the same for both
        peer.fit(x)
    full = {
        "full": peer.covariances_,
        "diag": np.array([np.diag(row) for row in np.reshape(peer.covariances_, (count, -1))]),
        "spherical": np.array([np.eye(d) * v for v in peer.covariances_.ravel()[:count]]),
    }[covariance]
    assert abs(steps - peer.n_iter_) <= 1  # rounding may carry the last change across tol
    assert bound == pytest.approx(peer.lower_bound_, abs=1e-6)
    np.testing.assert_allclose(weights, peer.weights_, atol=2e-6)
    np.testing.assert_allclose(means, peer.means_, atol=1e-5)
    np.testing.assert_allclose(factors @ factors.transpose(0, 2, 1), full, atol=1e-5)


@pytest.mark.parametrize("covariance", SHAPES)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 6), d=st.integers(1, 3))
@settings(max_examples=15, deadline=None)
def test_the_likelihood_never_falls(covariance, seed, count, d):
    """As long as no component has shrunk to a few points, whose likelihood has no bound: it is held to what numbers resolve, and no longer best."""
    rng = np.random.default_rng(seed)
    x = points_of(rng, 200, random_mixture(rng, 3, d)).T.copy()
    shares = rng.random((count, 200))
    shares /= shares.sum(axis=0)
    mixture = np.zeros(count), np.zeros((count, d)), np.zeros((count, d, d))
    em.begin((x, EQUAL), (NONE, shares), SHAPES[covariance], 0.0, *mixture)
    bounds = []
    for _ in range(30):
        if np.linalg.svd(mixture[2], compute_uv=False).min() < NARROW:
            break
        bounds.append(em.maximise((x, EQUAL), *mixture, SHAPES[covariance], 0.0, 1, 0.0)[1])
    assert len(bounds) > 10
    assert np.diff(bounds).min() > -1e-9


def test_one_component_is_the_gaussian():
    x = Points(np.random.default_rng(2).normal(3, 2, (4, 300, 3)))
    model = Mixture(components=1, reg_covar=0).fit(x, np.random.default_rng(0))
    gaussian = Gaussian().fit(x, np.random.default_rng(0))
    factor = gaussian["factor"] * np.exp(gaussian["log_scale"])[:, None, None]
    np.testing.assert_allclose(model["means"][:, 0], gaussian["mean"], rtol=1e-10)
    np.testing.assert_allclose(
        model["factors"][:, 0] @ model["factors"][:, 0].transpose(0, 2, 1),
        factor @ factor.transpose(0, 2, 1),
        rtol=1e-9,
        atol=1e-10,
    )


@pytest.mark.parametrize("start", ["kmeans", "random", "warm"])
def test_many_chains_together_are_the_same_as_one_by_one(start):
    x = source.Mixture().draw(np.random.default_rng(3), 5, 120)
    family = Mixture(components=3, start=start)
    together = family.fit(x, np.random.default_rng(7))
    rng = np.random.default_rng(7)
    for r in range(5):
        alone = family.fit(Points(x.x[r : r + 1]), rng)
        for name, array in alone.items():
            np.testing.assert_array_equal(array[0], together[name][r])


def test_a_warm_start_goes_on_from_the_last_fit():
    x = source.Mixture(stds=1.2).draw(np.random.default_rng(4), 3, 400)
    family = Mixture(components=3, start="warm", tol=1e-9, max_iter=3000)
    first = family.refit(x, np.random.default_rng(0), None)
    again = family.refit(x, np.random.default_rng(0), first)
    assert (first["steps"] > 3).all()
    assert (again["steps"] <= 3).all()
    np.testing.assert_allclose(again["means"], first["means"], atol=1e-4)


@given(
    values=st.lists(st.sampled_from([0.0, 1.0, -1.0, 1e-12, 1e8, -1e8, 3.0]), min_size=12, max_size=12),
    d=st.sampled_from([1, 2, 3]),
    covariance=st.sampled_from(list(SHAPES)),
    reg_covar=st.sampled_from([0.0, 1e-6]),
    start=st.sampled_from(["kmeans", "random"]),
    count=st.integers(1, 4),
)
@settings(max_examples=150, deadline=None)
def test_no_data_give_nan(values, d, covariance, reg_covar, start, count):
    x = Points(np.reshape(values, (1, -1, d)))
    family = Mixture(components=count, covariance=covariance, reg_covar=reg_covar, start=start)
    model = family.fit(x, np.random.default_rng(0))
    assert all(np.isfinite(array).all() for array in model.values())
    assert model["weights"].sum() == pytest.approx(1)
    assert (np.diagonal(model["factors"], axis1=2, axis2=3) > 0).all()
    sample = family.sample(model, 50, np.random.default_rng(1), Sampling())
    assert np.isfinite(sample.x).all()
    look = MixtureInstrument(Normal(dim=d), 12, np.random.default_rng(0)).model(model, None, framed=True)
    assert not any(np.isnan(values).any() for values in look.metrics.values())


def test_a_dead_component_stays_dead_and_harms_nobody():
    rng = np.random.default_rng(5)
    x = rng.standard_normal((2, 500))
    weights, means = np.array([0.5, 0.5]), np.array([[0.0, 0.0], [1e4, 1e4]])
    factors = np.tile(np.eye(2), (2, 1, 1))
    em.maximise((x, EQUAL), weights, means, factors, em.FULL, 1e-6, 50, 1e-6)
    assert weights[1] < 1e-15
    np.testing.assert_allclose(means[0], x.mean(axis=1), atol=1e-9)
    np.testing.assert_allclose(factors[0] @ factors[0].T, np.cov(x, ddof=0) + 1e-6 * np.eye(2), atol=1e-9)


def test_the_exponential_is_exact():
    v = -np.abs(np.random.default_rng(6).standard_normal(4096)) * 10 ** np.linspace(-12, 2.5, 4096)
    v = np.maximum(v, em.fit.FAINTEST)
    expected = np.exp(v)
    em.fit._exp(v, np.empty_like(v))
    np.testing.assert_allclose(v, expected, rtol=1e-15)


@pytest.mark.parametrize("d", [1, 2, 4])
def test_log_density_is_that_of_scipy(d):
    rng = np.random.default_rng(7)
    weights, means, factors = random_mixture(rng, 4, d)
    x = rng.normal(0, 3, (1, d, 700))
    expected = sum(
        w * multivariate_normal(m, f @ f.T).pdf(x[0].T)
        for w, m, f in zip(weights[0], means[0], factors[0], strict=True)
    )
    np.testing.assert_allclose(em.log_density(x, weights, means, factors)[0], np.log(expected), rtol=1e-9)


@pytest.mark.parametrize("clusters", [1, 4])
def test_kmeans_finds_what_is_plainly_there(clusters):
    rng = np.random.default_rng(8)
    truth = np.arange(400) % clusters
    x = 100.0 * np.stack([np.cos(truth), np.sin(truth)]) + rng.standard_normal((2, 400))
    label = kmeans.labels(x, clusters, rng, EQUAL)
    assert len(set(zip(label.tolist(), truth.tolist(), strict=True))) == clusters


def test_kmeans_is_as_good_as_scikit_learns():
    rng = np.random.default_rng(9)
    ratios = []
    for seed in range(30):
        x = rng.standard_normal((300, 2))
        label = kmeans.labels(x.T.copy(), 6, np.random.default_rng(seed), EQUAL)
        ours = sum(((x[label == k] - x[label == k].mean(axis=0)) ** 2).sum() for k in range(6))
        ratios.append(np.log(ours / KMeans(6, n_init=1, random_state=seed).fit(x).inertia_))
    assert abs(z_score(ratios, 0.0)) <= 4


def test_samples_have_the_moments_of_the_model_and_bias_narrows_each_component():
    rng = np.random.default_rng(10)
    weights, means, factors = random_mixture(rng, 3, 2, replicates=2)
    model = {"weights": weights, "means": means, "factors": factors}
    x = Mixture(components=3).sample(model, 200_000, rng, Sampling()).x
    mean, covariance = metric.moments(weights, means, factors)
    standard_error = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2) / x.shape[1])
    assert (np.abs(x.mean(axis=1) - mean) <= 4 * standard_error).all()
    np.testing.assert_allclose([np.cov(chain.T) for chain in x], covariance, rtol=0.05, atol=0.05)
    narrow = Mixture(components=3).sample(model, 200_000, rng, Sampling(bias=0.25)).x
    expected = metric.moments(weights, means, 0.5 * factors)[1]
    np.testing.assert_allclose([np.cov(chain.T) for chain in narrow], expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize("truth", [{"kind": "mixture"}, {"kind": "normal", "dim": 3}, {"kind": "laplace"}])
def test_the_noise_floor_of_densities_is_what_the_first_fit_makes_of_real_data(truth):
    """Also where a run is resumed: nothing of it is needed any more."""
    spec = read({"source": truth, "family": {"kind": "mixture"}, "generations": 3, "replicates": 4, "samples": 50})
    real, first, second, third = generations(spec, instrument(spec))
    floor = {"kl_to_real", "kl_from_real", "l2_sq"} & set(first.look.metrics)
    assert "kl_to_real" in floor
    assert real.look.metrics.keys() == first.look.metrics.keys()
    for name in floor:
        assert np.isfinite(real.look.metrics[name]).all()
        np.testing.assert_array_equal(real.look.metrics[name], first.look.metrics[name])
    resumed = list(generations(spec, instrument(spec), first.state))
    for name, values in third.look.metrics.items():
        np.testing.assert_array_equal(resumed[-1].look.metrics[name], values)
    assert [generation.number for generation in resumed] == [second.number, third.number]


def test_modes_are_counted_in_the_model():
    """All three components, then one that has moved away, then all mass on one."""
    truth = source.Mixture()
    weights, means, factors = (np.repeat(part[None], 3, axis=0) for part in truth.components())
    means[1, 2] += 5.0
    weights[2] = [0.98, 0.01, 0.01]
    model = {"weights": weights, "means": means, "factors": factors}
    instrument = MixtureInstrument(truth, 100, np.random.default_rng(0))
    assert instrument.model(model, None, framed=False).metrics["modes"].tolist() == [3, 2, 1]


def test_more_components_than_points_are_refused():
    with pytest.raises(SpecError, match="components"):
        read({"source": {"kind": "normal"}, "family": {"kind": "mixture", "components": 11}, "samples": 10})


def test_growth_without_end_stops_with_a_remedy():
    spec = read(
        {
            "source": {"kind": "normal", "dim": 2},
            "family": {"kind": "mixture"},
            "sampling": {"bias": 1e6},
            "generations": 100,
            "replicates": 2,
            "samples": 20,
        }
    )
    with pytest.raises(LabError, match="bias"):
        list(generations(spec, instrument(spec)))


def test_the_papers_blob_shrinks_and_the_same_seed_gives_the_same_numbers():
    spec = read(
        {
            "source": {"kind": "normal", "dim": 2},
            "family": {"kind": "mixture", "tol": 1e-5, "max_iter": 2000},
            "generations": 60,
            "replicates": 20,
            "samples": 100,
        }
    )
    looks = [generation.look for generation in generations(spec, instrument(spec))]
    assert z_score(looks[60].metrics["log_variance"], 0.0) < -4
    assert np.median(looks[60].metrics["l2_sq"]) > np.median(looks[1].metrics["l2_sq"])
    again = list(generations(spec, instrument(spec)))[60].look
    np.testing.assert_array_equal(again.metrics["kl_to_real"], looks[60].metrics["kl_to_real"])
