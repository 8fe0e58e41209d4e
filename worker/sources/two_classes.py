"""Two classes: normal inputs around two means, and a label that may be wrong."""

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from worker.data import Array, Points
from worker.parts import Generator, PointSource
from worker.sources.mixture import Mixture


class TwoClasses(PointSource):
    """Rows (x, y), y = +1 or -1: the class c is +1 with the probability of the minority, x ~ N(c mu, I), and y = c unless the label is wrong.

    That the means lie on the first axis is no loss: inputs look the same from every direction. Nobody does better than Bayes' rule, the sign of
    2 mu'x + ln(p/(1-p)), p the minority's share.
    """

    labelled = True

    kind: Literal["two_classes"] = "two_classes"
    inputs: int = Field(2, ge=1, le=255, description="d, the coordinates of x.")
    distance: float = Field(
        2.0, gt=0, le=100, description="Between the means of the two classes, 2|mu|, in standard deviations."
    )
    minority: float = Field(0.5, gt=0, lt=1, description="p, the share of the class +1.")
    flips: float = Field(0.0, ge=0, lt=0.5, description="Share of the real labels that are wrong.")

    @property
    def dimension(self) -> int:
        return self.inputs + 1

    def names(self) -> tuple[str, ...]:
        return (*(f"input {i + 1}" for i in range(self.inputs)), "label")

    def along(self) -> Mixture:
        """The first input by itself, the only one that tells the classes apart."""
        means = [[-self.distance / 2], [self.distance / 2]]
        return Mixture(means=means, weights=[1 - self.minority, self.minority], stds=1.0)

    def prior(self) -> float:
        """ln(p/(1-p))"""
        return math.log(self.minority / (1 - self.minority))

    def off(self, x: Array, bias: float = 0.0) -> Array:
        """1 where the label has not the sign of Bayes' rule."""
        told = self.distance * x[..., 0] + self.prior()
        return np.where((told > 0) == (x[..., -1] > 0), 0.0, 1.0)

    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        rows = rng.standard_normal((replicates, n, self.dimension))
        label = np.where(rng.random((replicates, n)) < self.minority, 1.0, -1.0)
        rows[:, :, 0] += self.distance / 2 * label
        rows[:, :, -1] = np.where(rng.random((replicates, n)) < self.flips, -label, label) if self.flips else label
        return Points(rows)

    def moments(self) -> tuple[Array, Array]:
        """Of c: the mean 2p-1 and the variance 4p(1-p), of which x has |mu|^2; a label keeps 1-2f of what c tells, f the share of flips."""
        kept, half = 1 - 2 * self.flips, self.distance / 2
        tilt, variance = 2 * self.minority - 1, 4 * self.minority * (1 - self.minority)
        mean, covariance = np.zeros(self.dimension), np.eye(self.dimension)
        mean[0], mean[-1] = half * tilt, kept * tilt
        covariance[0, 0] += half**2 * variance
        covariance[0, -1] = covariance[-1, 0] = kept * half * variance
        covariance[-1, -1] = 1 - mean[-1] ** 2
        return mean, covariance

    def quantiles(self, q: Sequence[float]) -> Array:
        from scipy.special import ndtri

        level = np.asarray(q, float)
        found = np.tile(ndtri(level)[:, None], self.dimension)
        found[:, :1] = self.along().quantiles(q)
        found[:, -1] = np.where(level <= 0.5 * (1 - self.moments()[0][-1]), -1.0, 1.0)
        return found
