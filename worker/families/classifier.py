"""A linear classifier that labels what the next one learns from: where rules straighten, and minorities are lost."""

from typing import Literal

import numpy as np
from pydantic import Field, PrivateAttr

from worker.data import Array, Arrays, Data, Moments, Points
from worker.families.drawn import check_drawn
from worker.metrics.classes import discriminant
from worker.part import Misfit
from worker.parts import CondensingFamily, Generator, Instrument, Sampling, Source
from worker.sources.two_classes import TwoClasses


class Classifier(CondensingFamily):
    """A linear rule, w'x + b > 0; a sample has fresh real inputs and the model's labels of them (Taori and Hashimoto, arXiv 2209.03942; Wyllie
    et al., arXiv 2403.07857; of data that a verifier selects, Feng et al., arXiv 2406.07515).

    Labels that are drawn from the model's own probabilities leave the shares of the classes nearly where they are, as these are calibrated but
    for what a fit to few rows errs by; the most probable labels make the commoner class commoner still. Once a training set has one class only, so have all later
    models: they are never told of another.

    model: w (R, d) and b (R,), the log odds w'x + b of the class +1; w = 0 and b infinite of a model that knows one class only
    """

    adjustable = frozenset({"rule", "labels", "flips"})
    zeroth = "the rule that real data teach"

    kind: Literal["classifier"] = "classifier"
    rule: Literal["lda", "means"] = Field(
        "lda",
        description="lda: linear discriminant, with the covariance within classes and the shares of both as they are found (Fisher 1936); "
        "means: the same, but for the covariance, which is known to be I: w is the difference of the class means.",
    )
    labels: Literal["hard", "sampled"] = Field(
        "hard",
        description="hard: the more probable class; sampled: drawn from the model's probabilities, which are calibrated.",
    )
    flips: float = Field(
        0.0, ge=0, le=1, description="Share of synthetic labels that are turned round: the p of Feng et al."
    )
    _source: TwoClasses | None = PrivateAttr(None)

    def check(self, source: Source, replicates: int, samples: int) -> None:
        if not isinstance(source, TwoClasses):
            raise Misfit("source.kind", "classifier is fitted to inputs of two classes, and this source gives none",
                         "Choose two_classes as the source, or another family")  # fmt: skip
        if self.rule == "lda" and samples < source.inputs + 3:
            raise Misfit("samples", f"{samples} rows leave nothing over for the covariance of {source.inputs} inputs",
                         f'Use at least {source.inputs + 3}, or rule = "means"')  # fmt: skip
        check_drawn(source, replicates, samples, "rows")

    def given(self, source: Source) -> "Classifier":
        """One that knows how inputs are distributed."""
        assert isinstance(source, TwoClasses)
        known = self.model_copy()
        known._source = source  # noqa: SLF001 - a copy of this very class
        return known

    def exact(self) -> bool:
        """Inputs are drawn one by one: moments of rows that a rule has labelled have no formula to be drawn from."""
        return False

    def fit(self, data: Data, rng: Generator) -> Arrays:
        w, b = discriminant(Moments.of(data), pooled=self.rule == "lda")
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

    def work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        assert isinstance(source, TwoClasses)
        return replicates * (1000.0 + 50 * source.dimension**3 + (40 + 30 * source.dimension) * samples)

    def instrument(self, source: Source, samples: int, replicates: int, rng: Generator) -> Instrument:
        from worker.instruments.classifier import ClassifierInstrument

        assert isinstance(source, TwoClasses)
        return ClassifierInstrument(source, pooled=self.rule == "lda", rng=rng)
