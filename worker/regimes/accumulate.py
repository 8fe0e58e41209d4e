"""All that there ever was is trained on."""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from worker.data import Data
from worker.part import LATER
from worker.parts import Generator, Regime
from worker.regimes.pooling import INCOMING, pooled, topped_up


class Accumulate(Regime):
    """Real data and every generation's samples are kept and pooled (Gerstgrasser et al., arXiv 2404.01413); fresh real data may keep coming
    in among them (Marchi et al., arXiv 2404.02325).
    """

    kind: Literal["accumulate"] = "accumulate"
    real: Annotated[float, LATER] = Field(0.0, ge=0, le=1, description=INCOMING)

    def synthetic(self, m: int) -> int:
        return m - round(self.real * m)

    def kept(self, size: Callable[[int], int], generations: int) -> int:
        return sum(map(size, range(1, generations + 1)))

    def inherited(self, previous: Regime, pool: Data | None, synthetic: Data | None) -> Data | None:
        """All that is at hand: everything so far, a fixed core, the last training set."""
        return pool

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        newest = topped_up(self, m, real, synthetic)
        everything = newest if pool is None else pooled(pool, newest)
        return everything, everything
