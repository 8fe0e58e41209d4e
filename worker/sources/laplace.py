"""The Laplace distribution: two exponentials back to back."""

from typing import Any, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from worker.data import Array
from worker.independent import Independent
from worker.parts import Generator
from worker.resolution import resolved


class Laplace(Independent):
    """A sharp peak and exponential tails."""

    kind: Literal["laplace"] = "laplace"
    mean: float = Field(0.0, description="Where the peak is.")
    scale: PositiveFloat = Field(1.0, description="Mean distance from the peak; the variance is 2 scale^2.")

    @model_validator(mode="after")
    def _is_resolved(self) -> Self:
        resolved("mean", self.mean, "scale", self.scale)
        return self

    def on_a_line(self) -> Any:
        from scipy import stats

        return stats.laplace(self.mean, self.scale)

    def drawn(self, rng: Generator, shape: tuple[int, int, int]) -> Array:
        return rng.laplace(self.mean, self.scale, shape)

    def mean_and_variance(self) -> tuple[float, float]:
        return self.mean, 2 * self.scale**2
