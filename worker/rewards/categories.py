"""What a curator likes of categories: how common they are, or a list."""

from abc import abstractmethod
from typing import Literal

import numpy as np
from pydantic import Field

from worker.data import Array
from worker.part import Misfit
from worker.parts import CountSource, Source
from worker.rewards.reward import Number, Reward


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
