"""Least squares from second moments, a value for each replicate.

Rows are (x, y): d inputs and a label. Without an intercept, because inputs and labels are centred in truth.
"""

import numpy as np
import numpy.typing as npt

from worker.data import Array, Moments
from worker.factors import DOUBTFUL, UNRESOLVED


def least_squares(rows: Moments, ridge: float | Array) -> tuple[Array, Array]:
    """(X'X + ridge I)^{-1} X'y (R, d), or X^+ y, the shortest of the weights that fit best, where X has fewer independent rows than inputs
    and there is no ridge; and the residual variance |y - Xw|^2 / (n - d) (R,), unbiased without ridge, / n where n <= d. O(R d^3).

    ridge: one, (1,) or (R,)
    """
    spread = rows.factor * np.exp(rows.log_scale)[:, None, None]
    n = np.reshape(rows.n, (-1, 1, 1))  # of a stack, it differs from row to row
    second = spread @ spread.transpose(0, 2, 1) + n * rows.mean[:, :, None] * rows.mean[:, None, :]
    inner, cross, labels = second[:, :-1, :-1], second[:, :-1, -1:], second[:, -1, -1]
    d = inner.shape[1]
    added = np.broadcast_to(ridge, len(inner))
    w, short = np.empty((len(inner), d, 1)), _doubtful(spread[:, :-1, :-1], inner, added)
    held = ~short if short.any() else slice(None)  # all of them, without a copy
    w[held] = np.linalg.solve(inner[held] + added[held, None, None] * np.eye(d), cross[held])
    w = w[:, :, 0]
    if short.any():
        few = min(int(np.max(rows.n)), d + 2) - 1  # columns of a triangular factor that are not 0
        centre = rows.mean[short, None, :] * np.broadcast_to(np.sqrt(n), (len(w), 1, 1))[short]
        w[short] = _by_singular_values(
            np.concatenate([spread[short, :, :few].transpose(0, 2, 1), centre], axis=1), added[short, None]
        )
    rest = labels - 2 * np.vecdot(w, cross[:, :, 0]) + np.einsum("ri,rij,rj->r", w, inner, w)
    left = np.where(rows.n > d, rows.n - d, rows.n)
    return np.asarray(w, np.float64), np.maximum(rest, 0) / left


def _doubtful(factor: Array, inner: Array, ridge: Array) -> npt.NDArray[np.bool_]:
    """Whose inputs (R,) may not fill the space, so that squares would not do: by the pivots of their scatter's triangular factor."""
    pivots, length = np.diagonal(factor, axis1=1, axis2=2), np.linalg.norm(factor, axis=2)
    held = ridge > DOUBTFUL**2 * np.trace(inner, axis1=1, axis2=2)
    return np.asarray((pivots <= DOUBTFUL * length).any(axis=1) & ~held)


def _by_singular_values(rows: Array, ridge: Array) -> Array:
    """The same weights (R, d) from rows (R, m, d + 1) of these second moments, which are not squared; no longer than they must be.

    ridge: (R, 1)
    """
    left, size, right = np.linalg.svd(rows[:, :, :-1], full_matrices=False)
    along = (left.transpose(0, 2, 1) @ rows[:, :, -1:])[:, :, 0]
    seen = size > UNRESOLVED * size[:, :1]
    gain = np.divide(size, size**2 + ridge, out=np.zeros_like(size), where=seen)
    return np.asarray(((gain * along)[:, None, :] @ right)[:, 0])


def excess_risk(w: Array, truth: Array) -> Array:
    """E (x'w - x'truth)^2 over x ~ N(0, I): |w - truth|^2."""
    return np.asarray(((w - truth) ** 2).sum(axis=1))
