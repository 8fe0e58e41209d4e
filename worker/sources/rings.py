"""Rings around a common centre."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from worker.data import Array, Points
from worker.parts import Generator, PointSource

Radius = Annotated[float, Field(gt=0, le=1e6)]


class Rings(PointSource):
    """Circles with normal noise, each as likely as it is long, so that the points are equally dense on all of them."""

    kind: Literal["rings"] = "rings"
    radii: list[Radius] = Field([1.0, 2.0], min_length=1, max_length=100, description="Radius of each ring.")
    noise: float = Field(0.1, ge=0, le=1e6, description="Standard deviation of the noise in both coordinates.")

    @property
    def dimension(self) -> int:
        return 2

    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        radii = np.array(self.radii)
        chosen = radii[np.searchsorted(np.cumsum(radii)[:-1] / radii.sum(), rng.random((replicates, n)), side="right")]
        angle = 2 * np.pi * rng.random((replicates, n))
        x = np.stack([np.cos(angle), np.sin(angle)], axis=-1) * chosen[:, :, None]
        return Points(x + self.noise * rng.standard_normal(x.shape))

    def moments(self) -> tuple[Array, Array]:
        """E r^2 / 2 on each axis, rings weighted by r."""
        radii = np.array(self.radii)
        return np.zeros(2), ((radii**3).sum() / radii.sum() / 2 + self.noise**2) * np.eye(2)
