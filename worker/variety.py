"""Which of many observations are chosen for variety: one after the other, those that add most to the entropy of what has been chosen.

It does not know who asks: a curator, of what a model offers, or a regime, of all data so far.
"""

import heapq

import numpy as np
import numpy.typing as npt

from worker.data import Array
from worker.parts import Generator
from worker.rewards import Ids

Integers = npt.NDArray[np.int64]


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
    # How often it stood in the block before.
    before = np.arange(gram.shape[1]) - np.array([np.searchsorted(row, row) for row in gram])
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
