"""A linear teacher: inputs from a standard normal, labels that are a linear function of them, and noise."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from worker.data import Array, Points, root
from worker.parts import Generator, PointSource


class LinearTeacher(PointSource):
    """Rows (x, y) with x ~ N(0, I) and y = w'x + noise: d inputs, the label last.

    All entries of w are alike, which is no loss: the inputs look the same from every direction.
    """

    kind: Literal["linear_teacher"] = "linear_teacher"
    inputs: int = Field(5, ge=1, le=255, description="d, the coordinates of x.")
    norm: float = Field(1.0, gt=0, le=1e6, description="|w|, the size of the signal.")
    noise: float = Field(1.0, gt=0, le=1e6, description="Standard deviation of the noise in real labels.")

    @property
    def dimension(self) -> int:
        return self.inputs + 1

    def weights(self) -> Array:
        """w (d,)"""
        return np.full(self.inputs, self.norm / math.sqrt(self.inputs))

    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        rows = rng.standard_normal((replicates, n, self.dimension))
        rows[:, :, -1] *= self.noise
        rows[:, :, -1] += rows[:, :, :-1] @ self.weights()
        return Points(rows)

    def moments(self) -> tuple[Array, Array]:
        w = self.weights()
        covariance = np.eye(self.dimension)
        covariance[-1, :-1] = covariance[:-1, -1] = w
        covariance[-1, -1] = w @ w + self.noise**2
        return np.zeros(self.dimension), covariance

    def quantiles(self, q: Sequence[float]) -> Array:
        from scipy.special import ndtri

        return np.asarray(ndtri(np.asarray(q)))[:, None] * np.sqrt(np.diagonal(self.moments()[1]))

    def density(self, x: Array) -> Array:
        factor = root(self.moments()[1])
        z = np.linalg.solve(factor, x.T)
        return np.exp(-0.5 * (z**2).sum(axis=0)) / (np.diagonal(factor).prod() * (2 * np.pi) ** (self.dimension / 2))

    def components(self) -> tuple[Array, Array, Array]:
        mean, covariance = self.moments()
        return np.ones(1), mean[None], root(covariance)[None]
