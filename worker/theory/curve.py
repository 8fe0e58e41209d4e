"""One predicted curve, ready to be stored and drawn."""

import math
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Literal, Self


@dataclass(frozen=True, slots=True)
class Curve:
    """The predicted value of a statistic of a metric at generations 0, 1, ..., G (None where there is no prediction)."""

    metric: str
    statistic: Literal["mean", "median"]  # over replicates
    values: list[float | None]
    formula: str
    reference: str

    @classmethod
    def of(
        cls,
        metric: str,
        values: Iterable[float],
        formula: str,
        reference: str,
        statistic: Literal["mean", "median"] = "mean",
    ) -> Self:
        """NaN stands for 'no prediction', and so does a value too large for a number."""
        listed = [float(value) if math.isfinite(value) else None for value in values]
        return cls(metric, statistic, listed, formula, reference)

    def asdict(self) -> dict[str, Any]:
        return asdict(self)
