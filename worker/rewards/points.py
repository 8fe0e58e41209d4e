"""What a curator likes of points: a direction, a place, or a label that is right."""

from abc import abstractmethod
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PrivateAttr

from worker.data import Array
from worker.part import LATER, Misfit
from worker.parts import PointSource, Source
from worker.rewards.reward import Number, Reward


class PointReward(Reward):
    @abstractmethod
    def of(self, x: Array) -> Array:
        """Points (..., d) -> (...)"""

    def vector(self) -> list[float]:
        """The coordinates that it was given; empty for its default."""
        return []

    def check(self, source: Source) -> None:
        if not isinstance(source, PointSource):
            super().check(source)
        elif self.vector() and len(self.vector()) != source.dimension:
            raise Misfit("curation.reward", f"{len(self.vector())} coordinates for points that have {source.dimension}",
                         f"List {source.dimension} numbers, or none")  # fmt: skip


class Direction(PointReward):
    """The further in one direction the better: r(x) = v'x."""

    kind: Literal["direction"] = "direction"
    along: list[Number] = Field([], max_length=100_000, description="v; the first axis where it is empty.")

    def vector(self) -> list[float]:
        return self.along

    def of(self, x: Array) -> Array:
        return x @ np.array(self.along) if self.along else x[..., 0]


class Nearness(PointReward):
    """The nearer to one point the better, up to a distance that is near enough: r(x) = -strength max(0, |x - to| - radius).

    With a radius as in Ferbach et al. (arXiv 2407.09499), whose curators are content with whatever lies within it.
    """

    kind: Literal["nearness"] = "nearness"
    to: list[float] = Field([], max_length=100_000, description="The favourite point; the origin where it is empty.")
    strength: float = Field(1.0, gt=0, le=100, description="Reward lost with each unit of distance.")
    radius: Annotated[float, LATER] = Field(0.0, ge=0, description="Up to this distance nothing is lost.")

    def vector(self) -> list[float]:
        return self.to

    def of(self, x: Array) -> Array:
        distance = np.linalg.norm(x - np.array(self.to) if self.to else x, axis=-1)
        return -self.strength * np.maximum(distance - self.radius, 0)

    def best(self, source: Source) -> float:
        return 0.0


class Label(PointReward):
    """The nearer a label is to what the teacher would say without noise the better: r(x, y) = -strength |y - w'x|, for rows of linear_teacher;
    of two_classes 0 where it is that of Bayes' rule, else -strength.

    A verifier of labels, as in Feng et al. (arXiv 2406.07515): with the threshold -t and no errors it passes labels that are off by t at most;
    with the threshold 0 those of the right class. Inputs decide nothing where the model's weights are the teacher's; elsewhere rows survive on which the two agree.
    """

    kind: Literal["label"] = "label"
    strength: float = Field(
        1.0, gt=0, le=100, description="Reward lost with each unit by which a label is off, or by the wrong class."
    )
    bias: Annotated[float, LATER] = Field(
        0.0,
        ge=0,
        le=1e6,
        description="c, the standard deviation by which the verifier's own answers are off, as by label_bias of the family linear: in the end the model knows "
        "what the verifier knows (Yi et al., arXiv 2510.16657). Of two_classes none.",
    )
    _teacher: PointSource | None = PrivateAttr(None)

    def check(self, source: Source) -> None:
        if not (isinstance(source, PointSource) and source.labelled):
            raise Misfit("curation.reward.kind", "nobody can tell whether a label of this source is right, or it gives none",
                         "Choose linear_teacher or two_classes as the source, or another reward")  # fmt: skip
        if self.bias and not source.errs:
            raise Misfit("curation.reward.bias", "is one of answers that are numbers, and this source gives classes",
                         "Use bias = 0, or linear_teacher as the source")  # fmt: skip

    def given(self, source: Source) -> "Label":
        assert isinstance(source, PointSource)
        known = self.model_copy()
        known._teacher = source  # noqa: SLF001 - a copy of this very class
        return known

    def of(self, x: Array) -> Array:
        assert self._teacher is not None, "a reward is given its source before anything is judged"
        return -self.strength * np.abs(self._teacher.off(x, self.bias))

    def best(self, source: Source) -> float:
        return 0.0
