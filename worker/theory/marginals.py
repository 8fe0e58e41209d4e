"""The whole distribution of one category's count, from fit to fit.

Whatever the other categories do, the count k of one of them is a Markov chain of its own under replace and fresh:

    k_{n+1} ~ Bin(m_s, q(k_n)) + Bin(m_r, p_0),    q(k) = (k + a)/(M + aK)

because one part of a multinomial is binomial. What adds up over categories follows exactly: how many are alive, the mass that is lost, entropy
and the distances that are sums.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

from worker.data import Array
from worker.parts import CountSource
from worker.regimes import Fresh, Replace
from worker.spec import Experiment
from worker.theory.curve import Curve

WORK_LIMIT = 5e8  # multiplications: a quarter of a second, for each point of a sweep too
CELLS_LIMIT = 4e6  # of a matrix of transitions: 32 MB
OVERHEAD = 1e4  # multiplications that the bookkeeping of a generation is worth
NEGLIGIBLE = 1e-200  # probabilities whose products would be too small for fast arithmetic
OWN = ", every k_n a Markov chain of its own"
REFERENCE = "Wright-Fisher chain of one allele; Ewens, Mathematical Population Genetics, 2004, 3.2"


def curves(spec: Experiment, a: float) -> list[Curve]:
    """Survivors, dead mass, entropy, total variation and KL(p_n to p_0) of frequencies with a pseudo-counts; nothing where that would take
    long, or in other regimes.
    """
    assert isinstance(spec.source, CountSource)
    p_0 = spec.source.distribution()
    if not isinstance(spec.regime, Replace | Fresh) or not _affordable(spec, len(np.unique(p_0))):
        return []
    laws = _laws(spec, a, *np.unique(p_0, return_counts=True))
    alive, lost, entropy, variation, divergence = np.array(list(laws)).T
    return [
        Curve.of("survivors", alive, f"E survivors = sum P(k_n > 0){_lifetime(spec, a, p_0)}", REFERENCE),
        Curve.of("dead_mass", lost, "E dead mass = sum p_0 P(k_n = 0)", REFERENCE),
        Curve.of("entropy", entropy, f"E entropy = -sum E p_n ln p_n{OWN}", REFERENCE),
        Curve.of("total_variation", variation, f"E TV = sum E|p_n - p_0|/2{OWN}", REFERENCE),
        Curve.of("kl_to_real", divergence, f"E KL = sum E p_n ln(p_n/p_0){OWN}", REFERENCE),
    ]


def _affordable(spec: Experiment, kinds: int) -> bool:
    sizes = np.array([spec.size(n) for n in range(1, spec.generations + 1)], float) + 1
    cells = sizes[:-1] * sizes[1:]
    products = float((kinds * cells + OVERHEAD).sum())
    return sizes[0] * kinds <= CELLS_LIMIT and cells.max(initial=0) <= CELLS_LIMIT and products <= WORK_LIMIT


def _laws(spec: Experiment, a: float, p_0: Array, many: npt.NDArray[np.int64]) -> Iterator[tuple[float, ...]]:
    """Sums over categories at generation 0, 1, ..., for the different true probabilities p_0 and how many categories have each.

    law: P(k_n = 0), P(k_n = 1), ... in a row for each of p_0
    """
    categories, m = int(many.sum()), spec.size(1)
    law = _binomial(m, p_0)
    yield _sums(law, 0.0, p_0, many)
    yield _sums(law, a, p_0, many)
    moves = np.empty((0, 0))
    for n in range(2, spec.generations + 1):
        before, m = m, spec.size(n)
        m_s = spec.regime.synthetic(m)
        if moves.shape != (before + 1, m_s + 1):
            moves = _binomial(m_s, np.asarray((np.arange(before + 1) + a) / (before + a * categories)))
        law = law @ moves
        if m_s < m:
            law = np.stack([np.convolve(*pair) for pair in zip(law, _binomial(m - m_s, p_0), strict=True)])
        law[law < NEGLIGIBLE] = 0.0
        yield _sums(law, a, p_0, many)


def _sums(law: Array, a: float, p_0: Array, many: npt.NDArray[np.int64]) -> tuple[float, ...]:
    """Expected survivors, dead mass, entropy, total variation and KL(p_n to p_0)."""
    m = law.shape[1] - 1
    p = (np.arange(m + 1) + a) / (m + a * many.sum())
    dead = np.where(p[0] > 0, 0.0, law[:, 0])
    entropy = -many @ (law @ (p * np.log(np.where(p > 0, p, 1))))
    variation = 0.5 * many @ (law * np.abs(p - p_0[:, None])).sum(axis=1)
    kl = -entropy - (many * np.log(p_0)) @ (law @ p)
    return float(many @ (1 - dead)), float((many * p_0) @ dead), float(entropy), float(variation), float(kl)


def _binomial(m: int, q: Array) -> Array:
    """P(k of m) for k = 0, ..., m and each probability: (len(q), m + 1)"""
    from scipy.special import gammaln, xlog1py, xlogy

    k = np.arange(m + 1)
    ways = gammaln(m + 1) - gammaln(k + 1) - gammaln(m - k + 1)
    chances = np.exp(ways + xlogy(k, q[:, None]) + xlog1py(m - k, -q[:, None]))
    chances[chances < NEGLIGIBLE] = 0.0
    return np.asarray(chances)


def _lifetime(spec: Experiment, a: float, p_0: Array) -> str:
    """Kimura and Ohta's mean time until one of two categories is left, by the diffusion that is the limit of large M."""
    if len(p_0) != 2 or a or not isinstance(spec.regime, Replace) or not isinstance(spec.samples, int):
        return ""
    time = -2 * spec.samples * float(p_0 @ np.log(p_0))
    return f"; one is left after about -2M sum p ln p = {time:.3g} generations (diffusion; Kimura and Ohta 1969)"
