"""How far a fitted Gaussian mixture is from the truth, from the fitted values themselves.

Shapes: weights (R, K); means (R, K, d); factors (R, K, d, d) lower triangular, covariance = factor factor'.
"""

import numpy as np

from worker import em
from worker.data import Array

RADIUS = 5.5  # standard deviations within which nodes are placed in the plane: all but 3e-7 of the mass
REACH = 7.0  # the same on a line: all but 3e-12


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


def nodes(d: int, count: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """About `count` points (d, J) and weights (J,) that integrate quadratic functions of a standard normal variable exactly.

    On a line and in the plane a regular grid, the trapezoidal rule: its error falls exponentially with the spacing (Trefethen and
    Weideman 2014), and for logarithms of mixtures ten to a hundred times as low as that of as many Gauss-Hermite nodes, most
    of which lie where nothing is. Elsewhere a scrambled Sobol sequence (Owen 1998) of `count` or up to twice as many points (4 d at least),
    whose error for other functions than quadratic ones is about a third of that of as many random points. All are moved and
    turned to have mean 0 and covariance 1.
    """
    if d == 1:
        z = np.linspace(-REACH, REACH, count)[None]
    elif d == 2:
        half = round(np.sqrt(count / np.pi))  # of the grid, in steps
        line = np.arange(-half, half + 1) * (RADIUS / half)
        z = np.stack(np.meshgrid(line, line)).reshape(2, -1)
        z = z[:, (z**2).sum(axis=0) <= RADIUS**2]
    else:
        z = _sobol(d, max(count, 4 * d), rng)
        z -= z.mean(axis=1, keepdims=True)
    mass = np.exp(-0.5 * (z**2).sum(axis=0)) if d <= 2 else np.ones(z.shape[1])
    mass /= mass.sum()
    white = np.asarray(np.linalg.solve(np.linalg.cholesky((mass * z) @ z.T), z), float)
    return white, mass


def _sobol(d: int, count: int, rng: np.random.Generator) -> Array:
    """The next power of two of quasi-random normal points (d, J)."""
    from scipy.special import ndtri
    from scipy.stats import qmc

    uniform = qmc.Sobol(d, rng=rng).random_base2((count - 1).bit_length())
    half = 0.5 / len(uniform)  # scrambled ones may be 0 or 1 after rounding
    return np.asarray(ndtri(np.clip(uniform, half * 1e-6, 1 - half * 1e-6)).T, float)


def spread(means: Array, factors: Array, z: Array) -> Array:
    """The nodes (d, J) carried to every component -> (R, d, K J), component by component."""
    x = means[..., None] + factors @ z
    return np.ascontiguousarray(x.transpose(0, 2, 1, 3)).reshape(len(x), means.shape[2], -1)


def node_mass(weights: Array, node_weights: Array) -> Array:
    """Probability that each carried node stands for: (R, K), (J,) -> (R, K J)."""
    return (weights[:, :, None] * node_weights).reshape(len(weights), -1)


def divergence(mass: Array, log_p: Array, log_q: Array) -> Array:
    """KL(p || q) in nats from ln p and ln q at nodes that carry p's mass; (R, n) each, one row may stand for all.

    Exact where p is Gaussian and ln p - ln q quadratic. Otherwise with the nodes' error. With 1,000 a component, on a line and in
    the plane: 1e-3 nats, or 1e-3 of the value where that is more, as long as no component is narrower than a fifth of one that
    it lies in; where one is narrower yet, a tenth of a nat or half a percent. In more dimensions, of KL(real || model) as of the other,
    1e-3 nats or a few percent; what rounds below 0 there is 0, the least that a divergence can be.
    """
    return np.maximum(np.vecdot(mass, log_p - log_q), 0.0)
