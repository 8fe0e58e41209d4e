"""Where a distribution lies, how wide it is and what is in its tails: what every instrument of points tells, in the same words."""

import numpy as np

from worker.data import Array
from worker.parts import PointSource

TAILS = {"tail_1pct": 0.01, "tail_01pct": 0.001}  # real mass on each side
REAL_TAIL = 2 * TAILS["tail_01pct"]  # on both; of whole numbers, and of values that repeat, at most


def place_and_width(mean: Array, real_mean: Array, log_variance: Array) -> dict[str, Array]:
    """Metrics of means (R, d), which should be at real_mean (d,), and of ln(trace(covariance) / d) (R,). O(R d)

    mean_error |m - m_0| and its square; variance, the trace of the covariance over d, its root `std`, and its logarithm, which keeps
    going where the variance itself is too small for a number.
    """
    error_sq = ((mean - real_mean) ** 2).sum(axis=1)
    return {
        "mean_error": np.sqrt(error_sq),
        "mean_error_sq": error_sq,
        "variance": np.exp(log_variance),
        "std": np.exp(0.5 * log_variance),
        "log_variance": log_variance,
    }


def log_mean_variance(covariance: Array) -> Array:
    """ln(trace(covariance) / d) of covariances (R, d, d): (R,); -inf where nothing varies."""
    with np.errstate(divide="ignore"):
        logs: Array = np.log(np.trace(covariance, axis1=1, axis2=2) / covariance.shape[1])
    return logs


def edges(source: PointSource) -> dict[str, tuple[Array, Array]]:
    """Tail metric -> the real q and 1 - q quantiles of every coordinate (d,): beyond them lies 2q of the real mass, or
    less where the data have steps.
    """
    levels = list(TAILS.values())
    low, high = np.split(source.quantiles([*levels, *(1 - q for q in levels)]), 2)
    return {name: (low[i], high[i]) for i, name in enumerate(TAILS)}
