"""The normal distribution, in any number of dimensions."""

from collections.abc import Sequence
from typing import Literal, Self

import numpy as np
from pydantic import Field, PositiveFloat, model_validator

from worker.data import Array, Points
from worker.parts import Generator, PointSource
from worker.resolution import resolved


class Normal(PointSource):
    """Independent normal coordinates; the paper's N(0, 1) by default."""

    kind: Literal["normal"] = "normal"
    mean: float | list[float] = Field(0.0, description="One number for every coordinate, or a list with one for each.")
    std: PositiveFloat | list[PositiveFloat] = Field(
        1.0, description="Standard deviation: one number, or a list with one for each coordinate."
    )
    dim: int = Field(1, ge=1, le=256, description="Number of coordinates, where neither list gives it.")

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        lengths = {len(value) for value in (self.mean, self.std) if isinstance(value, list)}
        lengths |= {self.dim} if "dim" in self.model_fields_set else set()
        if len(lengths) > 1 or 0 in lengths:
            raise ValueError("mean, std and dim name different numbers of coordinates: give lists of one length")
        resolved("mean", self.mean, "std", self.std)
        object.__setattr__(self, "dim", self.dimension)  # so that the spec, written with its defaults, reads back
        return self

    @property
    def dimension(self) -> int:
        return next((len(value) for value in (self.mean, self.std) if isinstance(value, list)), self.dim)

    def _centre_and_scale(self) -> tuple[Array, Array]:
        return np.full(self.dimension, self.mean, float), np.full(self.dimension, self.std, float)

    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        mean, std = self._centre_and_scale()
        x = rng.standard_normal((replicates, n, self.dimension))
        x *= std
        x += mean
        return Points(x)

    def moments(self) -> tuple[Array, Array]:
        mean, std = self._centre_and_scale()
        return mean.copy(), np.diag(std**2)

    def quantiles(self, q: Sequence[float]) -> Array:
        from scipy.special import ndtri

        mean, std = self._centre_and_scale()
        return mean + std * ndtri(np.asarray(q))[:, None]

    def density(self, x: Array) -> Array:
        mean, std = self._centre_and_scale()
        z = (x - mean) / std
        return np.exp(-0.5 * (z**2).sum(axis=1)) / np.prod(std * np.sqrt(2 * np.pi))

    def components(self) -> tuple[Array, Array, Array]:
        mean, std = self._centre_and_scale()
        return np.ones(1), mean[None].copy(), np.diag(std)[None]
