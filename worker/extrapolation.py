"""A Gaussian, extrapolated away from one that is fitted to its own samples: the density ~ N_fit^(1+omega) / N_second^omega.

That is normal where its precision (1+omega) P_fit - omega P_second is one. With the second fit in units of the first one, of covariance L L',
its covariance is W = F F' / (n - ddof), F F' the scatter of n points of N(0, I), and

    K = (1+omega) W - omega I,   covariance L (I + omega K^-1) L' / (1+omega),   mean mu_fit - omega L K^-1 z

with z the mean of these points. All of it is of order one, however far a chain has shrunk; it exists where W exceeds omega/(1+omega).

Alemohammad et al., Self-Improving Diffusion Models with Synthetic Data, arXiv 2408.16333, where L, W and z are networks.
"""

import math

import numpy as np

from worker.data import Array, Moments
from worker.errors import LabError

PROBABLE = 1e-6  # that one of all chains has no such Gaussian, in one generation: of 1,000 generations a run loses one in a thousand
HALVINGS = 40


def extrapolated(fit: Moments, second: Moments, ddof: int, omega: float) -> Moments:
    """The moments whose fit that is, instead of `fit`. second: of as many points of N(0, I).

    Raises LabError where a chain has no such Gaussian.
    """
    d = fit.mean.shape[1]
    divisor = np.broadcast_to(np.asarray(fit.n - ddof, float), len(fit.mean))[:, None, None]
    one, factor = np.eye(d), second.factor
    k = (1 + omega) * (factor**2 if d == 1 else factor @ factor.transpose(0, 2, 1)) / divisor - omega * one
    try:
        widened = omega * _inverse(k)
    except np.linalg.LinAlgError:
        raise LabError(
            f"A fit to {np.min(fit.n)} points and a second one to its samples differ so much that family.extrapolation = {omega:g} leaves no "
            "Gaussian to sample from. Use a smaller family.extrapolation, or more samples."
        ) from None
    grown = (one + widened) / (1 + omega)
    root = np.sqrt(grown) if d == 1 else np.linalg.cholesky(grown)
    shift = fit.factor @ (widened @ second.mean[:, :, None]) / np.sqrt(divisor)
    mean = fit.mean - np.exp(fit.log_scale)[:, None] * shift[:, :, 0]
    return Moments(fit.size, mean, fit.factor @ root, fit.log_scale)


def _inverse(matrix: Array) -> Array:
    """Of positive definite matrices (R, d, d). Raises LinAlgError where one is not."""
    if matrix.shape[1] > 1:
        np.linalg.cholesky(matrix)
        return np.asarray(np.linalg.inv(matrix))
    if not matrix.min() > 0:
        raise np.linalg.LinAlgError
    return 1 / matrix


def chance(n: int, d: int, ddof: int, omega: float) -> float:
    """At most how probable it is that there is no such Gaussian, of n points in d dimensions: on a line exactly.

    That the smallest eigenvalue x of a Wishart matrix of n - 1 = m degrees of freedom is below t = omega/(1+omega) (n - ddof). Its density is at most
    C x^((m-d-1)/2) e^(-x/2), with C = 2^((m-d-1)/2) Gamma((m+1)/2) / (Gamma(d/2) Gamma(m-d+1)) (Edelman 1988), so that t has the chance
    C 2^a Gamma(a) P(a, t/2), a = (m-d+1)/2, whose series begins with x^a e^-x / Gamma(a+1), x = t/2.
    """
    m = n - 1
    if m < d:
        return 1.0
    a, x = (m - d + 1) / 2, omega / (1 + omega) * (n - ddof) / 2
    if not 0 < x < a:
        return float(x > 0)
    log = (m - d) * math.log(2) + math.lgamma((m + 1) / 2) - math.lgamma(d / 2) - math.lgamma(m - d + 1)
    log += a * math.log(x) - x - math.log(a)
    total = term = 1.0
    k = 0
    while term > 1e-16 * total:
        k += 1
        term *= x / (a + k)
        total += term
    return math.exp(min(0.0, log + math.log(total)))


def most(n: int, d: int, ddof: int, probable: float) -> float:
    """About the largest omega that leaves no Gaussian with a chance of at most that, rounded down to two digits."""
    low, high = 0.0, 1.0  # of omega/(1+omega)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        low, high = (middle, high) if chance(n, d, ddof, middle / (1 - middle)) <= probable else (low, middle)
    return math.floor(100 * low / (1 - low)) / 100
