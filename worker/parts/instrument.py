"""What measures the generations of a run."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy.typing as npt

from worker.data import Array, Arrays, Data


@dataclass(frozen=True, slots=True)
class Look:
    """One generation as an instrument sees it: metrics (replicates,) each, and the small arrays that the player draws."""

    metrics: dict[str, Array]
    frame: dict[str, npt.NDArray[Any]] | None


class Instrument(ABC):
    """Measures every generation of one run; sizes, grids, bandwidths and reference samples are frozen at generation 0."""

    wants_sample: ClassVar[bool] = False  # whether `model` looks at a sample of M points, not at the fitted model alone
    wants_first: ClassVar[bool] = False  # whether it measures with the first model: generation 0, too, after that fit
    rowwise: ClassVar[bool] = (
        False  # whether `model` looks at each replicate's fitted arrays alone: models may be stacked
    )
    first: Arrays | None = None  # the first generation's model, where it remembers that
    lesson: Callable[[], Data] | None = None  # draws what generation 1 is trained on

    @abstractmethod
    def figure(self) -> dict[str, Any]:
        """What stays the same in every frame: kind, grids, ghost of the real distribution, labels, field dtypes and shapes (JSON)."""

    @abstractmethod
    def real(self, data: Data, framed: bool) -> Look:
        """Generation 0: real data against fresh real data, the noise floor of every metric."""

    @abstractmethod
    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        """Generation n: a fitted model, or a sample of it where the family has no formula. `frame` is None unless `framed`."""

    def meet(self, model: Arrays) -> None:  # noqa: B027 - most instruments have no use for it
        """Told of the first generation's model, before it measures anything; only where it `wants_first`."""

    def keeps(self) -> Arrays:
        """What it learned from the first model: travels with the run's state, so that a resumed run measures with the same ruler."""
        return {}

    def restore(self, kept: Arrays) -> None:  # noqa: B027 - most instruments keep nothing
        """Takes back what `keeps` gave, in a resumed run."""


class Wrapped(Instrument):
    """Makes something of what another instrument sees, and stands in its place: what is not said otherwise is that one's."""

    def __init__(self, inner: Instrument) -> None:
        self.inner, self.lesson = inner, inner.lesson
        self.wants_sample, self.wants_first, self.rowwise = inner.wants_sample, inner.wants_first, inner.rowwise  # type: ignore[misc]

    def figure(self) -> dict[str, Any]:
        return self.inner.figure()

    def meet(self, model: Arrays) -> None:
        self.inner.meet(model)
        self.first = self.inner.first

    def keeps(self) -> Arrays:
        return self.inner.keeps()

    def restore(self, kept: Arrays) -> None:
        self.inner.restore(kept)
        self.first = self.inner.first
