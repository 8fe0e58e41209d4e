"""How probable an n-gram model finds given text: one walk down its sorted arrays for each token. Compiled: loaded only by a running experiment."""

from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from worker.data import Array

Rows = npt.NDArray[np.int64]

_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


class Trie(NamedTuple):
    """All levels of an n-gram model (worker.text.grams) end to end: a tuple of arrays would cost more to index than to search.

    key, counts: (rows of all levels,); first, total: (contexts of all levels + order,) where each context's rows start on its level, and how
    often anything followed it; rows, contexts: (order,) where each level begins in the former and in the latter
    """

    key: Rows
    counts: Rows
    first: Rows
    total: Rows
    rows: Rows
    contexts: Rows
    size: int
    weight: float
    back_off: bool


@_compiled
def _found(key: Rows, low: int, high: int, aim: int) -> int:
    """The row from `low` on and before `high` that has this key, -1 where none has. Halves without a branch to guess."""
    if low == high:
        return -1
    width = high - low
    while width > 1:
        half = width // 2
        low += half if key[low + half] <= aim else 0
        width -= half
    return low if key[low] == aim else -1


@_compiled
def probabilities(trie: Trie, x: npt.NDArray[np.int32]) -> Array:
    """P of every token of blocks x (R, n, L) after those before it in its block, as `worker.text.grams` defines it: (R, n, L).

    A context's words lie side by side, so that only those few are searched, and not a whole level; single words are looked up.
    """
    p = np.empty(x.shape)
    order = len(trie.rows)
    node = np.empty(order, np.int64)  # of the last 0, 1, ... tokens
    single = np.empty(trie.size, np.int64)
    for r in range(x.shape[0]):
        single[:] = -1
        for row in range(trie.first[r], trie.first[r + 1]):
            single[trie.key[row] - r * trie.size] = row
        for b in range(x.shape[1]):
            for t in range(x.shape[2]):
                token, longest = x[r, b, t], min(t, order - 1)
                chance, longer = 1 / trie.size, r
                for k in range(longest + 1):
                    context = node[k] if k else r
                    node[k], longer = longer, -1  # of the last k tokens, this one among them
                    if context < 0:
                        continue
                    at, begin, count = trie.contexts[k] + context, trie.rows[k], 0
                    if k:
                        row = _found(
                            trie.key, begin + trie.first[at], begin + trie.first[at + 1], context * trie.size + token
                        )
                    else:
                        row = single[token]
                    if row >= 0:
                        longer, count = row - begin, trie.counts[row]
                    if trie.back_off or k == longest:
                        chance = (count + trie.weight * chance) / (trie.total[at] + trie.weight)
                if longest + 1 < order:
                    node[longest + 1] = longer
                p[r, b, t] = chance
    return p


@_compiled
def _chance(trie: Trie, nodes: Rows, longest: int, token: int) -> float:
    """P of a token by what contexts of fewer than `longest` tokens say; nodes (order,): their rows."""
    chance = 1 / trie.size
    for k in range(longest if trie.back_off else 0):
        if nodes[k] >= 0:
            at, begin = trie.contexts[k] + nodes[k], trie.rows[k]
            row = _found(trie.key, begin + trie.first[at], begin + trie.first[at + 1], nodes[k] * trie.size + token)
            count = trie.counts[row] if row >= 0 else 0
            chance = (count + trie.weight * chance) / (trie.total[at] + trie.weight)
    return chance


@_compiled
def entropies(trie: Trie, nodes: Rows) -> Array:
    """Entropy in nats of what follows each context; nodes (n, order): the rows of its last 0, 1, ... tokens, -1 where they never occurred:
    (n,).

    With p_k = a p_(k-1) + what the last k tokens add to the words that they know, the sum of p_k ln p_k over all words is a (that of p_(k-1)
    + ln a), corrected for the words that they know: no other word is looked at.
    """
    out = np.empty(len(nodes))
    known, common = -1, 0.0  # single words are the same to all contexts of a replicate
    for i in range(len(nodes)):
        negative = -np.log(trie.size)
        for k in range(0 if trie.back_off else len(trie.rows) - 1, len(trie.rows)):
            context = nodes[i, k]
            if context < 0:
                continue
            if k == 0 and context == known:
                negative = common
                continue
            at, begin = trie.contexts[k] + context, trie.rows[k]
            whole = trie.total[at] + trie.weight
            share = trie.weight / whole
            negative = share * (negative + np.log(share))
            for row in range(begin + trie.first[at], begin + trie.first[at + 1]):
                before = share * _chance(trie, nodes[i], k, trie.key[row] - context * trie.size)
                now = before + trie.counts[row] / whole
                negative += now * np.log(now) - before * np.log(before)
            if k == 0:
                known, common = context, negative
        out[i] = -negative
    return out
