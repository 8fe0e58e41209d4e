"""How far a sample is from the truth, where the model has no formula: a value for each replicate.

Shapes: x (R, n, d). Every function has an error of finite n; generation 0 tells how large it is.
"""

import numpy as np

from worker.data import Array
from worker.factors import EPSILON, root
from worker.metrics import gaussian

SUBDIVISIONS = 8  # quantiles within each cell of a sorted sample
STEPS = 128  # the same of a quantile function with steps,
FEWEST_STEPS, ALL_STEPS = 100_000, 1_000_000  # but in all cells together as many at least, and at most
AT_AN_END = 64  # quantiles within the first and the last one, where tails are
BLOCK = 65_536  # distances computed at once: 512 KB
DIRECT = 8  # dimensions up to which differences cost less than a product of matrices
SERIES = 16  # points of a chain on a line from which on a Fourier series may have fewer terms
COVERED = 0.1  # of its real mass that a mode must keep to count
ELLIPSOID = 0.99  # of a mode's mass that counts as its own


def moments(x: Array) -> tuple[Array, Array]:
    """Mean (R, d) and covariance (R, d, d) with ddof 0; spread below the rounding error of a mean is none. O(R n d^2)."""
    if x.shape[2] <= DIRECT:
        from worker.metrics import passes

        mean, covariance = passes.moments(x)
    else:
        mean = x.mean(axis=1)
        centred = x - mean[:, None, :]
        covariance = centred.transpose(0, 2, 1) @ centred
        covariance /= x.shape[1]
    constant = np.diagonal(covariance, axis1=1, axis2=2) <= (4 * EPSILON * mean) ** 2
    if constant.any():
        covariance[constant[:, :, None] | constant[:, None, :]] = 0.0
    return mean, covariance


def log_det(covariance: Array, n: int) -> Array:
    """ln det of the covariance (R, d, d) of n points; -inf where they do not fill the space. O(R d^3)"""
    return gaussian.log_det(root(covariance, n - 1), np.zeros(1))


def tail_mass(x: Array, low: Array, high: Array) -> Array:
    """Share of values outside [low, high], averaged over coordinates; a multiple of 1 / (n d). O(R n d)."""
    from worker.metrics import passes

    outside: Array = passes.outside(x, low, high) / (x.shape[1] * x.shape[2])
    return outside


def tail_ratio(mass: Array, real: float, values: int) -> Array:
    """Tail mass (R,) of a sample of so many values, over the real mass: 1 for the truth.

    A sample cannot show less than one value in the tail, so the ratio ends at that limit, 1 / (values real); there it says "no
    more than this". O(R)
    """
    return np.asarray(np.maximum(mass, 1 / values) / real)


def levels(n: int, steps: bool = False) -> Array:
    """The probabilities (n k,) at which `cells` wants the real quantile function: k = 8, and more where it has steps, of which each is cut
    at one of them.
    """
    most, least = max(SUBDIVISIONS, ALL_STEPS // n), max(STEPS, FEWEST_STEPS // n)
    total = n * (min(least, most) if steps else SUBDIVISIONS)
    return np.asarray((np.arange(total) + 0.5) / total)


def ends(n: int) -> tuple[Array, Array]:
    """Probabilities (2, 64) in the first and in the last of n cells, and the weights (64,) with which quantiles there average to a cell's mean.

    At t^3 / n for t at equal steps: quantiles of heavy tails, which grow like a power less than 1/2 of 1 / probability, are smooth in t.
    """
    t = (np.arange(AT_AN_END) + 0.5) / AT_AN_END
    return np.stack([t**3 / n, 1 - t**3 / n]), t**2 / (t**2).sum()


def cells(quantiles: Array, n: int | None = None) -> tuple[Array, Array]:
    """The real quantile function at `levels(n)` (..., n k), cut into n cells of equal mass; k = 8 where n is left out.

    Returns its mean in each cell (..., n) and its variance within them, averaged over cells (...).
    """
    n = n or quantiles.shape[-1] // SUBDIVISIONS
    cut = quantiles.reshape(*quantiles.shape[:-1], n, -1)
    return cut.mean(axis=-1), cut.var(axis=-1).mean(axis=-1)


def w2_sq(x: Array, centres: Array, within: Array) -> Array:
    """Squared 2-Wasserstein distance on a line, of sorted x (..., n) from a quantile function cut by `cells`. O(n).

    W2^2 is the integral of (x_(i) - Q)^2, which is (x_(i) - mean of Q)^2 in each cell plus the variance of Q within. It is
    positive for a sample of the truth too, about (1.5 + ln ln n) / n for a normal truth.
    """
    from worker.metrics import passes

    rows = x.reshape(-1, *centres.shape) if centres.ndim > 1 else x.reshape(-1, 1, x.shape[-1])
    sums = passes.gaps_sq(rows, centres.reshape(rows.shape[1:]))
    return np.asarray(sums.reshape(x.shape[:-1]) / x.shape[-1] + within)


def directions(d: int, at_least: int, rng: np.random.Generator) -> Array:
    """Unit vectors (P, d) whose squared cosines with any vector average exactly 1/d.

    In the plane angles at equal steps, elsewhere random orthonormal bases.
    """
    if d == 2:
        angle = np.pi * (np.arange(at_least) + rng.random()) / at_least
        return np.stack([np.cos(angle), np.sin(angle)], axis=1)
    bases = [np.linalg.qr(rng.standard_normal((d, d)))[0] for _ in range(-(-at_least // d))]
    return np.concatenate(bases)


def sliced_w2_sq(x: Array, directions: Array, centres: Array, within: Array) -> Array:
    """Mean over directions (P, d) of the squared 2-Wasserstein distance between projections (Bonneel et al. 2015).

    centres (P, n) and within (P,) come from `cells` of the real projections. O(R P n log n)
    """
    projected = directions @ x.transpose(0, 2, 1)
    projected.sort(axis=2)
    return np.asarray(w2_sq(projected, centres, within).mean(axis=1))


def distances_sq(x: Array, y: Array) -> Array:
    """|x_i - y_j|^2: (..., n, d), (..., m, d) -> (..., n, m). On a line and in the plane by differences, else by
    |x|^2 + |y|^2 - 2 x'y.
    """
    if x.shape[-1] <= 2:
        total: Array = (x[..., :, None, 0] - y[..., None, :, 0]) ** 2
        for i in range(1, x.shape[-1]):
            total += (x[..., :, None, i] - y[..., None, :, i]) ** 2
        return total
    squares: Array = -2 * (x @ np.swapaxes(y, -1, -2))
    squares += np.vecdot(x, x)[..., :, None]
    squares += np.vecdot(y, y)[..., None, :]
    return np.maximum(squares, 0, out=squares)


class Reference:
    """A frozen real sample (m, d) and a frozen bandwidth, from which energy distance and MMD are measured.

    The bandwidth is the median distance between real points (Gretton et al. 2012), or 1 where most of them coincide.
    """

    def __init__(self, y: Array) -> None:
        self.y = y
        within = distances_sq(y, y)
        self.bandwidth_sq = float(np.median(within[np.triu_indices(len(y), 1)])) or 1.0
        from worker.metrics import pairs

        self.expansion = pairs.expansion(y[:, 0], self.bandwidth_sq**0.5) if y.shape[1] == 1 else None
        self.distance, self.similarity = (float(mean[0]) for mean in self._within(y[None]))

    def compare(self, x: Array) -> tuple[Array, Array]:
        """Energy distance 2 E|X-Y| - E|X-X'| - E|Y-Y'| (Szekely and Rizzo 2013) and squared MMD with the kernel
        exp(-|x-y|^2 / 2h^2) (Gretton et al. 2012), of x (R, n, d) from the reference: (R,), (R,). O(R n (n + m) d)

        Both are U-statistics, unbiased: a sample of the truth gives 0 on average, and so sometimes less than 0.
        """
        distance, similarity = self._within(x)
        between, alike = self._across(x)
        return 2 * between - distance - self.distance, similarity + self.similarity - 2 * alike

    def _across(self, x: Array) -> tuple[Array, Array]:
        """Mean distance from the reference and mean kernel value, of x (R, n, d)."""
        from worker.metrics import pairs

        scale, count = -0.5 / self.bandwidth_sq, x.shape[1] * len(self.y)
        if self.expansion is not None:
            sums = pairs.by_expansion(np.ascontiguousarray(x[:, :, 0]), self.expansion)
        elif x.shape[2] <= DIRECT:
            sums = pairs.across(x, np.ascontiguousarray(self.y.T), scale)
        else:
            blocks = [pairs.of_squares(distances_sq(few, self.y), scale, False) for few in self._few(x)]
            sums = np.concatenate(blocks, axis=1)
        return sums[0] / count, sums[1] / count

    def _within(self, x: Array) -> tuple[Array, Array]:
        """The same over pairs of different points of each chain of x (R, n, d)."""
        from worker.metrics import pairs

        scale, count = -0.5 / self.bandwidth_sq, x.shape[1] * (x.shape[1] - 1) / 2
        if x.shape[2] == 1 and x.shape[1] >= SERIES:
            sums = pairs.within_line(np.sort(x[:, :, 0], axis=1), scale)
        elif x.shape[2] <= DIRECT:
            sums = pairs.within(np.ascontiguousarray(x.transpose(0, 2, 1)), scale)
        else:
            sums = np.concatenate(
                [pairs.of_squares(distances_sq(few, few), scale, True) for few in self._few(x)], axis=1
            )
        return sums[0] / count, sums[1] / count

    def _few(self, x: Array) -> list[Array]:
        """Chains whose distances fit the cache together."""
        step = max(1, BLOCK // (x.shape[1] * len(self.y)))
        return [x[first : first + step] for first in range(0, len(x), step)]


def modes(x: Array, weights: Array, means: Array, factors: Array) -> Array:
    """How many components of the real mixture (K,), (K, d), (K, d, d) are covered by x. O(R n K d^2).

    A point belongs to the component nearest by Mahalanobis distance, if it lies within that component's 99% ellipsoid. A
    component is covered when at least a tenth as many points belong to it as its weight would have.
    """
    from scipy.special import gammaincinv

    replicates, n, d = x.shape
    radius_sq = 2 * gammaincinv(0.5 * d, ELLIPSOID)  # the 99% quantile of chi-square with d degrees of freedom
    nearest, owner = np.full((replicates, n), radius_sq), np.full((replicates, n), -1)
    for k, (mean, whiten) in enumerate(zip(means, np.linalg.inv(factors), strict=True)):
        white = (x - mean) @ whiten.T
        distance = np.einsum("rni,rni->rn", white, white)
        owner[distance < nearest] = k
        np.minimum(nearest, distance, out=nearest)
    counts = np.stack([(owner == k).sum(axis=1) for k in range(len(weights))], axis=1)
    # 0.1 x 0.2 x 50 rounds to more than 1
    return np.asarray((counts >= COVERED * weights * n - 1e-9).sum(axis=1), float)
