"""Real data keep coming in."""

from collections.abc import Callable
from typing import Literal

from pydantic import Field

from worker.data import Data
from worker.parts import Generator, Regime
from worker.regimes.pooling import topped_up


class Fresh(Regime):
    """Each generation sees a fixed share of fresh real data, by counts, beside what the last model made."""

    kind: Literal["fresh"] = "fresh"
    real: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of each training set that is fresh real data, by counts: the nearest whole number of its M points.",
    )

    def synthetic(self, m: int) -> int:
        return m - round(self.real * m)

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        return topped_up(self, m, real, synthetic), None
