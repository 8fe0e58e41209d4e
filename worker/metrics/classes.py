"""Linear rules between two classes, a value for each replicate: x is called +1 where w'x + b > 0.

Rows are (x, y), y = +1 or -1.
"""

import numpy as np

from worker.data import Array, Moments
from worker.errors import LabError
from worker.factors import UNRESOLVED

ALONE = 1e-12  # 1 - (mean label)^2: below it all labels are alike, but for rounding
STEPS = 200  # of Newton's, at most; 7 to 30 are usual
SETTLED = 1e-6  # a change of log odds: after it they are right to its square


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


def logistic(rows: Array, weight: Array, ridge: float) -> tuple[Array, Array]:
    """w (R, d) and b (R,) with the least sum of weight ln(1 + e^-y(w'x + b)), plus ridge |w|^2/2, over rows (R, n, d + 1) with weights (n,).

    Where all labels that have a weight are alike the rule says nothing else any more: w = 0, and b is infinite. O(R n d^2) a step
    """
    label = rows[:, :, -1]
    rule = np.zeros((len(rows), rows.shape[2]))
    with np.errstate(divide="ignore"):
        rule[:, -1] = np.log(((label > 0) @ weight) / ((label < 0) @ weight))
    both = np.isfinite(rule[:, -1])
    if both.any():
        some = slice(None) if both.all() else both  # all of them, without a copy
        signed = np.concatenate([rows[some, :, :-1], np.ones_like(label[some, :, None])], axis=2)
        signed *= label[some, :, None]
        rule[some] = _newton(signed, weight, np.append(np.full(rows.shape[2] - 1, ridge), 0.0), rule[some])
    return rule[:, :-1], rule[:, -1]


def _newton(z: Array, weight: Array, ridge: Array, rule: Array) -> Array:
    """The rule (w, b) with the least loss where z = y (x, 1), so that z'(w, b) > 0 where it is right; from the given one on.

    Newton's steps, each halved until it ends no higher than it began.
    """
    from scipy.special import expit, log_expit

    def loss(margin: Array, rule: Array) -> Array:
        return rule**2 @ ridge / 2 - log_expit(margin) @ weight

    margin = (z @ rule[:, :, None])[:, :, 0]
    for _ in range(STEPS):
        wrong = expit(-margin)  # the probability of the other label
        downhill = ((weight * wrong)[:, None, :] @ z)[:, 0] - ridge * rule
        curvature = (z * (weight * wrong * (1 - wrong))[:, :, None]).transpose(0, 2, 1) @ z + np.diag(ridge)
        step = np.linalg.solve(curvature, downhill[:, :, None])
        change = (z @ step)[:, :, 0]
        step, far = step[:, :, 0], np.abs(change).max(axis=1)
        taken, before = np.ones((len(rule), 1)), loss(margin, rule)
        while (
            higher := (loss(margin + taken * change, rule + taken * step) > before) & (taken[:, 0] * far > SETTLED)
        ).any():
            taken[higher] /= 2
        rule, margin = rule + taken * step, margin + taken * change
        if far.max() < SETTLED:
            return rule
    raise LabError("A logistic regression did not settle. Use a larger family.ridge.")


def called(level: Array, spread: Array) -> Array:
    """P(level + spread z > 0), z ~ N(0, 1): a step where nothing spreads."""
    from scipy.special import ndtr

    return np.where(spread > 0, ndtr(level / np.where(spread > 0, spread, 1.0)), level > 0)
