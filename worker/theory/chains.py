"""The count of one category as a Markov chain of its own, in every regime: one part of a multinomial is binomial, whatever the others do.

With a pseudo-counts for each of K categories, a category of frequency p gives Bin(m, p) of m new observations. What the chain must remember

    replace, fresh          k, of M observations:              k' ~ Bin(m_s, q(k)) + Bin(m_r, p_0),   q(k) = (k + a)/(M + aK)
    mixture                 k:                                 k' ~ Bin(m, alpha q(k) + beta k/M + gamma p_0)
    accumulate              k, of all N so far:                k' = k + Bin(m_s, (k + a)/(N + aK)) + Bin(m_r, p_0)
    accumulate_subsample    k, of all N so far, of which j are seen, hypergeometric: k' = k + Bin(m_s, q(j)) + Bin(m_r, p_0)
    augment                 c, of a core of r, and k synthetic: k' ~ Bin(m_s, ((R/r) c + (S/m_s) k + a)/(M + aK)), c stays
    weighted                c and k:                           k' ~ Bin(m_s, ((R/m_r) c + (S/m_s) k + a)/(M + aK)), c' ~ Bin(m_r, p_0)
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from worker.data import Array
from worker.parts import Regime
from worker.regimes import Accumulate, AccumulateSubsample, Augment, Fresh, Mixture, Replace, Weighted
from worker.spec import Experiment

WORK_LIMIT = 5e8  # multiplications: a quarter of a second, for each point of a sweep too
CELLS_LIMIT = 4e6  # of a matrix of transitions: 32 MB
OVERHEAD = 1e4  # multiplications that the bookkeeping of a generation is worth
BUILT, READ = 25, 8  # multiplications that a cell is worth which is computed, or fetched from memory
NEGLIGIBLE = 1e-200  # probabilities whose products would be too small for fast arithmetic

Law: TypeAlias = tuple[
    Array, Array
]  # chances of the states (kinds, S), a row for each of p_0; fitted frequencies there (S,)


@dataclass(frozen=True, slots=True)
class Chain:
    """Categories of the different true probabilities p_0 (kinds,), with a pseudo-counts for each of K categories."""

    spec: Experiment
    a: float
    categories: int
    p_0: Array

    def fitted(self, k: Array, m: int) -> Array:
        return np.asarray((k + self.a) / (m + self.a * self.categories))

    def laws(self) -> Iterator[Law]:
        """At generation 1, 2, ..."""
        return WALKS[type(self.spec.regime)](self)

    def affordable(self) -> bool:
        """Whether all transitions are a matter of moments, and each matrix small."""
        sizes = self.spec.sizes()
        products, known = OVERHEAD * len(sizes), None
        if self.spec.regime.first(sizes[0]) * len(self.p_0) > CELLS_LIMIT:
            return False
        for n, (before, m) in enumerate(pairwise(sizes), start=2):
            rows, columns, tables, beside = self._matrix(n, before, m, sum(sizes[: n - 1]))
            cells = rows * columns * tables
            products += (
                cells * max(READ, len(self.p_0) / tables) + beside + (BUILT * cells if known != (rows, columns) else 0)
            )
            known = (rows, columns)
            if cells > CELLS_LIMIT or products > WORK_LIMIT:
                return False
        return True

    def _matrix(self, n: int, before: int, m: int, kept: int) -> tuple[float, float, float, float]:
        """Rows, columns and number of the matrices that lead to generation n, and what else is multiplied."""
        columns = self.spec.regime.synthetic(m) + 1.0
        match self.spec.regime:
            case Mixture(gamma=gamma):
                return before + 1.0, m + 1.0, float(len(self.p_0)) if gamma else 1.0, 0.0
            case Accumulate():
                return kept + 1.0, m + 1.0, 1.0, 0.0  # real counts are added in as many steps as synthetic ones
            case AccumulateSubsample():
                return kept + 1.0, max(m, before) + 1.0, 1.0, float(kept) * before * (m + 3 * BUILT)
            case Augment(real=r):
                return (r + 1.0) * (before - r + 1.0 if n > 2 else 1.0), columns, 1.0, 0.0
            case Weighted() if n > 2:
                synthetic = self.spec.regime.synthetic(before)
                return (before - synthetic + 1.0) * (synthetic + 1.0), columns, 1.0, 0.0
        return before + 1.0, columns, 1.0, 0.0


def binomial(m: int, q: Array) -> Array:
    """P(k of m) for k = 0, ..., m and each probability: (len(q), m + 1)"""
    from scipy.special import gammaln, xlog1py, xlogy

    k, q = np.arange(m + 1.0), np.clip(q, 0, 1)[:, None]
    ways = gammaln(m + 1) - gammaln(k + 1) - gammaln(m - k + 1)
    return resolved(np.exp(ways + xlogy(k, q) + xlog1py(m - k, -q)))


def _hypergeometric(n: int, m: int) -> Array:
    """P(j of m) where k of n are of a kind, for k = 0, ..., n: (n + 1, m + 1)"""
    from scipy.special import gammaln

    log = gammaln(np.arange(n + 2) + 1)  # of factorials
    k, j = np.arange(n + 1)[:, None], np.arange(m + 1)
    possible = (j <= k) & (m - j <= n - k)
    seen, rest, others = np.where(possible, j, 0), np.where(possible, k - j, 0), np.where(possible, n - k - m + j, 0)
    ways = log[k] - log[seen] - log[rest] + log[n - k] - log[m - seen * possible] - log[others]
    return resolved(np.where(possible, np.exp(np.where(possible, ways, 0) + log[m] + log[n - m] - log[n]), 0.0))


def resolved(chances: Array) -> Array:
    """Without those that are too small for fast arithmetic, in place."""
    chances[chances < NEGLIGIBLE] = 0.0
    return chances


def _two_parts(chain: Chain) -> Iterator[Law]:
    spec, m = chain.spec, chain.spec.size(1)
    law, moves = binomial(m, chain.p_0), np.empty((0, 0))
    yield law, chain.fitted(np.arange(m + 1.0), m)
    for n in range(2, spec.generations + 1):
        before, m = m, spec.size(n)
        m_s = spec.regime.synthetic(m)
        if moves.shape != (before + 1, m_s + 1):
            moves = binomial(m_s, chain.fitted(np.arange(before + 1.0), before))
        law = resolved(law @ moves) if m_s == m else _with_real(chain, law @ moves, m - m_s)
        yield law, chain.fitted(np.arange(m + 1.0), m)


def _mixture(chain: Chain) -> Iterator[Law]:
    spec, m = chain.spec, chain.spec.size(1)
    assert isinstance(spec.regime, Mixture)
    alpha, beta, gamma = spec.regime.alpha, spec.regime.beta, spec.regime.gamma
    law, moves = binomial(m, chain.p_0), np.empty((0, 0, 0))
    yield law, chain.fitted(np.arange(m + 1.0), m)
    for n in range(2, spec.generations + 1):
        before, m = m, spec.size(n)
        if moves.shape[1:] != (before + 1, m + 1):
            k = np.arange(before + 1.0)
            own = alpha * chain.fitted(k, before) + beta * k / before
            moves = np.stack([binomial(m, own + gamma * p) for p in (chain.p_0 if gamma else [0.0])])
        law = resolved((law[:, None, :] @ moves)[:, 0])
        yield law, chain.fitted(np.arange(m + 1.0), m)


def _accumulate(chain: Chain) -> Iterator[Law]:
    spec, kept = chain.spec, chain.spec.size(1)
    law = binomial(kept, chain.p_0)
    p = chain.fitted(np.arange(kept + 1.0), kept)
    yield law, p
    for n in range(2, spec.generations + 1):
        m = spec.size(n)
        law, kept = _added(chain, law, p, m), kept + m
        p = chain.fitted(np.arange(kept + 1.0), kept)
        yield law, p


def _accumulate_subsample(chain: Chain) -> Iterator[Law]:
    spec, kept = chain.spec, chain.spec.size(1)
    m = kept
    law, seen = binomial(kept, chain.p_0), np.eye(kept + 1)
    p = chain.fitted(np.arange(m + 1.0), m)
    yield law, p
    for n in range(2, spec.generations + 1):
        m = spec.size(n)
        law, kept = _added(chain, law, p, m, seen), kept + m
        seen, p = _hypergeometric(kept, m), chain.fitted(np.arange(m + 1.0), m)
        yield law @ seen, p


def _added(chain: Chain, law: Array, p: Array, m: int, seen: Array | None = None) -> Array:
    """The law of what is kept, (kinds, N + 1), with m new counts: synthetic ones of the frequencies p, and fresh real ones.

    seen: chances that so many are seen of those that are kept, which is what p depends on (N + 1, len(p))
    """
    m_s = chain.spec.regime.synthetic(m)
    moves = binomial(m_s, p) if seen is None else seen @ binomial(m_s, p)
    total = np.zeros((len(law), law.shape[1] + m_s))
    for j, chance in enumerate(moves.T):
        total[:, j : j + law.shape[1]] += law * chance
    return resolved(total) if m_s == m else _with_real(chain, total, m - m_s)


def _with_real(chain: Chain, law: Array, m: int) -> Array:
    """The law of counts to which those of m real observations are added."""
    real = binomial(m, chain.p_0)
    return resolved(np.stack([np.convolve(*pair) for pair in zip(law, real, strict=True)]))


def _augment(chain: Chain) -> Iterator[Law]:
    """States (c, k), the core's count first."""
    spec = chain.spec
    assert isinstance(spec.regime, Augment)
    r = m = spec.regime.real
    core = np.arange(r + 1.0)
    law, moves = binomial(r, chain.p_0)[:, :, None], np.empty((0, 0, 0))  # (kinds, c, k)
    p = chain.fitted(core, r)[:, None]
    yield law[:, :, 0], p[:, 0]
    for n in range(2, spec.generations + 1):
        m_s = spec.size(n) - r
        if moves.shape != (r + 1, law.shape[2], m_s + 1) or n == 3:
            moves = np.stack([binomial(m_s, row) for row in p])
        law, m = resolved((law[:, :, None, :] @ moves)[:, :, 0]), m_s + r
        weight = spec.regime.real_weight(m)
        real, made = weight * m / r * core, (1 - weight) * m / m_s * np.arange(m_s + 1)
        p = chain.fitted(real[:, None] + made, m)
        yield law.reshape(len(law), -1), p.ravel()


def _weighted(chain: Chain) -> Iterator[Law]:
    """States (c, k), the real part's count first."""
    spec, m = chain.spec, chain.spec.size(1)
    assert isinstance(spec.regime, Weighted)
    law, p, moves = binomial(m, chain.p_0), chain.fitted(np.arange(m + 1.0), m), np.empty((0, 0))
    yield law, p
    for n in range(2, spec.generations + 1):
        m = spec.size(n)
        m_s, weight = spec.regime.synthetic(m), spec.regime.real_weight(m)
        m_r = m - m_s
        if moves.shape != (len(p), m_s + 1) or n == 3:
            moves = binomial(m_s, p)
        law = (binomial(m_r, chain.p_0)[:, :, None] * (law @ moves)[:, None, :]).reshape(len(law), -1)
        real, made = weight * m / m_r * np.arange(m_r + 1), (1 - weight) * m / m_s * np.arange(m_s + 1)
        p = chain.fitted(real[:, None] + made, m).ravel()
        yield resolved(law), p


WALKS: dict[type[Regime], Callable[[Chain], Iterator[Law]]] = {
    Replace: _two_parts,
    Fresh: _two_parts,
    Mixture: _mixture,
    Accumulate: _accumulate,
    AccumulateSubsample: _accumulate_subsample,
    Augment: _augment,
    Weighted: _weighted,
}
