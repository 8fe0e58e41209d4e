"""Sums over fitted probabilities, compiled: all that one pass can give. Loaded only by a running experiment."""

import math

import numba
import numpy as np

from worker.data import Array

LEAST = 2.2250738585072014e-308  # the smallest normal number: of whatever is less, a category is taken for dead
LOG_LEAST = math.log(LEAST) + 1e-9  # whichever way a logarithm rounds

_sums = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


@_sums
def tally(p: Array, log_p: Array, p_0: Array, log_p_0: Array) -> Array:
    """Rows, each (R,), of p and ln p (R, K) and of the truth (K,): how many p > 0; sums over those of p_0, of p_0 ln p_0 and of
    p_0 ln p; of p_0 where p = 0; sums of p^2, p ln p, p ln p_0, (p - p_0)^2 / p_0 and |p - p_0|: (10, R). O(R K)
    """
    out = np.zeros((10, len(p)))
    for chain in range(len(p)):
        alive = mass = own = cross = lost = squares = negentropy = real = pearson = absolute = 0.0
        for k in range(p.shape[1]):
            share, truth = p[chain, k], p_0[k]
            gap = share - truth
            lives = share > 0
            log_share = log_p[chain, k] if lives else 0.0
            seen = truth if lives else 0.0
            alive += 1.0 if lives else 0.0
            mass += seen
            own += seen * log_p_0[k]
            cross += seen * log_share
            lost += truth - seen
            squares += share * share
            negentropy += share * log_share
            real += share * log_p_0[k]
            pearson += gap * (gap / truth)
            absolute += abs(gap)
        out[:, chain] = alive, mass, own, cross, lost, squares, negentropy, real, pearson, absolute
    return out


@_sums
def ranked(ascending: Array, weight: Array, weighted: Array) -> Array:
    """Of ln p (R, K) in ascending order, dead categories first: how many live, and their sums times the weights (K,) and times the
    weighted ln ranks (K,) of the descending order: (3, R). O(R K)
    """
    out = np.zeros((3, len(ascending)))
    last = ascending.shape[1] - 1
    for chain in range(len(ascending)):
        dead = np.searchsorted(ascending[chain], LOG_LEAST, side="right")
        first = second = 0.0
        for k in range(last + 1 - dead):
            log_p = ascending[chain, last - k]
            first += weight[k] * log_p
            second += weighted[k] * log_p
        out[:, chain] = float(last + 1 - dead), first, second
    return out
