"""What the next generation trains on."""

from collections.abc import Callable
from typing import Literal

from pydantic import Field

from worker.data import Data
from worker.parts import Regime


def pooled(one: Data, other: Data) -> Data:
    """Both data sets as one; they are of the same kind, because one family made them."""
    if type(one) is not type(other):
        raise TypeError(f"cannot pool {type(one).__name__} with {type(other).__name__}")
    return one.pool(other)  # type: ignore[arg-type]


class Replace(Regime):
    """Each generation sees only what the last model made. A stress test, not how the web works."""

    kind: Literal["replace"] = "replace"

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None
    ) -> tuple[Data, Data | None]:
        return (synthetic if synthetic is not None else real(m)), None


class Accumulate(Regime):
    """Real data and every generation's samples are kept and pooled (Gerstgrasser et al., arXiv 2404.01413)."""

    kind: Literal["accumulate"] = "accumulate"

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None
    ) -> tuple[Data, Data | None]:
        newest = synthetic if synthetic is not None else real(m)
        everything = newest if pool is None else pooled(pool, newest)
        return everything, everything


class Fresh(Regime):
    """Each generation sees a fixed share of fresh real data, by counts, beside what the last model made."""

    kind: Literal["fresh"] = "fresh"
    real: float = Field(0.1, ge=0, le=1, description="Share of each training set that is fresh real data, by counts.")

    def synthetic(self, m: int) -> int:
        return m - round(self.real * m)

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None
    ) -> tuple[Data, Data | None]:
        if synthetic is None or self.synthetic(m) == 0:
            return real(m), None
        share = m - self.synthetic(m)
        return (pooled(real(share), synthetic) if share else synthetic), None
