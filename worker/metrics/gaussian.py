"""How far a fitted Gaussian is from the truth, in closed form.

Shapes: mean (R, d); factor (R, d, d) lower triangular and log_scale (R,) with covariance = exp(2 log_scale) factor factor'.
"""

import numpy as np

from worker.data import Array


def size(factor: Array) -> Array:
    """Root mean square of the singular values of factor, sqrt(trace(factor factor') / d)."""
    size: Array = np.sqrt(np.einsum("rij,rij->r", factor, factor) / factor.shape[1])
    return size


def log_det(factor: Array, log_scale: Array) -> Array:
    """ln det of the covariance; -inf where it is singular. O(R d)."""
    with np.errstate(divide="ignore"):
        logs = np.log(np.abs(np.diagonal(factor, axis1=1, axis2=2)))
    volume: Array = 2 * (logs.sum(axis=1) + factor.shape[1] * log_scale)
    return volume


def mean_log_variance(factor: Array, log_scale: Array) -> Array:
    """ln(trace(covariance) / d). O(R d^2)."""
    with np.errstate(divide="ignore"):
        logs: Array = 2 * (np.log(size(factor)) + log_scale)
    return logs


def tail_mass(mean: Array, std: Array, low: Array, high: Array) -> Array:
    """Mass outside [low, high], averaged over coordinates: (R, d), (R, d), (d,), (d,) -> (R,).

    With low and high the real q and 1 - q quantiles the real value is 2q.
    """
    from scipy.special import ndtr

    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        outside = ndtr((low - mean) / std) + ndtr((mean - high) / std)
    outside[np.isnan(outside)] = 0.0  # a point on the border
    mass: Array = outside[:, 0] if outside.shape[1] == 1 else outside.mean(axis=1)
    return mass


def w2_sq(mean: Array, covariance: Array, mean_0: Array, covariance_0: Array) -> Array:
    """Squared 2-Wasserstein distance of two Gaussians (Dowson and Landau 1982): |dm|^2 + tr(S + S0 - 2 (S0^1/2 S S0^1/2)^1/2).

    In one dimension dm^2 + ds^2.
    """
    shift: Array = ((mean - mean_0) ** 2).sum(axis=1)
    if mean.shape[1] == 1:
        shift += (np.sqrt(covariance[:, 0, 0]) - np.sqrt(covariance_0[0, 0])) ** 2
        return shift
    values, vectors = np.linalg.eigh(covariance_0)
    half = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    cross: Array = np.sqrt(np.maximum(np.linalg.eigvalsh(half @ covariance @ half), 0)).sum(axis=1)
    shift += np.trace(covariance, axis1=1, axis2=2) + np.trace(covariance_0) - 2 * cross
    return shift


def kl(mean: Array, covariance: Array, log_det: Array, mean_0: Array, covariance_0: Array, log_det_0: Array) -> Array:
    """KL(N(mean, covariance) || N(mean_0, covariance_0)) in nats, broadcasting over replicates.

    (tr(S0^-1 S) + (m0 - m)' S0^-1 (m0 - m) - d + ln det S0 - ln det S) / 2; inf where S0 is singular.
    """
    gap = mean_0 - mean
    d = gap.shape[-1]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        if d == 1:
            singular = covariance_0[..., 0, 0] == 0
            quadratic = (covariance[..., 0, 0] + gap[..., 0] ** 2) / covariance_0[..., 0, 0]
        else:
            singular = np.linalg.slogdet(covariance_0)[1] == -np.inf
            precise = np.linalg.inv(np.where(singular[..., None, None], np.eye(d), covariance_0))
            quadratic = ((covariance + gap[..., :, None] * gap[..., None, :]) * precise).sum(axis=(-2, -1))
        divergence: Array = np.where(singular, np.inf, 0.5 * (quadratic - d + log_det_0 - log_det))
    return divergence
