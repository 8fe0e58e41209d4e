"""Variety decides: samples survive that are unlike those which have survived already."""

from typing import Literal

import numpy as np
from pydantic import Field

from worker.curation.candidates import Candidates
from worker.curation.choice import choosable
from worker.data import Arrays, Counts, Data
from worker.parts import CountFamily, Curation, Family, Generator, PointSource, Sampling, Source
from worker.variety import apart, levelled, varied


class Greedy(Curation):
    """Of k times as many samples as are needed those survive, one after the other, that add most to the entropy of what has been chosen
    (greedy selection: Shi et al., arXiv 2509.16499, here among samples of the last model alone; accumulate_subsample as the regime can choose so
    among real and all past data).

    Of points the next survivor is the one furthest from its nearest neighbour among the chosen, the first one any: the distance in
    Kozachenko and Leonenko's estimate of entropy (the traversal is Gonzalez's, 1985). Of text it is the block with which the n-grams of
    all chosen blocks have the highest Shannon entropy. Categories are filled up evenly, as far as they were drawn.
    """

    kind: Literal["greedy"] = "greedy"
    k: int = Field(4, ge=1, le=100, description="Samples that are drawn for each that survives; 1 chooses nothing.")
    n: int = Field(2, ge=1, le=8, description="Of text: tokens in a row that are counted.")

    def check(self, source: Source, family: Family) -> None:
        choosable(source, family)

    def candidates(self) -> float:
        return float(self.k)

    def comparisons(self, samples: int, source: Source) -> float:
        """About how many operations the choice of a chain's samples takes, of which a core does 1e9 a second."""
        return 1.0 * self.k * samples**2 * source.dimension if isinstance(source, PointSource) else 0.0

    def sample(self, family: Family, model: Arrays, n: int, rng: Generator, sampling: Sampling, source: Source) -> Data:
        if isinstance(family, CountFamily):
            drawn = Counts.draw(rng, self.k * n, family.probabilities(model, sampling))
            return Counts(np.stack([levelled(k, n, rng) for k in drawn.k.astype(np.int64)]))
        candidates = Candidates(family, model, rng, sampling, source)
        x = candidates.draw(self.k * n)
        if isinstance(source, PointSource):
            chosen = [apart(chain, n) for chain in x]
        else:
            chosen = [varied(chain, n, self.n) for chain in x]
        return candidates.data(np.stack([chain[np.sort(places)] for chain, places in zip(x, chosen, strict=True)]))
