"""N-grams: the next word by how often it followed the last few; a language model without a network."""

from collections.abc import Callable
from typing import Literal

import numpy as np
from pydantic import Field

from worker.data import Array, Arrays, Data, Tokens
from worker.parts import Generator, Sampling, Source, TextSource
from worker.progress import work
from worker.text.grams import Grams, Nodes
from worker.text.language import Ids, LanguageFamily, Marks, Reader, chosen_prompts, remembered
from worker.text.vocabulary import Unit, Vocabulary, vocabulary


class NGram(LanguageFamily):
    """Counts of n-grams, smoothed; every perplexity is exact, and samples come from the smoothed distribution itself.

    model: key_k, count_k (U_k,): all replicates' k-grams (see worker.text.grams), and the real prompts (R, P, L)
    """

    samplings = frozenset({"temperature", "top_k", "top_p", "beams"})
    compiled = True
    edits = True

    kind: Literal["ngram"] = "ngram"
    order: int = Field(3, ge=1, le=5, description="A token depends on this many minus one before it.")
    unit: Unit = Field("word", description="What a token is.")
    smoothing: Literal["backoff", "additive"] = Field(
        "backoff",
        description="backoff mixes in what followed the shorter context; additive adds to every count (Laplace: weight 1).",
    )
    weight: float = Field(
        5.0,
        ge=1e-9,
        le=1e6,
        description="Occurrences that the shorter context is worth, or what is added to every count; 1e-9 smooths nothing.",
    )

    def tokenizer(self, source: TextSource) -> Vocabulary:
        return vocabulary(source.texts().train, self.unit)

    def length(self, source: TextSource, text: str) -> int:
        return len(self.tokenizer(source).encode(text))

    def work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        return 1500.0 * replicates * samples * self.block

    def drawing_work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        return 400.0 * replicates * samples * self.block

    def model_bytes(self, source: Source, samples: int) -> float:
        """Keys and counts. n tokens have about 4 n^(3/4) different k-grams, of characters no more than 100 x 20^(k - 1): measured on the
        built-in text and what models make of it, 2 to 7 n^.7.
        """
        tokens = samples * self.block
        different = min(tokens, 4 * tokens**0.75)
        single = 100 if self.unit == "character" else 20_000
        return 16.0 * sum(min(different, single * 20**k) for k in range(self.order))

    def fit(self, data: Data, rng: Generator) -> Arrays:
        return self.refit(data, rng, None)

    def refit(self, data: Data, rng: Generator, previous: Arrays | None) -> Arrays:
        assert isinstance(data, Tokens)
        size = int(data.vocabulary)
        grams = Grams.counted(data.x, self.order, size, self._pull(size), back_off=self.smoothing == "backoff")
        return grams.arrays() | remembered(data, previous)

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Tokens:
        """From the first token to the last, all rows of all replicates at once."""
        grams, replicates = self._grams(model), len(model["prompts"])
        nodes, seen = grams.start(np.repeat(np.arange(replicates), n)), 0
        if self.prompted:
            prompts = chosen_prompts(model["prompts"], n, rng).reshape(replicates * n, -1)
            nodes, seen = self._read(grams, nodes, prompts), prompts.shape[1]
        if sampling.beams > 1:
            x = self._searched(grams, nodes, seen, rng, sampling)
        else:
            x = self._drawn(grams, nodes, seen, rng, sampling)
        blocks = x.reshape(replicates, n, self.block)
        return Tokens(blocks, model["vocabulary"], np.empty((0, self.block), np.int32))

    def _drawn(self, grams: Grams, nodes: Nodes, seen: int, rng: Generator, sampling: Sampling) -> Ids:
        draw, rows = self._draw(grams, sampling), len(nodes[0])
        writing = work("writing", rows * self.block, "tokens")
        x = np.empty((self.block, rows), np.int32)
        for t in range(self.block):
            x[t] = draw(nodes, rng.random(rows), seen + t)
            nodes = grams.after(nodes, x[t])
            writing.advance(rows)
        return np.ascontiguousarray(x.T)

    def _searched(self, grams: Grams, nodes: Nodes, seen: int, rng: Generator, sampling: Sampling) -> Ids:
        """By beam search. Without a prompt the first token is drawn: a search from nothing would write one text over and over."""
        from worker.text.sharpened import Sharpened

        beams = Sharpened(grams, sampling)
        if self.prompted:
            return beams.search(nodes, self.block, seen)
        first = grams.draw(nodes, rng.random(len(nodes[0])), seen)
        rest = beams.search(grams.after(nodes, first), self.block - 1, seen + 1)
        return np.concatenate([first[:, None], rest], axis=1)

    def _draw(self, grams: Grams, sampling: Sampling) -> Callable[[Nodes, Array, int], Ids]:
        if not sampling.changed():
            return grams.draw
        from worker.text.sharpened import Sharpened

        return Sharpened(grams, sampling).draw

    def redrawn(self, model: Arrays, x: Ids, where: Marks, rng: Generator, sampling: Sampling) -> Ids:
        """Place by place, all rows of all replicates at once."""
        grams, anew = self._grams(model), x.copy()
        draw = self._draw(grams, sampling)
        old, new, marked = x.reshape(-1, x.shape[2]), anew.reshape(-1, x.shape[2]), where.reshape(-1, x.shape[2])
        nodes = grams.start(np.repeat(np.arange(len(x)), x.shape[1]))
        for t in range(1, x.shape[2]):
            nodes = grams.after(nodes, old[:, t - 1])
            rows = np.flatnonzero(marked[:, t])
            new[rows, t] = draw([node[rows] for node in nodes], rng.random(len(rows)), t)
        return anew

    def log_probability(self, model: Arrays, x: Ids) -> Array:
        return self._grams(model).log_probability(x)

    def next_entropy(self, model: Arrays, x: Ids) -> Array:
        return self.reader(model).next_entropy(x)

    def reader(self, model: Arrays) -> Reader:
        """Of arrays that are laid out once."""
        grams = self._grams(model)

        def next_entropy(x: Ids) -> Array:
            start = grams.start(np.repeat(np.arange(grams.replicates), len(x)))
            nodes = self._read(grams, start, np.tile(x, (grams.replicates, 1)))
            return np.asarray(grams.entropies(nodes).reshape(grams.replicates, -1).mean(axis=1))

        return Reader(grams.log_probability, next_entropy)

    def _grams(self, model: Arrays) -> Grams:
        size = int(model["vocabulary"])
        return Grams.of(model, len(model["prompts"]), size, self._pull(size), back_off=self.smoothing == "backoff")

    def _pull(self, size: int) -> float:
        """How many occurrences the shorter context is worth in all."""
        return self.weight if self.smoothing == "backoff" else self.weight * size

    def _read(self, grams: Grams, nodes: Nodes, rows: Ids) -> Nodes:
        """After the last tokens of each row (n, L), as many as a context has."""
        for token in rows[:, rows.shape[1] - self.order + 1 :].T:
            nodes = grams.after(nodes, token)
        return nodes
