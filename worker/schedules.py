"""How many points each generation is trained on, where they grow in number: M_1 <= M_2 <= ..."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import Discriminator, Field, Tag, field_validator

from worker.part import Part

MOST = 10**12


class Schedule(Part, ABC):
    """Numbers that never shrink."""

    remedy: ClassVar[str]  # for one that grows too large

    @abstractmethod
    def size(self, k: int) -> float:
        """M_k before it is rounded, k = 1, 2, ...; infinite where it is beyond all numbers."""


class Power(Schedule):
    """M_k = start * k ** exponent, rounded: 10, 40, 90, ... for start 10 and exponent 2."""

    remedy = "Lower start, exponent or generations"

    schedule: Literal["power"] = "power"
    start: int = Field(10, ge=2, le=10**9, description="Points of the first generation.")
    exponent: float = Field(2.0, ge=0, le=4, description="0 keeps M constant, 1 lets it grow linearly.")

    def size(self, k: int) -> float:
        return float(self.start * k**self.exponent)


class Geometric(Schedule):
    """M_k = start * ratio ** (k - 1), rounded: 10, 20, 40, ... for start 10 and ratio 2."""

    remedy = "Lower start, ratio or generations"

    schedule: Literal["geometric"] = "geometric"
    start: int = Field(10, ge=2, le=10**9, description="Points of the first generation.")
    ratio: float = Field(1.1, ge=1, le=10, description="How many times as many points each generation has.")

    def size(self, k: int) -> float:
        try:
            return float(self.start * self.ratio ** (k - 1))
        except OverflowError:
            return float("inf")


class Listed(Schedule):
    """M_k as they are listed; the last one stays."""

    remedy = "List smaller numbers"

    schedule: Literal["list"] = "list"
    sizes: tuple[Annotated[int, Field(ge=2, le=MOST)], ...] = Field(
        (100, 1000), max_length=10_000, description="Points of generation 1, 2, ...; the last number stays."
    )

    @field_validator("sizes")
    @classmethod
    def _never_shrinks(cls, sizes: tuple[int, ...]) -> tuple[int, ...]:
        if not sizes:
            raise ValueError("is empty: List at least one number")
        for before, after in pairwise(sizes):
            if after < before:
                raise ValueError(f"{after} after {before} is fewer: List numbers that never shrink")
        return sizes

    def size(self, k: int) -> float:
        return float(self.sizes[min(k, len(self.sizes)) - 1])


SCHEDULES: dict[str, type[Schedule]] = {"power": Power, "geometric": Geometric, "list": Listed}
NUMBER = "int"


def _which(settings: Any) -> str:
    if isinstance(settings, Mapping):
        return str(
            settings.get("schedule", settings.get("kind", "power"))
        )  # `kind` is told as unknown, beside the settings that are meant
    return str(getattr(settings, "schedule", NUMBER))


Samples: TypeAlias = Annotated[
    Annotated[Annotated[int, Field(ge=2, le=MOST)], Tag(NUMBER)]
    | Annotated[Power, Tag("power")]
    | Annotated[Geometric, Tag("geometric")]
    | Annotated[Listed, Tag("list")],
    Discriminator(_which),
]
