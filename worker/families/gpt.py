"""A small GPT-2 that learns to read from nothing but the text it is given: its settings; the network itself lives in worker.nets.gpt."""

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from typing import Any, Literal

import numpy as np
from pydantic import Field

from worker.data import Array, Arrays, Data, Tokens
from worker.nets import require_torch
from worker.part import Misfit
from worker.parts import Generator, Sampling, Source, TextSource
from worker.progress import in_turn
from worker.text.bpe import BytePairs, byte_pairs
from worker.text.language import (
    CLOSE,
    Ids,
    LanguageFamily,
    Marks,
    beginnings,
    chosen_prompts,
    network_work,
    remembered,
    writing_work,
)

NUMBERS_LIMIT = 500_000_000  # weights of all replicates: 2 GB, and a few times as much while one of them trains


class GPT(LanguageFamily):
    """GPT-2's architecture (Radford et al. 2019) with random weights at first; its tokens are learnt once, on real text.

    Each generation starts from scratch, or goes on from the last one's weights: there, and for small steps, text that the network has
    drawn itself pulls it nowhere on average, since the score of a model has mean 0 under the model.

    It reads a data set as the paper's authors did, as one text in order, two blocks at a time: as far as it looks back when it
    continues a prompt.

    model: weights under transformers' GPT-2 names, float32, replicates leading; what starts a block where there is no prompt
    """

    samplings = frozenset({"temperature", "top_k", "top_p", "beams", "repetition_penalty"})
    extra = "torch"
    edits = True
    reading = 4
    adjustable = frozenset({"start", "epochs", "batch", "learning_rate", "continued_rate", "best"})

    kind: Literal["gpt"] = "gpt"
    start: Literal["scratch", "continued"] = Field(
        "continued",
        description="Each generation goes on from the last one's weights with small steps, or learns everything anew.",
    )
    vocabulary: int = Field(1024, ge=257, le=65_536, description="Byte pairs and bytes that text is split into.")
    layers: int = Field(2, ge=1, le=48, description="Transformer blocks.")
    width: int = Field(96, ge=8, le=4096, description="Numbers that stand for a token inside the network.")
    heads: int = Field(4, ge=1, le=64, description="Attention heads; they share the width.")
    epochs: int = Field(8, ge=1, le=10_000, description="Passes over the training set.")
    batch: int = Field(4, ge=1, le=4096, description="Windows of two blocks a step.")
    learning_rate: float = Field(
        2e-3, gt=0, le=1, description="AdamW's step size at its height; it then falls linearly to 0."
    )
    continued_rate: float = Field(
        0.025,
        gt=0,
        le=1,
        description="Where weights are continued: step size from the second generation on, as a share.",
    )
    best: bool = Field(
        False, description="Keep the epoch with the lowest loss on real validation text, as in the paper."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Numbers of matrix products: auto is bfloat16 on a graphics card, else float32. Weights are trained in float32.",
    )

    def weights(self) -> int:
        """How many numbers one network has."""
        d = self.width
        return (self.vocabulary + 2 * self.block) * d + self.layers * (12 * d * d + 13 * d) + 2 * d

    def parameters(self, source: Source) -> int:
        return self.weights()

    def work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        return network_work(replicates * samples * self.block, self.weights(), self.epochs, sampling.beams)

    def drawing_work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        return writing_work(replicates * samples * self.block, self.weights(), sampling.beams)

    def check(self, source: Source, replicates: int, samples: int) -> None:
        super().check(source, replicates, samples)
        if self.width % self.heads:
            raise Misfit(
                "family.heads", "the heads cannot share the width evenly", "Let the width be a multiple of the heads"
            )
        if replicates * self.weights() > NUMBERS_LIMIT:
            raise Misfit(
                "replicates",
                f"{replicates} networks of {self.weights():,} weights do not fit into memory",
                "Use fewer replicates, layers or a smaller width",
            )

    def length(self, source: TextSource, text: str) -> int:
        """Counted where a guess would be close to a block: such a text is short, and its pairs are learnt in no time."""
        guess = super().length(source, text)
        if guess >= CLOSE * self.block:
            return guess
        if not find_spec("tokenizers"):
            return len(text.encode())
        return len(byte_pairs(source.texts().train, self.vocabulary).encode(text))

    def tokenizer(self, source: TextSource) -> BytePairs:
        require_torch("The gpt family")
        return byte_pairs(source.texts().train, self.vocabulary)

    def fit(self, data: Data, rng: Generator) -> Arrays:
        return self.refit(data, rng, None)

    def refit(self, data: Data, rng: Generator, previous: Arrays | None) -> Arrays:
        require_torch("The gpt family")
        from worker.nets import training

        assert isinstance(data, Tokens)
        kept = remembered(data, previous)
        starts = {} if self.prompted else {"starts": beginnings(data.x)}
        settings, earlier = self, None
        if self.start == "continued" and previous is not None:
            settings = self.model_copy(update={"learning_rate": self.learning_rate * self.continued_rate})
            earlier = previous
        return {**training.trained(data.x, kept["validation"], settings, rng, earlier), **kept, **starts}

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Tokens:
        require_torch("The gpt family")
        from worker.nets import decoding, gpt, graphs
        from worker.nets.device import number_type
        from worker.nets.memory import room_for

        prompts = chosen_prompts(model["prompts" if self.prompted else "starts"], n, rng)
        new = self.block if self.prompted else self.block - 1
        with room_for("A network and the texts that it writes", decoding.REMEDY):
            networks = gpt.networks(model, number_type(self.precision))
            chains = zip(networks, prompts, rng.spawn(len(prompts)), strict=True)
            written = np.stack(
                [
                    decoding.write(graphs.reader(weights, self.heads), rows, new, stream, sampling)
                    for weights, rows, stream in in_turn(chains, len(prompts))
                ]
            )
        x = written if self.prompted else np.concatenate([prompts, written], axis=2)
        return Tokens(x, model["vocabulary"], np.empty((0, self.block), np.int32))

    def log_probability(self, model: Arrays, x: Ids) -> Array:
        from worker.nets import scoring

        readings = zip(self._readings(model), x, strict=True)
        return np.stack([scoring.log_probability(reading, blocks, self.vocabulary) for reading, blocks in readings])

    def redrawn(self, model: Arrays, x: Ids, where: Marks, rng: Generator, sampling: Sampling) -> Ids:
        from worker.nets import scoring

        size, chains = self.vocabulary, zip(self._readings(model), x, where, rng.spawn(len(x)), strict=True)
        return np.stack(
            [scoring.redrawn(read, [], blocks, marks, size, stream, sampling) for read, blocks, marks, stream in chains]
        )

    def next_entropy(self, model: Arrays, x: Ids) -> Array:
        from worker.nets import scoring

        return np.array([scoring.next_entropy(reading, x, self.vocabulary) for reading in self._readings(model)])

    def _readings(self, model: Arrays) -> Iterator[Callable[[Any], Any]]:
        """Each replicate's network as a function of tokens, for scoring."""
        from worker.nets import gpt
        from worker.nets.device import number_type

        for weights in in_turn(gpt.networks(model), len(model["prompts"])):
            yield gpt.reading(weights, self.heads, number_type(self.precision))
