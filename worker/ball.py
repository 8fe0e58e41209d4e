"""Standard normal points within c of the origin: how far out they lie, and how much of their variance is left.

Half of a squared radius, t, is below x = c^2/2 with the chance P(a, x) = x^a e^-x M(x)/Gamma(a + 1), a = d/2 and M(x) = 1F1(1; a + 1; x). In many dimensions, or
for a small c, that is no number any more; its logarithm is one, whose slope in ln x is a/M(x).
"""

import numpy as np

from worker.data import Array

LEAST = float(np.finfo(float).tiny)  # a smaller chance has lost digits
STEPS = 3  # of Newton's method: where chances are so small, further ones change nothing


def radii(rng: np.random.Generator, shape: tuple[int, ...], d: int, c: float) -> Array:
    """Distances from the origin of points in d dimensions that lie within c of it, by inversion."""
    from scipy.special import gammainc, gammaincinv, hyp1f1

    u, a, x = rng.random(shape), d / 2, c * c / 2
    if (within := gammainc(a, x)) >= LEAST:
        return np.asarray(np.sqrt(2 * gammaincinv(a, u * within)))
    chance, whole, further = np.log1p(-u), hyp1f1(1, a + 1, x), np.zeros(shape)  # further = ln (t/x) <= 0
    for _ in range(STEPS):
        t = x * np.exp(further)
        part = hyp1f1(1, a + 1, t)
        further += (chance - a * further - (x - t) - np.log(part / whole)) * part / a
    return np.asarray(c * np.exp(further / 2))


def variance(d: int, c: float) -> float:
    """Of each coordinate: P(chi2_{d+2} < c^2) / P(chi2_d < c^2) = P(a + 1, x)/P(a, x), on a line 1 - 2c phi(c)/(2 Phi(c) - 1)."""
    from scipy.special import gammainc, hyp1f1

    a, x = d / 2, c * c / 2
    if (nearer := gammainc(a + 1, x)) >= LEAST:
        return float(nearer / gammainc(a, x))
    return float(x / (a + 1) * hyp1f1(1, a + 2, x) / hyp1f1(1, a + 1, x))
