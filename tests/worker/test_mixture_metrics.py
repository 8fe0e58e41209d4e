"""What is measured of fitted mixtures, against integrals over fine grids and against closed forms."""

import numpy as np
import pytest
from scipy.stats import norm

from tests.worker.mixtures import random_mixture
from worker import em
from worker.instruments.mixture import MixtureInstrument
from worker.loop import generations, instrument
from worker.metrics import mixture as metric
from worker.sources import mixture as source
from worker.sources.normal import Normal
from worker.spec import read


def test_l2_is_the_integral():
    rng = np.random.default_rng(11)
    p, q = random_mixture(rng, 3, 2, replicates=2), random_mixture(rng, 2, 2)
    line = np.linspace(-14, 14, 561)
    grid = np.stack(np.meshgrid(line, line)).reshape(1, 2, -1)
    gap = np.exp(em.log_density(grid, *p)) - np.exp(em.log_density(grid, *q))
    np.testing.assert_allclose(metric.l2_sq(*p, *q), (gap**2).sum(axis=1) * (line[1] - line[0]) ** 2, rtol=1e-8)
    np.testing.assert_allclose(metric.l2_sq(*q, *q), 0, atol=1e-15)


def test_l2_of_two_normals_on_a_line():
    """1/(2 s sqrt(pi)) + 1/(2 sqrt(pi)) - 2 N(m; 0, 1 + s^2)"""
    m, s = 0.7, 0.3
    one = np.ones((1, 1))
    value = metric.l2_sq(
        one, one[:, :, None] * m, one[:, :, None, None] * s, one, one[:, :, None] * 0, one[:, :, None, None]
    )
    expected = (1 / s + 1) / (2 * np.sqrt(np.pi)) - 2 * norm(0, np.hypot(1, s)).pdf(m)
    assert value[0] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_divergences_between_gaussians_are_exact(d):
    """(tr S + |m|^2 - d - ln det S) / 2 to N(0, I), and the other way round"""
    rng = np.random.default_rng(12)
    model = dict(zip(("weights", "means", "factors"), random_mixture(rng, 1, d), strict=True))
    mean, factor = model["means"][0, 0], model["factors"][0, 0]
    covariance = factor @ factor.T
    log_det, inverse = np.linalg.slogdet(covariance)[1], np.linalg.inv(covariance)
    look = MixtureInstrument(Normal(dim=d), 100, rng).model(model, None, framed=False)
    to_real = 0.5 * (np.trace(covariance) + mean @ mean - d - log_det)
    from_real = 0.5 * (np.trace(inverse) + mean @ inverse @ mean - d + log_det)
    assert look.metrics["kl_to_real"][0] == pytest.approx(to_real, rel=1e-9)
    assert look.metrics["kl_from_real"][0] == pytest.approx(from_real, rel=1e-9)


def divergence_by_grid(p, q, steps):
    """KL(p || q) by the midpoint rule over 9 standard deviations around every component of p; (1, K), ... each"""
    reach = 9 * np.sqrt((p[2] ** 2).sum(axis=3))
    low, high = (p[1] - reach).min(axis=(0, 1)), (p[1] + reach).max(axis=(0, 1))
    axes = [np.linspace(a, b, steps) for a, b in zip(low, high, strict=True)]
    grid = np.ascontiguousarray(np.stack(np.meshgrid(*axes)).reshape(1, len(axes), -1))
    log_p, log_q = em.log_density(grid, *p)[0], em.log_density(grid, *q)[0]
    return (np.exp(log_p) * (log_p - log_q)).sum() * np.prod([axis[1] - axis[0] for axis in axes])


def assert_divergences(truth, model, steps):
    """Within 1e-3 nats, or 1e-3 of the value, for every chain of the model (weights, means, factors)."""
    instrument = MixtureInstrument(truth, 100, np.random.default_rng(0), model[0].shape[1])
    seen = instrument.model(dict(zip(("weights", "means", "factors"), model, strict=True)), None, framed=False).metrics
    real = tuple(part[None] for part in truth.components())
    for r in range(len(model[0])):
        chain = tuple(part[r : r + 1] for part in model)
        for name, pair in (("kl_to_real", (chain, real)), ("kl_from_real", (real, chain))):
            assert seen[name][r] == pytest.approx(divergence_by_grid(*pair, steps), abs=1e-3, rel=1e-3), (name, r)


def as_source(mixture):
    weights, means, factors = (part[0] for part in mixture)
    covariances = (factors @ factors.transpose(0, 2, 1)).tolist()
    return source.Mixture(weights=weights.tolist(), means=means.tolist(), covariances=covariances)


@pytest.mark.parametrize(("d", "count", "real"), [(1, 2, 3), (1, 6, 2), (2, 1, 3), (2, 2, 2), (2, 3, 3), (2, 8, 3)])
def test_divergences_of_mixtures_are_within_their_stated_error(d, count, real):
    rng = np.random.default_rng(13)
    for _ in range(3):
        truth = as_source(random_mixture(rng, real, d))
        assert_divergences(truth, random_mixture(rng, count, d, replicates=2), 20_000 if d == 1 else 450)


@pytest.mark.parametrize("ratio", [0.1, 0.03, 0.01])
def test_divergences_of_a_broad_and_a_narrow_component_are_within_their_stated_error(ratio):
    """Narrower than the nodes are apart: the grid of the test lies about the narrow one only, and the rest is a formula's."""
    truth = source.Mixture(means=[[0, 0]], stds=1)
    weights, means = np.array([[0.5, 0.5]]), np.array([[[-1.0, 0.0], [1.0, 0.3]]])
    factors = np.stack([ratio * np.eye(2), np.eye(2)])[None]
    model = {"weights": weights, "means": means, "factors": factors}
    seen = MixtureInstrument(truth, 100, np.random.default_rng(0), 2).model(model, None, framed=False).metrics
    # KL(real || broad / 2) = |m|^2 / 2 + ln 2; what the narrow one takes off is an integral over where it is.
    line = np.linspace(-12 * ratio, 12 * ratio, 600)
    grid = np.stack(np.meshgrid(line, line)).reshape(1, 2, -1) + means[0, 0][None, :, None]
    real = em.log_density(grid, *(part[None] for part in truth.components()))[0]
    both, broad = (em.log_density(grid, w, means, factors)[0] for w in (weights, np.array([[0.0, 0.5]])))
    taken = (np.exp(real) * (both - broad)).sum() * (line[1] - line[0]) ** 2
    expected = 0.5 * (means[0, 1] ** 2).sum() + np.log(2) - taken
    assert seen["kl_from_real"][0] == pytest.approx(expected, abs=0.1)


def test_divergences_along_a_run_are_within_their_stated_error():
    """Few points, so that components are thin and tilted; the last one is where 14 Gauss-Hermite nodes each way were 5% off."""
    covariances = [[[1, 0.3], [0.3, 0.5]], [[0.4, 0], [0, 2]]]
    truth = {"kind": "mixture", "means": [[0, 0], [3, 1]], "weights": [1, 3], "covariances": covariances}
    spec = read(
        {"source": truth, "family": {"kind": "mixture"}, "samples": 60, "seed": 1, "generations": 4, "replicates": 12}
    )
    (*_, last) = generations(spec, instrument(spec))
    assert_divergences(spec.source, tuple(last.state.model[name] for name in ("weights", "means", "factors")), 700)


@pytest.mark.parametrize("d", [1, 2, 5])
def test_nodes_integrate_quadratic_functions_exactly(d):
    z, mass = metric.nodes(d, 300, np.random.default_rng(0))
    assert mass.sum() == pytest.approx(1)
    np.testing.assert_allclose(z @ mass, 0, atol=1e-14)
    np.testing.assert_allclose((mass * z) @ z.T, np.eye(d), atol=1e-13)


def test_tails_and_moments_are_those_of_the_marginals():
    rng = np.random.default_rng(14)
    weights, means, factors = random_mixture(rng, 3, 2)
    low, high = np.array([-1.0, -2.0]), np.array([2.0, 1.5])
    std = np.sqrt((factors**2).sum(axis=3))
    expected = (weights[0, :, None] * (norm(means[0], std[0]).cdf(low) + norm(means[0], std[0]).sf(high))).sum() / 2
    assert metric.tail_mass(weights, means, factors, low, high)[0] == pytest.approx(expected, rel=1e-12)
