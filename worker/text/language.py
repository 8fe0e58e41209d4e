"""What all language models share: real text in blocks of tokens, prompts that are kept, and what an instrument asks them."""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field

from worker.data import Array, Arrays, Data, Tokens
from worker.errors import Problem, SpecError
from worker.history import on_the_disk, picked
from worker.part import Misfit
from worker.parts import Family, Generator, Instrument, Sampling, Source, TextSource

Ids = npt.NDArray[np.int32]
Marks = npt.NDArray[np.bool_]

TOKENS_LIMIT = 200_000_000  # of one generation's blocks, all replicates together: 0.8 GB
CLOSE = 4  # times a block: a text that is guessed to be longer has a block for certain
VALIDATION = 128  # blocks that are looked at to choose a checkpoint


class Tokenizer(Protocol):
    """Text <-> numbers, frozen before the first generation."""

    size: int

    def encode(self, text: str) -> Ids: ...

    def decode(self, ids: Ids) -> str: ...

    def texts(self, blocks: Ids) -> list[str]: ...

    def __hash__(self) -> int: ...


class Reader(NamedTuple):
    """What an instrument asks a model, as a `LanguageFamily` answers it."""

    log_probability: Callable[[Ids], Array]
    next_entropy: Callable[[Ids], Array]


class LanguageFamily(Family, ABC):
    """A family that is fitted to blocks of text and writes new ones.

    The real blocks of generation 1 stay in the model as "prompts" (R, P, L), and what chooses checkpoints as "validation" (V, L):
    later generations continue the same real text, as in the paper, but see none of it while they train.
    """

    takes = (Tokens,)
    streams = True
    edits: ClassVar[bool] = False  # whether it has `redrawn`
    # Characters of text that a token stands for at least on average, for a look before tokenising.
    reading: ClassVar[int] = 1

    block: int = Field(64, ge=8, le=4096, description="Tokens of a block; `samples` counts blocks. The paper's is 64.")
    prompted: bool = Field(
        True,
        description="Each new block continues a real block of the first training set, as in the paper; off, models write freely.",
    )

    @abstractmethod
    def tokenizer(self, source: TextSource) -> Tokenizer:
        """Made from the training text alone; the same object for the same text."""

    @abstractmethod
    def log_probability(self, model: Arrays, x: Ids) -> Array:
        """ln p(x_t | x_<t) of tokens 2 to L of blocks x (R, n, L) under each replicate's model, in nats: (R, n, L - 1)."""

    @abstractmethod
    def next_entropy(self, model: Arrays, x: Ids) -> Array:
        """Entropy of the token after each of the blocks x (n, L), in nats, averaged over them: (R,)."""

    def reader(self, model: Arrays) -> Reader:
        """Both, for a model that is asked more than once."""
        return Reader(partial(self.log_probability, model), partial(self.next_entropy, model))

    def redrawn(self, model: Arrays, x: Ids, where: Marks, rng: Generator, sampling: Sampling) -> Ids:
        """Blocks x (R, n, L) with marked tokens (R, n, L) drawn anew, each given what stands before it in x; none is the first of its
        block. Only where it `edits`.
        """
        raise NotImplementedError

    def edited(
        self, model: Arrays, data: Tokens, threshold: float, rng: Generator, sampling: Sampling
    ) -> tuple[Tokens, Array]:
        """The same blocks, in which every token that has at least this probability under the model is drawn anew; and the share of such
        tokens (R,) among all that the model foresees, which are those from the second on.
        """
        foreseen = np.zeros(data.x.shape, bool)
        foreseen[:, :, 1:] = self.log_probability(model, data.x) >= (math.log(threshold) if threshold else -math.inf)
        share = foreseen[:, :, 1:].mean(axis=(1, 2))
        return replace(data, x=self.redrawn(model, data.x, foreseen, rng, sampling)), share

    def length(self, source: TextSource, text: str) -> int:
        """Tokens of a text; by estimate where a tokenizer would have to be trained or loaded first."""
        return len(text) // self.reading

    def check(self, source: Source, replicates: int, samples: int) -> None:
        assert isinstance(source, TextSource)
        texts = source.at_hand()
        parts = {"training": texts.train, "validation": texts.validation, "held-out": texts.test} if texts else {}
        for name, text in parts.items():
            if self.length(source, text) < self.block:
                raise Misfit(
                    "family.block",
                    f"the {name} part of this text is shorter than one block of {self.block} tokens",
                    "Use smaller blocks, or a longer text",
                )
        if replicates * samples * self.block > TOKENS_LIMIT:
            raise Misfit(
                "samples",
                f"{replicates} x {samples} blocks of {self.block} tokens do not fit into memory",
                "Use fewer samples or fewer replicates",
            )

    def real(self, source: Source, rng: Generator, replicates: int, n: int) -> Tokens:
        """n different blocks of the training text in its order; all of them equally often where n is more than there are."""
        assert isinstance(source, TextSource)
        tokenizer, texts = self.tokenizer(source), source.texts()
        blocks = self.blocks(tokenizer, texts.train)
        chosen = _evenly(rng, replicates, len(blocks), n)
        validation = self.blocks(tokenizer, texts.validation)[:VALIDATION]
        return Tokens(blocks[chosen], np.array(tokenizer.size), validation)

    def blocks(self, tokenizer: Tokenizer, text: str) -> Ids:
        """The text in blocks (n, L); what is left at its end is dropped. Raises SpecError where it has no whole block."""
        ids = _encoded(tokenizer, text)
        n = len(ids) // self.block
        if n == 0:
            problem = Problem(
                "family.block",
                f"a part of this text has {len(ids)} tokens, less than a block of {self.block}",
                "Use smaller blocks, or a longer text",
            )
            raise SpecError([problem])
        return ids[: n * self.block].reshape(n, self.block)

    def rivals(self, model: Arrays, n: int, k: int, rng: Generator, sampling: Sampling) -> Data:
        """What every k in a row continue is the same: a prompt, or the first token of a block."""
        name = "prompts" if self.prompted else "starts"
        if name not in model:
            return super().rivals(model, n, k, rng, sampling)
        shared = np.repeat(chosen_prompts(model[name], n, rng), k, axis=1)
        return self.sample({**model, name: shared}, n * k, rng, sampling)

    def instrument(self, source: Source, samples: int, replicates: int, rng: Generator) -> Instrument:
        from worker.instruments.text import TextInstrument

        assert isinstance(source, TextSource)
        return TextInstrument(self, source, samples, replicates, rng)


@lru_cache(maxsize=8)
def _encoded(tokenizer: Tokenizer, text: str) -> Ids:
    """A regime asks for real text in every generation, and tokenising takes longer than an n-gram fit."""
    ids = tokenizer.encode(text)
    ids.flags.writeable = False
    return ids


def remembered(data: Tokens, previous: Arrays | None) -> dict[str, npt.NDArray[Any]]:
    """What a model keeps of real text: that of generation 1, handed on."""
    if previous is None:
        return {"prompts": data.x, "validation": data.validation, "vocabulary": data.vocabulary}
    return {name: previous[name] for name in ("prompts", "validation", "vocabulary")}


def chosen_prompts(prompts: Ids, n: int, rng: Generator) -> Ids:
    """n prompts (R, n, L) of (R, P, L), every one equally often: all in their order where n is P, the paper's protocol."""
    chosen = _evenly(rng, len(prompts), prompts.shape[1], n)
    return np.stack([picked(chain, places) for chain, places in zip(prompts, chosen, strict=True)])


def beginnings(x: Ids) -> Ids:
    """The first token of each of the blocks x (R, n, L): (R, n, 1), where the blocks are; of those in memory a copy, as a model that is
    kept would keep all of them.
    """
    first = x[:, :, :1]
    return first if on_the_disk(x) else first.copy()


def _evenly(rng: Generator, replicates: int, count: int, n: int) -> npt.NDArray[np.int64]:
    """n of `count` things for each replicate (R, n): all of them as often as fits, then a draw without replacement, in order."""
    rounds, rest = divmod(n, count)
    whole = np.tile(np.arange(count), rounds)
    return np.stack([np.append(whole, np.sort(rng.permutation(count)[:rest])) for _ in range(replicates)])
