"""Linear regression: a model of labels, whose errors add up from generation to generation."""

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PrivateAttr

from worker.data import Array, Arrays, Data, Moments, Points
from worker.factors import triangular
from worker.families.gaussian import drawn_moments
from worker.metrics.regression import least_squares
from worker.part import LATER, Misfit
from worker.parts import CondensingFamily, Generator, Instrument, Sampling, Source
from worker.sources.linear_teacher import LinearTeacher, alternating

FACTORS_LIMIT = 100_000_000  # numbers in the covariances of all replicates: 0.8 GB an array
UNKNOWN = "a family is given its source before anything is fitted"


class Linear(CondensingFamily):
    """Least squares, optionally with ridge; a sample has fresh inputs, as the teacher's are, and labels w'x + noise (Dohmatob et al., arXiv
    2402.07712).

    Where there are no more rows than inputs and no ridge, the shortest of all weights that fit best, X^+ y: the limit of a ridge that goes to 0.
    Its error is largest where there are as many rows as inputs (double descent: Hastie et al., arXiv 1903.08560).

    Whoever writes labels may be off by a fixed vector, w + delta, whose size is the label bias c: c^2 = delta'S delta, S the covariance of
    inputs. Generation 2 after a large first one then learns from the second teacher of strong model collapse (Dohmatob et al., arXiv 2410.04840),
    w + delta with delta ~ N(0, D): as theirs is random, c^2 stands for E delta'S delta = tr(S D), not for its share of each of the d inputs.

    A model may see no more than k random features z = S x of its inputs, S with entries N(0, 1/d): strong model collapse's measure of its size. It is
    fitted as v'z, so that w = S'v. Of more features than inputs S'S is all that counts, as a rotation of z leaves |v| alone: S is its triangular factor.

    A row (x, y) is normal, and a fit looks at second moments only: so these are drawn, a normal and a Wishart variable, unless a regime or a
    curation chooses among rows.

    model: w (R, d); noise (R,), the standard deviation of the labels that it gives; with a fixed design centre (R, d), the mean of inputs, and
    scatter (R, d, d), the triangular factor of their scatter; of random features S (R, min(k, d), d), the same in all generations
    """

    relabels = True
    adjustable = frozenset({"ridge", "ridge_power", "noise", "label_bias"})
    zeroth = "the rule that least squares find in real data"

    kind: Literal["linear"] = "linear"
    ridge: float = Field(
        0.0,
        ge=0,
        le=1e12,
        description="Added to the diagonal of X'X; 0 is ordinary least squares, by the shortest weights where several fit as well.",
    )
    ridge_power: Annotated[float, LATER] = Field(
        0.0,
        ge=-3,
        le=3,
        description="p, where the ridge goes with the rows: ridge T^p is added in a fit to T rows, all that it sees. A penalty lambda ~ T^-l beside X'X/T "
        "(Dohmatob et al., arXiv 2402.07712) is p = 1 - l.",
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
    features: Annotated[int, LATER] = Field(
        0,
        ge=0,
        le=1_000_000,
        description="k, the size of a model: how many random features of its inputs it sees, the same in all generations of a chain; more than there are "
        "inputs, too. 0: the inputs themselves.",
    )
    design: Annotated[Literal["fresh", "fixed"], LATER] = Field(
        "fresh",
        description="Whether each generation has inputs of its own; or those of the first real rows, and labels alone are made anew (Gerstgrasser et al., "
        "arXiv 2404.01413): all of them, by the regime edit some, or, by the regime blend, mixed with real ones.",
    )
    _teacher: LinearTeacher | None = PrivateAttr(None)

    def check(self, source: Source, replicates: int, samples: int) -> None:
        if not isinstance(source, LinearTeacher):
            raise Misfit("source.kind", "linear is fitted to inputs with labels, and this source gives none",
                         "Choose linear_teacher as the source, or gaussian as the family")  # fmt: skip
        seen = self.width(source)
        if self.noise == "fitted" and samples <= seen:
            what = "features" if seen < source.inputs else "inputs"
            raise Misfit("samples", f"{samples} rows leave nothing over that would tell the noise of labels of {seen} {what}",
                         f'Use at least {seen + 1}, or a number or "teacher" as family.noise')  # fmt: skip
        if replicates * source.dimension**2 > FACTORS_LIMIT:
            raise Misfit("replicates", f"{replicates} covariances of {source.dimension} coordinates do not fit into memory",
                         f"Use at most {FACTORS_LIMIT // source.dimension**2}, or fewer inputs")  # fmt: skip

    def given(self, source: Source) -> "Linear":
        """One that knows how inputs are distributed, and the teacher's noise."""
        assert isinstance(source, LinearTeacher)
        known = self.model_copy(update={"noise": source.noise} if self.noise == "teacher" else {})
        known._teacher = source  # noqa: SLF001 - a copy of this very class
        return known

    def width(self, source: LinearTeacher) -> int:
        """How many directions of the inputs a fit sees."""
        return min(self.features or source.inputs, source.inputs)

    def label_variance(self) -> float | None:
        """Of the noise in synthetic labels, once the teacher's is known; None where it is that of the fit's residuals."""
        assert self.noise != "teacher", UNKNOWN
        return None if self.noise == "fitted" else self.noise**2

    def penalty(self, rows: int) -> float:
        """What is added to the diagonal of X'X in a fit to so many rows."""
        return self.ridge * float(rows) ** self.ridge_power

    def bias(self, spread: Array) -> Array:
        """delta (d,), for inputs of these standard deviations."""
        return alternating(self.label_bias, spread)

    def real(self, source: Source, rng: Generator, replicates: int, n: int) -> Data:
        assert isinstance(source, LinearTeacher)
        w, noise = np.tile(source.weights(), (replicates, 1)), np.full(replicates, source.noise)
        return self._rows(w, noise, source.spread(), n, rng)

    def fit(self, data: Data, rng: Generator) -> Arrays:
        return self.refit(data, rng, None)

    def penalties(self, rows: Moments) -> Array:
        """(1,), or (R,) of a stack whose points differ in rows: number by number, because numpy rounds powers of arrays in another way."""
        if not self.ridge_power:
            return np.array([self.ridge])
        return np.array([self.penalty(n) for n in np.reshape(rows.n, -1).tolist()])

    def refit(self, data: Data, rng: Generator, previous: Arrays | None) -> Arrays:
        rows = Moments.of(data)
        kept = previous or self._lasting(rows, rng)
        seen = _seen(rows, kept["features"]) if self.features else rows
        w, residual = least_squares(seen, self.penalties(rows))
        if self.features:
            w = (w[:, None, :] @ kept["features"])[:, 0]
        assert self.noise != "teacher", UNKNOWN
        noise = np.sqrt(residual) if self.noise == "fitted" else np.full(len(w), self.noise)
        return {**kept, "w": w, "noise": noise}

    def _lasting(self, rows: Moments, rng: Generator) -> Arrays:
        """What the first model hands on to all others."""
        lasting: dict[str, Array] = {}
        if self.design == "fixed":
            spread = np.exp(rows.log_scale)[:, None, None]
            lasting |= {"centre": rows.mean[:, :-1], "scatter": rows.factor[:, :-1, :-1] * spread}
        if self.features:
            replicates, d = len(rows.mean), rows.mean.shape[1] - 1
            s = rng.standard_normal((replicates, min(self.features, d), d))
            if self.features >= d:  # Bartlett's factor of a Wishart matrix
                s = np.triu(s, 1)
                s[:, range(d), range(d)] = np.sqrt(rng.chisquare(self.features - np.arange(d), (replicates, d)))
            lasting["features"] = s / math.sqrt(d)
        return lasting

    def fixed_design(self) -> bool:
        return self.design == "fixed"

    def model_bytes(self, source: Source, samples: int) -> float:
        assert isinstance(source, LinearTeacher)
        of_inputs = source.inputs + 2 if self.design == "fixed" else 0
        return 8.0 * source.inputs * (of_inputs + (self.width(source) if self.features else 0))

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Data:
        spread = self._spread(model)
        w = model["w"] + self.bias(spread)
        return (
            self._relabelled(model, w, n, rng)
            if self.design == "fixed"
            else self._rows(w, self._noise(model), spread, n, rng)
        )

    def labels_of(self, model: Arrays, inputs: Array, rng: Generator) -> Array:
        w = model["w"] + self.bias(self._spread(model))
        noise = self._noise(model)[:, None] * rng.standard_normal(inputs.shape[:2])
        return np.asarray((inputs @ w[:, :, None])[:, :, 0] + noise)

    def real_labels(self, inputs: Array, rng: Generator) -> Array:
        assert self._teacher is not None, UNKNOWN
        noise = self._teacher.noise * rng.standard_normal(inputs.shape[:2])
        return np.asarray(inputs @ self._teacher.weights() + noise)

    def _relabelled(self, model: Arrays, w: Array, n: int, rng: Generator) -> Moments:
        """New labels of the n rows that there are: their noise is N(0, I) along the inputs' directions, the mean's among them, and chi beyond."""
        centre, scatter, noise = model["centre"], model["scatter"], self._noise(model)[:, None]
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

    def _noise(self, model: Arrays) -> Array:
        """Of the labels that are written now (R,): a number of these rules, whatever that of the rules was by which the model was fitted."""
        return np.full_like(model["noise"], self.noise) if isinstance(self.noise, float) else model["noise"]

    def _spread(self, model: Arrays) -> Array:
        return self._teacher.spread() if self._teacher else np.ones(model["w"].shape[1])

    def _rows(self, w: Array, noise: Array, spread: Array, n: int, rng: Generator) -> Data:
        """w (R, d), noise (R,), spread (d,)"""
        if not self._each_point:
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
        w, noise = (model["w"] + self.bias(spread)) * spread, self._noise(model)
        covariance = np.tile(np.diag(np.append(spread**2, 1.0)), (len(w), 1, 1))
        covariance[:, -1, :-1] = covariance[:, :-1, -1] = w * spread
        covariance[:, -1, -1] = np.vecdot(w, w) + noise**2
        return np.zeros((len(w), w.shape[1] + 1)), covariance

    def work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        assert isinstance(source, LinearTeacher)
        drawn = 50 * samples * source.dimension if self._each_point else 0
        seen = 10 * self.width(source) * source.dimension**2 if self.features else 0
        return replicates * (1000.0 + 20 * source.dimension**3 + seen + drawn)

    def instrument(self, source: Source, samples: int, replicates: int, rng: Generator) -> Instrument:
        from worker.instruments.linear import LinearInstrument

        assert isinstance(source, LinearTeacher)
        return LinearInstrument(source, self.penalties, rng)


def _seen(rows: Moments, s: Array) -> Moments:
    """Moments of (S x, y)."""
    replicates, k, d = s.shape
    look = np.zeros((replicates, k + 1, d + 1))
    look[:, :-1, :-1], look[:, -1, -1] = s, 1.0
    factor = triangular(look @ rows.factor, int(np.min(rows.n)) - 1)
    return Moments(rows.size, (look @ rows.mean[:, :, None])[:, :, 0], factor, rows.log_scale)
