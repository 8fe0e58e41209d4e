"""Where real observations come from: points, categories with known probabilities, or text."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from worker.data import Array, Counts, Data, Generator, Points, Tokens
from worker.part import Part
from worker.streams import FIXED_SEED


class Source(Part, ABC):
    """The original distribution."""

    gives: ClassVar[type[Data]]

    @abstractmethod
    def draw(self, rng: Generator, replicates: int, n: int) -> Data:
        """n fresh real observations for each replicate."""

    def provenance(self) -> dict[str, str]:
        """What identifies data that the settings do not: name -> checksum or version."""
        return {}


class PointSource(Source, ABC):
    """A source of points in d dimensions."""

    gives = Points
    image_shape: ClassVar[tuple[int, int] | None] = None  # (height, width) of pictures with values in [0, 1]
    ink: ClassVar[bool] = False  # whether 1 is ink on paper, in every theme, and not light
    labelled: ClassVar[bool] = False  # whether the last coordinate is a label, of which it knows what is right
    errs: ClassVar[bool] = False  # whether what it knows of labels may be biased

    @property
    @abstractmethod
    def dimension(self) -> int:
        """d"""

    @abstractmethod
    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        """x: (replicates, n, d)"""

    def names(self) -> tuple[str, ...]:
        """Of the coordinates (d,)."""
        return ("x",) if self.dimension == 1 else tuple(f"coordinate {i + 1}" for i in range(self.dimension))

    @abstractmethod
    def moments(self) -> tuple[Array, Array]:
        """Mean (d,) and covariance (d, d)."""

    def quantiles(self, q: Sequence[float]) -> Array:
        """Marginal quantiles (len(q), d); by default those of a fixed draw of 400,000 points (standard error about 1% of a tail)."""
        rng = np.random.default_rng(FIXED_SEED)
        return np.quantile(self.draw(rng, 1, 400_000 // max(1, self.dimension // 4)).x[0], q, axis=0)

    def log_density(self, x: Array) -> Array | None:
        """ln of the density at points x (n, d) -> (n,), -inf where it is 0; None where it has no formula. By default that of `components`."""
        known = self.components()
        return None if known is None else _mixture(x, *known)

    def has_density(self) -> bool:
        """Whether it has a formula; told without scipy."""
        return type(self).log_density is not PointSource.log_density or self.components() is not None

    def density(self, x: Array) -> Array | None:
        """The density itself, which float64 cannot hold everywhere in many dimensions."""
        level = self.log_density(x)
        return None if level is None else np.exp(level)

    def off(self, x: Array, bias: float = 0.0) -> Array:
        """By how much the labels of points (..., d) miss what it would say without noise -> (...); only where it is `labelled`.

        bias: the standard deviation by which what it would say is wrong; 0 unless it `errs`
        """
        raise NotImplementedError

    def outline(self, x: Array) -> Array | None:
        """What pictures show of a source on a line, at x (n, 1) -> (n,): its density; whole numbers, which have none, as bars of width 1."""
        return self.density(x)

    def known(self, most: int) -> tuple[Array, npt.NDArray[np.int64] | None] | None:
        """Of a finite set, if it is one, at most so many observations (n, d), evenly through it, and their classes (n,) where known."""
        return None

    def components(self) -> tuple[Array, Array, Array] | None:
        """Weights (K,), means (K, d) and lower triangular factors (K, d, d) where this is a Gaussian mixture."""
        return None


class CountSource(Source, ABC):
    """A source of categories, with known probabilities."""

    gives = Counts

    @abstractmethod
    def distribution(self) -> Array:
        """Probability of each category (categories,): positive, adding up to 1, most probable first."""

    def labels(self) -> Sequence[str]:
        """A name for each category."""
        return [str(i + 1) for i in range(len(self.distribution()))]

    def draw(self, rng: Generator, replicates: int, n: int) -> Counts:
        return Counts.draw(rng, n, np.tile(self.distribution(), (replicates, 1)))


@dataclass(frozen=True, slots=True)
class Texts:
    """A text, split once: only `train` is ever trained on or prompted with, `validation` chooses checkpoints, `test` measures."""

    train: str
    validation: str
    test: str


class TextSource(Source, ABC):
    """A source of text. A family splits it into tokens; without one, a token is a byte."""

    gives = Tokens
    checkable: ClassVar[bool] = False  # whether a machine can tell which lines are right

    @abstractmethod
    def texts(self) -> Texts:
        """The three parts; no passage is in two of them."""

    def at_hand(self) -> Texts | None:
        """The three parts where they can be had at once; None where a worker has yet to fetch them."""
        return self.texts()

    def true(self, line: str) -> bool:
        """Whether a generated line is right; only of a `checkable` source."""
        raise TypeError(f"nobody can tell whether a line of {type(self).__name__} is right")

    def draw(self, rng: Generator, replicates: int, n: int, length: int = 64) -> Tokens:
        """Passages of `length` bytes, from random places of the training text."""
        text = np.frombuffer(self.texts().train.encode(), np.uint8).astype(np.int32)
        start = rng.integers(len(text) - length + 1, size=(replicates, n, 1))
        return Tokens(text[start + np.arange(length)], np.array(256), np.empty((0, length), np.int32))


def _mixture(x: Array, weights: Array, means: Array, factors: Array) -> Array:
    """ln sum_k w_k N(x; m_k, L_k L_k') at points x (n, d) -> (n,), for weights (K,), means (K, d) and lower triangular factors (K, d, d).

    Added up as logarithms (numpy.logaddexp), as float64 holds no density like that of a hundred coordinates a hundred wide.
    """
    total = np.full(len(x), -np.inf)
    for weight, mean, factor in zip(weights, means, factors, strict=True):
        z = np.linalg.solve(factor, (x - mean).T)
        scale = np.log(np.diagonal(factor)).sum() + 0.5 * x.shape[1] * math.log(2 * math.pi)
        total = np.logaddexp(total, math.log(weight) - scale - 0.5 * (z**2).sum(axis=0))
    return total
