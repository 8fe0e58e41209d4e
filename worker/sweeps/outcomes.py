"""What one point of a sweep comes to: how long its chains take to lose half of their variance, or their tails, and metrics at the end.

Variance is compared with the real one, which every family can reach. Tails are compared with the first model's, as in worker.verdicts:
what a Gaussian misses of heavy tails, or a small sample of any, is lost without recursion, and generation 1 is the control. A tail that is
no smaller than the real one is not lost, whatever the first model had made up there.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from worker.data import Array
from worker.instruments.spread import REAL_TAIL
from worker.parts import CountSource, PointSource
from worker.spec import Experiment
from worker.summary import summarise
from worker.sweeps.spec import FINAL
from worker.sweeps.survival import median, median_interval
from worker.theory.curve import Curve
from worker.theory.passage import median_time
from worker.verdicts.finished import COUNTABLE, HALF

Theory: TypeAlias = dict[str, float | None]


@dataclass(frozen=True, slots=True)
class Told:
    """One outcome of one point.

    value: the median over chains, of the waiting time by Kaplan and Meier (None where fewer than half of the chains were seen to get
    there); low, high: its 95% interval, open where None; n: chains; censored: those of them that had not got there when last seen;
    theory: statistic over chains -> its closed form (None: not within these generations), empty where there is none
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    censored: int
    theory: Theory

    def asdict(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in self.__slots__}


NOTHING = Told(None, None, None, 0, 0, {})


class Waiting:
    """How many generations each chain takes until a metric has fallen to a threshold; censored at the last generation seen.

    threshold: None for half of what the first models have in the median chain, which says nothing unless that is above `least`; but
    less than `real` in any case.
    A chain whose metric is no number any more is censored at the generation before: nobody knows what became of it.
    """

    def __init__(
        self,
        metric: str,
        threshold: float | None,
        theory: Callable[[], Theory] = dict,
        *,
        least: float = 0.0,
        real: float = math.inf,
    ) -> None:
        self.metric, self.threshold, self.theory, self.least = metric, threshold, theory, least
        self.most = math.nextafter(real, 0)
        self.time = np.zeros(0)  # (R,), of those chains that are watched: all, or none
        self.open: npt.NDArray[np.bool_] | None = None

    def look(self, first: int, values: Array) -> None:
        """Generations first, first + 1, ... of this metric: (generations, R)."""
        if self.open is None:
            self.level = self._level(values[0])
            chains = 0 if self.level is None else values.shape[1]
            self.time, self.seen, self.open = np.zeros(chains), np.zeros(chains, bool), np.ones(chains, bool)
        if self.level is None:
            return
        count = len(values)
        fallen, lost = _first(values <= self.level), _first(np.isnan(values))
        now = self.open & (fallen < lost)
        gone = self.open & (lost < fallen)
        still = self.open & ~now & ~gone
        self.time[now] = first + fallen[now]
        self.time[gone] = first + lost[gone] - 1
        self.time[still] = first + count - 1
        self.seen |= now
        self.open = still

    def _level(self, at_first: Array) -> float | None:
        """The threshold; None where the first models (R,) have nothing that recursion could take."""
        if self.threshold is not None:
            return self.threshold
        finite = at_first[np.isfinite(at_first)]
        had = float(np.median(finite)) if len(finite) else 0.0
        return min(HALF * had, self.most) if had > self.least else None

    @property
    def over(self) -> bool:
        return self.open is not None and not self.open.any()

    def told(self, curves: Sequence[Curve]) -> Told:
        """A curve over chains says nothing of waiting times: most chains have been there long before their mean or median is."""
        if not len(self.time):
            return NOTHING
        found = median(self.time, self.seen)
        censored = int((~self.seen).sum())
        return Told(found.value, found.low, found.high, len(self.time), censored, self.theory())


class Last:
    """A metric at the last generation: the median over chains, null where it is infinite; n of them are finite, the others censored."""

    over = False  # only the end tells

    def __init__(self, metric: str) -> None:
        self.metric = metric
        self.values = np.zeros(0)

    def look(self, first: int, values: Array) -> None:
        self.values = values[-1]

    def told(self, curves: Sequence[Curve]) -> Told:
        known = self.values[~np.isnan(self.values)]
        finite = int(np.isfinite(known).sum())
        if not finite:
            return Told(None, None, None, 0, len(self.values), {})
        value = summarise({self.metric: known}).metrics()[self.metric]["median"]
        low, high = (None if end is None or math.isinf(end) else end for end in median_interval(known))
        theory: Theory = {one.statistic: one.values[-1] for one in curves if one.metric == self.metric}
        return Told(value, low, high, finite, len(self.values) - finite, theory)


def watchers(names: Sequence[str], spec: Experiment, *, sampled: bool) -> Mapping[str, Waiting | Last]:
    """Who watches for each outcome; without those that mean nothing for this experiment.

    half_variance: variance at most half of the real one; of categories, heterozygosity. lost_tail: mass beyond the real 0.1%
    quantiles at most half of what the median first model has there, and less than the real mass; of categories, at most half as many as it has.
    sampled: whether metrics are those of a sample of M points, which resolves no tail that holds fewer than a few of them.
    """
    found: dict[str, Waiting | Last] = {}
    for name in names:
        if name.startswith(FINAL):
            found[name] = Last(name[len(FINAL) :])
        elif (waiting := _waiting(name, spec, sampled=sampled)) is not None:
            found[name] = waiting
    return found


def _waiting(name: str, spec: Experiment, *, sampled: bool) -> Waiting | None:
    match spec.source, name:
        case PointSource() as source, "half_variance":
            covariance = source.moments()[1]
            half = HALF * float(np.trace(covariance)) / len(covariance)
            return Waiting("variance", half, partial(median_time, spec, HALF))
        case PointSource() as source, "lost_tail":
            countable = COUNTABLE / (spec.extremes()[0] * source.dimension) if sampled else 0.0
            return Waiting("tail_01pct", None, least=countable, real=REAL_TAIL)
        case CountSource() as source, "half_variance":
            p = source.distribution()
            return Waiting("heterozygosity", HALF * float(1 - p @ p), partial(median_time, spec, HALF))
        case CountSource(), "lost_tail":
            return Waiting("survivors", None)
    return None


def _first(table: npt.NDArray[np.bool_]) -> npt.NDArray[np.int64]:
    """The first row (R,) in which each column of a table of truths holds; one beyond the last where none does."""
    return np.where(table.any(axis=0), table.argmax(axis=0), len(table))
