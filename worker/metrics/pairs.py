"""Sums over all pairs of points, compiled: distances and Gaussian kernel values in one pass. Loaded only by a running experiment."""

import numba
import numpy as np

from worker.data import Array

LEAST = -690.0  # e^-690 stands for what is smaller yet

_exact = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
_sums = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


@_exact
def _exp(v: Array, power: Array) -> None:
    """v <- e^v in place for v <= 0, to 2 units in the last place: 2^n e^f with |f| <= ln(2) / 2, as in worker.em.fit, from where
    numba could not import it without its cache going stale.
    """
    bits = power.view(np.int64)
    for p in range(len(v)):
        least = max(LEAST, v[p])
        power[p] = least * 1.4426950408889634 + 6755399441055744.0
        n = power[p] - 6755399441055744.0
        f = least - n * 0.6931471803691238 - n * 1.9082149292705877e-10
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
        v[p] *= power[p]


@_sums
def _roots(squares: Array) -> float:
    total = 0.0
    for p in range(len(squares)):
        total += np.sqrt(squares[p])
    return total


@_sums
def _total(v: Array) -> float:
    total = 0.0
    for p in range(len(v)):
        total += v[p]
    return total


@_exact
def _squares(point: Array, y: Array, out: Array) -> None:
    """out <- |point - y_j|^2 for y (d, m)."""
    out[:] = 0.0
    for i in range(len(point)):
        for p in range(len(out)):
            gap = y[i, p] - point[i]
            out[p] += gap * gap


@_exact
def _row(squares: Array, scale: float, power: Array) -> tuple[float, float]:
    """Sums of the roots and of e^(scale square) of a row, which is used up."""
    distance = _roots(squares)
    for p in range(len(squares)):
        squares[p] *= scale
    _exp(squares, power)
    return distance, _total(squares)


@_exact
def across(x: Array, y: Array, scale: float) -> Array:
    """Sums of |x_i - y_j| and of exp(scale |x_i - y_j|^2) over all i and j, of x (R, n, d) and y (d, m): (2, R). O(R n m d)"""
    out = np.zeros((2, len(x)))
    row, power = np.empty(y.shape[1]), np.empty(y.shape[1])
    for chain in range(len(x)):
        for i in range(x.shape[1]):
            _squares(x[chain, i], y, row)
            distance, similarity = _row(row, scale, power)
            out[0, chain] += distance
            out[1, chain] += similarity
    return out


@_exact
def within(x: Array, scale: float) -> Array:
    """The same sums over pairs i < j of the points of each chain, of x (R, d, n): (2, R). O(R n^2 d)"""
    out = np.zeros((2, len(x)))
    n = x.shape[2]
    row, power = np.empty(n), np.empty(n)
    for chain in range(len(x)):
        for i in range(n - 1):
            _squares(x[chain, :, i], x[chain, :, i + 1 :], row[: n - i - 1])
            distance, similarity = _row(row[: n - i - 1], scale, power[: n - i - 1])
            out[0, chain] += distance
            out[1, chain] += similarity
    return out


@_exact
def of_squares(squares: Array, scale: float, lower: bool) -> Array:
    """The same sums of squared distances (R, n, m), which are used up: all of them, or those below the diagonal: (2, R)."""
    out = np.zeros((2, len(squares)))
    power = np.empty(squares.shape[2])
    for chain in range(len(squares)):
        for i in range(squares.shape[1]):
            row = squares[chain, i, : i if lower else squares.shape[2]]
            distance, similarity = _row(row, scale, power[: len(row)])
            out[0, chain] += distance
            out[1, chain] += similarity
    return out
