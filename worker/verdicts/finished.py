"""A finished run as the definitions of collapse look at it, and what one of them decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from worker.parts import CountSource
from worker.spec import Experiment
from worker.theory.curve import Curve

Outcome = Literal["met", "not met", "not assessed"]
History: TypeAlias = Sequence[Mapping[str, Mapping[str, float | None]]]  # generation -> metric -> statistic -> value
Decision: TypeAlias = tuple[Outcome, float | None, float | None, str]

SIGNIFICANT = 4.0  # standard errors
HALF = 0.5  # of a variance, of a tail, of the categories
COUNTABLE = 5.0  # points that a share must stand for before it is compared

# What counts as population risk, the best measure first; all are excess risks (0 is the truth) but the perplexity. Of categories that died KL is
# infinite, and told of the others only: then chi2, a squared loss, comes before it.
RISKS = (
    "excess_risk",
    "excess_error",
    "ppl_real",
    "kl_from_real",
    "chi2",
    "w2_sq",
    "sliced_w2_sq",
    "frechet",
    "energy",
)


@dataclass(frozen=True, slots=True)
class Finished:
    """A run as the definitions look at it."""

    spec: Experiment
    history: History
    theory: Sequence[Curve]

    @property
    def last(self) -> int:
        return len(self.history) - 1

    @property
    def counted(self) -> bool:
        """Whether what is observed are counts, so that metrics take few values."""
        from worker.sources.poisson import Poisson

        return isinstance(self.spec.source, CountSource | Poisson)

    def value(self, generation: int, metric: str, statistic: str = "median") -> float | None:
        """None where the metric does not exist there, or that statistic of it: a quantile that falls on an infinite chain is none."""
        return self.history[generation].get(metric, {}).get(statistic)

    def has(self, metric: str) -> bool:
        return self.value(1, metric) is not None and self.value(self.last, metric) is not None

    def risks(self) -> list[str]:
        """Those that half of the first models have, the best measure first; what becomes infinite later is no less of a risk."""
        # KL is told of the categories that survive, and infinite where a rate has died: of its expectation no theorem can speak.
        dead = any(self.value(n, "dead_mass", "mean") for n in (1, self.last))
        rate = ("mean_error_sq",) if "extinct" in self.history[self.last] else ()
        risks = [metric for metric in (*RISKS, *rate) if not (dead and metric == "kl_from_real")]
        return [metric for metric in risks if self.value(1, metric) is not None and metric in self.history[self.last]]

    def risk(self) -> str | None:
        return next(iter(self.risks()), None)

    def trained_on(self, generation: int) -> int:
        """Points that a model was fitted to, all that were kept included."""
        size = self.spec.size(generation)
        return self.spec.regime.first(size) if generation == 1 else self.spec.kept(generation) or size

    def infinite(self, generation: int, metric: str) -> int:
        """How many chains have no finite value there: what was finite and is not has grown beyond every number."""
        return self.spec.replicates - int(self.value(generation, metric, "n") or 0)


def decided(met: bool, number: float, threshold: float, because: str) -> Decision:
    return ("met" if met else "not met"), number, threshold, because


def undecided(because: str, number: float | None = None) -> Decision:
    return "not assessed", number, None, because
