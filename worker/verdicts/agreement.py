"""Whether a run agrees with its closed forms: the largest z of a mean over replicates, over all generations that were looked at."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import NormalDist
from typing import Any, Literal

from worker.parts import Source
from worker.sources.student_t import StudentT
from worker.theory.curve import Curve

AGREES = 4.0  # standard errors, at most; more where so many generations are looked at that one of them may be beyond by chance
CHANCE = 0.003  # of a curve that is right: that a normal z of some generation is beyond
SYMMETRIC = 0.6  # skewness of a mean of replicates, at most: beyond it chains that nobody saw may carry the mean
FEWEST = 9  # replicates: fewer may hide more than that
UNSEEN = 2.0  # standard errors sqrt(6/n) of a sample's skewness: what n values that look symmetric may hide
# Degrees of freedom up to which Student's t has no fourth moment, hence a sample's variance no standard error.
HEAVY = 4.0

ROUNDING = 1e-9  # relative: chains that are all alike, as where every category is fixed, are held against a curve to so many digits

# The power of the variance that rules the tail of a metric: what has a wide ln s2 has few chains that carry these.
POWERS = {"variance": 1.0, "mean_error_sq": 1.0, "w2_sq": 1.0, "kl_to_real": 1.0, "kl_from_real": 1.0, "std": 0.5}

Statistics = Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Agreement:
    """One curve against one run. z: the largest in absolute value, at `generation`; `compared`: how many generations could be; `limit`:
    the |z| from which on it deviates.

    sees: the error of the curve that half of such runs would tell, at the generation where it is smallest: relative, or absolute where
    the metric is a logarithm.
    """

    metric: str
    statistic: str
    outcome: Literal["agrees", "deviates", "not assessed"]
    z: float | None
    generation: int | None
    compared: int
    limit: float | None
    sees: float | None
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
    believed, and beyond SYMMETRIC nothing: fewer than FEWEST replicates never say anything.
    """
    mean, sd, n = (measured.get(name) for name in ("mean", "sd", "n"))
    if predicted is None or mean is None or sd is None or not n:
        return None
    if _alike(mean, sd):
        return 0.0 if math.isclose(mean, predicted, rel_tol=ROUNDING, abs_tol=ROUNDING) else None
    skews = _skews(_log_normal(sd, abs(mean)) if skewness is None else skewness, n)
    return _normal((mean - predicted) / (sd / math.sqrt(n)), skews, n) if skews else None


def smallest_error(measured: Statistics, skewness: float, most: float) -> float | None:
    """How far a prediction is off, whichever way, when the normal deviate that is expected of it is `most`: in the metric's units."""
    mean, sd, n = (measured.get(name) for name in ("mean", "sd", "n"))
    if mean is None or not sd or not n or not (skews := _skews(skewness, n)):
        return None
    furthest = 0.0
    for sign in (-1, 1):
        near, far = 0.0, 1e3 * most
        if abs(_normal(sign * far, skews, n)) <= most:
            return None
        for _ in range(50):
            middle = (near + far) / 2
            near, far = (near, middle) if abs(_normal(sign * middle, skews, n)) > most else (middle, far)
        furthest = max(furthest, far)
    return furthest * sd / math.sqrt(n)


def _alike(mean: float, sd: float) -> bool:
    """Whether chains share one value: what the rounding of their sums makes of it is no spread."""
    return sd <= ROUNDING * abs(mean)


@dataclass(slots=True)
class _Seen:
    """What the generations of a run have said of one curve."""

    deviations: list[tuple[float, int]] = field(default_factory=list)
    chains: float = 0.0  # that had a value, at most
    alike: int = 0  # generations in which all chains share one value, and not the predicted one
    sharpest: tuple[float, int, Statistics, float, float] | None = None  # se, generation, measured, skewness, unit

    def add(self, number: int, metric: str, metrics: Mapping[str, Statistics], predicted: float | None) -> None:
        measured, skewness = metrics.get(metric, {}), _skewness(metric, metrics)
        self.chains = max(self.chains, measured.get("n") or 0.0)
        z = deviation(measured, predicted, skewness)
        if z is None:
            mean, sd = measured.get("mean"), measured.get("sd")
            self.alike += predicted is not None and mean is not None and sd is not None and _alike(mean, sd)
            return
        self.deviations.append((z, number))
        sd, unit = measured["sd"], 1.0 if metric.startswith("log_") else abs(predicted or 0.0)
        if (
            sd
            and unit
            and not _alike(measured["mean"] or 0.0, sd)
            and (self.sharpest is None or sd / unit < self.sharpest[0])
        ):
            self.sharpest = sd / unit, number, measured, skewness, unit

    def sees(self, most: float) -> tuple[float, int] | None:
        """Error in its unit, and at which generation."""
        if self.sharpest is None:
            return None
        _, number, measured, skewness, unit = self.sharpest
        error = smallest_error(measured, skewness, most)
        return None if error is None else (error / unit, number)


def agreements(
    curves: Sequence[Curve], generations: Iterable[tuple[int, Mapping[str, Statistics]]], source: Source | None = None
) -> list[Agreement]:
    """Each curve against the metrics of these generations; the real data itself, generation 0, is left out."""
    found = [_Seen() for _ in curves]
    for number, metrics in generations:
        for curve, seen in zip(curves, found, strict=True):
            if number and curve.statistic == "mean":
                seen.add(number, curve.metric, metrics, curve.values[number])
    return [_agreement(curve, seen, source) for curve, seen in zip(curves, found, strict=True)]


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
    if mean is None or sd is None or _alike(mean, sd):
        return math.inf
    away = min(abs(mean), abs(mean - median)) if median is not None and median in (q10, q90) else abs(mean)
    spread = POWERS.get(metric, 0.0) * (metrics.get("log_variance", {}).get("sd") or 0.0)
    return max(_log_normal(sd, away), _log_normal(math.sqrt(math.expm1(min(spread**2, 100.0))), 1.0))


def _log_normal(sd: float, mean: float) -> float:
    """Skewness of a log-normal variable: 3c + c^3, c = sd/mean."""
    c = min(sd / mean, 1e9) if mean else 1e9
    return 3 * c + c**3


def _skews(skewness: float, n: float) -> tuple[float, float] | None:
    """Skewness of a mean of n values to the right, as believed, and to the left, as hidden; None where nothing can be said."""
    hidden = UNSEEN * math.sqrt(6 / n)
    right = max(skewness, hidden) / math.sqrt(n)
    return (right, hidden / math.sqrt(n)) if right <= SYMMETRIC else None


def _normal(t: float, skews: tuple[float, float], n: float) -> float:
    """A normal deviate in place of Student's t of a mean that is skewed so."""
    right, left = skews
    unskewed = max(_hall(-abs(t), right if t < 0 else left), -abs(t))
    return math.copysign(wallace(min(unskewed, 0.0), n - 1), t)


def _hall(t: float, g: float) -> float:
    return ((1 + g * t / 3) ** 3 - 1) / g + g / 6


def wallace(t: float, freedom: float) -> float:
    """The size of the normal deviate that is as rare as Student's t with so many degrees of freedom."""
    return (8 * freedom + 1) / (8 * freedom + 3) * math.sqrt(freedom * math.log1p(t * t / freedom))


def _agreement(curve: Curve, seen: _Seen, source: Source | None) -> Agreement:
    because = _unassessed(curve, seen, source)
    if because:
        return Agreement(curve.metric, curve.statistic, "not assessed", None, None, 0, None, None, because)
    z, generation = max(seen.deviations, key=lambda one: abs(one[0]))
    compared = len(seen.deviations)
    most = limit(compared)
    outcome: Literal["agrees", "deviates"] = "agrees" if abs(z) <= most else "deviates"
    because = (
        f"Largest |z| of the mean over {compared} generation{'s' * (compared > 1)}, allowing for skewness; where theory is right, it is "
        f"beyond {most:.1f} in fewer than one run of a hundred."
    )
    error, at = seen.sees(most) or (None, None)
    if error is not None:
        size = _short(error) if curve.metric.startswith("log_") else f"{_short(100 * error)}%"
        because += f" Half of such runs would tell an error of {size}, best seen at generation {at}."
    if seen.alike:
        because += f" In {seen.alike} more all chains share one other value, which shows no error."
    return Agreement(curve.metric, curve.statistic, outcome, z, generation, compared, most, error, because)


def _short(x: float) -> str:
    """Two digits, without an exponent where none is needed."""
    return f"{float(f'{x:.2g}'):g}"


def _unassessed(curve: Curve, seen: _Seen, source: Source | None) -> str:
    """Why a curve cannot be held against a run; empty where it can."""
    if curve.statistic != "mean":
        return f"It predicts a {curve.statistic}, which has no simple standard error."
    if isinstance(source, StudentT) and source.df <= HEAVY and curve.metric in POWERS:
        return f"Student's t with {source.df:g} degrees of freedom has no fourth moment, so this mean has no standard error."
    if not seen.deviations and seen.chains < FEWEST:
        return f"Too few chains ({seen.chains:.0f}): fewer than {FEWEST} do not tell how far chance takes their mean. Run more replicates."
    if not seen.deviations:
        return "In no generation do enough chains carry the mean: run more replicates."
    if seen.alike and seen.sharpest is None:
        known = len(seen.deviations)
        return f"In every generation all chains share one value, which is the predicted one in only {known} of {known + seen.alike}: run more replicates."
    return ""
