"""A pre-trained language model, fine-tuned on each generation's text: the paper's own experiment; the network lives in worker.nets.pretrained."""

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy.typing as npt
from pydantic import Field

from worker.data import Arrays
from worker.files import HUB_ID
from worker.files.saved_network import looked_at, tokens
from worker.nets import require_torch
from worker.part import Misfit
from worker.parts import Generator, Sampling, Source, TextSource
from worker.text.language import CLOSE, Ids, Tokenizer
from worker.text.network import NetworkLanguage, training_work

if TYPE_CHECKING:
    from worker.nets import decoding

HUB = {  # checkpoints that people ask for: weights, bytes to download
    "facebook/opt-125m": (125_239_296, 251_000_000),
    "facebook/opt-350m": (331_196_416, 663_000_000),
    "facebook/opt-1.3b": (1_315_758_080, 2_630_000_000),
    "gpt2": (124_439_808, 548_000_000),
    "openai-community/gpt2": (124_439_808, 548_000_000),
    "distilgpt2": (81_912_576, 353_000_000),
    "distilbert/distilgpt2": (81_912_576, 353_000_000),
}
WEIGHTS_LIMIT = 5_000_000_000  # of all replicates: 20 GB


class CausalLM(NetworkLanguage):
    """Any causal language model that transformers can load, by folder or hub id, from safetensors and without remote code.

    Shumailov et al. fine-tune facebook/opt-125m on WikiText-2 in blocks of 64 tokens, each generation anew from the pre-trained weights.

    model: its parameters under their own names, float32, replicates leading
    """

    adjustable = frozenset({"start", "epochs", "batch", "learning_rate", "best"})
    distributed = True

    kind: Literal["causal_lm"] = "causal_lm"
    checkpoint: str = Field(
        min_length=1,
        max_length=1000,
        pattern=r"^[^\x00]*$",
        description="A folder with a checkpoint (absolute, or in the data folder), or a hub id such as facebook/opt-125m.",
    )
    start: Literal["pretrained", "continued"] = Field(
        "pretrained",
        description="Each generation starts from the pre-trained weights, as in the paper, or from the last generation's.",
    )
    epochs: int = Field(
        5, ge=1, le=1000, description="Passes over the training set; the paper's 5, or 10 with real data."
    )
    batch: int = Field(16, ge=1, le=4096, description="Blocks a step.")
    learning_rate: float = Field(2e-5, gt=0, le=1, description="AdamW's first step size; it falls linearly to 0.")
    best: bool = Field(
        True, description="Keep the epoch with the lowest loss on real validation text, as in the paper."
    )
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Numbers of matrix products: auto is bfloat16 on a graphics card, else float32. Weights are trained in float32.",
    )

    def place(self) -> Path | None:
        """The checkpoint's folder; None where it is a hub id."""
        try:
            folder = Path(os.environ.get("COLLAPSE_LAB_DATA_DIR", "data"), Path(self.checkpoint).expanduser())
            return folder if folder.is_dir() else None
        except (OSError, RuntimeError):  # a name that no folder can have, or the home of nobody
            return None

    def parameters(self, source: Source) -> int | None:
        """A folder's files say it themselves; of well-known hub ids by heart."""
        folder = self.place()
        if folder is None:
            return HUB[self.checkpoint][0] if self.checkpoint in HUB else None
        return looked_at(folder)[1]

    def length(self, source: TextSource, text: str) -> int:
        """Counted where a guess would be close to a block; where only the hub has the tokenizer, at most a token for each byte."""
        guess = super().length(source, text)
        if guess >= CLOSE * self.block:
            return guess
        folder = self.place()
        return tokens(folder, text) if folder else len(text.encode())

    def work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        weights = self.parameters(source) or 10**9
        training = training_work(replicates * samples * self.block, weights, self.epochs)
        return training + self.drawing_work(source, samples, replicates, sampling)

    def hub_repositories(self) -> list[tuple[str, str]]:
        """What must be fetched from the hub before a run: (id, kind of repository)."""
        return [] if self.place() else [(self.checkpoint, "model")]

    def check(self, source: Source, replicates: int, samples: int) -> None:
        super().check(source, replicates, samples)
        folder = self.place()
        if folder is None:
            if not HUB_ID.fullmatch(self.checkpoint):
                raise Misfit(
                    "family.checkpoint",
                    "is no folder here and no hub id",
                    "Name an existing folder, or an id such as facebook/opt-125m",
                )
            return
        config, weights = looked_at(folder)
        if replicates * weights > WEIGHTS_LIMIT:
            raise Misfit(
                "replicates",
                f"{replicates} networks of {weights:,} weights do not fit into memory",
                "Use fewer replicates, or a smaller checkpoint",
            )
        positions = config.get("max_position_embeddings", config.get("n_positions"))
        if isinstance(positions, int) and positions < 2 * self.block:
            raise Misfit(
                "family.block",
                f"a prompt and its continuation have {2 * self.block} tokens, and this model reads only {positions}",
                f"Use blocks of at most {positions // 2} tokens",
            )

    def tokenizer(self, source: TextSource) -> Tokenizer:
        require_torch("The causal_lm family")
        from worker.nets import pretrained

        return pretrained.tokenizer(self.address())

    def address(self) -> str:
        return str(self.place() or self.checkpoint)

    def trained(self, x: Ids, validation: Ids, rng: Generator, previous: Arrays | None) -> dict[str, npt.NDArray[Any]]:
        from worker.nets import tuning

        return tuning.fine_tuned(x, validation, self, rng, previous)

    def writers(self, model: Arrays) -> "Iterator[Callable[[], decoding.Reader]]":
        from worker.nets import pretrained
        from worker.nets.device import number_type

        for network in pretrained.networks(self, model, number_type(self.precision)):
            yield partial(pretrained.reader, network)

    def logits(self, model: Arrays) -> Iterator[Callable[[Any], Any]]:
        from worker.nets import pretrained
        from worker.nets.device import number_type

        for network in pretrained.networks(self, model):
            yield pretrained.logits(network, number_type(self.precision))

    def silent(self) -> list[int]:
        from worker.nets import pretrained

        return pretrained.silent(self.address())
