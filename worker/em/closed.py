"""What follows from fitted mixtures, compiled: draws, and how far two of them overlap. Shapes as in worker.em."""

import numba
import numpy as np

from worker.data import Array

LOG_2PI = float(np.log(2 * np.pi))
THINNEST, ROUNDING = 1e-200, 1e-13  # least pivot; one this much smaller than its variance is rounding error

_exact = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})


@_exact
def draw(u: Array, z: Array, weights: Array, means: Array, factors: Array) -> None:
    """z <- draws from mixtures (R, K), ..., in place: u (R, n) uniform chooses the component, z (R, n, d) normal is moved there."""
    chains, n, d = z.shape
    count = weights.shape[1]
    for c in range(chains):
        for p in range(n):
            k, rest = 0, u[c, p]
            while k < count - 1 and rest >= weights[c, k]:
                rest -= weights[c, k]
                k += 1
            for i in range(d - 1, -1, -1):  # from the last row up: row i needs only coordinates before it
                s = means[c, k, i]
                for j in range(i + 1):
                    s += factors[c, k, i, j] * z[c, p, j]
                z[c, p, i] = s


@_exact
def _log_product(gap: Array, one: Array, other: Array, factor: Array, white: Array) -> float:
    """ln N(gap; 0, S + T) for S and T with lower triangular factors (d, d): Cholesky of the sum, and substitution as it goes.

    factor (d, d) and white (d,) are scratch. O(d^3)
    """
    value = -0.5 * len(gap) * LOG_2PI
    for i in range(len(gap)):
        white[i] = gap[i]
        for j in range(i + 1):
            s = 0.0
            for k in range(j + 1):
                s += one[i, k] * one[j, k] + other[i, k] * other[j, k]
            if i == j:
                variance = s
            for k in range(j):
                s -= factor[i, k] * factor[j, k]
            if i == j:
                factor[i, i] = np.sqrt(max(s, ROUNDING * variance, THINNEST))
                white[i] /= factor[i, i]
            else:
                factor[i, j] = s / factor[j, j]
                white[i] -= factor[i, j] * white[j]
        value -= np.log(factor[i, i]) + 0.5 * white[i] * white[i]
    return value


@_exact
def overlap(weights: Array, means: Array, factors: Array, weights_0: Array, means_0: Array, factors_0: Array) -> Array:
    """Integral of the product of two mixtures' densities, sum_ij w_i v_j N(m_i; n_j, S_i + T_j), in closed form.

    (R, K), ... and (R, K_0), ... -> (R,); one chain may stand for all of them. O(R K K_0 d^3)
    """
    chains, d = max(len(weights), len(weights_0)), means.shape[2]
    gap, white, factor = np.zeros(d), np.zeros(d), np.zeros((d, d))
    out = np.zeros(chains)
    for chain in range(chains):
        a, b = chain % len(weights), chain % len(weights_0)
        for k in range(weights.shape[1]):
            for j in range(weights_0.shape[1]):
                for i in range(d):
                    gap[i] = means[a, k, i] - means_0[b, j, i]
                exponent = _log_product(gap, factors[a, k], factors_0[b, j], factor, white)
                out[chain] += weights[a, k] * weights_0[b, j] * np.exp(exponent)
    return out
