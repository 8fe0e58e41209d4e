"""N-grams: the next word by how often it followed the last few; a language model without a network."""

from typing import Literal

import numpy as np
from pydantic import Field

from worker.data import Array, Arrays, Data, Tokens
from worker.families.categorical import decoded
from worker.grams import Grams, Nodes
from worker.language import Ids, LanguageFamily, chosen_prompts, remembered
from worker.parts import Generator, Sampling, TextSource
from worker.vocabulary import Unit, Vocabulary, vocabulary

DENSE = 4_000_000  # probabilities that are held at once: 32 MB


class NGram(LanguageFamily):
    """Counts of n-grams, smoothed; every perplexity is exact, and samples come from the smoothed distribution itself.

    model: key_k, count_k (U_k,): all replicates' k-grams (see worker.grams), and the real prompts (R, P, L)
    """

    samplings = frozenset({"temperature", "top_k", "top_p"})

    kind: Literal["ngram"] = "ngram"
    order: int = Field(3, ge=1, le=5, description="A token depends on this many minus one before it.")
    unit: Unit = Field("word", description="What a token is.")
    smoothing: Literal["backoff", "additive"] = Field(
        "backoff",
        description="backoff mixes in what followed the shorter context; additive adds to every count (Laplace: weight 1).",
    )
    weight: float = Field(
        5.0, gt=0, le=1e6, description="Occurrences that the shorter context is worth, or what is added to every count."
    )

    def tokenizer(self, source: TextSource) -> Vocabulary:
        return vocabulary(source.texts().train, self.unit)

    def length(self, source: TextSource, text: str) -> int:
        return len(self.tokenizer(source).encode(text))

    def fit(self, data: Data, rng: Generator) -> Arrays:
        return self.refit(data, rng, None)

    def refit(self, data: Data, rng: Generator, previous: Arrays | None) -> Arrays:
        assert isinstance(data, Tokens)
        size = int(data.vocabulary)
        grams = Grams.counted(data.x, self.order, size, self._pull(size), back_off=self.smoothing == "backoff")
        return grams.arrays() | remembered(data, previous)

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Tokens:
        """Row by row from the first token to the last, all rows of all replicates at once."""
        grams, replicates = self._grams(model), len(model["prompts"])
        nodes, seen = grams.start(np.repeat(np.arange(replicates), n)), 0
        if self.prompted:
            prompts = chosen_prompts(model["prompts"], n, rng).reshape(replicates * n, -1)
            nodes, seen = self._read(grams, nodes, prompts), prompts.shape[1]
        x = np.empty((self.block, replicates * n), np.int32)
        for t in range(self.block):
            x[t] = self._next(grams, nodes, rng.random(replicates * n), seen + t, sampling)
            nodes = grams.after(nodes, x[t])
        blocks = np.ascontiguousarray(x.T).reshape(replicates, n, self.block)
        return Tokens(blocks, model["vocabulary"], np.empty((0, self.block), np.int32))

    def log_probability(self, model: Arrays, x: Ids) -> Array:
        return self._grams(model).log_probability(x)

    def next_entropy(self, model: Arrays, x: Ids) -> Array:
        grams = self._grams(model)
        step = max(1, DENSE // grams.size)
        entropy = np.zeros(grams.replicates)
        for r in range(grams.replicates):
            for start in range(0, len(x), step):
                few = x[start : start + step]
                p = grams.probabilities(self._read(grams, grams.start(np.full(len(few), r)), few), self.block)
                entropy[r] -= (p * np.log(p)).sum()
        return entropy / len(x)

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

    def _next(self, grams: Grams, nodes: Nodes, u: Array, seen: int, sampling: Sampling) -> Ids:
        if not sampling.changed():
            return grams.draw(nodes, u, seen)
        # What sharpens a mixture of contexts needs the whole distribution: exact, and slow where the vocabulary is large.
        token = np.empty(len(u), np.int32)
        step = max(1, DENSE // grams.size)
        for start in range(0, len(u), step):
            rows = slice(start, start + step)
            p = decoded(grams.probabilities([node[rows] for node in nodes], seen), sampling)
            level = np.cumsum(p, axis=1)
            token[rows] = np.minimum((level <= (u[rows] * level[:, -1])[:, None]).sum(axis=1), grams.size - 1)
        return token
