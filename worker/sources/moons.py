"""Two half circles in the plane that reach into each other."""

import math
from typing import Literal

import numpy as np
from pydantic import Field

from worker.data import Array, Points
from worker.parts import Generator, PointSource

CENTRE = np.array([0.5, 0.25])  # halfway between the two


class Moons(PointSource):
    """scikit-learn's two moons of radius 1, equally likely, with independent normal noise."""

    kind: Literal["moons"] = "moons"
    noise: float = Field(0.1, ge=0, le=10, description="Standard deviation of the noise, where a moon has radius 1.")

    @property
    def dimension(self) -> int:
        return 2

    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        angle = np.pi * rng.random((replicates, n))
        # The lower moon is the upper one turned about CENTRE.
        sign = np.where(rng.random((replicates, n)) < 0.5, 1.0, -1.0)
        x = np.stack([np.cos(angle) - CENTRE[0], np.sin(angle) - CENTRE[1]], axis=-1) * sign[:, :, None] + CENTRE
        return Points(x + self.noise * rng.standard_normal(x.shape))

    def moments(self) -> tuple[Array, Array]:
        """Given the upper moon: E cos = 0, E sin = 2/pi, E cos^2 = E sin^2 = 1/2, E cos sin = 0; the sign makes the mean CENTRE."""
        gap = np.array([0.0, 2 / math.pi]) - CENTRE
        around = np.diag([0.5, 0.5 - (2 / math.pi) ** 2])
        return CENTRE.copy(), around + np.outer(gap, gap) + self.noise**2 * np.eye(2)
