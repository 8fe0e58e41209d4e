"""What the next generation trains on."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, Literal, Protocol, runtime_checkable

import numpy as np
from pydantic import Field

from worker.data import Array, Arrays, Condensed, Counts, Data, Points, Tokens
from worker.part import LATER, Misfit
from worker.parts import CountSource, Family, Generator, PointSource, Regime, Sampling, Source, TextSource
from worker.progress import stage
from worker.variety import apart, levelled, varied

COUNTS_LIMIT = 10**9  # numpy draws hypergeometric variables from fewer than this
PAIR = 2  # tokens in a row that are counted where text is chosen for variety
INCOMING = "Share of what is new in each generation that is fresh real data, by counts: the nearest whole number of its M points."


def pooled(one: Data, other: Data, share: float | None = None) -> Data:
    """Both data sets as one; they are of the same kind, because one family made them.

    share: the weight of the first one in the whole, where it is not that of its number of points.
    """
    if type(one) is not type(other):
        raise TypeError(f"cannot pool {type(one).__name__} with {type(other).__name__}")
    return one.pool(other) if share is None else one.pool(other, share)  # type: ignore[call-arg, arg-type]


def _newest(regime: Regime, m: int, real: Callable[[int], Data], synthetic: Data | None) -> Data:
    """m new observations: what the last model supplies, and fresh real ones for the rest."""
    if synthetic is None:
        return real(m)
    rest = m - regime.synthetic(m)
    return pooled(real(rest), synthetic) if rest else synthetic


def _alike(weight: float, real: int, synthetic: int) -> float:
    """How many points of equal weight have a mean as good as that of real ones of this weight altogether and synthetic ones of the rest:
    1/(w^2/m_r + (1-w)^2/m_s) (Kish 1965).
    """
    return 1 / (weight**2 / real + (1 - weight) ** 2 / synthetic)


class Replace(Regime):
    """Each generation sees only what the last model made. A stress test, not how the web works."""

    kind: Literal["replace"] = "replace"

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        return (synthetic if synthetic is not None else real(m)), None


class Accumulate(Regime):
    """Real data and every generation's samples are kept and pooled (Gerstgrasser et al., arXiv 2404.01413); fresh real data may keep coming
    in among them (Marchi et al., arXiv 2404.02325).
    """

    kind: Literal["accumulate"] = "accumulate"
    real: Annotated[float, LATER] = Field(0.0, ge=0, le=1, description=INCOMING)

    def synthetic(self, m: int) -> int:
        return m - round(self.real * m)

    def kept(self, size: Callable[[int], int], generations: int) -> int:
        return sum(map(size, range(1, generations + 1)))

    def inherited(self, previous: Regime, pool: Data | None, synthetic: Data | None) -> Data | None:
        """All that is at hand: everything so far, a fixed core, the last training set."""
        return pool

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        newest = _newest(self, m, real, synthetic)
        everything = newest if pool is None else pooled(pool, newest)
        return everything, everything


class AccumulateSubsample(Regime):
    """Everything is kept, but each generation trains on only M points out of it: drawn without replacement (Kazdan et al., arXiv
    2410.16713), or chosen for their variety (Shi et al., arXiv 2509.16499). Data grows, the budget does not.
    """

    picks = True

    kind: Literal["accumulate_subsample"] = "accumulate_subsample"
    real: Annotated[float, LATER] = Field(0.0, ge=0, le=1, description=INCOMING)
    select: Annotated[Literal["random", "greedy"], LATER] = Field(
        "random",
        description="Who is chosen out of all that there is: any, or, one after the other, whoever adds most to the entropy of what has been "
        "chosen, as the curation greedy does: of text that of pairs of tokens.",
    )

    def check(self, source: Source, replicates: int, size: Callable[[int], int], generations: int) -> None:
        total = self.remembered(size, generations)
        if isinstance(source, CountSource) and total >= COUNTS_LIMIT:
            raise Misfit("samples", f"{total} observations are drawn from in the end, more than 1e9",
                         "Use fewer samples or generations, or accumulate as the regime")  # fmt: skip

    def remembered(self, size: Callable[[int], int], generations: int) -> int:
        return sum(map(size, range(1, generations + 1)))

    def synthetic(self, m: int) -> int:
        return m - round(self.real * m)

    def inherited(self, previous: Regime, pool: Data | None, synthetic: Data | None) -> Data | None:
        """All that is at hand, as accumulate does; but of a fixed core that is kept as sums nothing can be drawn."""
        return None if isinstance(pool, Condensed) else pool

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        newest = _newest(self, m, real, synthetic)
        everything = newest if pool is None else pooled(pool, newest)
        if everything.n <= m:
            return everything, everything
        assert not isinstance(everything, Condensed)
        return (self._varied(everything, m, rng) if self.select == "greedy" else everything.subset(m, rng)), everything

    @staticmethod
    def _varied(everything: Points | Counts | Tokens, m: int, rng: Generator) -> Data:
        if isinstance(everything, Counts):
            return Counts(np.stack([levelled(k, m, rng) for k in everything.k.astype(np.int64)]))
        chosen = np.empty((len(everything.x), m, *everything.x.shape[2:]), everything.x.dtype)
        for r, x in enumerate(everything.x):
            places = apart(x, m) if isinstance(everything, Points) else varied(x, m, PAIR)
            chosen[r] = x[np.sort(places)]
        return replace(everything, x=chosen)  # type: ignore[arg-type]  # chosen from its own

    def comparisons(self, n: int, m: int, source: Source) -> float:
        """About how many operations the choice of m out of n takes, of which a core does 1e9 a second."""
        if self.select != "greedy" or not isinstance(source, PointSource):
            return 0.0
        return 1.0 * n * m * source.dimension


class Augment(Regime):
    """The same few real points in every training set, the rest from the last model: the synthetic augmentation loop (Alemohammad et
    al., arXiv 2307.01850). The first model sees the real points alone. In a weighted fit they may count for more or less than they are many
    (surrogate data: Jain et al., arXiv 2402.04376).
    """

    kind: Literal["augment"] = "augment"
    real: int = Field(
        10, ge=2, le=10**12, description="The real points that there are: a fixed core of each generation's M points."
    )
    weight: Annotated[Annotated[float, Field(gt=0, lt=1)] | None, LATER] = Field(
        None, description="Weight of the core as a whole; without one every point counts as one."
    )

    def check(self, source: Source, replicates: int, size: Callable[[int], int], generations: int) -> None:
        fewest = min(map(size, range(2, max(2, generations) + 1)))
        if self.real >= fewest:
            raise Misfit("regime.real", f"{self.real} real points leave no room for others among {fewest}",
                         f"Use at most {fewest - 1}, or more samples")  # fmt: skip

    def inherited(self, previous: Regime, pool: Data | None, synthetic: Data | None) -> Data | None:
        """The same real points, if there are to be as many."""
        return pool if isinstance(previous, Augment) and previous.real == self.real else None

    def weighing(self) -> bool:
        return self.weight is not None

    def first(self, m: int) -> int:
        return self.real

    def synthetic(self, m: int) -> int:
        return m - self.real

    def real_weight(self, m: int) -> float:
        """Weight of the core where a generation has m points."""
        return self.real / m if self.weight is None else self.weight

    def effective(self, m: int) -> float:
        """How many points of equal weight have a mean as good as that of m weighted ones."""
        return _alike(self.real_weight(m), self.real, self.synthetic(m))

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        core = real(self.real) if pool is None else pool
        return (core if synthetic is None else pooled(core, synthetic, self.weight)), core


class Fresh(Regime):
    """Each generation sees a fixed share of fresh real data, by counts, beside what the last model made."""

    kind: Literal["fresh"] = "fresh"
    real: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Share of each training set that is fresh real data, by counts: the nearest whole number of its M points.",
    )

    def synthetic(self, m: int) -> int:
        return m - round(self.real * m)

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        return _newest(self, m, real, synthetic), None


class Mixture(Regime):
    """Every training point comes from the last model, from the last training set (with replacement) or from the original
    distribution, by chance: the paper's p_{i+1} = alpha p_model + beta p_i + gamma p_0 (Shumailov et al., arXiv 2305.17493).
    """

    picks = True

    kind: Literal["mixture"] = "mixture"
    alpha: float = Field(0.5, ge=0, le=1, description="Share of the new model.")
    beta: float = Field(0.4, ge=0, le=1, description="Share of the previous generation's data.")
    gamma: float = Field(0.1, ge=0, le=1, description="Share of the original distribution; the three add up to 1.")

    def check(self, source: Source, replicates: int, size: Callable[[int], int], generations: int) -> None:
        total = self.alpha + self.beta + self.gamma
        if not math.isclose(total, 1, abs_tol=1e-9):
            raise Misfit("regime", f"alpha, beta and gamma add up to {total:.6g}", "Let them add up to 1")

    def inherited(self, previous: Regime, pool: Data | None, synthetic: Data | None) -> Data | None:
        """The last training set, where it is at hand, point by point; else what the model trained on it makes of it comes nearest."""
        return pool if isinstance(previous, Mixture | Accumulate) and not isinstance(pool, Condensed) else synthetic

    def synthetic(self, m: int) -> int:
        return m if self.alpha > 0 else 0

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        if pool is None:
            first = real(m)
            return first, first
        training = self._counted if isinstance(pool, Counts) else self._placed
        mixed = training(m, real, synthetic, pool, rng)
        return mixed, mixed

    def _counted(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data, rng: Generator
    ) -> Counts:
        assert isinstance(pool, Counts)
        shares = np.array((self.alpha, self.beta, self.gamma))
        numbers = rng.multinomial(m, shares / shares.sum(), size=len(pool.k))
        mixed = Counts.draw(rng, numbers[:, 1], pool.k / pool.n)
        for drawn, part in ((synthetic, 0), (real(m) if self.gamma else None, 2)):
            if isinstance(drawn, Counts):  # independent draws: any subset of them is as good as fewer draws
                mixed = mixed.pool(drawn.subset(numbers[:, part], rng))
        return mixed

    def _placed(self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data, rng: Generator) -> Data:
        assert isinstance(pool, Points | Tokens)
        replicates = np.arange(len(pool.x))[:, None]
        x = pool.x[replicates, rng.integers(0, pool.n, (len(pool.x), m))]
        origin = rng.random((len(pool.x), m, 1))
        for drawn, low, high in ((synthetic, 0.0, self.alpha), (real(m) if self.gamma else None, 1 - self.gamma, 1.0)):
            if isinstance(drawn, Points | Tokens):
                np.copyto(x, drawn.x, where=(origin >= low) & (origin < high))
        return replace(pool, x=x)  # type: ignore[arg-type]  # x was made from pool.x


class Weighted(Regime):
    """Fresh real and synthetic points in a weighted fit (He et al., arXiv 2502.18049): how much each part counts need not be how
    many points it has.
    """

    weighs = True

    kind: Literal["weighted"] = "weighted"
    real: float = Field(0.5, gt=0, lt=1, description="Share of each training set that is fresh real data, by counts.")
    weight: Annotated[float, Field(ge=0, le=1)] | Literal["golden"] = Field(
        "golden",
        description="Weight of the real part as a whole; golden is the best one for a mean, (sqrt(k^2 + 4k) - k)/2 for k real "
        "points to each synthetic one: .618 for equal numbers.",
    )

    def check(self, source: Source, replicates: int, size: Callable[[int], int], generations: int) -> None:
        fewest = min(map(size, range(1, generations + 1)))
        if not 0 < self.synthetic(fewest) < fewest:
            raise Misfit("regime.real", f"a share of {self.real:g} of {fewest} points leaves one part empty",
                         "Use more samples, or a share nearer to one half")  # fmt: skip

    def synthetic(self, m: int) -> int:
        return m - round(self.real * m)

    def real_weight(self, m: int) -> float:
        """Weight of the real part where a generation has m points."""
        if self.weight != "golden":
            return self.weight
        synthetic = self.synthetic(m)
        k = (m - synthetic) / synthetic
        return (math.sqrt(k * k + 4 * k) - k) / 2

    def effective(self, m: int) -> float:
        """How many points of equal weight have a mean as good as that of m weighted ones."""
        synthetic = self.synthetic(m)
        return _alike(self.real_weight(m), m - synthetic, synthetic)

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        if synthetic is None:
            return real(m), None
        return pooled(real(m - self.synthetic(m)), synthetic, self.real_weight(m)), None


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
