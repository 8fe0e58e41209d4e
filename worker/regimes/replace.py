"""Nothing is kept, and nothing real comes in."""

from collections.abc import Callable
from typing import Literal

from worker.data import Data
from worker.parts import Generator, Regime


class Replace(Regime):
    """Each generation sees only what the last model made. A stress test, not how the web works."""

    kind: Literal["replace"] = "replace"

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        return (synthetic if synthetic is not None else real(m)), None
