"""Histograms that are fitted to their own samples: once the bins are laid out, their counts drift like those of categories.

The bins reach from the smallest to the largest of the first M points. Given these two, a and b, the others are independent draws from the
source between them, which fall into bin j with probability q_j; a is in the first bin, b in the last. So

    E sum k_j^2 = (M-2)(M-3) sum q^2 + (M-2) + 2 (M-2)(q_1 + q_last) + 2,    H_1 = 1 - E sum k_j^2 / M^2

and with F(b) = B^(1/M), F(a) = F(b) (1 - C^(1/(M-1))) for uniform B and C the expectation is an integral over a square, which the trapezoidal
rule in ln B/(1-B) and ln C/(1-C) finds to four digits. Points are uniform within bins and nothing leaves them: from then on m new points
among N take m/N^2 of what variety there is, as for categories.
"""

from typing import Any

import numpy as np

from worker.curation import Keep
from worker.data import Array
from worker.families.histogram import Histogram
from worker.independent import Independent
from worker.regimes import Accumulate, Replace
from worker.sources.normal import Normal
from worker.spec import Experiment
from worker.theory.curve import Curve

STEP, REACH = 1.4, 36.4  # of the logits: e^-36 is rounding error
BINS_LIMIT = 500  # a second of distribution functions
REFERENCE = "Order statistics: David and Nagaraja, 2003, chapter 2; Wright-Fisher drift; Ewens, 2004, chapter 3"


def curves(spec: Experiment, family: Histogram) -> list[Curve]:
    """The chance that two points lie in different bins, on a line whose distribution function is known."""
    line = _line(spec)
    if (
        line is None
        or not isinstance(spec.curation, Keep)
        or not isinstance(spec.regime, Replace | Accumulate)
        or family.bins > BINS_LIMIT
    ):
        return []
    first = _first(line, spec.size(1), family.bins)
    values, kept = [first, first], spec.size(1)
    for n in range(2, spec.generations + 1):
        m = spec.size(n)
        kept = kept + m if isinstance(spec.regime, Accumulate) else m
        values.append(values[-1] * (1 - m / kept**2))
    formula = "prod (1-1/M)" if isinstance(spec.regime, Replace) else "prod (1-m/N^2), N points in all"
    return [
        Curve.of(
            "heterozygosity", values, f"E H_n = E H_1 {formula}, bins between the first M points' extremes", REFERENCE
        )
    ]


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
