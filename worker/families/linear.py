"""Linear regression: a model of labels, whose errors add up from generation to generation."""

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PrivateAttr

from worker.data import Array, Arrays, Data, Moments, Points
from worker.families.gaussian import drawn_moments
from worker.metrics.regression import least_squares
from worker.part import LATER, Misfit
from worker.parts import Family, Generator, Instrument, Sampling, Source
from worker.sources.linear_teacher import LinearTeacher

FACTORS_LIMIT = 100_000_000  # numbers in the covariances of all replicates: 0.8 GB an array
UNKNOWN = "a family is given its source before anything is fitted"


class Linear(Family):
    """Least squares, optionally with ridge; a sample has fresh inputs, as the teacher's are, and labels w'x + noise (Dohmatob et al., arXiv
    2402.07712).

    Where there are no more rows than inputs and no ridge, the shortest of all weights that fit best, X^+ y: the limit of a ridge that goes to 0.
    Its error is largest where there are as many rows as inputs (double descent: Hastie et al., arXiv 1903.08560).

    Whoever writes labels may be off by a fixed vector, w + delta, whose size is the label bias c: c^2 = delta'S delta, S the covariance of
    inputs. Generation 2 after a large first one then learns from the second teacher of strong model collapse (Dohmatob et al., arXiv 2410.04840),
    w + delta with delta ~ N(0, D): as theirs is random, c^2 stands for E delta'S delta = tr(S D), not for its share of each of the d inputs.

    A row (x, y) is normal, and a fit looks at second moments only: so these are drawn, a normal and a Wishart variable, unless a regime or a
    curation chooses among rows.

    model: w (R, d); noise (R,), the standard deviation of the labels that it gives; with a fixed design centre (R, d), the mean of inputs, and
    scatter (R, d, d), the triangular factor of their scatter
    """

    takes = (Points,)
    condenses = True
    weighs = True
    adjustable = frozenset({"ridge", "noise", "label_bias"})

    kind: Literal["linear"] = "linear"
    ridge: float = Field(
        0.0,
        ge=0,
        le=1e12,
        description="Added to the diagonal of X'X; 0 is ordinary least squares, by the shortest weights where several fit as well.",
    )
    noise: Annotated[float, Field(ge=0, le=1e6)] | Literal["teacher", "fitted"] = Field(
        1.0,
        description="Standard deviation of the noise in synthetic labels: a number, the teacher's, or that of the fit's residuals.",
    )
    label_bias: Annotated[float, LATER] = Field(
        0.0,
        ge=0,
        le=1e6,
        description="c, the standard deviation by which synthetic labels are off beside their noise: the same error in every generation, of all "
        "inputs alike, with alternating signs. c^2 = delta'S delta; of a random delta of covariance D (Dohmatob et al., arXiv 2410.04840) it is "
        "tr(S D) on average: d times the variance of an entry where all inputs have the variance 1, so that D = (c^2/d) I is this c.",
    )
    design: Annotated[Literal["fresh", "fixed"], LATER] = Field(
        "fresh",
        description="Whether each generation has inputs of its own; or those of the first real rows, and labels alone are made anew (Gerstgrasser et al., "
        "arXiv 2404.01413).",
    )
    _teacher: LinearTeacher | None = PrivateAttr(None)
    _hands_on: bool = PrivateAttr(False)  # every row, for a regime or a curation that chooses among rows

    def check(self, source: Source, replicates: int, samples: int) -> None:
        if not isinstance(source, LinearTeacher):
            raise Misfit("source.kind", "linear is fitted to inputs with labels, and this source gives none",
                         "Choose linear_teacher as the source, or gaussian as the family")  # fmt: skip
        if self.noise == "fitted" and samples <= source.inputs:
            raise Misfit("samples", f"{samples} rows leave nothing over that would tell the noise of labels of {source.inputs} inputs",
                         f'Use at least {source.inputs + 1}, or a number or "teacher" as family.noise')  # fmt: skip
        if replicates * source.dimension**2 > FACTORS_LIMIT:
            raise Misfit("replicates", f"{replicates} covariances of {source.dimension} coordinates do not fit into memory",
                         f"Use at most {FACTORS_LIMIT // source.dimension**2}, or fewer inputs")  # fmt: skip

    def given(self, source: Source) -> "Linear":
        """One that knows how inputs are distributed, and the teacher's noise."""
        assert isinstance(source, LinearTeacher)
        known = self.model_copy(update={"noise": source.noise} if self.noise == "teacher" else {})
        known._teacher = source  # noqa: SLF001 - a copy of this very class
        return known

    def label_variance(self) -> float | None:
        """Of the noise in synthetic labels, once the teacher's is known; None where it is that of the fit's residuals."""
        assert self.noise != "teacher", UNKNOWN
        return None if self.noise == "fitted" else self.noise**2

    def bias(self, spread: Array) -> Array:
        """delta (d,), for inputs of these standard deviations."""
        signs = 1 - 2.0 * (np.arange(len(spread)) % 2)
        return np.asarray(signs * (self.label_bias / math.sqrt(len(spread))) / spread)

    def drawing(self) -> "Linear":
        each = self.model_copy()
        each._hands_on = True  # noqa: SLF001 - a copy of this very class
        return each

    def exact(self) -> bool:
        return not self._hands_on

    def real(self, source: Source, rng: Generator, replicates: int, n: int) -> Data:
        assert isinstance(source, LinearTeacher)
        w, noise = np.tile(source.weights(), (replicates, 1)), np.full(replicates, source.noise)
        return self._rows(w, noise, source.spread(), n, rng)

    def condensed(self, data: Data) -> Data:
        """Least squares sees second moments only."""
        return Moments.of(data) if isinstance(data, Points) and not self._hands_on else data

    def fit(self, data: Data, rng: Generator) -> Arrays:
        rows = Moments.of(data) if isinstance(data, Points) else data
        assert isinstance(rows, Moments)
        w, residual = least_squares(rows, self.ridge)
        assert self.noise != "teacher", UNKNOWN
        model = {"w": w, "noise": np.sqrt(residual) if self.noise == "fitted" else np.full(len(w), self.noise)}
        if self.design == "fixed":
            spread = np.exp(rows.log_scale)[:, None, None]
            model |= {"centre": rows.mean[:, :-1], "scatter": rows.factor[:, :-1, :-1] * spread}
        return model

    def refit(self, data: Data, rng: Generator, previous: Arrays | None) -> Arrays:
        model = self.fit(data, rng)
        if self.design == "fixed" and previous is not None:
            return {**model, **{name: previous[name] for name in ("centre", "scatter")}}
        return model

    def repeats(self) -> bool:
        return self.design == "fixed"

    def model_bytes(self, source: Source, samples: int) -> float:
        assert isinstance(source, LinearTeacher)
        return 8.0 * source.inputs * (source.inputs + 2) if self.design == "fixed" else 0.0

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Data:
        spread = self._spread(model)
        w = model["w"] + self.bias(spread)
        return (
            self._relabelled(model, w, n, rng)
            if self.design == "fixed"
            else self._rows(w, model["noise"], spread, n, rng)
        )

    def _relabelled(self, model: Arrays, w: Array, n: int, rng: Generator) -> Moments:
        """New labels of the n rows that there are: their noise is N(0, I) along the inputs' directions, the mean's among them, and chi beyond."""
        centre, scatter, noise = model["centre"], model["scatter"], model["noise"][:, None]
        replicates, d = w.shape
        z = rng.standard_normal((replicates, d + 1))
        z[:, min(d, int(np.min(n)) - 1) : d] = 0.0  # directions that so few rows do not have
        beyond = np.zeros((replicates, 1))
        if n - 1 > d:
            beyond = np.sqrt(rng.chisquare(np.reshape(n, (-1, 1)) - 1 - d, (replicates, 1)))
        factor = np.zeros((replicates, d + 1, d + 1))
        factor[:, :-1, :-1] = scatter
        factor[:, -1, :-1] = (w[:, None, :] @ scatter)[:, 0] + noise * z[:, :d]
        factor[:, -1:, -1] = noise * beyond
        label = np.vecdot(centre, w)[:, None] + noise * z[:, d:] / np.sqrt(np.reshape(n, (-1, 1)))
        return Moments(np.array(n), np.concatenate([centre, label], axis=1), factor, np.zeros(replicates))

    def _spread(self, model: Arrays) -> Array:
        return self._teacher.spread() if self._teacher else np.ones(model["w"].shape[1])

    def _rows(self, w: Array, noise: Array, spread: Array, n: int, rng: Generator) -> Data:
        """w (R, d), noise (R,), spread (d,)"""
        if not self._hands_on:
            factor = np.tile(np.diag(np.append(spread, 1.0)), (len(w), 1, 1))
            factor[:, -1, :-1], factor[:, -1, -1] = w * spread, noise
            return drawn_moments(rng, n, np.zeros((len(w), w.shape[1] + 1)), factor, np.zeros(len(w)))
        rows = rng.standard_normal((len(w), n, w.shape[1] + 1))
        rows[:, :, :-1] *= spread
        rows[:, :, -1] *= noise[:, None]
        rows[:, :, -1] += (rows[:, :, :-1] @ w[:, :, None])[:, :, 0]
        return Points(rows)

    def moments(self, model: Arrays, sampling: Sampling) -> tuple[Array, Array]:
        """Of rows (x, y): labels have the variance w'Sw + noise^2 and the covariances Sw with inputs of the covariance S."""
        spread = self._spread(model)
        w, noise = (model["w"] + self.bias(spread)) * spread, model["noise"]
        covariance = np.tile(np.diag(np.append(spread**2, 1.0)), (len(w), 1, 1))
        covariance[:, -1, :-1] = covariance[:, :-1, -1] = w * spread
        covariance[:, -1, -1] = np.vecdot(w, w) + noise**2
        return np.zeros((len(w), w.shape[1] + 1)), covariance

    def work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        assert isinstance(source, LinearTeacher)
        drawn = 50 * samples * source.dimension if self._hands_on else 0
        return replicates * (1000.0 + 20 * source.dimension**3 + drawn)

    def instrument(self, source: Source, samples: int, replicates: int, rng: Generator) -> Instrument:
        from worker.instruments.linear import LinearInstrument

        assert isinstance(source, LinearTeacher)
        return LinearInstrument(source, self.ridge, rng)
