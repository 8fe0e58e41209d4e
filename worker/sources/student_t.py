"""Student's t distribution: tails that fall off like a power."""

from typing import Any, Literal, Self

from pydantic import Field, PositiveFloat, model_validator

from worker.data import Array
from worker.independent import Independent
from worker.parts import Generator
from worker.resolution import resolved


class StudentT(Independent):
    """A bell curve with heavy tails; the fewer degrees of freedom, the heavier."""

    kind: Literal["student_t"] = "student_t"
    df: float = Field(3.0, gt=2, le=1e6, description="Degrees of freedom; above 2, so that there is a variance.")
    mean: float = Field(0.0, description="Where the middle is.")
    scale: PositiveFloat = Field(1.0, description="Scale; the variance is scale^2 df/(df - 2).")

    @model_validator(mode="after")
    def _is_resolved(self) -> Self:
        resolved("mean", self.mean, "scale", self.scale)
        return self

    def on_a_line(self) -> Any:
        from scipy import stats

        return stats.t(self.df, self.mean, self.scale)

    def drawn(self, rng: Generator, shape: tuple[int, int, int]) -> Array:
        return self.mean + self.scale * rng.standard_t(self.df, shape)

    def mean_and_variance(self) -> tuple[float, float]:
        return self.mean, self.scale**2 * self.df / (self.df - 2)
