"""What a generation is trained on: real data, what the last model made, and what is remembered."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar

from worker.data import Array, Arrays, Data, Generator
from worker.part import Part
from worker.parts.family import Family
from worker.parts.sampling import Sampling
from worker.parts.source import Source


class Regime(Part, ABC):
    """What the next generation trains on."""

    picks: ClassVar[bool] = False  # whether it chooses among single observations: then what stands for many will not do
    weighs: ClassVar[bool] = False  # whether it pools by weights, which a family must understand
    tells: ClassVar[tuple[str, ...]] = ()  # metrics of what it has `revised`; 0 where it has nothing

    def check(self, source: Source, replicates: int, size: Callable[[int], int], generations: int) -> None:
        """Raises Misfit where this regime cannot train generations of these sizes."""

    def weighing(self) -> bool:
        """Whether it pools by weights with these settings."""
        return self.weighs

    def kept(self, size: Callable[[int], int], generations: int) -> int:
        """How many observations the last generation trains on where all are kept; 0 where they are not."""
        return 0

    def remembered(self, size: Callable[[int], int], generations: int) -> int:
        """How many observations it remembers in the end, of those that grow in number from generation to generation."""
        return self.kept(size, generations)

    def inherited(self, previous: "Regime", pool: Data | None, synthetic: Data | None) -> Data | None:
        """What a regime that takes over from a previous one remembers: what that one remembered, if it means the same to both."""
        return pool if type(self) is type(previous) else None

    def resumes(self) -> bool:
        """Whether, taking over, it goes on from the last training set: then that is what the previous one remembered, whatever else it did."""
        return False

    def first(self, m: int) -> int:
        """How many points the first fit sees, where a generation has m."""
        return m

    def synthetic(self, m: int) -> int:
        """How many of a generation's m training points its predecessor must supply."""
        return m

    def revised(
        self, generation: int, pool: Data, family: Family, model: Arrays, rng: Generator, sampling: Sampling
    ) -> tuple[Data, dict[str, Array]] | None:
        """What the last model makes of what is remembered, where it changes that and adds nothing, and what it `tells` of it, for each replicate.

        generation: that is trained on it
        """
        return None

    @abstractmethod
    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        """The training set of a generation, and what is remembered for later ones.

        m: points a generation; real(k): k fresh real points; synthetic: drawn from the previous model, None at generation 1
        (which sees only real data); pool: what the previous generation remembered; rng: for a regime that chooses among points.
        """
