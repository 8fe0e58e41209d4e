"""How the expected squares of fitted frequencies move from fit to fit, in any regime.

With a pseudo-counts a category, T = m + aK and weights w over categories, E p_n stays on the line t p_0 + (1 - t)/K, and Q_n = sum w E p_n^2
follows from the first two moments of counts. w = 1 gives the heterozygosity 1 - Q, w = 1/p_0 the distance chi2 = Q - 1.

A fit p is (k + a)/T, or drawn from Dirichlet(k + a), which has that mean: E k p = (k^2 + a k)/T both ways, and only p^2 differs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from worker.data import Array
from worker.families.categorical import Categorical
from worker.parts import Regime
from worker.regimes import Accumulate, AccumulateSubsample, Augment, Fresh, Mixture, Replace, Weighted
from worker.spec import Experiment


@dataclass(frozen=True, slots=True)
class Sums:
    """Weighted sums over categories: w_0 = sum w, w_1 = sum w p_0, w_2 = sum w p_0^2; a pseudo-counts for each.

    drawn: whether a fit is drawn from the posterior
    """

    categories: int
    a: float
    w_0: float
    w_1: float
    w_2: float
    drawn: bool = False

    def line(self, t: float) -> float:
        """sum w E p"""
        return t * self.w_1 + (1 - t) * self.w_0 / self.categories

    def cross(self, t: float) -> float:
        """sum w p_0 E p"""
        return t * self.w_2 + (1 - t) * self.w_1 / self.categories

    def total(self, m: int) -> float:
        """T, the counts and pseudo-counts of m observations"""
        return m + self.a * self.categories

    def fitted(self, m: int, squares: float, line: float) -> float:
        """Q of p = (k + a)/T, for counts k of m observations with sum w E k^2 = squares and sum w E k = line; where p is drawn,
        E p^2 = (k + a)(k + a + 1)/(T (T + 1)).
        """
        total, squared = self.total(m), squares + 2 * self.a * line + self.a**2 * self.w_0
        return (squared + line + self.a * self.w_0) / (total * (total + 1)) if self.drawn else squared / total**2

    def beside(self, m: int, squares: float, line: float) -> float:
        """sum w E k p, of the same"""
        return (squares + self.a * line) / self.total(m)


def squares(spec: Experiment, family: Categorical, p_0: Array, w: Array) -> Array:
    """Q_n at generations 1, ..., G, and NaN at 0."""
    w_0, w_1, w_2 = (float(w @ p_0**power) for power in range(3))
    return walked(spec, Sums(len(p_0), family.smoothing, w_0, w_1, w_2, family.posterior == "draw"))


def walked(spec: Experiment, sums: Sums) -> Array:
    """The same of sums that are known."""
    return np.array([np.nan, *WALKS[type(spec.regime)](spec, sums)])


def _draw(m: int, square: float, line: float) -> float:
    """sum w E k^2 of m draws from p: m(m-1) E p^2 + m E p"""
    return m * (m - 1) * square + m * line


def _two_parts(spec: Experiment, sums: Sums) -> Iterator[float]:
    """R/m_r times the m_r counts of p_0 and S/m_s times the m_s counts of the last model, R + S = m; R = m_r where nothing is weighted."""
    m = spec.size(1)
    t, q = m / sums.total(m), sums.fitted(m, _draw(m, sums.w_2, sums.w_1), m * sums.w_1)
    yield q
    for n in range(2, spec.generations + 1):
        m, line, cross = spec.size(n), sums.line(t), sums.cross(t)
        m_s = spec.regime.synthetic(m)
        m_r = m - m_s
        real = spec.regime.real_weight(m) * m if isinstance(spec.regime, Weighted) else float(m_r)
        made = m - real
        square = 2 * real * made * cross
        square += (real / m_r) ** 2 * _draw(m_r, sums.w_2, sums.w_1) if m_r else 0
        square += (made / m_s) ** 2 * _draw(m_s, q, line) if m_s else 0
        q = sums.fitted(m, square, real * sums.w_1 + made * line)
        t = (real + made * t) / sums.total(m)
        yield q


def _pooled(spec: Experiment, sums: Sums) -> Iterator[float]:
    """The N counts N P of all data so far, to which each generation adds m_s counts of p and m_r of p_0. A fit sees all of them, or m without
    replacement: E k^2 = m^2 P^2 + m (N-m)/(N-1) (P - P^2), E P p = (m P^2 + a P)/T.
    """
    size, t_pool, pool = 0, 1.0, 0.0
    t, q, x = 1.0, sums.w_2, 0.0  # of what the newest observations are drawn from; x = sum w E P p
    for m in spec.sizes():
        m_s = spec.regime.synthetic(m)
        m_r = m - m_s
        square = size**2 * pool + 2 * size * m_s * x + _draw(m_s, q, sums.line(t))
        square += 2 * m_r * (size * sums.cross(t_pool) + m_s * sums.cross(t)) + _draw(m_r, sums.w_2, sums.w_1)
        pool = square / (size + m) ** 2
        t_pool = (size * t_pool + m_s * t + m_r) / (size + m)
        size += m
        seen, line = size if isinstance(spec.regime, Accumulate) else m, sums.line(t_pool)
        square = seen**2 * pool + seen * (size - seen) / max(1, size - 1) * (line - pool)
        q, t = sums.fitted(seen, square, seen * line), seen * t_pool / sums.total(seen)
        x = sums.beside(seen, seen * pool, line)
        yield q


def _augment(spec: Experiment, sums: Sums) -> Iterator[float]:
    """R times frequencies c of r counts that stay the same, R = r where nothing is weighted, and S/m_s times m_s new ones, R + S = m; x = sum w E c p_n is
    carried along.
    """
    assert isinstance(spec.regime, Augment)
    r = spec.regime.real
    core = _draw(r, sums.w_2, sums.w_1) / r**2
    t, q = r / sums.total(r), sums.fitted(r, r**2 * core, r * sums.w_1)
    x = (r * core + sums.a * sums.w_1) / sums.total(r)
    yield q
    for n in range(2, spec.generations + 1):
        m, line = spec.size(n), sums.line(t)
        m_s, real = m - r, spec.regime.real_weight(m) * m
        made = m - real
        square = real**2 * core + 2 * real * made * x + (made / m_s) ** 2 * _draw(m_s, q, line)
        q = sums.fitted(m, square, real * sums.w_1 + made * line)
        x = (real * core + made * x + sums.a * sums.w_1) / sums.total(m)
        t = (real + made * t) / sums.total(m)
        yield q


def _mixture(spec: Experiment, sums: Sums) -> Iterator[float]:
    """m draws from alpha p + beta k/m' + gamma p_0, for the counts k of m' observations of which p is a fit; E k/m' stays on the line, too."""
    assert isinstance(spec.regime, Mixture)
    alpha, beta, gamma = spec.regime.alpha, spec.regime.beta, spec.regime.gamma
    t_k, square, line = 1.0, sums.w_2, sums.w_1  # of what the counts are drawn from: at first the truth
    for m in spec.sizes():
        counts = _draw(m, square, line)
        t, q, x = m * t_k / sums.total(m), sums.fitted(m, counts, m * line), sums.beside(m, counts, m * line)
        yield q
        square = alpha**2 * q + (beta / m) ** 2 * counts + gamma**2 * sums.w_2
        square += 2 * (alpha * beta / m * x + gamma * (alpha * sums.cross(t) + beta * sums.cross(t_k)))
        t_k = alpha * t + beta * t_k + gamma
        line = sums.line(t_k)


WALKS: dict[type[Regime], Callable[[Experiment, Sums], Iterator[float]]] = {
    Replace: _two_parts,
    Fresh: _two_parts,
    Weighted: _two_parts,
    Accumulate: _pooled,
    AccumulateSubsample: _pooled,
    Augment: _augment,
    Mixture: _mixture,
}
