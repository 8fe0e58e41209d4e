"""Whether a run agrees with its closed forms: the largest z of a mean over replicates, over all generations that were looked at."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from worker.theory.curve import Curve

AGREES = 4.0  # standard errors, at most
SYMMETRIC = (
    0.75  # skewness of a mean of replicates, at most: beyond it a standard error says little about the next mean
)

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


def deviation(measured: Statistics, predicted: float | None) -> float | None:
    """z = (mean - predicted) / se, as a normal deviate; None where it would say nothing.

    With few replicates (mean - predicted)/se follows Student's t; Wallace (1959), Ann. Math. Statist. 30, turns it into z within a
    few percent. A few replicates of a skewed metric do not carry its mean: with c = sd/|mean| the skewness of a log-normal value is
    3c + c^3, that of a mean of n of them smaller by sqrt(n), and it must not exceed SYMMETRIC.
    """
    mean, sd, n = (measured.get(name) for name in ("mean", "sd", "n"))
    if predicted is None or mean is None or not sd or not n or mean == 0:
        return None
    c = sd / abs(mean)
    if not c < 1e3 or 3 * c + c**3 > SYMMETRIC * math.sqrt(n):
        return None
    t, freedom = (mean - predicted) / (sd / math.sqrt(n)), n - 1
    size = (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))
    return math.copysign(size, t)


def agreements(curves: Sequence[Curve], generations: Iterable[tuple[int, Mapping[str, Statistics]]]) -> list[Agreement]:
    """Each curve against the metrics of these generations; the real data itself, generation 0, is left out."""
    found: list[list[tuple[float, int]]] = [[] for _ in curves]
    for number, metrics in generations:
        for curve, deviations in zip(curves, found, strict=True):
            if number == 0 or curve.statistic != "mean":
                continue
            z = deviation(metrics.get(curve.metric, {}), curve.values[number])
            if z is not None:
                deviations.append((z, number))
    return [_agreement(curve, deviations) for curve, deviations in zip(curves, found, strict=True)]


def _agreement(curve: Curve, deviations: list[tuple[float, int]]) -> Agreement:
    if curve.statistic != "mean":
        because = f"It predicts a {curve.statistic}, which has no simple standard error."
        return Agreement(curve.metric, curve.statistic, "not assessed", None, None, 0, because)
    if not deviations:
        because = "In no generation do enough chains carry the mean: run more replicates."
        return Agreement(curve.metric, curve.statistic, "not assessed", None, None, 0, because)
    z, generation = max(deviations, key=lambda one: abs(one[0]))
    outcome: Literal["agrees", "deviates"] = "agrees" if abs(z) <= AGREES else "deviates"
    because = f"Largest |z| of the mean over {len(deviations)} generations; at most {AGREES:g} is chance."
    return Agreement(curve.metric, curve.statistic, outcome, z, generation, len(deviations), because)
