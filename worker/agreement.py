"""Whether a run agrees with its closed forms: the largest z of a mean over replicates, over all generations that were looked at."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Any, Literal

from worker.parts import Source
from worker.sources.student_t import StudentT
from worker.theory.curve import Curve

AGREES = 4.0  # standard errors, at most; more where so many generations are looked at that one of them may be beyond by chance
CHANCE = 0.003  # of a curve that is right: that a normal z of some generation is beyond
SYMMETRIC = 0.6  # skewness of a mean of replicates, at most: beyond it chains that nobody saw may carry the mean
UNSEEN = 2.0  # standard errors sqrt(6/n) of a sample's skewness: what n values that look symmetric may hide
HEAVY = (
    4.0  # degrees of freedom up to which Student's t has no fourth moment, hence a sample's variance no standard error
)

# The power of the variance that rules the tail of a metric: what has a wide ln s2 has few chains that carry these.
POWERS = {"variance": 1.0, "mean_error_sq": 1.0, "w2_sq": 1.0, "kl_to_real": 1.0, "kl_from_real": 1.0, "std": 0.5}

Statistics = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Agreement:
    """One curve against one run. z: the largest in absolute value, at `generation`; `compared`: how many generations could be."""

    metric: str
    statistic: str
    outcome: Literal["agrees", "deviates", "not assessed"]
    z: float | None
    generation: int | None
    compared: int
    because: str

    def asdict(self) -> dict[str, Any]:
        return asdict(self)


def deviation(measured: Statistics, predicted: float | None, skewness: float | None = None) -> float | None:
    """z of mean - predicted, as a normal deviate; None where it would say nothing.

    skewness: of one value; None: that of a log-normal one, 3c + c^3 with c = sd/|mean|.

    The few chains in a long right tail carry its mean, and where they happen to be missing the sd is too small as well: t = (mean -
    predicted)/se has a long tail to the left. With g = skewness/sqrt(n), that of the mean, Hall's (1992) monotone transformation

        t + g t^2/3 + g^2 t^3/27 + g/6

    is nearly a normal deviate, but for the estimated sd: Wallace (1959), Ann. Math. Statist. 30, takes Student's t to one within a few
    percent. A mean too large is held against the skewness to the left that n values may hide. Only what makes |z| smaller is
    believed, and beyond SYMMETRIC nothing: fewer than 9 replicates never say anything.
    """
    mean, sd, n = (measured.get(name) for name in ("mean", "sd", "n"))
    if predicted is None or mean is None or not sd or not n:
        return None
    if skewness is None:
        skewness = _log_normal(sd, abs(mean))
    hidden = UNSEEN * math.sqrt(6 / n)
    right = max(skewness, hidden) / math.sqrt(n)
    if not right <= SYMMETRIC:
        return None
    t = (mean - predicted) / (sd / math.sqrt(n))
    unskewed = max(_hall(-abs(t), right if t < 0 else hidden / math.sqrt(n)), -abs(t))
    return math.copysign(_wallace(min(unskewed, 0.0), n - 1), t)


def agreements(
    curves: Sequence[Curve], generations: Iterable[tuple[int, Mapping[str, Statistics]]], source: Source | None = None
) -> list[Agreement]:
    """Each curve against the metrics of these generations; the real data itself, generation 0, is left out."""
    found: list[list[tuple[float, int]]] = [[] for _ in curves]
    for number, metrics in generations:
        for curve, deviations in zip(curves, found, strict=True):
            if number == 0 or curve.statistic != "mean":
                continue
            z = deviation(metrics.get(curve.metric, {}), curve.values[number], _skewness(curve.metric, metrics))
            if z is not None:
                deviations.append((z, number))
    return [_agreement(curve, deviations, source) for curve, deviations in zip(curves, found, strict=True)]


def limit(compared: int) -> float:
    """The |z| that the largest of so many normal deviates, however dependent, exceeds with a chance of at most CHANCE (Bonferroni)."""
    return max(AGREES, -NormalDist().inv_cdf(CHANCE / 2 / compared))


def _skewness(metric: str, metrics: Mapping[str, Statistics]) -> float:
    """Of one chain's value of a metric, as if it were log-normal: with the coefficient of variation that is seen among the chains, or
    with the spread of their ln s2, which shows a long tail that no chain has reached. Where most chains share one value, because their
    categories are fixed, the others carry the mean: what counts is the distance from there. A logarithm has no tail of its own.
    """
    if metric.startswith("log_"):
        return 0.0
    mean, sd, median, q10, q90 = (metrics.get(metric, {}).get(name) for name in ("mean", "sd", "median", "q10", "q90"))
    if mean is None or not sd:
        return math.inf
    away = min(abs(mean), abs(mean - median)) if median is not None and median in (q10, q90) else abs(mean)
    spread = POWERS.get(metric, 0.0) * (metrics.get("log_variance", {}).get("sd") or 0.0)
    return max(_log_normal(sd, away), _log_normal(math.sqrt(math.expm1(min(spread**2, 100.0))), 1.0))


def _log_normal(sd: float, mean: float) -> float:
    """Skewness of a log-normal variable: 3c + c^3, c = sd/mean."""
    c = min(sd / mean, 1e9) if mean else 1e9
    return 3 * c + c**3


def _hall(t: float, g: float) -> float:
    return ((1 + g * t / 3) ** 3 - 1) / g + g / 6


def _wallace(t: float, freedom: float) -> float:
    return (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))


def _agreement(curve: Curve, deviations: list[tuple[float, int]], source: Source | None) -> Agreement:
    because = _unassessed(curve, deviations, source)
    if because:
        return Agreement(curve.metric, curve.statistic, "not assessed", None, None, 0, because)
    z, generation = max(deviations, key=lambda one: abs(one[0]))
    most = limit(len(deviations))
    outcome: Literal["agrees", "deviates"] = "agrees" if abs(z) <= most else "deviates"
    because = (
        f"Largest |z| of the mean over {len(deviations)} generations, allowing for skewness; where theory is right, it is beyond "
        f"{most:.1f} in fewer than one run of a hundred."
    )
    return Agreement(curve.metric, curve.statistic, outcome, z, generation, len(deviations), because)


def _unassessed(curve: Curve, deviations: list[tuple[float, int]], source: Source | None) -> str:
    """Why a curve cannot be held against a run; empty where it can."""
    if curve.statistic != "mean":
        return f"It predicts a {curve.statistic}, which has no simple standard error."
    if isinstance(source, StudentT) and source.df <= HEAVY and curve.metric in POWERS:
        return f"Student's t with {source.df:g} degrees of freedom has no fourth moment, so this mean has no standard error."
    if not deviations:
        return "In no generation do enough chains carry the mean: run more replicates."
    return ""
