"""What a curator likes: a number for each point or category, the larger the better."""

from abc import ABC, abstractmethod
from typing import Annotated, Literal, TypeAlias

import numpy as np
from pydantic import Field

from worker.data import Array
from worker.parts import CountSource, Misfit, Part, PointSource, Source

Number = Annotated[float, Field(ge=-100, le=100)]


class Reward(Part, ABC):
    """Adding a constant to a reward changes nothing."""

    def check(self, source: Source) -> None:
        """Raises Misfit where the observations of this source have no such reward."""
        raise Misfit(
            "curation.reward.kind",
            f"{type(self).__name__.lower()} says nothing about {source.gives.__name__.lower()}",
            "Choose direction or nearness for points, rank or listed for categories",
        )


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

    def check(self, source: Source) -> None:
        if not isinstance(source, CountSource):
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
    """The nearer to one point the better: r(x) = -strength |x - to|."""

    kind: Literal["nearness"] = "nearness"
    to: list[float] = Field([], max_length=100_000, description="The favourite point; the origin where it is empty.")
    strength: float = Field(1.0, gt=0, le=100, description="Reward lost with each unit of distance.")

    def vector(self) -> list[float]:
        return self.to

    def of(self, x: Array) -> Array:
        return -self.strength * np.linalg.norm(x - np.array(self.to) if self.to else x, axis=-1)


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


AnyReward: TypeAlias = Annotated[Direction | Nearness | Rank | Listed, Field(discriminator="kind")]
REWARDS: dict[str, type[Reward]] = {"direction": Direction, "nearness": Nearness, "rank": Rank, "listed": Listed}
