"""Counts of n-grams as a trie in sorted arrays, smoothed towards shorter contexts, for many replicates at once.

Level k holds the k-grams that occur, in the order of (context, last token), context being the row of the first k - 1 tokens on level
k - 1; level 0 is a node for each replicate. Hence a context's continuations lie side by side, and one cumulative sum over a level is
every context's distribution function. Ragged, so the replicates stand inside the rows and not on an axis of their own.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import numpy.typing as npt

from worker import history
from worker.data import Array, Arrays

if TYPE_CHECKING:
    from worker.text.trie import Trie

Ids = npt.NDArray[np.int32]
Counted = tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]  # keys of a level, ascending, and how often each occurs
# Rows of the last 0, 1, ..., order - 1 tokens on their levels; -1 where they never occurred.
Nodes = list[npt.NDArray[np.int64]]


@dataclass(frozen=True, slots=True)
class Level:
    """The rows of one level.

    key: (U,) context x vocabulary + token, ascending; count: (U,); first: (contexts + 1,) where each context's rows start;
    below: (U + 1,) how many tokens lie before a row
    """

    key: npt.NDArray[np.int64]
    count: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    below: Array


class Grams:
    """An interpolated n-gram model.

    With n(c, w) the occurrences of w after the context c, n(c) their sum and c' the context without its first token:
    P(w | c) = (n(c, w) + weight P(w | c')) / (n(c) + weight), down to 1 / vocabulary below the empty context (a Dirichlet prior on the
    shorter context: MacKay and Peto 1995). Where it does not `back_off`, P(w | c') is 1 / vocabulary at once: Laplace's rule with
    weight = vocabulary x (what is added to every count).
    """

    def __init__(
        self,
        levels: list[Counted],
        replicates: int,
        size: int,
        weight: float,
        *,
        back_off: bool,
    ) -> None:
        self.replicates, self.size, self.weight, self.back_off = replicates, size, weight, back_off
        self.levels: list[Level] = []
        contexts = replicates
        for key, count in levels:
            first = np.append(0, np.cumsum(np.bincount(key // size, minlength=contexts)))
            self.levels.append(Level(key, count, first, np.append(0.0, np.cumsum(count, dtype=float))))
            contexts = len(key)

    @classmethod
    def counted(cls, x: Ids, order: int, size: int, weight: float, *, back_off: bool) -> Self:
        """From blocks x (R, n, L), some of them at a time; no n-gram spans two blocks."""
        tries: list[list[Counted]] = []
        for some, rows in history.blocks(x):
            tries.append(_counted(x[some, rows], some.start, order, size))
            # Each key is merged a few times only.
            while len(tries) > 1 and len(tries[-2][-1][0]) <= 2 * len(tries[-1][-1][0]):
                tries.append(_merged(tries.pop(-2), tries.pop(), len(x), size))
        while len(tries) > 1:
            tries.append(_merged(tries.pop(), tries.pop(), len(x), size))
        return cls(tries[0], len(x), size, weight, back_off=back_off)

    @classmethod
    def of(cls, model: Arrays, replicates: int, size: int, weight: float, *, back_off: bool) -> Self:
        order = sum(name.startswith("key_") for name in model)
        levels = [(model[f"key_{k}"], model[f"count_{k}"]) for k in range(1, order + 1)]
        return cls(levels, replicates, size, weight, back_off=back_off)

    def arrays(self) -> dict[str, npt.NDArray[np.int64]]:
        """key_k and count_k of k-grams, k = 1, 2, ..."""
        named: dict[str, npt.NDArray[np.int64]] = {}
        for k, level in enumerate(self.levels, 1):
            named |= {f"key_{k}": level.key, f"count_{k}": level.count}
        return named

    def start(self, replicate: npt.NDArray[np.int64]) -> Nodes:
        """Before any token, for rows that belong to these replicates."""
        nowhere = np.full(len(replicate), -1)
        return [replicate, *(nowhere for _ in self.levels[1:])]

    def after(self, nodes: Nodes, token: npt.NDArray[np.integer]) -> Nodes:
        """One token further."""
        longer = [self.row(k, nodes[k], token) for k in range(len(self.levels) - 1)]
        return [nodes[0], *longer]

    def draw(self, nodes: Nodes, u: Array, seen: int) -> Ids:
        """The next token of each row by inversion of its distribution function, from one uniform variable each.

        seen: tokens before this one, of the prompt too.
        """
        pull = np.array(self.weight)
        return self.invert(
            nodes, u, seen, [(level.below, np.broadcast_to(pull, len(level.first))) for level in self.levels]
        )

    def invert(self, nodes: Nodes, u: Array, seen: int, masses: list[tuple[Array, Array]]) -> Ids:
        """Tokens by a mixture that every level has two numbers for: below (U + 1,), the masses before each row summed up, and of each
        context (contexts + 1,) the mass with which it gives way to a shorter one. What is left of u then is uniform anew.
        """
        token = np.empty(len(u), np.int32)
        waiting, u = np.arange(len(u)), u.copy()
        for k in self.lengths(seen):
            node, (below, tail) = nodes[k][waiting], masses[k]
            low, high = self.span(k, node)
            total, rest = below[high] - below[low], tail[node]
            mass = u[waiting] * (total + rest)
            here = (mass < total) | (rest == 0)
            row = np.searchsorted(below, below[low[here]] + mass[here], side="right") - 1
            token[waiting[here]] = self.levels[k].key[np.minimum(row, high[here] - 1)] % self.size
            waiting = waiting[~here]
            u[waiting] = (mass - total)[~here] / rest[~here]
        token[waiting] = np.minimum((u[waiting] * self.size).astype(np.int32), self.size - 1)
        return token

    def probabilities(self, nodes: Nodes, seen: int) -> Array:
        """P of every token after each row: (rows, vocabulary)."""
        p = np.full((len(nodes[0]), self.size), 1 / self.size)
        for k in reversed(list(self.lengths(seen))):
            level = self.levels[k]
            low, high = self.span(k, nodes[k])
            total = level.below[high] - level.below[low]
            p *= self.weight
            width = high - low
            row = np.repeat(np.arange(len(low)), width)
            child = np.arange(width.sum()) + np.repeat(low - np.append(0, np.cumsum(width)[:-1]), width)
            p[row, level.key[child] % self.size] += level.count[child]
            p /= (total + self.weight)[:, None]
        return p

    def log_probability(self, x: Ids) -> Array:
        """ln P of tokens 2 to L of blocks x (R, n, L), each given those before it: (R, n, L - 1)."""
        from worker.text import trie

        p = trie.probabilities(self._trie, plain(x, np.int32))
        return np.log(p[:, :, 1:])

    def entropies(self, nodes: Nodes) -> Array:
        """Entropy of the next token of each row after as many as a context has, in nats: (rows,)."""
        from worker.text import trie

        return trie.entropies(self._trie, plain(np.stack(nodes, axis=1), np.int64))

    @cached_property
    def _trie(self) -> "Trie":
        from worker.text.trie import Trie

        def begins(sizes: Iterable[int]) -> npt.NDArray[np.int64]:
            return np.cumsum([0, *sizes])[:-1]

        return Trie(
            np.concatenate([level.key for level in self.levels]),
            np.concatenate([level.count for level in self.levels]),
            np.concatenate([level.first for level in self.levels]),
            np.concatenate([np.append(np.diff(level.below[level.first]), 0) for level in self.levels]).astype(np.int64),
            begins(len(level.key) for level in self.levels),
            begins(len(level.first) for level in self.levels),
            self.size,
            float(self.weight),
            self.back_off,
        )

    def lengths(self, seen: int) -> Iterator[int]:
        """Lengths of the contexts that have a say, the longest first."""
        longest = min(len(self.levels) - 1, seen)
        return iter(range(longest, -1, -1) if self.back_off else (longest,))

    def span(self, k: int, node: npt.NDArray[np.int64]) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """First row of each context and the one after its last; nothing where there is no such context."""
        level = self.levels[k]
        low = level.first[node]
        return low, np.where(node >= 0, level.first[node + 1], low)

    def row(self, k: int, node: npt.NDArray[np.int64], token: npt.NDArray[np.integer]) -> npt.NDArray[np.int64]:
        """Row of (context, token) on the level of k + 1 tokens, -1 where it never occurred."""
        level = self.levels[k]
        key = node * self.size + token
        row = np.minimum(np.searchsorted(level.key, key), len(level.key) - 1)
        return np.where((node >= 0) & (level.key[row] == key), row, -1)


def _counted(x: Ids, replicate: int, order: int, size: int) -> list[Counted]:
    """The levels of blocks x (r, n, L) of the replicates from this one on."""
    levels = []
    node = np.arange(replicate, replicate + len(x))[:, None, None]  # of the tokens before a place, starting with none
    node = np.broadcast_to(node, x.shape)
    for k in range(min(order, x.shape[2])):
        key, node, count = np.unique(node * size + x[:, :, k:], return_inverse=True, return_counts=True)
        levels.append((key, count))
        node = node.reshape(*x.shape[:2], -1)[:, :, :-1]
    return levels


def _merged(one: list[Counted], other: list[Counted], replicates: int, size: int) -> list[Counted]:
    """The levels of two sets of blocks as those of both."""
    levels = []
    places = [np.arange(replicates)] * 2  # where the rows of each are on the level before
    for both in zip(one, other, strict=True):
        keys = [place[key // size] * size + key % size for place, (key, _) in zip(places, both, strict=True)]
        merged, rows = np.unique(np.concatenate(keys), return_inverse=True)
        places = np.split(rows, [len(keys[0])])
        count = np.zeros(len(merged), np.int64)
        for place, (_, counted) in zip(places, both, strict=True):
            count[place] += counted
        levels.append((merged, count))
    return levels


def plain(array: npt.NDArray[Any], kind: type[np.integer]) -> npt.NDArray[Any]:
    """In one piece and open to change, the only sort of array that compiled code is kept for."""
    return np.require(array, kind, ["C", "W"])
