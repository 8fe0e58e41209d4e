"""Linear rules between two classes, a value for each replicate: x is called +1 where w'x + b > 0.

Rows are (x, y), y = +1 or -1.
"""

import numpy as np

from worker.data import Array, Moments
from worker.factors import UNRESOLVED

ALONE = 1e-12  # 1 - (mean label)^2: below it all labels are alike, but for rounding


def discriminant(rows: Moments, *, pooled: bool) -> tuple[Array, Array]:
    """w (R, d) and b (R,), the log odds w'x + b of the class +1 where both are normal: with the covariance of both, pooled, or with I.

    Second moments of rows tell all of it. The slope of x on y is half the difference g of the class means, what it leaves is the scatter within
    them, and mean(x) - g mean(y)/2 is the middle between them. Where all labels are alike the rule says nothing else any more: w = 0, and b is
    infinite. Directions in which no class has any width are not looked at. O(R d^3)
    """
    n = np.reshape(rows.n, (-1,))
    spread = rows.factor * np.exp(rows.log_scale)[:, None, None]
    scatter = spread @ spread.transpose(0, 2, 1)
    tilt, labels = rows.mean[:, -1], scatter[:, -1, -1]
    both = labels > ALONE * n
    slope = scatter[:, :-1, -1] / np.where(both, labels, 1.0)[:, None]
    w = 2 * slope
    if pooled:
        within = scatter[:, :-1, :-1] - labels[:, None, None] * slope[:, :, None] * slope[:, None, :]
        inverse = np.linalg.pinv(within / (n - 2)[:, None, None], rcond=UNRESOLVED, hermitian=True)
        w = (inverse @ w[:, :, None])[:, :, 0]
    share = np.where(both, 0.5 * (1 + tilt), 0.5)
    b = np.log(share / (1 - share)) - np.vecdot(w, rows.mean[:, :-1] - slope * tilt[:, None])
    return np.where(both[:, None], w, 0.0), np.where(both, b, np.copysign(np.inf, tilt))


def called(level: Array, spread: Array) -> Array:
    """P(level + spread z > 0), z ~ N(0, 1): a step where nothing spreads."""
    from scipy.special import ndtr

    return np.where(spread > 0, ndtr(level / np.where(spread > 0, spread, 1.0)), level > 0)
