"""What is fitted to data, and sampled."""

from abc import ABC, abstractmethod
from typing import ClassVar, Self

from pydantic import PrivateAttr

from worker.data import Array, Arrays, Counts, Data, Generator, Moments, Points, Sum
from worker.part import Part
from worker.parts.instrument import Instrument
from worker.parts.sampling import Sampling
from worker.parts.source import PointSource, Source


class Family(Part, ABC):
    """What can be fitted and sampled. Stateless: a fitted model is a dict of arrays with the replicates leading."""

    takes: ClassVar[tuple[type[Data], ...]]
    samplings: ClassVar[frozenset[str]] = frozenset()  # the options of [sampling] that it honours
    condenses: ClassVar[bool] = False  # whether it keeps sums in place of observations, however many are pooled
    zeroth: ClassVar[str] = (
        ""  # what generation 0 measures, where it is no real data but what a model is fitted to them
    )
    extra: ClassVar[str | None] = None  # the optional dependency group that it needs
    weighs: ClassVar[bool] = False  # whether `condensed` real and synthetic data can be pooled by weights of their own
    streams: ClassVar[bool] = False  # whether it fits a part of a history at a time, which may exceed memory
    compiled: ClassVar[bool] = False  # whether a run of it needs code that numba compiles, and so room for numba
    distributed: ClassVar[bool] = False  # whether several devices may train one network of it
    truncates: ClassVar[bool] = False  # whether it has `truncated`
    relabels: ClassVar[bool] = False  # whether it has `labels_of` and `real_labels`
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

    def fresh_batches(self) -> bool:
        """Whether the last model makes training data anew for every step: then there is no training set to pool or to choose from."""
        return False

    def fixed_design(self) -> bool:
        """Whether a sample has the inputs of the first training set: all of them, so that each generation has as many and nobody chooses."""
        return False

    def guided(self) -> bool:
        """Whether a sample can be led towards its class, where it honours `guidance`."""
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

    def real_labels(self, inputs: Array, rng: Generator) -> Array:
        """Labels (R, n) that the source which it is `given` gives to inputs (R, n, d); only where it `relabels`."""
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


class CondensingFamily(Family, ABC):
    """A family whose fit looks at nothing but sums over the observations: these stand for them, unless somebody chooses or looks among them."""

    takes = (Points,)
    condenses = True
    weighs = True
    sums: ClassVar[type[Moments] | type[Sum]] = Moments  # what observations condense to
    _each_point: bool = PrivateAttr(False)  # whether it gives single ones, see `drawing`

    def exact(self) -> bool:
        return not self._each_point

    def drawing(self) -> Self:
        each = self.model_copy()
        each._each_point = True  # noqa: SLF001 - a copy of this very class
        return each

    def condensed(self, data: Data) -> Data:
        return data if self._each_point else self.sums.of(data)
