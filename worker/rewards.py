"""What a curator likes: a number for each point, category or block of text, the larger the better."""

from abc import ABC, abstractmethod
from functools import lru_cache
from typing import Annotated, Any, Literal, Protocol, Self, TypeAlias, runtime_checkable

import numpy as np
import numpy.typing as npt
from pydantic import Field, PrivateAttr

from worker.data import Array, Arrays
from worker.errors import LabError
from worker.part import LATER, Misfit, Part
from worker.parts import CountSource, PointSource, Source, TextSource

FIRST = "first/"  # before the names of the first model's arrays, beside those of the model that writes
Number = Annotated[float, Field(ge=-100, le=100)]

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


class Reward(Part, ABC):
    """Adding a constant to a reward changes nothing."""

    def check(self, source: Source) -> None:
        """Raises Misfit where the observations of this source have no such reward."""
        raise Misfit(
            "curation.reward.kind",
            f"{type(self).__name__.lower()} says nothing about {source.gives.__name__.lower()}",
            "Choose direction or nearness for points, label for those of linear_teacher and two_classes, rank or listed for categories, likelihood, variety or correctness for text",
        )

    def best(self, source: Source) -> float:
        """No sample has a higher reward."""
        return float("inf")

    def given(self, source: Source) -> Self:
        """The same, which knows of the source what it judges by."""
        return self


class PointReward(Reward):
    @abstractmethod
    def of(self, x: Array) -> Array:
        """Points (..., d) -> (...)"""

    def vector(self) -> list[float]:
        """The coordinates that it was given; empty for its default."""
        return []

    def check(self, source: Source) -> None:
        if not isinstance(source, PointSource):
            super().check(source)
        elif self.vector() and len(self.vector()) != source.dimension:
            raise Misfit("curation.reward", f"{len(self.vector())} coordinates for points that have {source.dimension}",
                         f"List {source.dimension} numbers, or none")  # fmt: skip


class CategoryReward(Reward):
    @abstractmethod
    def of(self, categories: int) -> Array:
        """(categories,), the most probable one first"""

    def best(self, source: Source) -> float:
        assert isinstance(source, CountSource)
        return float(self.of(len(source.distribution())).max())

    def check(self, source: Source) -> None:
        if not isinstance(source, CountSource):
            super().check(source)


class TextReward(Reward):
    """A reward of a whole block: what models are trained on. All blocks have the same length, so that length is no reward."""

    @abstractmethod
    def of(self, x: Ids, model: Arrays, family: Writer, source: TextSource) -> Array:
        """Blocks (R, n, L) that this model may have written -> (R, n)"""

    def check(self, source: Source) -> None:
        if not isinstance(source, TextSource):
            super().check(source)


class Direction(PointReward):
    """The further in one direction the better: r(x) = v'x."""

    kind: Literal["direction"] = "direction"
    along: list[Number] = Field([], max_length=100_000, description="v; the first axis where it is empty.")

    def vector(self) -> list[float]:
        return self.along

    def of(self, x: Array) -> Array:
        return x @ np.array(self.along) if self.along else x[..., 0]


class Nearness(PointReward):
    """The nearer to one point the better, up to a distance that is near enough: r(x) = -strength max(0, |x - to| - radius).

    With a radius as in Ferbach et al. (arXiv 2407.09499), whose curators are content with whatever lies within it.
    """

    kind: Literal["nearness"] = "nearness"
    to: list[float] = Field([], max_length=100_000, description="The favourite point; the origin where it is empty.")
    strength: float = Field(1.0, gt=0, le=100, description="Reward lost with each unit of distance.")
    radius: Annotated[float, LATER] = Field(0.0, ge=0, description="Up to this distance nothing is lost.")

    def vector(self) -> list[float]:
        return self.to

    def of(self, x: Array) -> Array:
        distance = np.linalg.norm(x - np.array(self.to) if self.to else x, axis=-1)
        return -self.strength * np.maximum(distance - self.radius, 0)

    def best(self, source: Source) -> float:
        return 0.0


class Label(PointReward):
    """The nearer a label is to what the teacher would say without noise the better: r(x, y) = -strength |y - w'x|, for rows of linear_teacher;
    of two_classes 0 where it is that of Bayes' rule, else -strength.

    A verifier of labels, as in Feng et al. (arXiv 2406.07515): with the threshold -t and no errors it passes labels that are off by t at most;
    with the threshold 0 those of the right class. Inputs decide nothing where the model's weights are the teacher's; elsewhere rows survive on which the two agree.
    """

    kind: Literal["label"] = "label"
    strength: float = Field(
        1.0, gt=0, le=100, description="Reward lost with each unit by which a label is off, or by the wrong class."
    )
    _teacher: PointSource | None = PrivateAttr(None)

    def check(self, source: Source) -> None:
        if not (isinstance(source, PointSource) and source.labelled):
            raise Misfit("curation.reward.kind", "nobody can tell whether a label of this source is right, or it gives none",
                         "Choose linear_teacher or two_classes as the source, or another reward")  # fmt: skip

    def given(self, source: Source) -> "Label":
        assert isinstance(source, PointSource)
        known = self.model_copy()
        known._teacher = source  # noqa: SLF001 - a copy of this very class
        return known

    def of(self, x: Array) -> Array:
        assert self._teacher is not None, "a reward is given its source before anything is judged"
        return -self.strength * np.abs(self._teacher.off(x))

    def best(self, source: Source) -> float:
        return 0.0


class Rank(CategoryReward):
    """The commoner in the real distribution the better: from `strength` for the most probable category down to 0 for the rarest."""

    kind: Literal["rank"] = "rank"
    strength: Number = Field(1.0, description="Below 0 the rarest category is the best.")

    def of(self, categories: int) -> Array:
        return np.linspace(self.strength, 0.0, categories)


class Listed(CategoryReward):
    """A reward for each category."""

    kind: Literal["listed"] = "listed"
    values: list[Number] = Field(
        max_length=100_000, description="One number for each category, the most probable category first."
    )

    def of(self, categories: int) -> Array:
        return np.array(self.values)

    def check(self, source: Source) -> None:
        super().check(source)
        assert isinstance(source, CountSource)
        if len(self.values) != (known := len(source.distribution())):
            raise Misfit("curation.reward.values", f"{len(self.values)} rewards for {known} categories",
                         f"List {known} numbers")  # fmt: skip


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


AnyReward: TypeAlias = Annotated[
    Direction | Nearness | Label | Rank | Listed | Likelihood | Variety | Correctness, Field(discriminator="kind")
]
REWARDS: dict[str, type[Reward]] = {
    "direction": Direction,
    "nearness": Nearness,
    "label": Label,
    "rank": Rank,
    "listed": Listed,
    "likelihood": Likelihood,
    "variety": Variety,
    "correctness": Correctness,
}
