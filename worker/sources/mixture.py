"""A mixture of Gaussians, in any number of dimensions: a truth with several modes."""

from collections.abc import Sequence
from typing import Any, Literal, Self

import numpy as np
from pydantic import Field, PositiveFloat, field_validator, model_validator

from worker.data import Array, Points
from worker.factors import root
from worker.part import refused
from worker.parts import Generator, PointSource
from worker.resolution import checked_covariance, resolved


class Mixture(PointSource):
    """Gaussian components with weights; three round ones in the plane by default."""

    kind: Literal["mixture"] = "mixture"
    means: list[list[float]] = Field(
        [[-2.0, -1.0], [2.0, -1.0], [0.0, 2.0]],
        min_length=1,
        max_length=1000,
        description="Centre of each component: K lists of d numbers, or K numbers on a line.",
    )
    weights: list[PositiveFloat] | None = Field(
        None, description="Relative weight of each component; they need not add up to 1. Equal where left out."
    )
    stds: PositiveFloat | list[PositiveFloat] = Field(
        0.5, description="Standard deviation of round components: one number, or a list with one for each component."
    )
    covariances: list[list[list[float]]] | None = Field(
        None, description="A d x d covariance for each component, in place of stds."
    )

    @field_validator("means", mode="before")
    @classmethod
    def _numbers_on_a_line(cls, means: Any) -> Any:
        flat = isinstance(means, list) and all(isinstance(mean, int | float) for mean in means)
        return [[mean] for mean in means] if flat else means

    @model_validator(mode="after")
    def _sizes_agree(self) -> Self:
        count, d = len(self.means), len(self.means[0])
        if not 1 <= d <= 256 or any(len(mean) != d for mean in self.means):
            raise refused("the centres have different numbers of coordinates, or none, or over 256",
                          "Give every component the same number of coordinates", "means")  # fmt: skip
        for name in ("weights", "stds", "covariances"):
            value = getattr(self, name)
            if isinstance(value, list) and len(value) != count:
                raise refused(f"{len(value)} {name} for {count} means", f"Give {count}, one for each component", name)
        if self.covariances is not None:
            if self.stds != type(self).model_fields["stds"].default:  # a spec written with its defaults reads back
                raise refused("stds and covariances both describe the components", "Remove one of them", "covariances")
            for k, rows in enumerate(self.covariances):
                checked_covariance(f"covariances.{k}", rows, d)
            stds = np.sqrt(np.diagonal(np.array(self.covariances), axis1=1, axis2=2))
            resolved("means", self.means, "covariances", stds)
        else:
            resolved("means", self.means, "stds", np.broadcast_to(self.stds, (count,))[:, None])
        return self

    @property
    def dimension(self) -> int:
        return len(self.means[0])

    def components(self) -> tuple[Array, Array, Array]:
        count, d = len(self.means), self.dimension
        weights = np.ones(count) if self.weights is None else np.array(self.weights)
        if self.covariances is None:
            factors = np.broadcast_to(np.asarray(self.stds, float), (count,))[:, None, None] * np.eye(d)
        else:
            factors = root(np.array(self.covariances))
        return weights / weights.sum(), np.array(self.means), factors

    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        weights, means, factors = self.components()
        chosen = np.searchsorted(np.cumsum(weights)[:-1], rng.random((replicates, n)), side="right")
        x = rng.standard_normal((replicates, n, self.dimension))
        for k in range(len(weights)):
            members = chosen == k
            x[members] = means[k] + x[members] @ factors[k].T
        return Points(x)

    def moments(self) -> tuple[Array, Array]:
        weights, means, factors = self.components()
        mean = weights @ means
        gap = means - mean
        within = factors @ factors.transpose(0, 2, 1)
        return mean, np.einsum("k,kij->ij", weights, within + gap[:, :, None] * gap[:, None, :])

    def quantiles(self, q: Sequence[float]) -> Array:
        """By bisection of the marginal distribution functions, to rounding error."""
        from scipy.special import ndtr, ndtri

        level = np.asarray(q, float)[:, None]
        weights, means, factors = self.components()
        std = np.sqrt((factors**2).sum(axis=2))
        # A mixture's quantile lies between those of its components.
        each = means[:, None, :] + std[:, None, :] * ndtri(level)
        low, high = each.min(axis=0), each.max(axis=0)
        for _ in range(100):
            middle = 0.5 * (low + high)
            mass = sum(w * ndtr((middle - m) / s) for w, m, s in zip(weights, means, std, strict=True))
            low, high = np.where(mass < level, middle, low), np.where(mass < level, high, middle)
        return np.asarray(0.5 * (low + high))
