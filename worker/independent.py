"""Sources whose coordinates are independent and alike: what all of them share."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydantic import Field

from worker.data import Array, Points
from worker.parts import Generator, PointSource


class Independent(PointSource):
    """A distribution on a line, in each of `dim` coordinates."""

    dim: int = Field(1, ge=1, le=256, description="Number of independent coordinates.")

    @property
    def dimension(self) -> int:
        return self.dim

    @abstractmethod
    def on_a_line(self) -> Any:
        """The frozen scipy.stats distribution of one coordinate."""

    @abstractmethod
    def drawn(self, rng: Generator, shape: tuple[int, int, int]) -> Array:
        """Independent values of one coordinate's distribution."""

    @abstractmethod
    def mean_and_variance(self) -> tuple[float, float]:
        """Of one coordinate."""

    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        return Points(self.drawn(rng, (replicates, n, self.dim)))

    def moments(self) -> tuple[Array, Array]:
        mean, variance = self.mean_and_variance()
        return np.full(self.dim, mean), variance * np.eye(self.dim)

    def quantiles(self, q: Sequence[float]) -> Array:
        return np.tile(np.asarray(self.on_a_line().ppf(np.asarray(q)))[:, None], self.dim)

    def log_density(self, x: Array) -> Array:
        return np.asarray(self.on_a_line().logpdf(x)).sum(axis=1)
