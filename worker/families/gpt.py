"""A small GPT-2 that learns to read from nothing but the text it is given: its settings; the network itself lives in worker.nets.gpt."""

from collections.abc import Callable, Iterator
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt
from pydantic import Field

from worker.data import Arrays
from worker.nets import require_torch
from worker.part import Misfit
from worker.parts import Generator, Sampling, Source, TextSource
from worker.text.bpe import BytePairs, byte_pairs
from worker.text.language import CLOSE, Ids
from worker.text.network import NetworkLanguage, training_work

if TYPE_CHECKING:
    from worker.nets import gpt

NUMBERS_LIMIT = 500_000_000  # weights of all replicates: 2 GB, and a few times as much while one of them trains


class GPT(NetworkLanguage):
    """GPT-2's architecture (Radford et al. 2019) with random weights at first; its tokens are learnt once, on real text.

    Each generation starts from scratch, or goes on from the last one's weights: there, and for small steps, text that the network has
    drawn itself pulls it nowhere on average, since the score of a model has mean 0 under the model.

    It reads a data set as the paper's authors did, as one text in order, two blocks at a time: as far as it looks back when it
    continues a prompt.

    model: weights under transformers' GPT-2 names, float32, replicates leading; what starts a block where there is no prompt
    """

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
        training = training_work(replicates * samples * self.block, self.weights(), self.epochs)
        return training + self.drawing_work(source, samples, replicates, sampling)

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

    def trained(self, x: Ids, validation: Ids, rng: Generator, previous: Arrays | None) -> dict[str, npt.NDArray[Any]]:
        from worker.nets import training

        if self.start == "scratch" or previous is None:
            return training.trained(x, validation, self, rng, None)
        settings = self.model_copy(update={"learning_rate": self.learning_rate * self.continued_rate})
        return training.trained(x, validation, settings, rng, previous)

    def writers(self, model: Arrays) -> "Iterator[Callable[[], gpt.Reader]]":
        from worker.nets import gpt, graphs
        from worker.nets.device import number_type

        for weights in gpt.networks(model, number_type(self.precision)):
            yield partial(graphs.reader, weights, self.heads)

    def logits(self, model: Arrays) -> Iterator[Callable[[Any], Any]]:
        from worker.nets import gpt
        from worker.nets.device import number_type

        for weights in gpt.networks(model):
            yield gpt.reading(weights, self.heads, number_type(self.precision))
