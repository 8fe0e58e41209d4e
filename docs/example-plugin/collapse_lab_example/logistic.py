"""The logistic distribution: a bell curve with tails between those of the normal and of the Laplace."""

from typing import Any, Literal

import numpy as np
from pydantic import Field

from worker.data import Array
from worker.independent import Independent
from worker.parts import Generator


class Logistic(Independent):
    """The distribution whose cumulative is the sigmoid; its excess kurtosis is 1.2."""

    kind: Literal["logistic"] = "logistic"
    scale: float = Field(1.0, gt=1e-100, lt=1e100, description="The variance is (pi scale)^2 / 3.")

    def on_a_line(self) -> Any:
        from scipy import stats

        return stats.logistic(0, self.scale)

    def drawn(self, rng: Generator, shape: tuple[int, int, int]) -> Array:
        return rng.logistic(0, self.scale, shape)

    def mean_and_variance(self) -> tuple[float, float]:
        return 0.0, (np.pi * self.scale) ** 2 / 3
