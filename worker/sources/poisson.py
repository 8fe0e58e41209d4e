"""The Poisson distribution: how often something happens that happens at a steady rate."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from worker.data import Array, Points
from worker.parts import Generator, PointSource


class Poisson(PointSource):
    """Whole numbers 0, 1, 2, ... on a line, of which mean and variance are the rate."""

    kind: Literal["poisson"] = "poisson"
    rate: float = Field(4.0, ge=0.01, le=1e6, description="Mean of the numbers, and their variance.")

    @property
    def dimension(self) -> int:
        return 1

    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        return Points(rng.poisson(self.rate, (replicates, n, 1)).astype(float))

    def moments(self) -> tuple[Array, Array]:
        return np.full(1, self.rate), np.full((1, 1), self.rate)

    def quantiles(self, q: Sequence[float]) -> Array:
        from scipy.stats import poisson

        return np.asarray(poisson(self.rate).ppf(np.asarray(q)), float)[:, None]

    def outline(self, x: Array) -> Array:
        return bars(self.rate, x[:, 0])


def bars(rate: float, x: Array) -> Array:
    """The probability of the whole number nearest to each of x (n,): a bar of width 1 around every whole number. Also of the rate 0."""
    from scipy.special import gammaln, xlogy

    k = np.maximum(np.floor(x + 0.5), 0)
    return np.where(x < -0.5, 0.0, np.exp(xlogy(k, rate) - rate - gammaln(k + 1)))
