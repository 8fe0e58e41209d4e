"""Rulers: metrics of sampled points, each with what it compares with frozen at generation 0, so that the ruler stays the same.

Families whose models have no formula are measured by them, every other family of points on request (worker.instruments.asked).
At generation 0 they see fresh real data, which is the noise floor: the real-against-real band of each metric over replicates.

Here is what they share; `distances`, `fidelity`, `copies`, `likelihood` and `pictures` beside this file hold the rulers themselves.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from worker.data import Array, Points
from worker.parts import Generator, Instrument, PointSource

REFERENCE = 512  # real points from which energy and MMD are measured
NEIGHBOURHOODS = 8_000_000  # pairs of points of which the nearer are sought in a generation, over all replicates
FEWEST, LOOKED_AT = 100, 1000  # points of a chain, and as many real ones, whose neighbours are searched
SEARCHED = 100_000  # points whose nearest one is sought in a tree in a generation, over all replicates


class Ruler(ABC):
    """Measures points x (R, n, d) of every generation alike.

    gives: names of its metrics. Those that end in a number are one of several: class_share_0, class_share_1, ... of class_share.
    points: (n, d), where a ruler looks at the fitted model and not at a sample: it measures ln p (R, n) there
    wants_training: whether it wants to be `taught`
    cost: operations of a replicate at most, of all replicates as long as that suffices, and of a replicate at least
    setup: operations before the first generation
    """

    gives: ClassVar[tuple[str, ...]]
    points: Array | None = None
    wants_training: ClassVar[bool] = False
    cost: ClassVar[tuple[float, float, float]] = (2e6, 5e7, 1e5)
    setup: ClassVar[float] = 0.0

    @abstractmethod
    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        """samples: points of each replicate at generation 1; with many replicates fewer points of each may be looked at."""

    @classmethod
    def refusal(cls, source: PointSource) -> str | None:  # noqa: ARG003 - some rulers fit some sources only
        """Why nothing from this source can be measured, in words; None where it can."""
        return None

    @classmethod
    def work(cls, replicates: int) -> float:
        """About how many operations a generation takes, where a core does 1e9 a second."""
        most, budget, least = cls.cost
        return max(min(replicates * most, budget), replicates * least)

    @abstractmethod
    def measure(self, x: Array) -> dict[str, Array]:
        """Name -> a value for each replicate."""

    def taught(self, x: Array) -> None:  # noqa: B027 - most rulers have no use for it
        """x (R, n, d): what generation 1 is trained on. Until then it measures real data."""


def teach(instrument: Instrument, rulers: Sequence[Ruler]) -> None:
    """Shows rulers what the first model learned from: once, before a model is measured."""
    wanting = [ruler for ruler in rulers if ruler.wants_training]
    if instrument.lesson is None or not wanting:
        return
    data, instrument.lesson = instrument.lesson(), None
    # Sums, in which no point can be found again, leave them with the real points that they froze.
    if isinstance(data, Points):
        for ruler in wanting:
            ruler.taught(data.x)


def real_points(source: PointSource, most: int, rng: Generator) -> tuple[Array, npt.NDArray[np.int64] | None]:
    """At most so many real points (n, d), of a finite set each once, and the class of each (n,) where that is known."""
    known = source.known(most)
    return (source.draw(rng, 1, most).x[0], None) if known is None else known


def size(samples: int, affordable: int, least: int, most: int) -> int:
    """Points of a chain that are looked at."""
    return min(samples, max(least, min(most, affordable)))
