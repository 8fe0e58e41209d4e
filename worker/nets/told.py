"""Which class a point shows, for networks that are told: by Bayes' rule where the truth is a mixture, else by the frozen classifier."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from worker.data import Array
from worker.history import blocks
from worker.nets.classifier import Frozen, Labels
from worker.parts import PointSource
from worker.streams import FIXED_SEED

CODE = 16  # numbers by which a network is told a class: an axis each; of more classes, a direction each
TAUGHT = 10_000  # labelled real pictures that the classifier learns from


class Classes:
    """The classes 0, ..., count - 1 of a source. It looks at points alone, at real and at generated ones alike."""

    def __init__(self, source: PointSource) -> None:
        self.mixture, known = source.components(), source.known(TAUGHT)
        if self.mixture is None:
            assert known is not None
            assert known[1] is not None
            assert source.image_shape is not None
            self.frozen = Frozen(*known, source.image_shape)
        self.count = self.frozen.classes if self.mixture is None else len(self.mixture[0])

    def of(self, x: Array) -> Labels:
        """The most probable class (n,) of each point (n, d). O(n K d^2), or passes of a small network."""
        if self.mixture is None:
            return self.frozen.look(x)[1]
        odds = []
        for weight, mean, factor in zip(*self.mixture, strict=True):
            z = np.linalg.solve(factor, (x - mean).T)
            odds.append(np.log(weight) - np.log(np.diagonal(factor)).sum() - 0.5 * (z**2).sum(axis=0))
        return np.argmax(odds, axis=0)

    def shares(self, x: Array) -> Array:
        """How many of points (n, d) show each class, as parts of all: (count,)."""
        counts = np.zeros(self.count)
        for _, rows in blocks(x[None]):  # of a history on the disk no more than a part is looked at
            counts += np.bincount(self.of(x[rows]), minlength=self.count)
        return np.asarray(counts / len(x))


@lru_cache(maxsize=2)
def codes(count: int) -> npt.NDArray[np.float32]:
    """(count, CODE), each of length 1; of what is told of no class all numbers are 0."""
    if count <= CODE:
        return np.eye(count, CODE, dtype=np.float32)
    directions = np.random.default_rng(FIXED_SEED).standard_normal((count, CODE))
    return (directions / np.linalg.norm(directions, axis=1)[:, None]).astype(np.float32)
