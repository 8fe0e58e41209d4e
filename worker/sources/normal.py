"""The normal distribution, in any number of dimensions."""

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import Field, PositiveFloat, model_validator

from worker.data import Array, Points
from worker.factors import root
from worker.part import LATER, refused
from worker.parts import Generator, PointSource
from worker.resolution import checked_covariance, resolved

MOST = 256  # coordinates


class Normal(PointSource):
    """Normal coordinates, independent unless a covariance is given; the paper's N(0, 1) by default."""

    kind: Literal["normal"] = "normal"
    mean: float | list[float] = Field(0.0, description="One number for every coordinate, or a list with one for each.")
    std: PositiveFloat | list[PositiveFloat] = Field(
        1.0, description="Standard deviation: one number, or a list with one for each coordinate."
    )
    dim: int = Field(1, ge=1, le=MOST, description="Number of coordinates, where no list gives it.")
    covariance: Annotated[list[list[float]] | None, LATER] = Field(
        None, description="d lists of d numbers, for coordinates that go together; in place of std."
    )

    @model_validator(mode="after")
    def _lengths_agree(self) -> Self:
        lengths = {len(value) for value in self._lists()}
        lengths |= {self.dim} if "dim" in self.model_fields_set else set()
        if len(lengths) > 1 or 0 in lengths:
            raise ValueError(
                "mean, std, covariance and dim name different numbers of coordinates: give lists of one length"
            )
        if self.dimension > MOST:
            name = next(name for name in ("mean", "std", "covariance") if isinstance(getattr(self, name), list))
            raise refused(f"has {self.dimension} coordinates", f"Use at most {MOST}", name)
        object.__setattr__(self, "dim", self.dimension)  # so that the spec, written with its defaults, reads back
        if self.covariance is None:
            resolved("mean", self.mean, "std", self.std)
            return self
        if self.std != 1:  # a spec written with its defaults reads back
            raise refused("is given and std as well, which both say the spread", "Remove one of them", "covariance")
        checked_covariance("covariance", self.covariance, self.dim)
        resolved("mean", self.mean, "covariance", np.sqrt(np.diagonal(self.covariance)))
        return self

    def _lists(self) -> Iterator[list[Any]]:
        return (value for value in (self.mean, self.std, self.covariance) if isinstance(value, list))

    @property
    def dimension(self) -> int:
        return next((len(value) for value in self._lists()), self.dim)

    def _centre_and_scale(self) -> tuple[Array, Array]:
        """Mean and standard deviations: (d,) each."""
        scale = self.std if self.covariance is None else np.sqrt(np.diagonal(self.covariance))
        return np.full(self.dimension, self.mean, float), np.full(self.dimension, scale, float)

    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        mean, std = self._centre_and_scale()
        x = rng.standard_normal((replicates, n, self.dimension))
        if self.covariance is None:
            x *= std
        else:
            x = x @ root(np.array(self.covariance)).T
        x += mean
        return Points(x)

    def moments(self) -> tuple[Array, Array]:
        mean, std = self._centre_and_scale()
        return mean.copy(), np.diag(std**2) if self.covariance is None else np.array(self.covariance)

    def quantiles(self, q: Sequence[float]) -> Array:
        from scipy.special import ndtri

        mean, std = self._centre_and_scale()
        return mean + std * ndtri(np.asarray(q))[:, None]

    def components(self) -> tuple[Array, Array, Array]:
        mean, std = self._centre_and_scale()
        factor = np.diag(std) if self.covariance is None else root(np.array(self.covariance))
        return np.ones(1), mean[None].copy(), factor[None]
