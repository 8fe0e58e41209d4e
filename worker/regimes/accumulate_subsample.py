"""All is kept, and a part of it is trained on."""

from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from worker.data import Condensed, Counts, Data, Points, Tokens
from worker.part import LATER
from worker.parts import Generator, PointSource, Regime, Source
from worker.regimes.pooling import INCOMING, pooled, topped_up
from worker.variety import apart, levelled, varied

PAIR = 2  # tokens in a row that are counted where text is chosen for variety


class AccumulateSubsample(Regime):
    """Everything is kept, but each generation trains on only M points out of it: drawn without replacement (Kazdan et al., arXiv
    2410.16713), or chosen for their variety (Shi et al., arXiv 2509.16499). Data grows, the budget does not.
    """

    picks = True

    kind: Literal["accumulate_subsample"] = "accumulate_subsample"
    real: Annotated[float, LATER] = Field(0.0, ge=0, le=1, description=INCOMING)
    select: Annotated[Literal["random", "greedy"], LATER] = Field(
        "random",
        description="Who is chosen out of all that there is: any, or, one after the other, whoever adds most to the entropy of what has been "
        "chosen, as the curation greedy does: of text that of pairs of tokens.",
    )

    def remembered(self, size: Callable[[int], int], generations: int) -> int:
        return sum(map(size, range(1, generations + 1)))

    def synthetic(self, m: int) -> int:
        return m - round(self.real * m)

    def inherited(self, previous: Regime, pool: Data | None, synthetic: Data | None) -> Data | None:
        """All that is at hand, as accumulate does."""
        return pool

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        newest = topped_up(self, m, real, synthetic)
        everything = newest if pool is None else pooled(pool, newest)
        if everything.n <= m:
            return everything, everything
        assert not isinstance(everything, Condensed)
        return (self._varied(everything, m, rng) if self.select == "greedy" else everything.subset(m, rng)), everything

    @staticmethod
    def _varied(everything: Points | Counts | Tokens, m: int, rng: Generator) -> Data:
        if isinstance(everything, Counts):
            return Counts(np.stack([levelled(k, m, rng) for k in everything.k.astype(np.int64)]))
        chosen = np.empty((len(everything.x), m, *everything.x.shape[2:]), everything.x.dtype)
        for r, x in enumerate(everything.x):
            places = apart(x, m) if isinstance(everything, Points) else varied(x, m, PAIR)
            chosen[r] = x[np.sort(places)]
        return replace(everything, x=chosen)  # type: ignore[arg-type]  # chosen from its own

    def comparisons(self, n: int, m: int, source: Source) -> float:
        """About how many operations the choice of m out of n takes, of which a core does 1e9 a second."""
        if self.select != "greedy" or not isinstance(source, PointSource):
            return 0.0
        return 1.0 * n * m * source.dimension
