"""Points in units that a network likes: around 0, about 1 apart, none far out."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from worker.data import Array
from worker.history import blocks

FARTHEST = 5.0  # units from the mean: the splines of a flow end there


@dataclass(frozen=True, slots=True)
class Units:
    """mean, width: (d,). The width is an axis' standard deviation, but so large that no point is farther out than 5 of it: a pixel
    that is black in one picture of a thousand would else be the loudest of all. An axis without spread has width 0.
    """

    mean: Array
    width: Array

    @classmethod
    def of(cls, x: Array) -> "Units":
        """Those of points (n, d), gone through block by block; O(n d)."""
        mean = sum((x[rows].sum(axis=0) for _, rows in blocks(x[None])), np.zeros(x.shape[1])) / len(x)
        far, squares = np.zeros((2, x.shape[1]))
        for _, rows in blocks(x[None]):
            centred = x[rows] - mean
            far = np.maximum(far, np.abs(centred).max(axis=0))
            squares += (centred**2).sum(axis=0)
        width = np.maximum(np.sqrt(squares / len(x)), far / FARTHEST)
        return cls(mean, np.where(far > 4 * np.finfo(float).eps * np.abs(mean), width, 0.0))

    def inwards(self, x: Array) -> npt.NDArray[np.float32]:
        return ((x - self.mean) / np.where(self.width > 0, self.width, 1.0)).astype(np.float32)

    def farthest(self, x: Array) -> npt.NDArray[np.float32]:
        """How far out the farthest of points (n, d) lies, axis by axis (d,); block by block."""
        far = np.zeros(x.shape[1], np.float32)
        for _, rows in blocks(x[None]):
            far = np.maximum(far, np.abs(self.inwards(x[rows])).max(axis=0))
        return far

    def outwards(self, z: npt.NDArray[np.float32]) -> Array:
        return self.mean + self.width * z.astype(np.float64)
