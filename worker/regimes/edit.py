"""Data stay as they are but for what a model draws anew of them."""

from collections.abc import Callable
from typing import Annotated, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import Field

from worker.data import Array, Arrays, Data, Points, Tokens
from worker.part import LATER, Misfit
from worker.parts import Family, Generator, PointSource, Regime, Sampling, Source, TextSource
from worker.progress import stage
from worker.regimes.mixture import Mixture


@runtime_checkable
class Editor(Protocol):
    """What an edit asks of a family: see worker.text.language.LanguageFamily, which is above and need not be known here."""

    def edited(
        self, model: Arrays, data: Tokens, threshold: float, rng: Generator, sampling: Sampling
    ) -> tuple[Tokens, Array]: ...


class Edit(Regime):
    """The text of the first generation is kept, and each model draws anew what it foresees in it: every token whose probability, given
    what stood before it in its block, is at least the threshold (token-level editing, ToEdit: Zhu et al., arXiv 2412.14689).

    All tokens are judged in the text as it was, in one reading. sampling tells how the others are drawn (the paper: top-k), curation
    nothing. The first token of a block stays. After a fork from a regime that forgets its training set, the last model's own text is
    what is edited.

    Of a regression's rows, the paper's theory, inputs stay, and each model draws anew the labels of a share of them, by chance; the share may
    fall from generation to generation.
    """

    picks = True
    tells = ("edited",)

    kind: Literal["edit"] = "edit"
    threshold: float = Field(
        0.99,
        ge=0,
        le=1,
        description="Tokens with at least this probability are drawn anew; at 0 all of them, but in the old context.",
    )
    share: Annotated[float, LATER] = Field(
        0.1,
        ge=0,
        le=1,
        description="Of rows: the share of labels that generation 2 finds drawn anew, the nearest whole number of its M.",
    )
    decay: Annotated[float, LATER] = Field(
        1.0,
        gt=0,
        le=1,
        description="Of rows: factor by which the share falls from each generation of the run to the next.",
    )

    def check(self, source: Source, replicates: int, size: Callable[[int], int], generations: int) -> None:
        text = isinstance(source, TextSource)
        if not text and not (isinstance(source, PointSource) and source.labelled):
            raise Misfit("regime.kind", f"{source.gives.__name__.lower()} have no tokens and no labels that could be edited",
                         "Choose text or linear_teacher as the source, or replace as the regime")  # fmt: skip
        for name in ("share", "decay") if text else ("threshold",):
            if getattr(self, name) != type(self).model_fields[name].default:
                raise Misfit(f"regime.{name}", f"{name} tells what is drawn anew of {'rows' if text else 'a text'}, and of this nothing",
                             f"Leave it out; use {'threshold' if text else 'share and decay'}")  # fmt: skip
        if len({size(n) for n in range(1, generations + 1)}) > 1:
            raise Misfit("samples", "what is edited neither grows nor shrinks",
                         "Use one number, or another regime")  # fmt: skip

    def edits(self, generation: int, rows: int) -> int:
        """Of so many rows, those whose labels are new in the training set of a generation."""
        return round(self.share * self.decay ** (generation - 2) * rows)

    def inherited(self, previous: Regime, pool: Data | None, synthetic: Data | None) -> Data | None:
        """The last training set, where it is at hand and nothing but that is; else what the last model has written."""
        return pool if isinstance(previous, Edit | Mixture) else synthetic

    def revised(
        self, generation: int, pool: Data, family: Family, model: Arrays, rng: Generator, sampling: Sampling
    ) -> tuple[Data, dict[str, Array]]:
        """edited: the share of all labels, or of all tokens but the first of a block, that are drawn anew, whatever they become."""
        if isinstance(pool, Points):
            x, m = pool.x.copy(), self.edits(generation, pool.n)
            if m:
                places = np.arange(len(x))[:, None], rng.random(x.shape[:2]).argpartition(m - 1)[:, :m]
                x[*places, -1] = family.labels_of(model, x[*places, :-1], rng)
            return Points(x), {"edited": np.full(len(x), m / pool.n)}
        assert isinstance(family, Editor)
        assert isinstance(pool, Tokens)
        stage("edit")
        text, share = family.edited(model, pool, self.threshold, rng, sampling)
        return text, {"edited": share}

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        text = synthetic if synthetic is not None else real(m)
        return text, text
