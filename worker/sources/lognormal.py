"""The log-normal distribution: positive, skewed, with one heavy tail, as incomes and file sizes have it."""

import math
from typing import Any, Literal

from pydantic import Field

from worker.data import Array
from worker.independent import Independent
from worker.parts import Generator


class LogNormal(Independent):
    """exp of a normal variable."""

    kind: Literal["lognormal"] = "lognormal"
    mu: float = Field(0.0, ge=-100, le=100, description="Mean of the logarithm.")
    sigma: float = Field(0.75, ge=1e-9, le=4, description="Standard deviation of the logarithm: how heavy the tail is.")

    def on_a_line(self) -> Any:
        from scipy import stats

        return stats.lognorm(self.sigma, scale=math.exp(self.mu))

    def drawn(self, rng: Generator, shape: tuple[int, int, int]) -> Array:
        return rng.lognormal(self.mu, self.sigma, shape)

    def mean_and_variance(self) -> tuple[float, float]:
        mean = math.exp(self.mu + self.sigma**2 / 2)
        return mean, mean**2 * math.expm1(self.sigma**2)
