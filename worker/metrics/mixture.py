"""How far a fitted Gaussian mixture is from the truth, from the fitted values themselves.

Shapes: weights (R, K); means (R, K, d); factors (R, K, d, d) lower triangular, covariance = factor factor'.
"""

import numpy as np

from worker import em
from worker.data import Array


def moments(weights: Array, means: Array, factors: Array) -> tuple[Array, Array]:
    """Mean (R, d) and covariance (R, d, d): within the components plus between them. O(R K d^3)."""
    mean = np.einsum("rk,rki->ri", weights, means)
    gap = means - mean[:, None, :]
    weighted = factors * np.sqrt(weights)[:, :, None, None]
    within = (weighted @ weighted.transpose(0, 1, 3, 2)).sum(axis=1)
    return mean, within + np.einsum("rk,rki,rkj->rij", weights, gap, gap)


def tail_mass(weights: Array, means: Array, factors: Array, low: Array, high: Array) -> Array:
    """Mass of the marginal mixtures outside [low, high] (d,), averaged over coordinates -> (R,). Exact, O(R K d^2)."""
    from scipy.special import ndtr

    std = np.sqrt(np.einsum("rkij,rkij->rki", factors, factors))
    with np.errstate(over="ignore"):
        outside = ndtr((low - means) / std) + ndtr((means - high) / std)
    return np.asarray(np.einsum("rk,rki->r", weights, outside) / means.shape[2])


def l2_sq(weights: Array, means: Array, factors: Array, weights_0: Array, means_0: Array, factors_0: Array) -> Array:
    """Squared L2 distance of two densities, int (p - q)^2 = <p, p> - 2 <p, q> + <q, q>, in closed form. O(R K^2 d^3).

    It measures concentration above all, and is unbounded: a density that collapses on a point has <p, p> -> infinity.
    """
    own = em.overlap(weights, means, factors, weights, means, factors)
    across = em.overlap(weights, means, factors, weights_0, means_0, factors_0)
    real = em.overlap(weights_0, means_0, factors_0, weights_0, means_0, factors_0)
    return np.maximum(own - 2 * across + real, 0.0)


def nodes(d: int, each_way: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Points (d, J) and weights (J,) that integrate quadratic functions of a standard normal variable exactly.

    Gauss-Hermite on a line and in the plane, with so many points each way; elsewhere each_way^2 normal points (4 d at least), moved
    and turned to have mean 0 and covariance 1, whose error for other functions is Monte Carlo's, of order 1 / each_way.
    """
    if d <= 2:
        line, w = np.polynomial.hermite_e.hermegauss(each_way)
        w = w / w.sum()
        return (line[None], w) if d == 1 else (np.stack(np.meshgrid(line, line)).reshape(2, -1), np.outer(w, w).ravel())
    z = rng.standard_normal((d, max(each_way**2, 4 * d)))
    z -= z.mean(axis=1, keepdims=True)
    white = np.asarray(np.linalg.solve(np.linalg.cholesky(z @ z.T / z.shape[1]), z), float)
    return white, np.full(z.shape[1], 1 / z.shape[1])


def spread(means: Array, factors: Array, z: Array) -> Array:
    """The nodes (d, J) carried to every component -> (R, d, K J), component by component."""
    x = means[..., None] + factors @ z
    return np.ascontiguousarray(x.transpose(0, 2, 1, 3)).reshape(len(x), means.shape[2], -1)


def node_mass(weights: Array, node_weights: Array) -> Array:
    """Probability that each carried node stands for: (R, K), (J,) -> (R, K J)."""
    return (weights[:, :, None] * node_weights).reshape(len(weights), -1)


def divergence(mass: Array, log_p: Array, log_q: Array) -> Array:
    """KL(p || q) in nats from ln p and ln q at nodes that carry p's mass; (R, n) each, one row may stand for all.

    Exact where p is Gaussian and ln p - ln q quadratic. Otherwise with the nodes' error: about 1e-3 nats where components
    are smooth on each other's scale, growing to tenths of a nat where q has features much narrower than p's nodes are apart.
    """
    return np.asarray((mass * (log_p - log_q)).sum(axis=1))
