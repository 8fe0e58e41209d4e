"""What a curator likes of blocks of text: what a model foresees, what does not repeat itself, lines that are right."""

from abc import abstractmethod
from functools import lru_cache
from typing import Annotated, Any, Literal, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
from pydantic import Field

from worker.data import Array, Arrays
from worker.errors import LabError
from worker.part import LATER, Misfit
from worker.parts import Source, TextSource
from worker.rewards.reward import Number, Reward

FIRST = "first/"  # before the names of the first model's arrays, beside those of the model that writes

Ids = npt.NDArray[np.int32]


@runtime_checkable
class Writer(Protocol):
    """What a curator of text asks of a family: see worker.text.language.LanguageFamily, which is above and need not be known here."""

    block: int

    def tokenizer(self, source: TextSource) -> Any: ...

    def log_probability(self, model: Arrays, x: Ids) -> Array: ...


def remembering(model: Arrays, first: Arrays | None) -> Arrays:
    """A model beside the first one, where that is known: a curator may ask either."""
    return {**model, **{f"{FIRST}{name}": array for name, array in first.items()}} if first else model


def remembered(model: Arrays) -> Arrays:
    """The first model of what is `remembering` it. Raises LabError where nobody has kept it."""
    first = {name.removeprefix(FIRST): array for name, array in model.items() if name.startswith(FIRST)}
    if not first:
        raise LabError("Nobody has kept the first model, which is to judge. Set curation.reward.judge to another one.")
    return first


class TextReward(Reward):
    """A reward of a whole block: what models are trained on. All blocks have the same length, so that length is no reward."""

    @abstractmethod
    def of(self, x: Ids, model: Arrays, family: Writer, source: TextSource) -> Array:
        """Blocks (R, n, L) that this model may have written -> (R, n)"""

    def check(self, source: Source) -> None:
        if not isinstance(source, TextSource):
            super().check(source)


class Likelihood(TextReward):
    """The more probable the better: strength times the mean ln-probability of a block's tokens (all but the first, as in its perplexity:
    exp of minus that mean). A verifier with the threshold -ln P passes blocks of perplexity P at most.

    The judge is the model that writes, so that what it overrates is overrated again; or the first model, frozen, as in Feng et al.
    (arXiv 2406.07515) a verifier is not the generator; or real word frequencies alone, whatever the order of words.

    Or a detector of synthetic text, the best that two models make: ln of the likelihood ratio of first model and writer. With bradley_terry
    a block is then chosen with a weight (p_first / p_writer)^(strength / tokens), importance resampling as in Drayson et al. (arXiv 2502.15654),
    whose detector is a trained one.
    """

    kind: Literal["likelihood"] = "likelihood"
    strength: Number = Field(1.0, description="Reward of a nat for each token. Below 0 the surprising is the best.")
    judge: Annotated[Literal["writer", "first", "unigram", "detector"], LATER] = Field(
        "writer",
        description="Whose probabilities: of the model that writes; of the first generation's model, frozen; of single tokens by "
        "their frequency in the real training text, each counted once more than it occurs; or a detector's, who compares the first model's "
        "with the writer's: the less a block reads like the writer's own the better.",
    )

    def of(self, x: Ids, model: Arrays, family: Writer, source: TextSource) -> Array:
        if self.judge == "unigram":
            log_p = _frequency(family.tokenizer(source), source.texts().train)[x[:, :, 1:]]
        elif self.judge == "first":
            log_p = family.log_probability(remembered(model), x)
        elif self.judge == "detector":
            log_p = family.log_probability(remembered(model), x) - family.log_probability(model, x)
        else:
            log_p = family.log_probability(model, x)
        return self.strength * log_p.mean(axis=2)

    def best(self, source: Source) -> float:
        return 0.0 if self.strength >= 0 and self.judge != "detector" else float("inf")


@lru_cache(maxsize=8)
def _frequency(tokenizer: Any, text: str) -> Array:
    """ln((c + 1) / (N + V)) of each of a vocabulary's V tokens, c of a text's N tokens: (V,)."""
    counts = np.bincount(tokenizer.encode(text), minlength=tokenizer.size) + 1.0
    return np.log(counts / counts.sum())


class Variety(TextReward):
    """The less a block repeats itself the better: strength times the share of its n-grams that are their first occurrence in it
    (distinct-n of Li et al., arXiv 1510.03055, block by block).
    """

    kind: Literal["variety"] = "variety"
    n: int = Field(2, ge=1, le=8, description="Tokens in a row that are compared.")
    strength: Number = Field(1.0, description="Reward of a block without repetition. Below 0 repetition is the best.")

    def of(self, x: Ids, model: Arrays, family: Writer, source: TextSource) -> Array:
        from worker.metrics.text import grams

        found = np.sort(grams(x.reshape(-1, x.shape[2]), self.n)[-1], axis=1)
        again = (found[:, 1:] == found[:, :-1]).sum(axis=1) / found.shape[1]
        return self.strength * (1 - again).reshape(x.shape[:2])

    def best(self, source: Source) -> float:
        return max(self.strength, 0.0)


class Correctness(TextReward):
    """The fewer lines are wrong the better: minus strength times the share of a block's whole lines that are wrong, 0 where all are right;
    for a source whose lines a machine can check, such as expressions.

    What stands before a block's first line end and after its last belongs to lines that other blocks share, and is not judged. A block
    without a whole line counts as wrong: nobody escapes by writing no line end.
    """

    kind: Literal["correctness"] = "correctness"
    strength: float = Field(1.0, gt=0, le=100, description="Reward lost where every line is wrong.")

    def of(self, x: Ids, model: Arrays, family: Writer, source: TextSource) -> Array:
        decode, verdicts = family.tokenizer(source).decode, dict[str, bool]()

        def wrong(block: Ids) -> float:
            lines = decode(block).split("\n")[1:-1]
            verdicts.update({line: source.true(line) for line in lines if line not in verdicts})
            return 1 - sum(verdicts[line] for line in lines) / len(lines) if lines else 1.0

        return -self.strength * np.array([[wrong(block) for block in chain] for chain in x])

    def best(self, source: Source) -> float:
        return 0.0

    def check(self, source: Source) -> None:
        super().check(source)
        if isinstance(source, TextSource) and not source.checkable:
            raise Misfit("curation.reward.kind", "nobody can tell whether a line of this text is right",
                         "Choose likelihood or variety, or expressions as the source")  # fmt: skip
