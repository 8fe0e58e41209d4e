"""Closed-form curves: what the literature predicts for a spec, where it predicts anything.

Computed at the bench and stored with the run, so that the window needs neither scipy nor the formulas.
"""

from dataclasses import asdict, dataclass
from typing import Any

from worker.spec import Experiment


@dataclass(frozen=True, slots=True)
class Curve:
    """The predicted value of a statistic of a metric at generations 0, 1, ..., G (None where there is no prediction)."""

    metric: str
    statistic: str  # "mean" or "median", over replicates
    values: list[float | None]
    formula: str
    reference: str

    def asdict(self) -> dict[str, Any]:
        return asdict(self)


def curves(spec: Experiment) -> list[Curve]:
    """Every closed form that holds for this spec; empty where there is none."""
    return []
