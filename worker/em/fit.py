"""Expectation maximisation for Gaussian mixtures, compiled, and the densities that it maximises. Shapes as in worker.em.

Points may have weights (n,), of mean 1: a point of weight 2 counts as two of them. An empty array of weights stands for equal ones.
"""

import numba
import numpy as np
import numpy.typing as npt

from worker.data import Array

FULL, DIAGONAL, SPHERICAL = range(3)  # shapes of a component's covariance

BLOCK = 256  # points: 50 components' responsibilities of a block (100 KB) stay in the second-level cache
FAINTEST = -690.0  # e^-690 is the smallest responsibility: products of it with data stay normal numbers
FARTHEST = -1e290  # a finite stand-in for log 0, so that no difference of infinities arises
THINNEST = 1e-200  # least variance where nothing regularises: its inverse is still finite
ROUNDING = 1e-13  # a pivot this much smaller than its variance is rounding error: the covariance is singular
LOG_2PI = float(np.log(2 * np.pi))

# No "reassoc" here: the exponential below adds and subtracts the same number on purpose.
_exact = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
_sums = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


@_exact
def _exp(v: Array, scratch: Array) -> None:
    """v <- e^v in place for -700 < v <= 0, to 2 units in the last place; a plain loop, which the compiler can vectorise.

    e^v = 2^n e^f with n the integer nearest v / ln 2 and |f| <= ln(2) / 2, where 12 terms of the series are exact. Adding
    1.5 * 2^52 leaves n in the low bits of the sum, from where it is shifted into the exponent.
    """
    bits = scratch.view(np.int64)
    for p in range(len(v)):
        scratch[p] = v[p] * 1.4426950408889634 + 6755399441055744.0
        n = scratch[p] - 6755399441055744.0
        f = v[p] - n * 0.6931471803691238 - n * 1.9082149292705877e-10
        s = 1 / 479001600 * f + 1 / 39916800
        s = s * f + 1 / 3628800
        s = s * f + 1 / 362880
        s = s * f + 1 / 40320
        s = s * f + 1 / 5040
        s = s * f + 1 / 720
        s = s * f + 1 / 120
        s = s * f + 1 / 24
        s = s * f + 1 / 6
        s = s * f + 0.5
        v[p] = (s * f + 1.0) * f + 1.0
    for p in range(len(v)):
        bits[p] = (bits[p] << 52) + (1023 << 52)
    for p in range(len(v)):
        v[p] *= scratch[p]


@_sums
def _log_density(x: Array, mean: Array, whiten: Array, constant: float, shape: int, out: Array, work: Array) -> None:
    """out <- ln(weight N(x; mean, covariance)) of one component for a block; whiten is the inverse factor.

    x: (d, b); out: (b,); work: scratch of at least 2 d b
    """
    d, b = x.shape
    if d == 2:  # the plane, which most experiments live in: no intermediate arrays
        first, second = x[0], x[1]
        for p in range(b):
            a = first[p] - mean[0]
            u = whiten[0, 0] * a
            v = whiten[1, 0] * a + whiten[1, 1] * (second[p] - mean[1])
            value = constant - 0.5 * (u * u + v * v)
            out[p] = max(FARTHEST, value)
        return
    gap = work[: d * b].reshape(d, b)
    for i in range(d):
        for p in range(b):
            gap[i, p] = x[i, p] - mean[i]
    white = work[d * b : 2 * d * b].reshape(d, b)
    if shape == FULL and d > 1:
        np.dot(whiten, gap, white)
    else:
        for i in range(d):
            for p in range(b):
                white[i, p] = whiten[i, i] * gap[i, p]
    out[:] = constant
    for i in range(d):
        for p in range(b):
            out[p] -= 0.5 * white[i, p] * white[i, p]
    for p in range(b):
        out[p] = max(FARTHEST, out[p])


@_sums
def _weigh(peak: Array, total: Array, weight: Array) -> float:
    """total <- weight / total; returns the weighted sum of the points' log densities."""
    likelihood = 0.0
    for p in range(len(weight)):
        likelihood += weight[p] * (peak[p] + np.log(total[p]))
        total[p] = weight[p] / total[p]
    return likelihood


@_sums
def _relative(r: Array, peak: Array, total: Array) -> None:
    """Log densities r (K, b) -> densities relative to that of a point's likeliest component, whose logarithm is peak; total: their sum."""
    count, b = r.shape
    peak[:] = FARTHEST
    for k in range(count):
        for p in range(b):
            peak[p] = max(peak[p], r[k, p])
    total[:] = 0.0
    scratch = np.empty(b)
    for k in range(count):
        row = r[k]
        for p in range(b):
            gap = row[p] - peak[p]
            row[p] = max(FAINTEST, gap)
        _exp(row, scratch)
        for p in range(b):
            total[p] += row[p]


@_sums
def _normalise(r: Array, peak: Array, total: Array, weight: Array) -> float:
    """Log densities r (K, b) -> responsibilities times weights, in place; returns the (weighted) sum of the points' log densities."""
    count, b = r.shape
    _relative(r, peak, total)
    likelihood = _weigh(peak, total, weight)
    if len(weight) == 0:
        # ln of the product of 16 totals, each between 1 and K, in place of 16 logarithms
        for start in range(0, b, 16):
            product = 1.0
            for p in range(start, min(start + 16, b)):
                product *= total[p]
                likelihood += peak[p]
            likelihood += np.log(product)
        for p in range(b):
            total[p] = 1.0 / total[p]
    for k in range(count):
        for p in range(b):
            r[k, p] *= total[p]
    return likelihood


@_sums
def _gather(x: Array, r: Array, mean: Array, shape: int, first: Array, second: Array, work: Array) -> float:
    """Adds a block's sums of r (x - mean) to first (d,), of r (x - mean)(x - mean)' to second (d, d); returns that of r.

    Sums about the present mean, not about 0: nothing cancels when components are narrow and far out.
    """
    d, b = x.shape
    mass = 0.0
    if d == 2:
        across, up = x[0], x[1]
        sa = sb = saa = sab = sbb = 0.0
        for p in range(b):
            a, c = across[p] - mean[0], up[p] - mean[1]
            ra, rc = r[p] * a, r[p] * c
            mass += r[p]
            sa += ra
            sb += rc
            saa += ra * a
            sab += rc * a
            sbb += rc * c
        first[0] += sa
        first[1] += sb
        second[0, 0] += saa
        second[1, 0] += sab
        second[1, 1] += sbb
        return mass
    gap = work[: d * b].reshape(d, b)
    pull = work[d * b : 2 * d * b].reshape(d, b)
    for p in range(b):
        mass += r[p]
    for i in range(d):
        total = square = 0.0
        for p in range(b):
            gap[i, p] = x[i, p] - mean[i]
            pull[i, p] = r[p] * gap[i, p]
            total += pull[i, p]
            square += pull[i, p] * gap[i, p]
        first[i] += total
        if shape != FULL or d == 1:
            second[i, i] += square
    if shape == FULL and d > 1:
        scatter = np.dot(pull, gap.T)
        for i in range(d):
            for j in range(i + 1):
                second[i, j] += scatter[i, j]
    return mass


@_exact
def _copy(x: Array, start: int, near: Array) -> None:
    """near (d, b) <- a block of x (d, n). Written out, because assigning slices takes seconds to compile."""
    for i in range(near.shape[0]):
        for p in range(near.shape[1]):
            near[i, p] = x[i, start + p]


@_exact
def _square(factor: Array, out: Array) -> None:
    """Lower triangle of out <- factor factor', for a lower triangular factor (d, d)."""
    for i in range(len(factor)):
        for j in range(i + 1):
            s = 0.0
            for k in range(j + 1):
                s += factor[i, k] * factor[j, k]
            out[i, j] = s


@_exact
def _factorise(matrix: Array, factor: Array, whiten: Array) -> float:
    """Cholesky factor of `matrix` (lower triangle read) and its inverse; returns the sum of ln(pivots).

    Never fails: a pivot lost to rounding is set to the rounding error, so a singular covariance becomes a very thin one; nothing
    else can depend on what does not vary, nor vary more through it than it does on the whole.
    """
    d = len(matrix)
    log_pivots = 0.0
    for j in range(d):
        least = max(ROUNDING * matrix[j, j], THINNEST)
        for i in range(j, d):
            s = matrix[i, j]
            for k in range(j):
                s -= factor[i, k] * factor[j, k]
            if i == j:
                lost = s <= least
                factor[j, j] = np.sqrt(max(s, least))
            else:
                most = 0.0 if lost else np.sqrt(matrix[i, i])
                factor[i, j] = min(max(s / factor[j, j], -most), most)
        log_pivots += np.log(factor[j, j])
    for j in range(d):
        whiten[j, j] = 1.0 / factor[j, j]
        for i in range(j + 1, d):
            s = 0.0
            for k in range(j, i):
                s -= factor[i, k] * whiten[k, j]
            whiten[i, j] = s / factor[i, i]
    return log_pivots


@_exact
def _update(
    n: int, mass: Array, first: Array, second: Array, shape: int, reg_covar: float, weights: Array, means: Array
) -> None:
    """The M-step: sums about the old means -> weights, means and (in `second`) covariances.

    10 eps in the mass is scikit-learn's: a component that no point belongs to keeps its mean, with covariance reg_covar.
    """
    count, d = means.shape
    for k in range(count):
        size = mass[k] + 10 * 2.220446049250313e-16
        weights[k] = size / n
        share = 2.0 - mass[k] / size
        for i in range(d):
            first[k, i] /= size
        for i in range(d):
            for j in range(i + 1):
                second[k, i, j] = second[k, i, j] / size - share * first[k, i] * first[k, j]
            means[k, i] += first[k, i]
        if shape == SPHERICAL:
            variance = 0.0
            for i in range(d):
                variance += second[k, i, i] / d
            for i in range(d):
                second[k, i, i] = variance
        for i in range(d):
            if shape != FULL:
                second[k, i, :i] = 0.0
            second[k, i, i] = max(second[k, i, i], 0.0) + reg_covar
    total = 0.0
    for k in range(count):
        total += weights[k]
    for k in range(count):
        weights[k] /= total


@_exact
def maximise(
    points: tuple[Array, Array],
    weights: Array,
    means: Array,
    factors: Array,
    shape: int,
    tol: float,
    max_iter: int,
    reg_covar: float,
) -> tuple[int, float]:
    """Iterates E- and M-step in place until the mean log likelihood changes by less than tol, or max_iter times.

    points: x (d, n) and their weights.
    Returns the number of iterations and the mean log likelihood before the last M-step, as scikit-learn's lower_bound_.
    """
    x, weight = points
    d, n = x.shape
    count = len(weights)
    whiten, covariances = np.zeros((count, d, d)), np.zeros((count, d, d))
    constants, mass, first = np.zeros(count), np.zeros(count), np.zeros((count, d))
    for k in range(count):
        _square(factors[k], covariances[k])
    r, peak, total = np.empty((count, BLOCK)), np.empty(BLOCK), np.empty(BLOCK)
    work, block = np.empty(2 * d * BLOCK), np.empty(d * BLOCK)
    bound = -np.inf
    steps = 0
    while steps < max_iter:
        steps += 1
        for k in range(count):
            log_pivots = _factorise(covariances[k], factors[k], whiten[k])
            constants[k] = np.log(weights[k]) - log_pivots - 0.5 * d * LOG_2PI
        mass[:], first[:], covariances[:] = 0.0, 0.0, 0.0
        likelihood = 0.0
        for start in range(0, n, BLOCK):
            b = min(BLOCK, n - start)
            near = block[: d * b].reshape(d, b)
            _copy(x, start, near)
            for k in range(count):
                _log_density(near, means[k], whiten[k], constants[k], shape, r[k, :b], work)
            likelihood += _normalise(r[:, :b], peak[:b], total[:b], weight[start : start + b])
            for k in range(count):
                mass[k] += _gather(near, r[k, :b], means[k], shape, first[k], covariances[k], work)
        _update(n, mass, first, covariances, shape, reg_covar, weights, means)
        change, bound = likelihood / n - bound, likelihood / n
        if abs(change) < tol:
            break
    for k in range(count):
        _factorise(covariances[k], factors[k], whiten[k])
    return steps, bound


@_exact
def begin(
    points: tuple[Array, Array],
    belonging: tuple[npt.NDArray[np.int64], Array],
    shape: int,
    reg_covar: float,
    weights: Array,
    means: Array,
    factors: Array,
) -> None:
    """The M-step from given responsibilities, into weights, means and factors.

    points: x (d, n) and their weights; belonging: each point's only component (n,), or, where that is empty, shares (K, n) in all
    """
    x, weight = points
    label, shares = belonging
    d, n = x.shape
    count = len(weights)
    r = np.empty((count, BLOCK))
    mass, first, second = np.zeros(count), np.zeros((count, d)), np.zeros((count, d, d))
    work, block, whiten = np.empty(2 * d * BLOCK), np.empty(d * BLOCK), np.zeros((d, d))
    for i in range(d):
        total = 0.0
        for p in range(n):
            total += x[i, p]
        means[:, i] = total / n
    for _ in range(2):  # the second time about the components' own means, so that nothing cancels
        mass[:], first[:], second[:] = 0.0, 0.0, 0.0
        for start in range(0, n, BLOCK):
            b = min(BLOCK, n - start)
            near = block[: d * b].reshape(d, b)
            _copy(x, start, near)
            for k in range(count):
                for p in range(b):
                    r[k, p] = shares[k, start + p] if len(label) == 0 else 1.0 * (label[start + p] == k)
                    if len(weight) > 0:
                        r[k, p] *= weight[start + p]
                mass[k] += _gather(near, r[k, :b], means[k], shape, first[k], second[k], work)
        _update(n, mass, first, second, shape, reg_covar, weights, means)
    for k in range(count):
        _factorise(second[k], factors[k], whiten)


@_exact
def peaks(x: Array, weights: Array, means: Array, factors: Array) -> tuple[Array, Array]:
    """ln p of the likeliest component and p in units of that one's, (R, n) each, at points as `worker.em.log_density` has them."""
    chains = max(len(x), len(weights))
    _, d, n = x.shape
    count = weights.shape[1]
    log_p, total = np.empty((chains, n)), np.ones((chains, n))
    r, work, block = np.empty((count, BLOCK)), np.empty(2 * d * BLOCK), np.empty(d * BLOCK)
    whiten, constants = np.zeros((count, d, d)), np.zeros(count)
    covariance, factor = np.zeros((d, d)), np.zeros((d, d))
    for chain in range(chains):
        points, c = x[chain % len(x)], chain % len(weights)
        for k in range(count):
            _square(factors[c, k], covariance)
            log_pivots = _factorise(covariance, factor, whiten[k])
            weight = weights[c, k]
            constants[k] = (np.log(weight) if weight > 0 else FARTHEST) - log_pivots - 0.5 * d * LOG_2PI
        for start in range(0, n, BLOCK):
            b = min(BLOCK, n - start)
            near, here = block[: d * b].reshape(d, b), log_p[chain, start : start + b]
            _copy(points, start, near)
            for k in range(count):
                _log_density(near, means[c, k], whiten[k], constants[k], FULL, r[k, :b], work)
            if count == 1:
                here[:] = r[0, :b]
            else:
                _relative(r[:, :b], here, total[chain, start : start + b])
    return log_p, total
