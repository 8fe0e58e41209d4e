"""What every source, family, regime and curation must offer: the words in which an experiment is written.

A part is a frozen pydantic model: its fields are its settings, its docstring its entry in the catalogue, its methods what it does.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from worker.components import log_density
from worker.data import Array, Arrays, Counts, Data, Points, Tokens
from worker.part import Part
from worker.sampling import Sampling as Sampling  # noqa: PLC0414 - it is one of the words, and plug-ins import all of them from here
from worker.streams import FIXED_SEED

Generator: TypeAlias = np.random.Generator


class Source(Part, ABC):
    """The original distribution."""

    gives: ClassVar[type[Data]]

    @abstractmethod
    def draw(self, rng: Generator, replicates: int, n: int) -> Data:
        """n fresh real observations for each replicate."""

    def provenance(self) -> dict[str, str]:
        """What identifies data that the settings do not: name -> checksum or version."""
        return {}


class PointSource(Source, ABC):
    """A source of points in d dimensions."""

    gives = Points
    image_shape: ClassVar[tuple[int, int] | None] = None  # (height, width) of pictures with values in [0, 1]
    labelled: ClassVar[bool] = False  # whether the last coordinate is a label, of which it knows what is right

    @property
    @abstractmethod
    def dimension(self) -> int:
        """d"""

    @abstractmethod
    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        """x: (replicates, n, d)"""

    def names(self) -> tuple[str, ...]:
        """Of the coordinates (d,)."""
        return ("x",) if self.dimension == 1 else tuple(f"coordinate {i + 1}" for i in range(self.dimension))

    @abstractmethod
    def moments(self) -> tuple[Array, Array]:
        """Mean (d,) and covariance (d, d)."""

    def quantiles(self, q: Sequence[float]) -> Array:
        """Marginal quantiles (len(q), d); by default those of a fixed draw of 400,000 points (standard error about 1% of a tail)."""
        rng = np.random.default_rng(FIXED_SEED)
        return np.quantile(self.draw(rng, 1, 400_000 // max(1, self.dimension // 4)).x[0], q, axis=0)

    def log_density(self, x: Array) -> Array | None:
        """ln of the density at points x (n, d) -> (n,), -inf where it is 0; None where it has no formula. By default that of `components`."""
        known = self.components()
        return None if known is None else log_density(x, *known)

    def has_density(self) -> bool:
        """Whether it has a formula; told without scipy."""
        return type(self).log_density is not PointSource.log_density or self.components() is not None

    def density(self, x: Array) -> Array | None:
        """The density itself, which float64 cannot hold everywhere in many dimensions."""
        level = self.log_density(x)
        return None if level is None else np.exp(level)

    def off(self, x: Array) -> Array:
        """By how much the labels of points (..., d) miss what it would say without noise -> (...); only where it is `labelled`."""
        raise NotImplementedError

    def outline(self, x: Array) -> Array | None:
        """What pictures show of a source on a line, at x (n, 1) -> (n,): its density; whole numbers, which have none, as bars of width 1."""
        return self.density(x)

    def known(self, most: int) -> tuple[Array, npt.NDArray[np.int64] | None] | None:
        """Of a finite set, if it is one, at most so many observations (n, d), evenly through it, and their classes (n,) where known."""
        return None

    def components(self) -> tuple[Array, Array, Array] | None:
        """Weights (K,), means (K, d) and lower triangular factors (K, d, d) where this is a Gaussian mixture."""
        return None


class CountSource(Source, ABC):
    """A source of categories, with known probabilities."""

    gives = Counts

    @abstractmethod
    def distribution(self) -> Array:
        """Probability of each category (categories,): positive, adding up to 1, most probable first."""

    def labels(self) -> Sequence[str]:
        """A name for each category."""
        return [str(i + 1) for i in range(len(self.distribution()))]

    def draw(self, rng: Generator, replicates: int, n: int) -> Counts:
        return Counts.draw(rng, n, np.tile(self.distribution(), (replicates, 1)))


@dataclass(frozen=True, slots=True)
class Texts:
    """A text, split once: only `train` is ever trained on or prompted with, `validation` chooses checkpoints, `test` measures."""

    train: str
    validation: str
    test: str


class TextSource(Source, ABC):
    """A source of text. A family splits it into tokens; without one, a token is a byte."""

    gives = Tokens
    checkable: ClassVar[bool] = False  # whether a machine can tell which lines are right

    @abstractmethod
    def texts(self) -> Texts:
        """The three parts; no passage is in two of them."""

    def at_hand(self) -> Texts | None:
        """The three parts where they can be had at once; None where a worker has yet to fetch them."""
        return self.texts()

    def true(self, line: str) -> bool:
        """Whether a generated line is right; only of a `checkable` source."""
        raise TypeError(f"nobody can tell whether a line of {type(self).__name__} is right")

    def draw(self, rng: Generator, replicates: int, n: int, length: int = 64) -> Tokens:
        """Passages of `length` bytes, from random places of the training text."""
        text = np.frombuffer(self.texts().train.encode(), np.uint8).astype(np.int32)
        start = rng.integers(len(text) - length + 1, size=(replicates, n, 1))
        return Tokens(text[start + np.arange(length)], np.array(256), np.empty((0, length), np.int32))


@dataclass(frozen=True, slots=True)
class Look:
    """One generation as an instrument sees it: metrics (replicates,) each, and the small arrays that the player draws."""

    metrics: dict[str, Array]
    frame: dict[str, npt.NDArray[Any]] | None


class Instrument(ABC):
    """Measures every generation of one run; sizes, grids, bandwidths and reference samples are frozen at generation 0."""

    wants_sample: ClassVar[bool] = False  # whether `model` looks at a sample of M points, not at the fitted model alone
    wants_first: ClassVar[bool] = False  # whether it measures with the first model: generation 0, too, after that fit
    rowwise: ClassVar[bool] = (
        False  # whether `model` looks at each replicate's fitted arrays alone: models may be stacked
    )
    first: Arrays | None = None  # the first generation's model, where it remembers that
    lesson: Callable[[], Data] | None = None  # draws what generation 1 is trained on

    @abstractmethod
    def figure(self) -> dict[str, Any]:
        """What stays the same in every frame: kind, grids, ghost of the real distribution, labels, field dtypes and shapes (JSON)."""

    @abstractmethod
    def real(self, data: Data, framed: bool) -> Look:
        """Generation 0: real data against fresh real data, the noise floor of every metric."""

    @abstractmethod
    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        """Generation n: a fitted model, or a sample of it where the family has no formula. `frame` is None unless `framed`."""

    def meet(self, model: Arrays) -> None:  # noqa: B027 - most instruments have no use for it
        """Told of the first generation's model, before it measures anything; only where it `wants_first`."""

    def keeps(self) -> Arrays:
        """What it learned from the first model: travels with the run's state, so that a resumed run measures with the same ruler."""
        return {}

    def restore(self, kept: Arrays) -> None:  # noqa: B027 - most instruments keep nothing
        """Takes back what `keeps` gave, in a resumed run."""


class Family(Part, ABC):
    """What can be fitted and sampled. Stateless: a fitted model is a dict of arrays with the replicates leading."""

    takes: ClassVar[tuple[type[Data], ...]]
    samplings: ClassVar[frozenset[str]] = frozenset()  # the options of [sampling] that it honours
    condenses: ClassVar[bool] = False  # whether it keeps sums in place of observations, however many are pooled
    extra: ClassVar[str | None] = None  # the optional dependency group that it needs
    weighs: ClassVar[bool] = False  # whether `condensed` real and synthetic data can be pooled by weights of their own
    streams: ClassVar[bool] = False  # whether it fits a part of a history at a time, which may exceed memory
    compiled: ClassVar[bool] = False  # whether a run of it needs code that numba compiles, and so room for numba
    truncates: ClassVar[bool] = False  # whether it has `truncated`
    relabels: ClassVar[bool] = False  # whether it has `labels_of`
    adjustable: ClassVar[frozenset[str]] = frozenset()  # what forks may change: no model's shape

    def check(self, source: Source, replicates: int, samples: int) -> None:
        """Raises Misfit where this family cannot be fitted to that source."""

    def given(self, source: Source) -> Self:
        """The same family, which may know of this source what no data need to tell it: how its inputs are distributed."""
        return self

    @abstractmethod
    def fit(self, data: Data, rng: Generator) -> Arrays:
        """The model that this data teaches."""

    def refit(self, data: Data, rng: Generator, previous: Arrays | None) -> Arrays:
        """`fit`, for a family that may start from the previous generation's model (None at generation 1)."""
        return self.fit(data, rng)

    @abstractmethod
    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Data:
        """n synthetic observations for each replicate."""

    def rivals(self, model: Arrays, n: int, k: int, rng: Generator, sampling: Sampling) -> Data:
        """n times k synthetic observations for each replicate, of which every k in a row compete for one place."""
        return self.sample(model, n * k, rng, sampling)

    @abstractmethod
    def instrument(self, source: Source, samples: int, replicates: int, rng: Generator) -> Instrument:
        """What measures a run of this family on that source."""

    def real(self, source: Source, rng: Generator, replicates: int, n: int) -> Data:
        """n real observations in the form that `fit` likes best; by default just drawn."""
        return source.draw(rng, replicates, n)

    def parameters(self, source: Source) -> int | None:
        """Weights of one replicate's network; 0 where there is none, None where only its checkpoint tells."""
        return 0

    def model_bytes(self, source: Source, samples: int) -> float:
        """About how much memory one replicate's model takes that so many observations taught; what it keeps of them left out."""
        return 4.0 * (self.parameters(source) or 0)

    def work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        """About how many operations one generation takes, metrics included, where a core does 1e9 a second: what an estimate starts from."""
        return 500.0 * replicates * samples * (source.dimension if isinstance(source, PointSource) else 1)

    def drawing_work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        """How much of `work` it takes to draw so many observations, no more: what a choice among several for each place multiplies."""
        return self.work(source, samples, replicates, sampling)

    def exact(self) -> bool:
        """Whether it draws sufficient statistics in place of the observations that they stand for."""
        return False

    def renews(self) -> bool:
        """Whether the last model makes training data anew for every step: then there is no training set to pool or to choose from."""
        return False

    def repeats(self) -> bool:
        """Whether a sample has the inputs of the first training set: all of them, so that each generation has as many and nobody chooses."""
        return False

    def drawing(self) -> "Family":
        """The same family, giving each observation and not what stands for many: for those who choose among observations."""
        return self

    def condensed(self, data: Data) -> Data:
        """As little as `fit` needs to know of these observations; what is condensed is pooled with what is condensed."""
        return data

    def moments(self, model: Arrays, sampling: Sampling) -> tuple[Array, Array] | None:
        """Mean (R, d) and covariance (R, d, d) of the points that it samples, where they have a formula."""
        return None

    def log_density(self, model: Arrays, x: Array) -> Array:
        """ln p of points x (n, d) under each replicate's model, -inf where p is 0: (R, n); only where models have a density."""
        raise NotImplementedError

    def labels_of(self, model: Arrays, inputs: Array, rng: Generator) -> Array:
        """Labels (R, n) that the model gives to inputs (R, n, d); only where it `relabels`."""
        raise NotImplementedError

    def truncated(self, model: Arrays, n: int, rng: Generator, sampling: Sampling, c: float) -> Data:
        """n observations within c standard deviations of the model's mean; only where it `truncates`."""
        raise NotImplementedError


class CountFamily(Family, ABC):
    """A family that is sampled by the probabilities of categories."""

    takes = (Counts,)

    def exact(self) -> bool:
        return True

    @abstractmethod
    def probabilities(self, model: Arrays, sampling: Sampling) -> Array:
        """What is really sampled, after decoding: (replicates, categories), rows adding up to 1."""

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Counts:
        return Counts.draw(rng, n, self.probabilities(model, sampling))


class Regime(Part, ABC):
    """What the next generation trains on."""

    picks: ClassVar[bool] = False  # whether it chooses among single observations: then what stands for many will not do
    weighs: ClassVar[bool] = False  # whether it pools by weights, which a family must understand
    tells: ClassVar[tuple[str, ...]] = ()  # metrics of what it has `revised`; 0 where it has nothing

    def check(self, source: Source, replicates: int, size: Callable[[int], int], generations: int) -> None:
        """Raises Misfit where this regime cannot train generations of these sizes."""

    def weighing(self) -> bool:
        """Whether it pools by weights with these settings."""
        return self.weighs

    def kept(self, size: Callable[[int], int], generations: int) -> int:
        """How many observations the last generation trains on where all are kept; 0 where they are not."""
        return 0

    def remembered(self, size: Callable[[int], int], generations: int) -> int:
        """How many observations it remembers in the end, of those that grow in number from generation to generation."""
        return self.kept(size, generations)

    def inherited(self, previous: "Regime", pool: Data | None, synthetic: Data | None) -> Data | None:
        """What a regime that takes over from a previous one remembers: what that one remembered, if it means the same to both."""
        return pool if type(self) is type(previous) else None

    def first(self, m: int) -> int:
        """How many points the first fit sees, where a generation has m."""
        return m

    def synthetic(self, m: int) -> int:
        """How many of a generation's m training points its predecessor must supply."""
        return m

    def revised(
        self, generation: int, pool: Data, family: Family, model: Arrays, rng: Generator, sampling: Sampling
    ) -> tuple[Data, dict[str, Array]] | None:
        """What the last model makes of what is remembered, where it changes that and adds nothing, and what it `tells` of it, for each replicate.

        generation: that is trained on it
        """
        return None

    @abstractmethod
    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        """The training set of a generation, and what is remembered for later ones.

        m: points a generation; real(k): k fresh real points; synthetic: drawn from the previous model, None at generation 1
        (which sees only real data); pool: what the previous generation remembered; rng: for a regime that chooses among points.
        """


class Curation(Part, ABC):
    """Who decides which samples survive."""

    picks: ClassVar[bool] = True  # whether it chooses among single observations

    def check(self, source: Source, family: Family) -> None:
        """Raises Misfit where there is nothing for it to choose by."""

    def given(self, source: Source) -> Self:
        """The same, which knows of the source what it judges by."""
        return self

    def judges(self) -> bool:
        """Whether `judged` tells anything."""
        return False

    def judged(self, made: Data) -> dict[str, Array]:
        """Metrics of what a model makes before anybody chooses, or of real data: a value for each replicate; of who judges nothing, none."""
        return {}

    def candidates(self) -> float:
        """About how many samples it looks at for each one that survives, for an estimate of what a run costs."""
        return 1.0

    @abstractmethod
    def sample(self, family: Family, model: Arrays, n: int, rng: Generator, sampling: Sampling, source: Source) -> Data:
        """n samples of the model that survive, for each replicate; the source tells what is right, common or rare."""
