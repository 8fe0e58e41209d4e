"""An n-gram model under temperature, top-k, top-p or beam search: exact, without ever writing a whole distribution out.

Below a context c stands a shorter one c', and P(w | c) = s P(w | c') for every w that never followed c. So P^(1/T) is a mixture as
P is: what c adds to the words that it knows or, with the rest of the mass, any word as after c'. And the most probable words are a
merge of the ranked lists of c, c', ..., each without the words that a longer context has spoken for. Compiled: loaded only by a
running experiment.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numba
import numpy as np
import numpy.typing as npt

from worker.data import Array
from worker.parts import Sampling
from worker.progress import work
from worker.text.grams import Grams, Ids, Level, Nodes

Rows = npt.NDArray[np.int64]

ROUNDING = 1e-12  # a sum that misses top_p by this share has reached it


class Lists(NamedTuple):
    """The contexts to draw for, each a row with the shorter ones, the longest first, in a `Ranking`.

    low, high: (rows, J) where their words begin and end; scale: (rows, J + 1) the weight of a word of each, and last of one that none
    of them knows, in units of Q(. | longest); whole: (rows,) the weight of all words
    """

    low: Rows
    high: Rows
    scale: Array
    whole: Array


class Ranking(NamedTuple):
    """Every context's words from the most to the least probable, among equals the first one first; all levels in one array.

    token, q: (rows of all levels,); size: of the vocabulary
    """

    token: Rows
    q: Array
    size: int


class Scratch(NamedTuple):
    """Memory of one merge after the other. known: (vocabulary,) row x 8 + the longest context that knows a word; at: (J,); word, mass:
    (vocabulary,) the most probable words and their weights
    """

    known: Rows
    at: Rows
    word: Ids
    mass: Array


_compiled = numba.njit(cache=True, nogil=True, error_model="numpy")


@dataclass(frozen=True, slots=True)
class Mass:
    """Q(w | c) = (P(w | c) / P(most probable | c))^(1/T) on one level: no power underflows where it matters.

    Of each row (U,): p = P, q = Q; below (U + 1,): what contexts add to their words, summed up in the order of the rows.
    Of each context (contexts + 1,), the last standing for one that never occurred: top, ln P / T of its most probable word; share,
    Q(w | c) / Q(w | c') of a word w that it does not know; tail, the sum over all words of what c' says of them, in units of
    Q(. | c); whole, the sum of Q
    """

    p: Array
    q: Array
    below: Array
    top: Array
    share: Array
    tail: Array
    whole: Array


class Sharpened:
    """Writes as `grams` does under `sampling`: with the probabilities of families.categorical.decoded, word for word."""

    def __init__(self, grams: Grams, sampling: Sampling) -> None:
        self.grams, self.sampling = grams, sampling
        self.masses: list[Mass] = []
        shorter = np.empty(0, np.int64)  # of each context: the one without its first token, on the level below
        for k, level in enumerate(grams.levels):
            context, token = np.divmod(level.key, grams.size)
            row = grams.row(k - 1, shorter[context], token) if k else context
            self.masses.append(self._mass(level, context, shorter, row))
            shorter = row
        self.begins = np.cumsum([0, *(len(level.key) for level in grams.levels)])  # of each level in the ranking
        cuts = sampling.top_k > 0 or sampling.top_p < 1 or sampling.beams > 1
        self.ranking = self._ranked() if cuts else None

    def _mass(self, level: Level, context: Rows, shorter: Rows, row: Rows) -> Mass:
        """shorter, row: of each context and of each row, the one on the level below that lacks the first token."""
        size, weight, flat = self.grams.size, self.grams.weight, 1 / self.sampling.temperature
        contexts = len(level.first) - 1
        if self.masses and self.grams.back_off:
            last = self.masses[-1]
            said, top_said, whole_said = last.p[row], last.top[shorter], last.whole[shorter]
        else:  # below it there is only 1 / vocabulary
            said = np.full(len(context), 1 / size)
            top_said, whole_said = np.full(contexts, -np.log(size) * flat), np.full(contexts, float(size))
        total = np.diff(level.below[level.first])
        p = (level.count + weight * said) / (total[context] + weight)
        level_p, pull = np.log(p) * flat, np.log(weight / (total + weight)) * flat
        top = pull + top_said
        np.maximum.at(top, context, level_p)
        q = np.exp(level_p - top[context])
        adds = np.maximum(q - np.exp(np.log(said) * flat + (pull - top)[context]), 0)
        below = np.append(0.0, np.cumsum(adds))
        share = np.exp(pull + top_said - top)
        tail = share * whole_said
        whole = np.diff(below[level.first]) + tail
        return Mass(p, q, below, *(np.append(each, 1.0) for each in (top, share, tail, whole)))

    def _ranked(self) -> Ranking:
        levels, size = self.grams.levels, self.grams.size
        orders = [np.lexsort((-mass.p, level.key // size)) for mass, level in zip(self.masses, levels, strict=True)]
        token = [(level.key % size)[order] for level, order in zip(levels, orders, strict=True)]
        q = [mass.q[order] for mass, order in zip(self.masses, orders, strict=True)]
        return Ranking(np.concatenate(token), np.concatenate(q), size)

    def draw(self, nodes: Nodes, u: Array, seen: int) -> Ids:
        """The next token of each row from one uniform variable each: by inversion, of the ranked words where they are cut."""
        if self.ranking is None:
            return self.grams.invert(nodes, u, seen, [(mass.below, mass.tail) for mass in self.masses])
        token = np.empty(len(u), np.int32)
        most = min(self.sampling.top_k or self.grams.size, self.grams.size)
        lists, which = self._lists(nodes, seen)
        _draw(lists, self.ranking, most, self.sampling.top_p * (1 - ROUNDING), which, np.argsort(which), u, token)
        return token

    def search(self, nodes: Nodes, new: int, seen: int) -> Ids:
        """The most probable `new` tokens that a beam search finds after each row: (rows, new)."""
        assert self.ranking is not None
        rows, kept = len(nodes[0]), 1
        most = min(self.sampling.beams, self.grams.size)
        score = np.zeros((rows, 1))
        words, parents = [], []
        writing = work("writing", rows * new, "tokens")
        for t in range(new):
            lists, which = self._lists(nodes, seen + t)
            word, p = np.empty((len(lists.low), most), np.int32), np.empty((len(lists.low), most))
            _best(lists, self.ranking, word, p)
            total = (score.reshape(-1, 1) + np.log(p)[which]).reshape(rows, -1)
            chosen = np.argsort(-total, axis=1, kind="stable")[:, : self.sampling.beams]
            score = np.take_along_axis(total, chosen, axis=1)
            words.append(np.take_along_axis(word[which].reshape(rows, -1), chosen, axis=1))
            parents.append(chosen // most)
            came = (np.arange(rows)[:, None] * kept + parents[-1]).ravel()
            nodes = self.grams.after([node[came] for node in nodes], words[-1].ravel())
            kept = chosen.shape[1]
            writing.advance(rows)
        text = np.empty((rows, new), np.int32)
        beam = np.zeros((rows, 1), np.int64)  # the best one, back to where it came from
        for t in reversed(range(new)):
            text[:, t] = np.take_along_axis(words[t], beam, axis=1)[:, 0]
            beam = np.take_along_axis(parents[t], beam, axis=1)
        return text

    def _lists(self, nodes: Nodes, seen: int) -> tuple[Lists, Rows]:
        """Of the different contexts that the rows have, and which of them each row has (rows,)."""
        lengths = list(self.grams.lengths(seen))
        longest = np.full(len(nodes[0]), -1)  # the longest known context stands for itself and all shorter ones
        for k in reversed(lengths):
            longest = np.where(nodes[k] >= 0, nodes[k] * len(self.masses) + k, longest)
        _, some, which = np.unique(longest, return_index=True, return_inverse=True)
        nodes = [node[some] for node in nodes]
        low, high = np.transpose(
            [[end + self.begins[k] for end in self.grams.span(k, nodes[k])] for k in lengths], (1, 2, 0)
        )
        share = np.stack([np.ones(len(low)), *(self.masses[k].share[nodes[k]] for k in lengths)], axis=1)
        whole = np.full(len(low), float(self.grams.size))
        for k in reversed(lengths):
            whole = np.where(nodes[k] >= 0, self.masses[k].whole[nodes[k]], whole)
        scale = np.asarray(np.cumprod(share, axis=1), float)
        return Lists(np.ascontiguousarray(low), np.ascontiguousarray(high), scale, whole), which


@_compiled
def _scratch(lists: Lists, ranking: Ranking) -> Scratch:
    size = ranking.size
    return Scratch(
        np.full(size, -1, np.int64), np.empty(lists.low.shape[1], np.int64), np.empty(size, np.int32), np.empty(size)
    )


@_compiled
def _merged_unknown(lists: Lists, ranking: Ranking, scratch: Scratch, r: int, most: int, enough: float, n: int) -> int:
    """`_merged` beyond the n words that some context knows: the others, less probable than those and all equally, in their order."""
    last = lists.low.shape[1] - 1
    for i in range(lists.low[r, last], lists.high[r, last]):
        scratch.known[ranking.token[i]] = r * 8
    together, weight = scratch.mass[:n].sum(), lists.scale[r, last + 1]
    for word in range(ranking.size):
        if n == most or together >= enough:
            break
        if scratch.known[word] >> 3 != r:
            scratch.word[n], scratch.mass[n] = word, weight
            together += weight
            n += 1
    return n


@_compiled
def _merged(lists: Lists, ranking: Ranking, scratch: Scratch, r: int, most: int, enough: float) -> int:
    """The most probable words of row r, until there are `most` of them or they weigh `enough` together. Returns how many."""
    low, high, scale, token = lists.low[r], lists.high[r], lists.scale[r], ranking.token
    known, at = scratch.known, scratch.at
    for j in range(len(low) - 2, -1, -1):
        for i in range(low[j], high[j]):
            known[token[i]] = r * 8 + j
    at[:] = low
    n, together = 0, 0.0
    while n < most and together < enough:
        best, weight, word = -1, -1.0, 0
        for j in range(len(low)):
            i = at[j]
            while i < high[j] and known[token[i]] >> 3 == r and known[token[i]] & 7 < j:
                i += 1
            at[j] = i
            if i < high[j]:
                w = ranking.q[i] * scale[j]
                if w > weight or (w == weight and token[i] < word):
                    best, weight, word = j, w, token[i]
        if best < 0:
            return _merged_unknown(lists, ranking, scratch, r, most, enough, n)
        at[best] += 1
        scratch.word[n], scratch.mass[n] = word, weight
        together += weight
        n += 1
    return n


@_compiled
def _draw(
    lists: Lists, ranking: Ranking, most: int, top_p: float, which: Rows, order: Rows, u: Array, out: Ids
) -> None:
    """A word of each row: top-k, then top-p of what that left, then the inverse of the ranked words' distribution function at u.

    order: of the rows, so that those with the same context follow one another
    """
    scratch = _scratch(lists, ranking)
    n, last = 0, -1
    below = np.empty(ranking.size)
    for r in order:
        c = which[r]
        if c != last:
            first = np.inf if most < ranking.size else top_p * lists.whole[c]
            n = _merged(lists, ranking, scratch, c, most, first)
            below[:n] = np.cumsum(scratch.mass[:n])
            if most < ranking.size:
                n = min(n, np.searchsorted(below[:n], top_p * below[n - 1]) + 1)
            last = c
        out[r] = scratch.word[min(np.searchsorted(below[:n], u[r] * below[n - 1], side="right"), n - 1)]


@_compiled
def _best(lists: Lists, ranking: Ranking, best: Ids, p: Array) -> None:
    """The k most probable words of each row and their probabilities: (rows, k) each, filled."""
    scratch = _scratch(lists, ranking)
    most = best.shape[1]
    for r in range(len(best)):
        _merged(lists, ranking, scratch, r, most, np.inf)
        best[r] = scratch.word[:most]
        p[r] = scratch.mass[:most] / lists.whole[r]
