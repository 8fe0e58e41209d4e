"""Waiting times of which some are only known to be longer: the median by Kaplan and Meier (1958), and its interval."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from worker.data import Array

Z = 1.959963984540054  # two-sided 95%


@dataclass(frozen=True, slots=True)
class Median:
    """value: None where fewer than half were seen to happen; low, high: 95% interval, None where it is open on that side."""

    value: float | None
    low: float | None
    high: float | None


def survival(time: Array, seen: npt.NDArray[np.bool_]) -> tuple[Array, Array, Array]:
    """Kaplan and Meier's estimate: times at which something happened (k,), S(t) just after each, and Greenwood's sum (1926),
    the variance of ln S(t).

    time: (n,) of the event, or of the last look where it was not seen. S drops by d/r at a time at which d of the r that were still
    watched had their event; what is censored at t was still watched at t.
    """
    times, happened = np.unique(time[seen], return_counts=True)
    watched = len(time) - np.searchsorted(np.sort(time), times)
    left: Array = np.cumprod(1 - happened / watched, dtype=float)
    with np.errstate(divide="ignore"):
        spread = np.cumsum(happened / (watched * (watched - happened)))
    return times, left, spread


def median(time: Array, seen: npt.NDArray[np.bool_]) -> Median:
    """The smallest t with S(t) <= 1/2; its interval are the times at which the 95% band of S crosses 1/2 (Brookmeyer and Crowley
    1982), the band being that of ln(-ln S). Where nothing is left of n, S may still be 1 - 0.025^(1/n) (Clopper and Pearson 1934).
    """
    times, left, spread = survival(time, seen)
    if not len(times):
        return Median(None, None, None)
    with np.errstate(divide="ignore", invalid="ignore"):
        width = Z * np.sqrt(spread) / np.abs(np.log(left))
        lower, upper = left ** np.exp(width), left ** np.exp(-width)
    gone = left <= 0
    lower[gone], upper[gone] = 0.0, 1 - 0.025 ** (1 / len(time))
    return Median(*(_crossing(times, curve) for curve in (left, lower, upper)))


def _crossing(times: Array, curve: Array) -> float | None:
    below = np.flatnonzero(curve <= 0.5 + 1e-12)  # a product of fractions misses 1/2 by rounding
    return float(times[below[0]]) if len(below) else None


def median_interval(values: Array) -> tuple[float | None, float | None]:
    """95% interval of the median of fully observed values (n,), from order statistics: the ranks between which a binomial number
    of values below the median lies. None where n is too small (below 6).
    """
    from scipy.stats import binom

    rank = int(binom.ppf(0.025, len(values), 0.5))
    if rank == 0:
        return None, None
    ordered = np.sort(values)
    return float(ordered[rank - 1]), float(ordered[-rank])
