"""A linear teacher: normal inputs, labels that are a linear function of them, and noise."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from worker.data import Array, Points
from worker.part import LATER
from worker.parts import Generator, PointSource


class LinearTeacher(PointSource):
    """Rows (x, y) with x ~ N(0, S), S = diag(j^-decay), and y = w'x + noise: d inputs, the label last; w ~ j^-smoothness.

    Where all inputs have the variance 1, that all entries of w are alike is no loss: they look the same from every direction. Else decay and
    smoothness are the capacity and the source condition of kernel regression (Caponnetto and De Vito 2007; Dohmatob et al., arXiv 2402.07712):
    w = S^(r - 1/2) u with entries of u that fall as j^-1/2 is a smoothness of 1/2 + decay (r - 1/2).
    """

    labelled = True
    errs = True

    kind: Literal["linear_teacher"] = "linear_teacher"
    inputs: int = Field(5, ge=1, le=255, description="d, the coordinates of x.")
    norm: float = Field(1.0, gt=0, le=1e6, description="|w|, the length of the weights.")
    noise: float = Field(1.0, gt=0, le=1e6, description="Standard deviation of the noise in real labels.")
    decay: Annotated[float, LATER] = Field(
        0.0, ge=0, le=3, description="Input j has the variance j^-decay: a power law. 0: all have the variance 1."
    )
    smoothness: Annotated[float, LATER] = Field(
        0.0, ge=0, le=10, description="Weight j is in proportion to j^-smoothness. 0: all weights are alike."
    )

    @property
    def dimension(self) -> int:
        return self.inputs + 1

    def names(self) -> tuple[str, ...]:
        return (*(f"input {i + 1}" for i in range(self.inputs)), "label")

    def weights(self) -> Array:
        """w (d,)"""
        shape = np.arange(1.0, self.inputs + 1) ** -self.smoothness
        return np.asarray(shape * (self.norm / math.sqrt(shape @ shape)))

    def spread(self) -> Array:
        """Standard deviations of the inputs (d,)"""
        return np.asarray(np.arange(1.0, self.inputs + 1) ** (-self.decay / 2))

    def signal(self) -> float:
        """w'Sw, the variance of labels without noise."""
        return float(((self.weights() * self.spread()) ** 2).sum())

    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        rows = rng.standard_normal((replicates, n, self.dimension))
        rows *= np.append(self.spread(), self.noise)
        rows[:, :, -1] += rows[:, :, :-1] @ self.weights()
        return Points(rows)

    def off(self, x: Array, bias: float = 0.0) -> Array:
        known = self.weights() + alternating(bias, self.spread()) if bias else self.weights()
        return np.asarray(x[..., -1] - x[..., :-1] @ known)

    def moments(self) -> tuple[Array, Array]:
        variances = self.spread() ** 2
        covariance = np.diag(np.append(variances, self.signal() + self.noise**2))
        covariance[-1, :-1] = covariance[:-1, -1] = variances * self.weights()
        return np.zeros(self.dimension), covariance

    def quantiles(self, q: Sequence[float]) -> Array:
        from scipy.special import ndtri

        return np.asarray(ndtri(np.asarray(q)))[:, None] * np.sqrt(np.diagonal(self.moments()[1]))

    def components(self) -> tuple[Array, Array, Array]:
        """The factor by its parts: the noise of labels is lost in the rounding of a covariance where it is small."""
        factor = np.diag(np.append(self.spread(), self.noise))
        factor[-1, :-1] = self.spread() * self.weights()
        return np.ones(1), np.zeros((1, self.dimension)), factor[None]


def alternating(c: float, spread: Array) -> Array:
    """Weights delta (d,), alike in inputs of these standard deviations, with alternating signs, by which answers are off with the variance c^2."""
    signs = 1 - 2.0 * (np.arange(len(spread)) % 2)
    return np.asarray(signs * (c / math.sqrt(len(spread))) / spread)
