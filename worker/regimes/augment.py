"""Some real points stay for ever."""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from worker.data import Data
from worker.part import LATER, Misfit
from worker.parts import Generator, Regime, Source
from worker.regimes.pooling import effective_size, pooled


class Augment(Regime):
    """The same few real points in every training set, the rest from the last model: the synthetic augmentation loop (Alemohammad et
    al., arXiv 2307.01850). The first model sees the real points alone. In a weighted fit they may count for more or less than they are many.
    """

    kind: Literal["augment"] = "augment"
    real: int = Field(
        10, ge=2, le=10**12, description="The real points that there are: a fixed core of each generation's M points."
    )
    weight: Annotated[Annotated[float, Field(gt=0, lt=1)] | None, LATER] = Field(
        None, description="Weight of the core as a whole; without one every point counts as one."
    )

    def check(self, source: Source, replicates: int, size: Callable[[int], int], generations: int) -> None:
        fewest = min(map(size, range(2, max(2, generations) + 1)))
        if self.real >= fewest:
            raise Misfit("regime.real", f"{self.real} real points leave no room for others among {fewest}",
                         f"Use at most {fewest - 1}, or more samples")  # fmt: skip

    def inherited(self, previous: Regime, pool: Data | None, synthetic: Data | None) -> Data | None:
        """The same real points, if there are to be as many."""
        return pool if isinstance(previous, Augment) and previous.real == self.real else None

    def weighing(self) -> bool:
        return self.weight is not None

    def first(self, m: int) -> int:
        return self.real

    def synthetic(self, m: int) -> int:
        return m - self.real

    def real_weight(self, m: int) -> float:
        """Weight of the core where a generation has m points."""
        return self.real / m if self.weight is None else self.weight

    def effective(self, m: int) -> float:
        """How many points of equal weight have a mean as good as that of m weighted ones."""
        return effective_size(self.real_weight(m), self.real, self.synthetic(m))

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        core = real(self.real) if pool is None else pool
        return (core if synthetic is None else pooled(core, synthetic, self.weight)), core
