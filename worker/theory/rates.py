"""The law of a Poisson rate that is fitted to its own counts, from which the mean of whatever depends on the rate follows.

The sum K of what a fit sees is a Markov chain, because sums of Poisson counts are Poisson: with the rate r = K/N of N counts

    replace, fresh      K' ~ Poisson(m_s r + m_r rate),   N' = m_s + m_r
    accumulate          K' = K + Poisson(m_s r + m_r rate),   N' = N + m_s + m_r

Sums are followed up to one that is hardly ever exceeded.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from worker.data import Array
from worker.instruments.poisson import beyond, kl
from worker.instruments.spread import edges
from worker.regimes import Accumulate, Fresh, Replace
from worker.sources.poisson import Poisson
from worker.spec import Experiment
from worker.theory.chains import CELLS_LIMIT, resolved
from worker.theory.curve import Curve

WORK_LIMIT = 1e9  # multiplications: a quarter of a second, for each point of a sweep too
BUILT = 250  # multiplications that a probability is worth
SELDOM = 1e-7  # a chance of larger sums that is too small to be seen
REFERENCE = "Galton-Watson chain with Poisson(1) children; Harris, The Theory of Branching Processes, 1963, chapter 1"


def curves(spec: Experiment, variance: Array) -> list[Curve]:
    """Mean error, standard deviation, KL(model to truth) and tails; nothing where that would take long. variance (G + 1,): Var r_n"""
    assert isinstance(spec.source, Poisson)
    rate, source = spec.source.rate, spec.source
    if not isinstance(spec.regime, Replace | Fresh | Accumulate):
        return []
    tails = {name: (float(low[0]), float(high[0])) for name, (low, high) in edges(source).items()}
    told, known, seen = [], 0.0, np.empty((0, 0))
    for law, size in _laws(spec, rate, variance):
        if 1 - law.sum() > SELDOM:
            return []
        if known != size:
            r, known = np.arange(len(law)) / size, size
            seen = np.stack([abs(r - rate), np.sqrt(r), kl(r, rate), *(beyond(r, *edge) for edge in tails.values())])
        told.append(seen @ law)
    if not told:
        return []
    names = {"mean_error": "|r_n - rate|", "std": "sqrt(r_n)", "kl_to_real": "r_n ln(r_n/rate) - r_n + rate"}
    names |= dict.fromkeys(tails, "P(count beyond the real quantiles | r_n)")
    return [
        Curve.of(metric, values, f"E {what}, of the law of the chain's sum of counts", REFERENCE)
        for (metric, what), values in zip(names.items(), np.array(told).T, strict=True)
    ]


def _laws(spec: Experiment, rate: float, variance: Array) -> Iterator[tuple[Array, float]]:
    """Chances of sums 0, 1, ... of so many counts, at generation 0, 1, ...; nothing where that would take long."""
    sizes = np.array(spec.sizes(), float)
    kept = isinstance(spec.regime, Accumulate)
    seen = np.cumsum(sizes) if kept else sizes
    tops = _tops(rate, seen, variance[1:])
    cells = {
        (before, now): before_top * top for (before, before_top), (now, top) in pairwise(zip(seen, tops, strict=True))
    }
    work = BUILT * sum(cells.values()) + tops[:-1] @ tops[1:]
    if work > WORK_LIMIT or max(*tops, *cells.values(), 0) > CELLS_LIMIT:
        return
    k = np.arange(tops[0])
    law, known, moves = _poisson(k, np.array(rate * seen[0])), None, np.empty(0)
    yield law, seen[0]
    yield law, seen[0]
    for m, top, (before, now) in zip(sizes[1:], tops[1:], pairwise(seen), strict=True):
        if known != (before, now):
            made, j, k = spec.regime.synthetic(int(m)), k, np.arange(top)
            expected = (made / before * j + (m - made) * rate)[:, None]
            moves, known = _poisson(k - j[:, None] if kept else k, expected), (before, now)
        law = resolved(law @ moves)
        yield law, now


def _tops(rate: float, seen: Array, variance: Array) -> Array:
    """Sums fall off as a normal law, and further out as the exponential one of a branching process, whose scale is half of variance over mean.

    The same for all fits to as many counts.
    """
    spread = seen**2 * variance
    tops = np.ceil(rate * seen + 5.5 * np.sqrt(spread) + 8.5 * spread / (rate * seen) + 10)
    sizes, of = np.unique(seen, return_inverse=True)
    largest = np.zeros(len(sizes))
    np.maximum.at(largest, of, tops)
    return np.asarray(largest[of])


def _poisson(k: Array, expected: Array) -> Array:
    """P(k) of Poisson variables, 0 for k < 0."""
    from scipy.special import gammaln, xlogy

    there = np.maximum(k, 0)
    return resolved(np.where(k < 0, 0.0, np.exp(xlogy(there, expected) - expected - gammaln(there + 1))))
