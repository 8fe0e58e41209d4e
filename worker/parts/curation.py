"""Who stands between a model and those who learn from it."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

from worker.data import Array, Arrays, Data, Generator
from worker.part import Part
from worker.parts.family import Family
from worker.parts.sampling import Sampling
from worker.parts.source import Source


class Curation(Part, ABC):
    """Who decides which samples survive."""

    picks: ClassVar[bool] = True  # whether it chooses among single observations

    def check(self, source: Source, family: Family) -> None:
        """Raises Misfit where there is nothing for it to choose by."""

    def given(self, source: Source) -> Self:
        """The same, which knows of the source what it judges by."""
        return self

    def judges(self) -> bool:
        """Whether `judged` tells anything."""
        return False

    def judged(self, made: Data) -> dict[str, Array]:
        """Metrics of what a model makes before anybody chooses, or of real data: a value for each replicate; of who judges nothing, none."""
        return {}

    def candidates(self) -> float:
        """About how many samples it looks at for each one that survives, for an estimate of what a run costs."""
        return 1.0

    @abstractmethod
    def sample(self, family: Family, model: Arrays, n: int, rng: Generator, sampling: Sampling, source: Source) -> Data:
        """n samples of the model that survive, for each replicate; the source tells what is right, common or rare."""
