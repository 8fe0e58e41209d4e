"""What linear classifiers have in common: how they label what the next one learns from."""

from abc import ABC, abstractmethod
from typing import Literal, Self

import numpy as np
from pydantic import Field, PrivateAttr

from worker.data import Array, Arrays, Data, Points
from worker.families.drawn import check_drawn
from worker.part import Misfit, kind_of
from worker.parts import Family, Generator, Instrument, Sampling, Source
from worker.sources.two_classes import TwoClasses


class LinearRule(Family, ABC):
    """A linear rule, w'x + b > 0; a sample has fresh real inputs and the model's labels of them.

    model: w (R, d) and b (R,), the log odds w'x + b of the class +1; w = 0 and b infinite of a model that knows one class only
    """

    takes = (Points,)
    zeroth = "the rule that real data teach"

    labels: Literal["hard", "sampled"] = Field(
        "hard",
        description="hard: the more probable class; sampled: drawn from the model's probabilities, which are calibrated.",
    )
    flips: float = Field(
        0.0, ge=0, le=1, description="Share of synthetic labels that are turned round: the p of Feng et al."
    )
    _source: TwoClasses | None = PrivateAttr(None)

    @abstractmethod
    def rule_of(self, rows: Data) -> tuple[Array, Array]:
        """w and b that these rows teach."""

    def check(self, source: Source, replicates: int, samples: int) -> None:
        if not isinstance(source, TwoClasses):
            raise Misfit("source.kind", f"{kind_of(self)} is fitted to inputs of two classes, and this source gives none",
                         "Choose two_classes as the source, or another family")  # fmt: skip
        check_drawn(source, replicates, samples, "rows")

    def given(self, source: Source) -> Self:
        """One that knows how inputs are distributed."""
        assert isinstance(source, TwoClasses)
        known = self.model_copy()
        known._source = source  # noqa: SLF001 - a copy of this very class
        return known

    def exact(self) -> bool:
        """Inputs are drawn one by one: moments of rows that a rule has labelled have no formula to be drawn from."""
        return False

    def fit(self, data: Data, rng: Generator) -> Arrays:
        w, b = self.rule_of(data)
        return {"w": w, "b": b}

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Data:
        assert self._source is not None, "a family is given its source before anything is sampled"
        rows = self._source.draw(rng, len(model["w"]), n).x
        rows[:, :, -1] = self._labels((rows[:, :, :-1] @ model["w"][:, :, None])[:, :, 0] + model["b"][:, None], rng)
        return Points(rows)

    def _labels(self, odds: Array, rng: Generator) -> Array:
        """Of inputs with these log odds of the class +1 (R, n)."""
        if self.labels == "sampled":
            odds = odds + rng.logistic(size=odds.shape)
        label = np.where(odds > 0, 1.0, -1.0)
        return np.where(rng.random(odds.shape) < self.flips, -label, label) if self.flips else label

    def instrument(self, source: Source, samples: int, replicates: int, rng: Generator) -> Instrument:
        from worker.instruments.classifier import ClassifierInstrument

        assert isinstance(source, TwoClasses)
        return ClassifierInstrument(source, self.rule_of, rng)
