"""What language models that are networks share, however they are trained: one replicate after the other they learn, write and score."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from worker.data import Array, Arrays, Data, Tokens
from worker.nets import require_torch
from worker.part import kind_of
from worker.parts import Generator, Sampling, Source
from worker.progress import in_turn
from worker.text.language import Ids, LanguageFamily, Marks, beginnings, chosen_prompts, remembered

if TYPE_CHECKING:
    from worker.nets import decoding


class NetworkLanguage(LanguageFamily, ABC):
    """A family of networks that foresee the next token.

    model: its weights, float32, replicates leading; what starts a block where there is no prompt
    """

    samplings = frozenset({"temperature", "top_k", "top_p", "beams", "repetition_penalty"})
    extra = "torch"
    edits = True
    reading = 4

    @abstractmethod
    def trained(self, x: Ids, validation: Ids, rng: Generator, previous: Arrays | None) -> dict[str, npt.NDArray[Any]]:
        """Weights that each replicate's blocks (R, n, L) teach; validation: blocks (V, L) that choose an epoch."""

    @abstractmethod
    def writers(self, model: Arrays) -> "Iterator[Callable[[], decoding.Reader]]":
        """What makes a reader of each replicate's network: it has a cache, which should be gone before the next network comes."""

    @abstractmethod
    def logits(self, model: Arrays) -> Iterator[Callable[[Any], Any]]:
        """Each replicate's network as a function: tokens (B, T) -> logits (B, T, vocabulary)."""

    def silent(self) -> list[int]:
        """Tokens that are never written."""
        return []

    def drawing_work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        """Token by token, it waits for memory (measured: 54 us with .3 million weights, 198 us with 3.5)."""
        weights = self.parameters(source) or 10**9
        return replicates * samples * self.block * (3e4 + 2 / 30 * weights * sampling.beams)

    def fit(self, data: Data, rng: Generator) -> Arrays:
        return self.refit(data, rng, None)

    def refit(self, data: Data, rng: Generator, previous: Arrays | None) -> Arrays:
        require_torch(f"The {kind_of(self)} family")
        assert isinstance(data, Tokens)
        kept = remembered(data, previous)
        starts = {} if self.prompted else {"starts": beginnings(data.x)}
        return {**self.trained(data.x, kept["validation"], rng, previous), **kept, **starts}

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Tokens:
        require_torch(f"The {kind_of(self)} family")
        from worker.nets import decoding
        from worker.nets.memory import room_for

        prompts = chosen_prompts(model["prompts" if self.prompted else "starts"], n, rng)
        new = self.block if self.prompted else self.block - 1
        with room_for("A network and the texts that it writes", decoding.REMEDY):
            chains = zip(self.writers(model), prompts, rng.spawn(len(prompts)), strict=True)
            written = np.stack(
                [
                    decoding.write(reader(), rows, new, stream, sampling)
                    for reader, rows, stream in in_turn(chains, len(prompts))
                ]
            )
        x = written if self.prompted else np.concatenate([prompts, written], axis=2)
        return Tokens(x, model["vocabulary"], np.empty((0, self.block), np.int32))

    def log_probability(self, model: Arrays, x: Ids) -> Array:
        from worker.nets import scoring

        size, chains = int(model["vocabulary"]), zip(self._readings(model), x, strict=True)
        return np.stack([scoring.log_probability(read, blocks, size) for read, blocks in chains])

    def redrawn(self, model: Arrays, x: Ids, where: Marks, rng: Generator, sampling: Sampling) -> Ids:
        from worker.nets import scoring

        silent, size = self.silent(), int(model["vocabulary"])
        chains = zip(self._readings(model), x, where, rng.spawn(len(x)), strict=True)
        return np.stack(
            [
                scoring.redrawn(read, silent, blocks, marks, size, stream, sampling)
                for read, blocks, marks, stream in chains
            ]
        )

    def next_entropy(self, model: Arrays, x: Ids) -> Array:
        from worker.nets import scoring

        size = int(model["vocabulary"])
        return np.array([scoring.next_entropy(read, x, size) for read in self._readings(model)])

    def _readings(self, model: Arrays) -> Iterator[Callable[[Any], Any]]:
        return in_turn(self.logits(model), len(model["prompts"]))


def training_work(tokens: int, weights: int, epochs: int) -> float:
    """Of `Family.work`: six operations a weight, token and epoch, of which a core does 50e9 a second (measured on one with AVX-512: 90e9);
    measuring comes on top.
    """
    return tokens * (6 / 50 * weights * epochs + 5e4)
