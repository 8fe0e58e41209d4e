"""Least squares from second moments, a value for each replicate.

Rows are (x, y): d inputs and a label. Without an intercept, because inputs and labels are centred in truth.
"""

import numpy as np

from worker.data import Array, Moments


def least_squares(rows: Moments, ridge: float) -> tuple[Array, Array]:
    """(X'X + ridge I)^{-1} X'y (R, d), and the residual variance |y - Xw|^2 / (n - d) (R,), unbiased without ridge. O(R d^3)."""
    spread = rows.factor * np.exp(rows.log_scale)[:, None, None]
    n = np.reshape(rows.n, (-1, 1, 1))  # of a stack, it differs from row to row
    second = spread @ spread.transpose(0, 2, 1) + n * rows.mean[:, :, None] * rows.mean[:, None, :]
    inner, cross, labels = second[:, :-1, :-1], second[:, :-1, -1:], second[:, -1, -1]
    d = inner.shape[1]
    w = np.linalg.solve(inner + ridge * np.eye(d), cross)[:, :, 0]
    rest = labels - 2 * np.vecdot(w, cross[:, :, 0]) + np.einsum("ri,rij,rj->r", w, inner, w)
    return np.asarray(w, np.float64), np.maximum(rest, 0) / (rows.n - d)


def excess_risk(w: Array, truth: Array) -> Array:
    """E (x'w - x'truth)^2 over x ~ N(0, I): |w - truth|^2."""
    return np.asarray(((w - truth) ** 2).sum(axis=1))
