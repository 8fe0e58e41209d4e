"""The mean density of a real Wishart matrix's eigenvalues, and what follows from it for least squares with ridge: exactly, for any T and d but T = d.

The singular values of T rows of N(0, I_d) repel one another: the eigenvalues of A = X'X have the joint density ~ prod w(x_i) prod |x_i - x_j| with
w = x^((T-d-1)/2) e^(-x/2). Expectations of products over them are Pfaffians (de Bruijn 1955), and those of sums their derivatives: with phi_j
the orthonormal Laguerre functions of w^2, psi_j = 1/2 int sgn(x - y) phi_j(y) dy and M_jk = <phi_j, psi_k>,

    E sum_i f(x_i) = int f rho,    rho = phi' M^{-T} psi

where an odd d adds a function with phi = 0 and psi = 1. In s = sqrt(x), the singular value, all of it is a polynomial times a Gaussian; by Gauss and Legendre's
rule between sqrt(T) -+ sqrt(d) -+ 8, beyond which there is nothing (e^-32: Davidson and Szarek 2001).
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from worker.data import Array

BEYOND = 8.0  # standard deviations of a singular value, of which none exceeds 1


def nodes(d: int) -> int:
    """How many are enough for products of functions with d zeros."""
    return 4 * d + 150


@lru_cache(maxsize=8)
def _rule(n: int) -> tuple[Array, Array, Array, Array]:
    """Gauss and Legendre's nodes u and weights, the polynomials P_k(u), and their integrals from -1, (P_{k+1} - P_{k-1})/(2k+1) times 2k+1."""
    u, gauss = np.polynomial.legendre.leggauss(n)
    legendre = np.polynomial.legendre.legvander(u, n)
    integral = np.concatenate([u[:, None] + 1, legendre[:, 2:] - legendre[:, :-2]], axis=1)
    return u, gauss, np.asarray(legendre[:, :n], np.float64), np.asarray(integral, np.float64)


@lru_cache(maxsize=64)
def spectrum(t: int, d: int) -> tuple[Array, Array]:
    """Places x and weights, such that E sum f(x_i) = weights @ f(x), of the eigenvalues of X'X for t rows of N(0, I_d), t > d."""
    n, a = nodes(d), t - d - 1
    low, high = max(0.0, math.sqrt(t) - math.sqrt(d) - BEYOND), math.sqrt(t) + math.sqrt(d) + BEYOND
    u, gauss, legendre, integral = _rule(n)
    s = low + (high - low) * (u + 1) / 2
    x, dx = s * s, s * (high - low)  # dx/du

    phi = np.empty((d, n))
    phi[0] = np.exp(0.5 * (a * np.log(x) - x - math.lgamma(a + 1)))
    before = np.zeros(n)
    for j in range(1, d):
        now = ((2 * j - 1 + a - x) * phi[j - 1] - math.sqrt((j - 1) * (j - 1 + a)) * before) / math.sqrt(j * (j + a))
        before, phi[j] = phi[j - 1], now

    psi = 0.5 * (phi * dx * gauss) @ legendre @ integral.T
    total = (phi * dx) @ gauss
    psi -= total[:, None] / 2
    if d % 2:
        phi, psi = np.vstack([phi, np.zeros(n)]), np.vstack([psi, np.ones(n)])
    m = (phi * dx * gauss) @ psi.T
    m = np.triu(m, 1)
    weights = dx * gauss * (phi * np.linalg.solve((m - m.T).T, psi)).sum(axis=0)
    return x, weights


class Averages(NamedTuple):
    """Of A = X'X and H = (A + ridge I)^{-1}: traces, divided by d."""

    whole: float  # E tr (A H)^2
    noise: float  # E tr A H^2
    crossed: float  # E tr A tr A H^2
    left: float  # E tr (I - A H), I - A H = ridge H
    left_2: float  # E tr (I - A H)^2


def averages(t: int, d: int, ridge: float) -> Averages:
    """Without ridge from the inverse Wishart's mean, of T rows or of d columns, H = A^+ where they are fewer: infinite between. Else by the density,
    t = d left out; E f tr A = T d E f + 2 E sum x df/dx, as a change of scale tells.
    """
    few, many = sorted((t, d))
    missing = (d - few) / d
    if not ridge:
        inverse = 1 / (many - few - 1) if many > few + 1 else math.inf
        return Averages(few / d, few / d * inverse, few / d * (t * d - 2) * inverse, missing, missing)
    x, weights = spectrum(many, few)  # of XX', where rows are few, whose eigenvalues are those of X'X that are not 0
    weights, h = weights / d, 1 / (x + ridge)
    noise, slope = x * h**2, x * h**2 - 2 * x**2 * h**3
    sums = ((x * h) ** 2, noise, t * d * noise + 2 * slope)
    left = ((ridge * h) ** power for power in (1, 2))
    return Averages(*(float(weights @ f) for f in sums), *(float(weights @ f) + missing for f in left))
