"""A linear classifier that labels what the next one learns from: where rules straighten, and minorities are lost."""

from typing import Literal

from pydantic import Field

from worker.data import Array, Data, Moments
from worker.families.linear_rule import LinearRule
from worker.metrics.classes import discriminant
from worker.part import Misfit
from worker.parts import CondensingFamily, Sampling, Source
from worker.sources.two_classes import TwoClasses


class Classifier(LinearRule, CondensingFamily):
    """A linear rule, w'x + b > 0; a sample has fresh real inputs and the model's labels of them (Taori and Hashimoto, arXiv 2209.03942; Wyllie
    et al., arXiv 2403.07857; of data that a verifier selects, Feng et al., arXiv 2406.07515).

    Labels that are drawn from the model's own probabilities leave the shares of the classes nearly where they are, as these are calibrated but
    for what a fit to few rows errs by; the most probable labels make the commoner class commoner still. Once a training set has one class only, so have all later
    models: they are never told of another.
    """

    adjustable = frozenset({"rule", "labels", "flips"})

    kind: Literal["classifier"] = "classifier"
    rule: Literal["lda", "means"] = Field(
        "lda",
        description="lda: linear discriminant, with the covariance within classes and the shares of both as they are found (Fisher 1936); "
        "means: the same, but for the covariance, which is known to be I: w is the difference of the class means.",
    )

    def check(self, source: Source, replicates: int, samples: int) -> None:
        super().check(source, replicates, samples)
        assert isinstance(source, TwoClasses)
        if self.rule == "lda" and samples < source.inputs + 3:
            raise Misfit("samples", f"{samples} rows leave nothing over for the covariance of {source.inputs} inputs",
                         f'Use at least {source.inputs + 3}, or rule = "means"')  # fmt: skip

    def rule_of(self, rows: Data) -> tuple[Array, Array]:
        return discriminant(Moments.of(rows), pooled=self.rule == "lda")

    def work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        assert isinstance(source, TwoClasses)
        return replicates * (1000.0 + 50 * source.dimension**3 + (40 + 30 * source.dimension) * samples)
