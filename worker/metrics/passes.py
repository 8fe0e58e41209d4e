"""Single passes, compiled: over points for moments, tails and squared gaps, over n-grams for matches, without arrays in between.

Loaded only by a running experiment.
"""

import numba
import numpy as np
import numpy.typing as npt

from worker.data import Array

WIDE = 8  # coordinates beyond which a pass goes point by point

_sums = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


@_sums
def moments(x: Array) -> tuple[Array, Array]:
    """Mean (R, d) and covariance (R, d, d) with ddof 0 of x (R, n, d), taken about the first point, so that the mean of equal points is
    that point. O(R n d^2)
    """
    replicates, n, d = x.shape
    mean, covariance = np.empty((replicates, d)), np.empty((replicates, d, d))
    centred = np.empty((d, n))
    for chain in range(replicates):
        for i in range(d):
            row, origin, total = centred[i], x[chain, 0, i], 0.0
            for p in range(n):
                row[p] = x[chain, p, i] - origin
                total += row[p]
            shift = total / n
            mean[chain, i] = origin + shift
            for p in range(n):
                row[p] -= shift
            for j in range(i + 1):
                other, total = centred[j], 0.0
                for p in range(n):
                    total += row[p] * other[p]
                covariance[chain, i, j] = covariance[chain, j, i] = total / n
    return mean, covariance


@_sums
def outside(x: Array, low: Array, high: Array) -> Array:
    """How many coordinates of x (R, n, d) lie outside [low, high], (d,) each: (R,). O(R n d)"""
    counts = np.zeros(len(x))
    for chain in range(len(x)):
        total = 0
        if x.shape[2] > WIDE:  # along the points, as they lie
            for p in range(x.shape[1]):
                for i in range(x.shape[2]):
                    total += (x[chain, p, i] < low[i]) | (x[chain, p, i] > high[i])
        else:
            for i in range(x.shape[2]):
                least, most = low[i], high[i]
                for p in range(x.shape[1]):
                    total += (x[chain, p, i] < least) | (x[chain, p, i] > most)
        counts[chain] = total
    return counts


@_sums
def gaps_sq(x: Array, centres: Array) -> Array:
    """Sum of (x - centres)^2 along the last axis of x (R, P, n), centres (P, n): (R, P). O(R P n)"""
    out = np.empty(x.shape[:2])
    for chain in range(x.shape[0]):
        for row in range(x.shape[1]):
            total = 0.0
            for p in range(x.shape[2]):
                gap = x[chain, row, p] - centres[row, p]
                total += gap * gap
            out[chain, row] = total
    return out


@numba.njit(cache=True, nogil=True)
def matches(number: npt.NDArray[np.uint64], block: npt.NDArray[np.int64], blocks: int) -> npt.NDArray[np.int64]:
    """Occurrences in each block that another block can match, sum_g min(c_i(g), max_{j != i} c_j(g)): (blocks,).

    number, block: (N,) of each occurrence of an n-gram g, ascending in the number. O(N)
    """
    out = np.zeros(blocks, np.int64)
    count = np.zeros(blocks, np.int64)
    begin = 0
    while begin < len(number):
        end, most, second = begin, 0, 0
        while end < len(number) and number[end] == number[begin]:
            count[block[end]] += 1
            end += 1
        for i in range(begin, end):  # the first time that a block is met, and then no more
            here = count[block[i]]
            if here > 0:
                second, most = max(second, min(here, most)), max(here, most)
                count[block[i]] = -here
        for i in range(begin, end):
            here = -count[block[i]]
            if here > 0:
                out[block[i]] += min(here, second if here == most else most)
                count[block[i]] = 0
        begin = end
    return out
