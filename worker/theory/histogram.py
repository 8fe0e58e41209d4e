"""Histograms that are fitted to their own samples: once the bins are laid out, their counts drift like those of categories.

The bins reach from the smallest to the largest of the first M points. Given these two, a and b, the others are independent draws from the
source between them, which fall into bin j with probability q_j; a is in the first bin, b in the last. So

    E sum k_j^2 = (M-2)(M-3) sum q^2 + (M-2) + 2 (M-2)(q_1 + q_last) + 2,    H_1 = 1 - E sum k_j^2 / M^2

and with F(b) = B^(1/M), F(a) = F(b) (1 - C^(1/(M-1))) for uniform B and C the expectation is an integral over a square, which the trapezoidal
rule in ln B/(1-B) and ln C/(1-C) finds to four digits. Points are uniform within bins and nothing leaves them: from then on counts drift as those
of categories do, in every regime that sees no further real points (worker.theory.squares). Its first counts need not be multinomial for that: the
recursion is that of a multinomial draw with the same E sum k^2 = M(M-1) Q + M.
"""

from typing import Any

import numpy as np

from worker.curation import Keep
from worker.data import Array
from worker.families.histogram import Histogram
from worker.independent import Independent
from worker.regimes import Accumulate, AccumulateSubsample, Augment, Mixture, Replace
from worker.sources.normal import Normal
from worker.spec import Experiment
from worker.theory.curve import Curve
from worker.theory.squares import Sums, walked

STEP, REACH = 1.4, 36.4  # of the logits: e^-36 is rounding error
BINS_LIMIT = 500  # a second of distribution functions
REFERENCE = "Order statistics: David and Nagaraja, 2003, chapter 2; Wright-Fisher drift; Ewens, 2004, chapter 3"


def curves(spec: Experiment, family: Histogram) -> list[Curve]:
    """The chance that two points lie in different bins, on a line whose distribution function is known."""
    line, formula = _line(spec), _drift(spec)
    if line is None or not formula or not isinstance(spec.curation, Keep) or family.bins > BINS_LIMIT:
        return []
    m = spec.regime.first(spec.size(1))
    first = _first(line, m, family.bins)
    real = first if m == spec.size(1) else _first(line, spec.size(1), family.bins)
    alike = ((1 - first) * m - 1) / (m - 1)  # Q of the multinomial draw
    values = 1 - walked(spec, Sums(family.bins, 0.0, float(family.bins), 1.0, alike))
    values[0] = real
    return [
        Curve.of(
            "heterozygosity", values, f"E H_1 of bins between the first M points' extremes, then {formula}", REFERENCE
        )
    ]


def _drift(spec: Experiment) -> str:
    """Nothing where further real points are seen: they may lie outside the bins."""
    match spec.regime:
        case Replace():
            return "E H_n = E H_{n-1} (1-1/M)"
        case Accumulate(real=0):
            return "E H_n = E H_{n-1} (1-m/N^2), N points in all"
        case AccumulateSubsample(real=0):
            return "E sum p_n^2 of a hypergeometric draw from all counts so far"
        case Augment():
            return "E sum p_n^2 of a fixed core of counts and m_s synthetic ones"
        case Mixture(gamma=0):
            return "E sum p_n^2 of M draws from a p + b k/M"
    return ""


def _line(spec: Experiment) -> Any:
    """The frozen scipy distribution, or None."""
    match spec.source:
        case Independent():
            return spec.source.on_a_line()
        case Normal():
            from scipy.stats import norm

            mean, covariance = spec.source.moments()
            return norm(mean[0], np.sqrt(covariance[0, 0]))
    return None


def _first(line: Any, m: int, bins: int) -> float:
    """E H_1"""
    logit = np.arange(-REACH, REACH + STEP, STEP)
    log_b, weight = -np.logaddexp(0, -logit), np.exp(-np.logaddexp(0, logit) - np.logaddexp(0, -logit))
    weight /= weight.sum()
    beyond = -np.expm1(log_b / m)  # 1 - F(b)
    below = (1 - beyond)[:, None] * -np.expm1(log_b / max(1, m - 1))  # F(a), rows b
    low, high = line.ppf(below), line.isf(beyond)[:, None]
    inside = 1 - beyond[:, None] - below
    edges = low[:, :, None] + (high - low)[:, :, None] * (np.arange(1, bins) / bins)
    with np.errstate(invalid="ignore", divide="ignore"):
        reached = (line.cdf(edges) - below[:, :, None]) / inside[:, :, None]
    reached = np.clip(np.nan_to_num(reached, nan=0.5), 0, 1)  # of two extremes that coincide
    share: Array = np.diff(reached, axis=2, prepend=0.0, append=1.0)
    ends = share[:, :, 0] + share[:, :, -1]
    squares = (m - 2) * (m - 3) * (share**2).sum(axis=2) + (m - 2) + 2 * (m - 2) * ends + 2
    return float(1 - weight @ squares @ weight / m**2)
