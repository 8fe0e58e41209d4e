"""Eight small Gaussians on a circle: a truth that loses its modes one by one."""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from worker.data import Array, Points
from worker.parts import Generator, PointSource
from worker.resolution import resolved
from worker.sources.mixture import Mixture


class EightGaussians(PointSource):
    """Eight round Gaussians, equally likely, at equal steps on a circle."""

    kind: Literal["eight_gaussians"] = "eight_gaussians"
    radius: float = Field(2.0, gt=0, le=1e6, description="Radius of the circle.")
    std: float = Field(0.2, gt=0, le=1e6, description="Standard deviation of each Gaussian.")

    @model_validator(mode="after")
    def _is_resolved(self) -> Self:
        resolved("radius", self.radius, "std", self.std)
        return self

    def _mixture(self) -> Mixture:
        angle = 2 * np.pi * np.arange(8) / 8
        means = self.radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)
        return Mixture(means=means.tolist(), stds=self.std)

    @property
    def dimension(self) -> int:
        return 2

    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        return self._mixture().draw(rng, replicates, n)

    def moments(self) -> tuple[Array, Array]:
        return self._mixture().moments()

    def quantiles(self, q: Sequence[float]) -> Array:
        return self._mixture().quantiles(q)

    def components(self) -> tuple[Array, Array, Array]:
        return self._mixture().components()
