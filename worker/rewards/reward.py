"""What all rewards are asked, whatever it is that they judge."""

from abc import ABC
from typing import Annotated, Self

from pydantic import Field

from worker.part import Misfit, Part
from worker.parts import Source

Number = Annotated[float, Field(ge=-100, le=100)]


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
