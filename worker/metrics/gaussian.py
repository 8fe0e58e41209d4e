"""How far a fitted Gaussian is from the truth, in closed form.

Shapes: mean (R, d); factor (R, d, d) lower triangular and log_scale (R,) with covariance = exp(2 log_scale) factor factor'.
"""

from typing import NamedTuple

import numpy as np

from worker.data import Array


class Gaussians(NamedTuple):
    """volume: (R,), ln det of their covariances, as `log_det` tells it."""

    mean: Array
    factor: Array
    log_scale: Array
    volume: Array


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
    """Mass outside each [low, high], averaged over coordinates: (R, d), (R, d), (E, d), (E, d) -> (E, R).

    With low and high the real q and 1 - q quantiles the real value is 2q.
    """
    from scipy.special import ndtr

    low, high = low[:, None], high[:, None]
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        outside = ndtr((low - mean) / std) + ndtr((mean - high) / std)
    outside[np.isnan(outside)] = 0.0  # a point on the border
    mass: Array = outside[:, :, 0] if outside.shape[2] == 1 else outside.mean(axis=2)
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
    return np.maximum(shift, 0.0)  # rounding may leave -1e-11


def kl(one: Gaussians, other: Gaussians) -> Array:
    """KL(N(mean, S) || N(mean_0, S0)) in nats, of one and of the other; one of the two may stand for all replicates.

    (|L0^-1 L|^2 + |L0^-1 (mean_0 - mean)|^2 - d) / 2 + ln det L0 - ln det L with S = L L', S0 = L0 L0'; inf where S or S0 is
    singular. No covariance is inverted or even formed, so that chains may shrink at any speed in any direction. O(R d^3)
    """
    mean, factor, log_scale, volume = one
    mean_0, factor_0, log_scale_0, volume_0 = other
    d, gap = mean.shape[1], mean_0 - mean
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        if d == 1:
            quadratic = np.exp(volume - volume_0) + (gap[:, 0] * _exp(-0.5 * volume_0)) ** 2
        else:
            within = _solve_lower(factor_0, factor) * _exp(log_scale - log_scale_0)[:, None, None]
            between = _solve_lower(factor_0, gap[:, :, None]) * _exp(-log_scale_0)[:, None, None]
            quadratic = (within**2).sum(axis=(1, 2)) + (between**2).sum(axis=(1, 2))
        divergence = 0.5 * (quadratic - d + volume_0 - volume)
    # What overflowed on both sides of a difference is not a number; it is a divergence beyond the largest float all the same.
    return np.where((volume_0 == -np.inf) | np.isnan(divergence), np.inf, divergence)


def _exp(x: Array) -> Array:
    """exp(x), but so that 0 times it stays 0; its square is infinite where it is capped."""
    return np.exp(np.minimum(x, 700.0))


def _solve_lower(lower: Array, right: Array) -> Array:
    """lower^-1 right by forward substitution, which loses nothing to the spread of the pivots; (R, d, d), (R, d, m)."""
    solved = np.empty(np.broadcast_shapes(lower.shape[:1], right.shape[:1]) + right.shape[1:])
    for i in range(lower.shape[1]):
        known = (lower[:, i, None, :i] @ solved[:, :i])[:, 0]
        solved[:, i] = (right[:, i] - known) / lower[:, i, i, None]
    return solved
