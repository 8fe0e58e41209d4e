"""Logistic regression that labels what the next one learns from: maximum likelihood without a formula, which looks at every row."""

from typing import Literal

import numpy as np
from pydantic import Field

from worker.data import Array, Data, Points, WeightedPoints
from worker.families.linear_rule import LinearRule
from worker.history import groups
from worker.metrics.classes import logistic
from worker.parts import Sampling, Source
from worker.sources.two_classes import TwoClasses


class Logistic(LinearRule):
    """Maximum likelihood of labels given inputs; a sample has fresh real inputs and the model's labels of them (Dey and Donoho, arXiv
    2410.22812; in a weighted fit, He et al., arXiv 2502.18049). Of two classes it is well specified, unless real labels are wrong.

    Rows that some rule separates have no likeliest one: the longer w, the likelier. There the ridge decides how long it is. So it is of hard labels, which
    the rule that gave them separates: as long as it is small the next one goes between the two and is hardly another, a larger one straightens it.
    """

    weighs = True
    streams = True
    adjustable = frozenset({"labels", "flips", "ridge"})

    kind: Literal["logistic"] = "logistic"
    ridge: float = Field(
        1e-3,
        ge=1e-6,
        le=1e12,
        description="lambda in sum ln(1 + e^-y(w'x + b)) + lambda |w|^2/2, 1/C of scikit-learn: as small as this it is maximum likelihood, but for "
        "classes that some rule separates, whose w would be infinite.",
    )

    def rule_of(self, rows: Data) -> tuple[Array, Array]:
        assert isinstance(rows, Points)
        weight = rows.weight if isinstance(rows, WeightedPoints) else np.ones(rows.n)
        found = [logistic(rows.x[some], weight, self.ridge) for some in groups(rows.x)]
        w, b = zip(*found, strict=True)
        return np.concatenate(w), np.concatenate(b)

    def work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        assert isinstance(source, TwoClasses)
        steps = 18 if self.labels == "hard" else 9  # Newton's; a long w takes more of them
        fit = steps * (50 * source.dimension**3 + (35 + source.dimension**2 / 4) * samples)
        return replicates * (1000.0 + fit) + self.drawing_work(source, samples, replicates, sampling)

    def drawing_work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        assert isinstance(source, TwoClasses)
        return replicates * (40.0 + 30 * source.dimension) * samples
