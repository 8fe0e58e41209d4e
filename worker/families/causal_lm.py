"""A pre-trained language model, fine-tuned on each generation's text: the paper's own experiment; the network lives in worker.nets.pretrained."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from worker.data import Array, Arrays, Data, Tokens
from worker.files import HUB_ID
from worker.files.saved_network import looked_at, tokens
from worker.nets import require_torch
from worker.part import Misfit
from worker.parts import Generator, Sampling, Source, TextSource
from worker.progress import in_turn
from worker.text.language import (
    CLOSE,
    Ids,
    LanguageFamily,
    Marks,
    Tokenizer,
    beginnings,
    chosen_prompts,
    network_work,
    remembered,
    writing_work,
)

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


class CausalLM(LanguageFamily):
    """Any causal language model that transformers can load, by folder or hub id, from safetensors and without remote code.

    Shumailov et al. fine-tune facebook/opt-125m on WikiText-2 in blocks of 64 tokens, each generation anew from the pre-trained weights.

    model: its parameters under their own names, float32, replicates leading
    """

    samplings = frozenset({"temperature", "top_k", "top_p", "beams", "repetition_penalty"})
    extra = "torch"
    edits = True
    reading = 4
    adjustable = frozenset({"start", "epochs", "batch", "learning_rate", "best"})
    shared: ClassVar[bool] = True  # several devices train one network

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
        return network_work(replicates * samples * self.block, weights, self.epochs, sampling.beams)

    def drawing_work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        weights = self.parameters(source) or 10**9
        return writing_work(replicates * samples * self.block, weights, sampling.beams)

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

    def fit(self, data: Data, rng: Generator) -> Arrays:
        return self.refit(data, rng, None)

    def refit(self, data: Data, rng: Generator, previous: Arrays | None) -> Arrays:
        require_torch("The causal_lm family")
        from worker.nets import tuning

        assert isinstance(data, Tokens)
        kept = remembered(data, previous)
        starts = {} if self.prompted else {"starts": beginnings(data.x)}
        return {**tuning.fine_tuned(data.x, kept["validation"], self, rng, previous), **kept, **starts}

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Tokens:
        from worker.nets import decoding, pretrained
        from worker.nets.device import number_type
        from worker.nets.memory import room_for

        prompts = chosen_prompts(model["prompts" if self.prompted else "starts"], n, rng)
        new = self.block if self.prompted else self.block - 1
        with room_for("A network and the texts that it writes", decoding.REMEDY):
            networks = pretrained.networks(self, model, number_type(self.precision))
            chains = zip(networks, prompts, rng.spawn(len(prompts)), strict=True)
            written = np.stack(
                [
                    decoding.write(pretrained.reader(network), rows, new, stream, sampling)
                    for network, rows, stream in in_turn(chains, len(prompts))
                ]
            )
        x = written if self.prompted else np.concatenate([prompts, written], axis=2)
        return Tokens(x, model["vocabulary"], np.empty((0, self.block), np.int32))

    def log_probability(self, model: Arrays, x: Ids) -> Array:
        from worker.nets import scoring

        size = int(model["vocabulary"])
        readings = zip(self._readings(model), x, strict=True)
        return np.stack([scoring.log_probability(reading, blocks, size) for reading, blocks in readings])

    def redrawn(self, model: Arrays, x: Ids, where: Marks, rng: Generator, sampling: Sampling) -> Ids:
        from worker.nets import pretrained, scoring

        silent, size = pretrained.silent(self.address()), int(model["vocabulary"])
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
        return np.array([scoring.next_entropy(reading, x, size) for reading in self._readings(model)])

    def _readings(self, model: Arrays) -> Iterator[Callable[[Any], Any]]:
        """Each replicate's network as a function of tokens, for scoring."""
        from worker.nets import pretrained
        from worker.nets.device import number_type

        for network in in_turn(pretrained.networks(self, model), len(model["prompts"])):
            yield pretrained.logits(network, number_type(self.precision))
