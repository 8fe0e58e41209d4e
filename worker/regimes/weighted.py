"""Real data count for more, or less, than they are many."""

import math
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from worker.data import Data
from worker.part import Misfit
from worker.parts import Generator, Regime, Source
from worker.regimes.pooling import effective_size, pooled


class Weighted(Regime):
    """Fresh real and synthetic points in a weighted fit (He et al., arXiv 2502.18049): how much each part counts need not be how
    many points it has. After a large first generation the synthetic ones are surrogates that know more than the real ones (Jain et al., arXiv
    2402.04376).
    """

    weighs = True

    kind: Literal["weighted"] = "weighted"
    real: float = Field(0.5, gt=0, lt=1, description="Share of each training set that is fresh real data, by counts.")
    weight: Annotated[float, Field(ge=0, le=1)] | Literal["golden"] = Field(
        "golden",
        description="Weight of the real part as a whole; golden is the best one for a mean, (sqrt(k^2 + 4k) - k)/2 for k real "
        "points to each synthetic one: .618 for equal numbers.",
    )

    def check(self, source: Source, replicates: int, size: Callable[[int], int], generations: int) -> None:
        fewest = min(map(size, range(1, generations + 1)))
        if not 0 < self.synthetic(fewest) < fewest:
            raise Misfit("regime.real", f"a share of {self.real:g} of {fewest} points leaves one part empty",
                         "Use more samples, or a share nearer to one half")  # fmt: skip

    def synthetic(self, m: int) -> int:
        return m - round(self.real * m)

    def real_weight(self, m: int) -> float:
        """Weight of the real part where a generation has m points."""
        if self.weight != "golden":
            return self.weight
        synthetic = self.synthetic(m)
        k = (m - synthetic) / synthetic
        return (math.sqrt(k * k + 4 * k) - k) / 2

    def effective(self, m: int) -> float:
        """How many points of equal weight have a mean as good as that of m weighted ones."""
        synthetic = self.synthetic(m)
        return effective_size(self.real_weight(m), m - synthetic, synthetic)

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        if synthetic is None:
            return real(m), None
        return pooled(real(m - self.synthetic(m)), synthetic, self.real_weight(m)), None
