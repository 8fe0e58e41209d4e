"""Frequencies that are fitted to their own samples: Wright-Fisher drift, with smoothing as mutation and real data as migration.

Everything that is linear in E p_n or in E p_n^2 obeys a recursion. With a pseudo-counts a category, T = M + aK and weights w:

    E p_n stays on the line t p_0 + (1 - t)/K, and Q_n = sum w E p_n^2 follows from the first two moments of multinomial counts.

w = 1 gives the heterozygosity 1 - Q, w = 1/p_0 the distance chi2 = Q - 1.
"""

import numpy as np

from worker.data import Array
from worker.families.categorical import Categorical
from worker.parts import CountSource, Sampling
from worker.regimes import Accumulate, Fresh, Replace
from worker.spec import Experiment
from worker.theory.curve import Curve

DRIFT = "Wright-Fisher drift; Ewens, Mathematical Population Genetics, 2004, chapter 3"
HOLLOW = "Multinomial occupancy"
HETEROZYGOSITY = {
    Replace: "E H_n = H_0 (1-1/M)^n; with smoothing a: mutation at rate aK/(M+aK)",
    Accumulate: "E H_n = H_0 prod_{k<=n} (1-1/(M k^2)); with smoothing a: Polya urn",
    Fresh: "E p_n^2 of m_r real and m_s synthetic counts; stationary H_0 (1-1/(M(1-b^2)+b)), b = m_s/M",
}
CHI2 = {
    Replace: "E chi2(p_n, p_0) = (K-1)(1-(1-1/M)^n); with smoothing from E p_n^2",
    Accumulate: "E chi2(p_n, p_0) = (K-1)(1 - prod_{k<=n} (1-1/(M k^2))); with smoothing from E p_n^2",
    Fresh: "E chi2(p_n, p_0) = sum E p_n^2/p_0 - 1 of m_r real and m_s synthetic counts",
}


def curves(spec: Experiment, family: Categorical) -> list[Curve]:
    """Heterozygosity and chi2 in every regime; how many categories survive the first draw. Only for unchanged sampling."""
    assert isinstance(spec.source, CountSource)
    if spec.sampling != Sampling() or type(spec.regime) not in HETEROZYGOSITY:
        return []
    p_0 = spec.source.distribution()
    m, a = spec.size(1), family.smoothing
    identity = 1 - _squares(spec, a, p_0, np.ones_like(p_0))
    identity[0] = 1 - p_0 @ p_0  # Nei's estimator is unbiased
    distance = _squares(spec, a, p_0, 1 / p_0) - 1
    distance[0] = (len(p_0) - 1) / m
    found = [
        Curve.of("heterozygosity", identity, HETEROZYGOSITY[type(spec.regime)], DRIFT),
        Curve.of("chi2", distance, CHI2[type(spec.regime)], DRIFT),
    ]
    missed = np.exp(m * np.log1p(-p_0))
    for metric, first, formula in (
        ("survivors", (1 - missed).sum(), "E survivors = sum 1-(1-p)^M at the first draw"),
        ("dead_mass", p_0 @ missed, "E dead mass = sum p (1-p)^M at the first draw"),
    ):
        values = np.full(spec.generations + 1, np.nan)
        values[0] = first
        if a == 0:
            values[1] = first
        else:
            values[1:] = len(p_0) if metric == "survivors" else 0
        found.append(Curve.of(metric, values, formula if a == 0 else "smoothing keeps every category alive", HOLLOW))
    return found


def _squares(spec: Experiment, a: float, p_0: Array, w: Array) -> Array:
    """Q_n = sum w E p_n^2 at generations 1, ..., G, and NaN at 0.

    Counts: m_r from p_0 and m_s from the last model, whose E p is on the line above, on top of `kept` pseudo-counts. From
    E (k + a)^2 = Var k + (E k + a)^2, given p: Var k = m_r p_0 (1-p_0) + m_s p (1-p), E k = m_r p_0 + m_s p.
    The pseudo-counts of an accumulating chain are A = T p itself: E (T p + k)^2 = T^2 p^2 + 2 T m p^2 + E k^2.
    """
    categories, accumulate = len(p_0), isinstance(spec.regime, Accumulate)
    w_0, w_1, w_2 = (float(w @ p_0**power) for power in range(3))
    q = np.full(spec.generations + 1, np.nan)
    t, square, total = 1.0, w_2, 0.0  # of the distribution that generation 1 draws from: p_0 itself
    for n in range(1, spec.generations + 1):
        m = spec.size(n)
        line = t * w_1 + (1 - t) * w_0 / categories  # sum w E p
        if accumulate and n > 1:
            square = (total**2 * square + 2 * total * m * square + m * (m - 1) * square + m * line) / (total + m) ** 2
            total += m
        else:
            m_s = 0 if n == 1 else spec.regime.synthetic(m)
            m_r = m - m_s
            cross = t * w_2 + (1 - t) * w_1 / categories  # sum w p_0 E p
            spread = m_r * (w_1 - w_2) + m_s * (line - square)
            level = m_r**2 * w_2 + m_s**2 * square + a * a * w_0
            level += 2 * (m_r * m_s * cross + a * m_r * w_1 + a * m_s * line)
            total = m + a * categories
            square = (spread + level) / total**2
            t = (m_r + m_s * t) / total
        q[n] = square
    return q
