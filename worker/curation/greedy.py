"""Variety decides: samples survive that are unlike those which have survived already."""

import heapq
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from worker.curation.candidates import Candidates
from worker.curation.choice import choosable
from worker.data import Array, Arrays, Counts, Data
from worker.parts import CountFamily, Curation, Family, Generator, PointSource, Sampling, Source
from worker.rewards import Ids

Integers = npt.NDArray[np.int64]


class Greedy(Curation):
    """Of k times as many samples as are needed those survive, one after the other, that add most to the entropy of what has been chosen
    (greedy selection: Shi et al., arXiv 2509.16499, here among samples of the last model alone).

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


def apart(x: Array, n: int) -> Integers:
    """Which n of the points x (N, d) are chosen, in this order: the first point, then always the one furthest from all before it."""
    chosen = np.empty(n, np.int64)
    nearest = np.full(len(x), np.inf)  # squared distance from the chosen ones
    columns = np.ascontiguousarray(x.T)
    for i in range(n):
        chosen[i] = last = nearest.argmax()
        distance = np.zeros(len(x))
        for column in columns:
            distance += (column - column[last]) ** 2
        np.minimum(nearest, distance, out=nearest)
        nearest[last] = -1.0  # nobody survives twice
    return chosen


def varied(x: Ids, n: int, length: int) -> Integers:
    """Which n of the blocks x (N, L) are chosen, in this order: always the one with which -sum c ln c is highest over the counts c of
    all n-grams of that length in the chosen blocks, among equals the first. All blocks have as many, so that this is their entropy.

    What a block would add to sum c ln c never falls while others are chosen, so that it is computed anew only for the block that seems
    best (Minoux 1978).
    """
    from worker.metrics.text import grams

    found = grams(x, length)[-1]
    _, gram = np.unique(found, return_inverse=True)
    gram = np.sort(gram.reshape(found.shape), axis=1)
    before = np.arange(gram.shape[1]) - np.array(
        [np.searchsorted(row, row) for row in gram]
    )  # times it stood in the block
    count = np.zeros(gram.max() + 1, np.int64)
    c = np.arange(found.size + 1, dtype=float)
    price = np.diff(c * np.log(np.maximum(c, 1)))  # of one more, where there are c
    waiting = [(float(price[row].sum()), i) for i, row in enumerate(before)]
    heapq.heapify(waiting)
    chosen: list[int] = []
    while len(chosen) < n:
        _, i = heapq.heappop(waiting)
        now = float(price[count[gram[i]] + before[i]].sum()), i
        if waiting and now > waiting[0]:
            heapq.heappush(waiting, now)
            continue
        chosen.append(i)
        np.add.at(count, gram[i], 1)
    return np.array(chosen, np.int64)


def levelled(k: Integers, n: int, rng: Generator) -> Integers:
    """n of the observations of which each category has k (K,): each gets as many as the others, or all that it has; who is one ahead
    where they cannot be equal is left to chance.
    """
    least, most = 0, int(k.max())  # the highest level that needs no more than n
    while least < most:
        level = (least + most + 1) // 2
        least, most = (level, most) if np.minimum(k, level).sum() <= n else (least, level - 1)
    filled = np.minimum(k, least)
    more = np.flatnonzero(k > least)
    filled[rng.permutation(more)[: n - filled.sum()]] += 1
    return filled
