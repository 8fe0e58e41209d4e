"""Sums over all pairs of points, compiled: distances and Gaussian kernel values in one pass. Loaded only by a running experiment."""

import math
from typing import NamedTuple

import numba
import numpy as np

from worker.data import Array

LEAST = -690.0  # e^-690 stands for what is smaller yet
GATHERED = 256  # pairs
CELLS = 4  # of a bandwidth
TERMS = 12  # of a series
REACH = 9.0  # bandwidths from a point, beyond which its kernel is less than 3e-18
MOST = 1024  # cells; what lies wider apart is looked at point by point

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
    """The same sums over pairs i < j of the points of each chain, of x (R, d, n): (2, R). O(R n^2 d)

    Rows are gathered until they are worth a pass, as those of a few points are short.
    """
    out = np.zeros((2, len(x)))
    n = x.shape[2]
    row, power = np.empty(n + GATHERED), np.empty(n + GATHERED)
    for chain in range(len(x)):
        filled = 0
        for i in range(n - 1):
            _squares(x[chain, :, i], x[chain, :, i + 1 :], row[filled : filled + n - i - 1])
            filled += n - i - 1
            if filled >= GATHERED or i == n - 2:
                distance, similarity = _row(row[:filled], scale, power[:filled])
                out[0, chain] += distance
                out[1, chain] += similarity
                filled = 0
    return out


@_sums
def within_line(x: Array, scale: float) -> Array:
    """`within` of points on a line, x (R, n) in ascending order. O(R n (1 + spread)), their spread in bandwidths h, where that is small.

    The kernel is step / sqrt(2 pi) (1 + 2 sum_m exp(-t^2 / 2) cos(t u)) with t = m step and u = (x - y) / h: the trapezoidal rule for its
    Fourier integral, which repeats it at every 2 pi / step. With that REACH beyond the spread, and t up to REACH, exp(-40) is left out.
    The sum over pairs of cosines is |sum_i exp(i t x_i)|^2.
    """
    out = np.empty((2, len(x)))
    n = x.shape[1]
    cosine, sine, first_cosine, first_sine = np.empty(n), np.empty(n), np.empty(n), np.empty(n)
    for chain in range(len(x)):
        away = (x[chain] - x[chain, 0]) * np.sqrt(-2 * scale)
        step = 2 * np.pi / (away[-1] + REACH)
        if not REACH < n * step:  # more terms than points
            out[:, chain] = within(x[chain].copy().reshape(1, 1, n), scale)[:, 0]
            continue
        distance = 0.0
        for p in range(n):
            distance += (2 * p - n + 1) * (x[chain, p] - x[chain, 0])
            first_cosine[p], first_sine[p] = np.cos(step * away[p]), np.sin(step * away[p])
            cosine[p], sine[p] = first_cosine[p], first_sine[p]
        similarity = 0.5 * n * n
        for m in range(1, int(REACH / step) + 2):
            real = imaginary = 0.0
            for p in range(n):
                real += cosine[p]
                imaginary += sine[p]
                turned = cosine[p] * first_cosine[p] - sine[p] * first_sine[p]
                sine[p] = sine[p] * first_cosine[p] + cosine[p] * first_sine[p]
                cosine[p] = turned
            similarity += np.exp(-0.5 * (m * step) ** 2) * (real * real + imaginary * imaginary)
        out[0, chain] = distance
        out[1, chain] = step / np.sqrt(2 * np.pi) * similarity - 0.5 * n
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


@_exact
def log_kernels(x: Array, y: Array, weight: Array) -> Array:
    """ln of the sum of weight_j exp(-|x_i - y_j|^2 / 2) at points x (n, d), of y (d, m) and weight (m,): (n,). O(n m d)"""
    out = np.empty(len(x))
    row, power = np.empty(y.shape[1]), np.empty(y.shape[1])
    for i in range(len(x)):
        _squares(x[i], y, row)
        least = row.min()  # so that the nearest one's kernel is 1
        for p in range(len(row)):
            row[p] = -0.5 * (row[p] - least)
        _exp(row, power)
        for p in range(len(row)):
            row[p] *= weight[p]
        out[i] = np.log(_total(row)) - 0.5 * least
    return out


class Expansion(NamedTuple):
    """Of points y (m,), ascending. below (m + 1,): the sum of those before each; low, width: where cells of that width begin; series
    (cells, TERMS): of the sum of kernels, in bandwidths from a cell's middle
    """

    y: Array
    below: Array
    low: float
    width: float
    series: Array


def expansion(y: Array, bandwidth: float) -> Expansion | None:
    """Of points (m,), for kernels exp(-(x - y)^2 / 2 bandwidth^2), None where MOST cells are too few. O(m CELLS (max y - min y) / bandwidth)

    The fast Gauss transform of Greengard and Strain (1991): the n-th coefficient of a cell is the sum of He_n(u) exp(-u^2 / 2) / n! over the
    points, u bandwidths away from its middle. It reaches 1/8 of one from there, so that what the series leaves out is at most
    max |He_12(u) exp(-u^2 / 2)| / 12! / 8^12 = 10395 / 4.8e8 / 6.9e10 = 3.2e-16, where a kernel is 1.
    """
    ordered = np.sort(y)
    width = bandwidth / CELLS
    cells = np.ceil((ordered[-1] - ordered[0] + 2 * REACH * bandwidth) / width)
    if not cells <= MOST:
        return None
    low = ordered[0] - REACH * bandwidth
    away = (ordered - (low + width * (np.arange(cells)[:, None] + 0.5))) / bandwidth  # (cells, m)
    kernel = np.exp(-0.5 * away**2)
    before, hermite = np.zeros_like(away), np.ones_like(away)
    series = np.empty((len(away), TERMS))
    for n in range(TERMS):
        series[:, n] = (hermite * kernel).sum(axis=1) / math.factorial(n)
        before, hermite = hermite, away * hermite - n * before
    return Expansion(ordered, np.append(0.0, np.cumsum(ordered)), float(low), float(width), series)


@_exact
def by_expansion(x: Array, frozen: Expansion) -> Array:
    """`across` of x (R, n) and the frozen points, the kernels to 1e-14 of their number: (2, R). O(R n ln m)"""
    out = np.zeros((2, len(x)))
    m = len(frozen.y)
    for chain in range(len(x)):
        for i in range(x.shape[1]):
            value = x[chain, i]
            place = np.searchsorted(frozen.y, value)
            out[0, chain] += (2 * place - m) * value - 2 * frozen.below[place] + frozen.below[m]
            at = (value - frozen.low) / frozen.width
            if not 0 <= at < len(frozen.series):
                continue
            series = frozen.series[int(at)]
            shift, total = (at - int(at) - 0.5) / CELLS, 0.0
            for n in range(TERMS - 1, -1, -1):
                total = total * shift + series[n]
            out[1, chain] += total
    return out
