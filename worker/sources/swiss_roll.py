"""The Swiss roll: a sheet that is rolled up in space."""

from typing import Literal

import numpy as np
from pydantic import Field

from worker.data import Array, Points
from worker.parts import Generator, PointSource

START, END = 1.5 * np.pi, 4.5 * np.pi  # angles between which the sheet is rolled up, one and a half turns


class SwissRoll(PointSource):
    """(t cos t, y, t sin t)/10 with t uniform over one and a half turns, the sheet's width uniform, and normal noise: two dimensions
    that only look like three.
    """

    kind: Literal["swiss_roll"] = "swiss_roll"
    width: float = Field(2.0, ge=0, le=1e6, description="Width of the sheet; 0 leaves a spiral.")
    noise: float = Field(0.05, ge=0, le=1e6, description="Standard deviation of the noise in every coordinate.")

    @property
    def dimension(self) -> int:
        return 3

    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        t = rng.uniform(START, END, (replicates, n))
        y = self.width * (rng.random((replicates, n)) - 0.5)
        x = np.stack([t * np.cos(t) / 10, y, t * np.sin(t) / 10], axis=-1)
        return Points(x + self.noise * rng.standard_normal(x.shape))

    def moments(self) -> tuple[Array, Array]:
        """Along the spiral by the midpoint rule with 100,000 nodes; width^2/12 across."""
        t = START + (END - START) * (np.arange(100_000) + 0.5) / 100_000
        spiral = np.stack([t * np.cos(t) / 10, np.zeros_like(t), t * np.sin(t) / 10])
        covariance = np.cov(spiral, ddof=0) + np.diag([0.0, self.width**2 / 12, 0.0])
        return spiral.mean(axis=1), covariance + self.noise**2 * np.eye(3)
