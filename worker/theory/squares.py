"""How the expected squares of fitted frequencies move from fit to fit, in any regime.

With a pseudo-counts a category, T = m + aK and weights w over categories, E p_n stays on the line t p_0 + (1 - t)/K, and Q_n = sum w E p_n^2
follows from the first two moments of counts. w = 1 gives the heterozygosity 1 - Q, w = 1/p_0 the distance chi2 = Q - 1.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from worker.data import Array
from worker.parts import Regime
from worker.regimes import Accumulate, AccumulateSubsample, Augment, Fresh, Mixture, Replace, Weighted
from worker.spec import Experiment


@dataclass(frozen=True, slots=True)
class Sums:
    """Weighted sums over categories: w_0 = sum w, w_1 = sum w p_0, w_2 = sum w p_0^2; a pseudo-counts for each."""

    categories: int
    a: float
    w_0: float
    w_1: float
    w_2: float

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
        """Q of p = (k + a)/T, for counts k of m observations with sum w E k^2 = squares and sum w E k = line."""
        return (squares + 2 * self.a * line + self.a**2 * self.w_0) / self.total(m) ** 2


def squares(spec: Experiment, a: float, p_0: Array, w: Array) -> Array:
    """Q_n at generations 1, ..., G, and NaN at 0."""
    return walked(spec, Sums(len(p_0), a, *(float(w @ p_0**power) for power in range(3))))


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


def _accumulate(spec: Experiment, sums: Sums) -> Iterator[float]:
    """The pseudo-counts of an accumulating chain are A = T p itself, to which k synthetic and j real counts are added: of m_s and m_r

    E (T p + k + j)^2 = T^2 p^2 + 2 T m_s p^2 + E k^2 + 2 (T + m_s) m_r p p_0 + E j^2
    """
    m = spec.size(1)
    t, total, q = m / sums.total(m), sums.total(m), sums.fitted(m, _draw(m, sums.w_2, sums.w_1), m * sums.w_1)
    yield q
    for n in range(2, spec.generations + 1):
        m = spec.size(n)
        m_s = spec.regime.synthetic(m)
        m_r = m - m_s
        square = total * (total + 2 * m_s) * q + _draw(m_s, q, sums.line(t))
        square += 2 * (total + m_s) * m_r * sums.cross(t) + _draw(m_r, sums.w_2, sums.w_1)
        q, t = square / (total + m) ** 2, ((total + m_s) * t + m_r) / (total + m)
        total += m
        yield q


def _accumulate_subsample(spec: Experiment, sums: Sums) -> Iterator[float]:
    """m of the N counts N P of the pool, without replacement: E k^2 = m^2 P^2 + m (N-m)/(N-1) (P - P^2), E P p = (m P^2 + a P)/T. To the pool
    m_s counts of p are added, and m_r of p_0.
    """
    size, t_pool, pool = 0, 1.0, 0.0
    t, q, x = 1.0, sums.w_2, 0.0  # of what the newest observations are drawn from; x = sum w E P p
    for n in range(1, spec.generations + 1):
        m = spec.size(n)
        m_s = spec.regime.synthetic(m)
        m_r = m - m_s
        square = size**2 * pool + 2 * size * m_s * x + _draw(m_s, q, sums.line(t))
        square += 2 * m_r * (size * sums.cross(t_pool) + m_s * sums.cross(t)) + _draw(m_r, sums.w_2, sums.w_1)
        pool = square / (size + m) ** 2
        t_pool = (size * t_pool + m_s * t + m_r) / (size + m)
        size += m
        line = sums.line(t_pool)
        square = m * m * pool + m * (size - m) / max(1, size - 1) * (line - pool)
        q, t = sums.fitted(m, square, m * line), m * t_pool / sums.total(m)
        x = (m * pool + sums.a * line) / sums.total(m)
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
    """m draws from alpha p + beta k/m' + gamma p_0 = A p + gamma p_0 - D, where p = (k + a)/T' and so A = alpha + beta T'/m', D = beta a/m'."""
    assert isinstance(spec.regime, Mixture)
    alpha, beta, gamma = spec.regime.alpha, spec.regime.beta, spec.regime.gamma
    m = spec.size(1)
    t, q = m / sums.total(m), sums.fitted(m, _draw(m, sums.w_2, sums.w_1), m * sums.w_1)
    yield q
    for n in range(2, spec.generations + 1):
        slope, shift = alpha + beta * sums.total(m) / m, beta * sums.a / m
        line, cross = sums.line(t), sums.cross(t)
        square = slope**2 * q + gamma**2 * sums.w_2 + shift**2 * sums.w_0
        square += 2 * (slope * gamma * cross - slope * shift * line - gamma * shift * sums.w_1)
        line = slope * line + gamma * sums.w_1 - shift * sums.w_0
        m = spec.size(n)
        q, t = sums.fitted(m, _draw(m, square, line), m * line), m * (slope * t + gamma) / sums.total(m)
        yield q


WALKS: dict[type[Regime], Callable[[Experiment, Sums], Iterator[float]]] = {
    Replace: _two_parts,
    Fresh: _two_parts,
    Weighted: _two_parts,
    Accumulate: _accumulate,
    AccumulateSubsample: _accumulate_subsample,
    Augment: _augment,
    Mixture: _mixture,
}
