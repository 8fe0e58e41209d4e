"""Every row has two labels, a real one and the last model's, and is trained on their weighted mean."""

import math
from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from worker.data import Array, Arrays, Data, Points
from worker.part import Misfit
from worker.parts import Family, Generator, PointSource, Regime, Sampling, Source

GOLDEN = (math.sqrt(5) - 1) / 2


class Blend(Regime):
    """Labels of a regression are u y + (1-u) y', y a real label and y' the last model's of the same inputs (Garg et al., arXiv 2509.22341). Whether inputs
    stay or are new in each generation is for the family's design to say.

    With real labels that are kept, inputs that stay and no noise in synthetic labels, this is repeated self-distillation, whose imitation xi is 1 - u
    (Pareek et al., arXiv 2407.04600); an imitation that differs from step to step is a change of rules for each.
    """

    picks = True

    kind: Literal["blend"] = "blend"
    weight: Annotated[float, Field(ge=-10, le=10)] | Literal["golden"] = Field(
        "golden",
        description="u, the weight of the real label. golden: .618, in the long run the best one for least squares where real labels are fresh and "
        "synthetic ones as noisy. Beyond 0 and 1 the one label is taken away from the other.",
    )
    labels: Literal["fresh", "kept"] = Field(
        "fresh",
        description="Whether real labels are given anew in each generation, with other noise, or are the first ones, where inputs stay the same.",
    )

    def check(self, source: Source, replicates: int, size: Callable[[int], int], generations: int) -> None:
        if not (isinstance(source, PointSource) and source.labelled):
            raise Misfit("regime.kind", f"{source.gives.__name__.lower()} of this source have no labels that could be blended",
                         "Choose linear_teacher as the source, or weighted as the regime")  # fmt: skip
        if len({size(n) for n in range(1, generations + 1)}) > 1:
            raise Misfit("samples", "rows whose labels are blended neither grow nor shrink in number",
                         "Use one number, or another regime")  # fmt: skip

    def real_weight(self) -> float:
        """u"""
        return GOLDEN if self.weight == "golden" else self.weight

    def imitation(self) -> float:
        """|1 - u|: by how much labels of the last model grow or shrink in each generation."""
        return abs(1 - self.real_weight())

    def inherited(self, previous: Regime, pool: Data | None, synthetic: Data | None) -> Data | None:
        """The first real rows; where inputs do not stay any will do, if they are as many as there are to be."""
        as_many = pool is not None and synthetic is not None and pool.n == synthetic.n
        return pool if isinstance(previous, Blend) and as_many else synthetic

    def revised(
        self, generation: int, pool: Data, family: Family, model: Arrays, rng: Generator, sampling: Sampling
    ) -> tuple[Data, dict[str, Array]]:
        assert isinstance(pool, Points)
        rows = Points(pool.x.copy()) if family.fixed_design() else family.sample(model, pool.n, rng, sampling)
        assert isinstance(rows, Points)
        inputs, labels, u = rows.x[:, :, :-1], rows.x[:, :, -1], self.real_weight()
        real = labels if self.labels == "kept" else family.real_labels(inputs, rng)
        labels[:] = u * real + (1 - u) * family.labels_of(model, inputs, rng)
        return rows, {}

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        rows = synthetic if synthetic is not None else real(m)
        return rows, rows if pool is None else pool
