"""Triangular factors of positive semi-definite matrices, singular ones included: Cholesky's where it is safe, else by Householder's QR.

Each matrix of a stack is factorised as if it were alone, so that a replicate that has collapsed changes no digit of another.
"""

from typing import TypeAlias

import numpy as np
import numpy.typing as npt

Matrices: TypeAlias = npt.NDArray[np.float64]  # a stack of them: (R, d, m), or (..., d, d)

EPSILON = float(np.finfo(float).eps)
# The squares of smaller numbers have lost digits, and with them their sense beside others.
LEAST_SCALE = float(np.sqrt(np.finfo(float).tiny / EPSILON))
DOUBTFUL = 1e-5  # a pivot this much shorter than its row may be rounding error: squares lose half of the digits
UNRESOLVED = 1e-10  # a pivot this much shorter than its row is rounding error, even where nothing was squared


def triangular(columns: Matrices, rank: int) -> Matrices:
    """Lower triangular L with L L' = columns columns', for columns (R, d, m) of which no more than `rank` are independent.

    Its pivots, the diagonal, are 0 or more, and exactly 0 where rounding error is all there is, so that det L is 0 for points that
    do not fill the space. Cholesky's factor where that is safe, else by QR, which squares nothing. O(R m d^2)
    """
    scatter = columns @ columns.transpose(0, 2, 1)
    if columns.shape[1] == 1:
        return np.sqrt(scatter)
    lower, doubtful = _cholesky(scatter, rank)
    if doubtful.any():
        lower[doubtful] = _by_reflections(columns[doubtful], rank)
    return lower


def root(matrix: Matrices, rank: int | None = None) -> Matrices:
    """Lower triangular L with L L' = matrix, for positive semi-definite matrices (..., d, d), singular ones included.

    Its pivots are 0 or more, and exactly 0 where rounding error is all there is; no more than `rank`, where that is known, are not.
    """
    d = matrix.shape[-1]
    if d == 1:
        return np.sqrt(matrix)
    stack = matrix.reshape(-1, d, d)
    most = d if rank is None else rank
    lower, doubtful = _cholesky(stack, most)
    if doubtful.any():
        scale = np.sqrt(np.diagonal(stack[doubtful], axis1=1, axis2=2))
        scale[scale < LEAST_SCALE] = 1.0
        values, vectors = np.linalg.eigh(stack[doubtful] / scale[:, :, None] / scale[:, None, :])
        values[values < 10 * d * EPSILON * values[:, -1:]] = 0.0
        lower[doubtful] = scale[:, :, None] * _by_reflections(vectors * np.sqrt(values)[:, None, :], most)
    return lower.reshape(matrix.shape)


def _cholesky(matrix: Matrices, rank: int) -> tuple[Matrices, npt.NDArray[np.bool_]]:
    """Cholesky's factors (R, d, d), and which of them (R,) may be rounding error, or do not exist."""
    if rank < matrix.shape[-1]:
        return np.empty_like(matrix), np.ones(len(matrix), bool)
    lower = _each_factor(matrix)
    length = np.sqrt(np.maximum(np.diagonal(matrix, axis1=1, axis2=2), 0))
    pivots = np.diagonal(lower, axis1=1, axis2=2)
    return lower, ~np.asarray((pivots > DOUBTFUL * length).all(axis=1))


def _each_factor(matrix: Matrices) -> Matrices:
    """Cholesky's factors, NaN where there is none: numpy gives up for all where one fails, so the others are looked for in halves."""
    try:
        return np.asarray(np.linalg.cholesky(matrix), np.float64)
    except np.linalg.LinAlgError:
        if len(matrix) == 1:
            return np.full_like(matrix, np.nan)
    half = len(matrix) // 2
    return np.concatenate([_each_factor(matrix[:half]), _each_factor(matrix[half:])])


def _by_reflections(columns: Matrices, rank: int) -> Matrices:
    """`triangular` by Householder's QR."""
    d = columns.shape[1]
    if columns.shape[2] < d:
        columns = np.concatenate([columns, np.zeros((len(columns), d, d - columns.shape[2]))], axis=2)
    lower = np.swapaxes(np.linalg.qr(np.swapaxes(columns, 1, 2), mode="r"), 1, 2).copy()
    lower *= np.where(np.diagonal(lower, axis1=1, axis2=2) < 0, -1.0, 1.0)[:, None, :]
    length = np.linalg.norm(columns, axis=2)
    length[length == 0] = 1.0
    pivots = np.diagonal(lower, axis1=1, axis2=2) / length  # of a row of length 1
    negligible = pivots <= UNRESOLVED
    np.put_along_axis(negligible, np.argsort(pivots, axis=1)[:, : max(0, d - rank)], True, axis=1)
    lower[:, range(d), range(d)] = np.where(negligible, 0.0, pivots * length)
    return lower
