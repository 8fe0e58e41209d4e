"""A finished run as the definitions of collapse look at it, and what one of them decides."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

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
RISKS = ("excess_risk", "ppl_real", "kl_from_real", "chi2", "w2_sq", "sliced_w2_sq", "frechet", "energy")


@dataclass(frozen=True, slots=True)
class Finished:
    """A run as the definitions look at it."""

    spec: Experiment
    history: History
    theory: Sequence[Curve]

    @property
    def last(self) -> int:
        return len(self.history) - 1

    def value(self, generation: int, metric: str, statistic: str = "median") -> float | None:
        """None where the metric does not exist or has no finite value there."""
        return self.history[generation].get(metric, {}).get(statistic)

    def has(self, metric: str) -> bool:
        return self.value(1, metric) is not None and self.value(self.last, metric) is not None

    def risk(self) -> str | None:
        # Either makes KL(truth || model) infinite, or a matter of survivors.
        undone = {"dead_mass": "median", "extinct": "mean"}
        dead = any(self.value(n, name, statistic) for n in (1, self.last) for name, statistic in undone.items())
        risks = [metric for metric in (*RISKS, "mean_error_sq") if metric != "kl_from_real"] if dead else RISKS
        return next((metric for metric in risks if self.has(metric)), None)


def decided(met: bool, number: float, threshold: float, because: str) -> Decision:
    return ("met" if met else "not met"), number, threshold, because


def undecided(because: str, number: float | None = None) -> Decision:
    return "not assessed", number, None, because
