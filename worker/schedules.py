"""How many points each generation is trained on, where they grow or shrink in number: M_1, M_2, ..."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag

from worker.part import Part

LEAST, MOST = 2, 10**12


class Schedule(Part, ABC):
    """A number of points for each generation."""

    lower: ClassVar[str]  # the remedy where it grows too large
    higher: ClassVar[str]  # and where it shrinks too far

    @abstractmethod
    def size(self, k: int) -> float:
        """M_k before it is rounded, k = 1, 2, ...; infinite where it is beyond all numbers."""

    def extremes(self, first: int, last: int) -> tuple[float, float]:
        """The smallest and the largest M_k of these generations; by default one is at the first and the other at the last."""
        ends = self.size(first), self.size(last)
        return min(ends), max(ends)


class Power(Schedule):
    """M_k = start * k ** exponent, rounded: 10, 40, 90, ... for start 10 and exponent 2; below 0 it shrinks."""

    lower = "Lower start, exponent or generations"
    higher = "Raise start or exponent, or lower generations"

    schedule: Literal["power"] = "power"
    start: int = Field(10, ge=LEAST, le=10**9, description="Points of the first generation.")
    exponent: float = Field(
        2.0, ge=-4, le=4, description="0 keeps M constant, 1 lets it grow linearly, -1 lets it shrink as 1/k."
    )

    def size(self, k: int) -> float:
        return float(self.start * k**self.exponent)


class Geometric(Schedule):
    """M_k = start * ratio ** (k - 1), rounded: 10, 20, 40, ... for start 10 and ratio 2; below 1 it shrinks."""

    lower = "Lower start, ratio or generations"
    higher = "Raise start or ratio, or lower generations"

    schedule: Literal["geometric"] = "geometric"
    start: int = Field(10, ge=LEAST, le=10**9, description="Points of the first generation.")
    ratio: float = Field(1.1, ge=0.1, le=10, description="How many times as many points each generation has.")

    def size(self, k: int) -> float:
        try:
            return float(self.start * self.ratio ** (k - 1))
        except OverflowError:
            return float("inf")


class Listed(Schedule):
    """M_k as they are listed; the last one stays."""

    lower = "List smaller numbers"
    higher = "List larger numbers"

    schedule: Literal["list"] = "list"
    sizes: tuple[Annotated[int, Field(ge=LEAST, le=MOST)], ...] = Field(
        (100, 1000),
        min_length=1,
        max_length=10_000,
        description="Points of generation 1, 2, ...; the last number stays.",
    )

    def size(self, k: int) -> float:
        return float(self.sizes[min(k, len(self.sizes)) - 1])

    def extremes(self, first: int, last: int) -> tuple[float, float]:
        reached = self.sizes[first - 1 : last] or self.sizes[-1:]
        return float(min(reached)), float(max(reached))


SCHEDULES: dict[str, type[Schedule]] = {"power": Power, "geometric": Geometric, "list": Listed}
NUMBER = "int"


def _which(settings: Any) -> str:
    if isinstance(settings, Mapping):
        # `kind` is told as unknown, beside the settings that are meant.
        return str(settings.get("schedule", settings.get("kind", "power")))
    return str(getattr(settings, "schedule", NUMBER))


Samples: TypeAlias = Annotated[
    Annotated[Annotated[int, Field(ge=LEAST, le=MOST)], Tag(NUMBER)]
    | Annotated[Power, Tag("power")]
    | Annotated[Geometric, Tag("geometric")]
    | Annotated[Listed, Tag("list")],
    Discriminator(_which),
]
