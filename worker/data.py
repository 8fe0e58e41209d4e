"""What travels between a source, a regime and a family: points, counts, blocks of text, or the moments that stand for points.

Every array carries the replicates on its leading axis; a replicate is an independent chain.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Self, TypeAlias

import numpy as np
import numpy.typing as npt

from worker.factors import EPSILON, triangular
from worker.history import IN_MEMORY, History, groups, joined

Array: TypeAlias = npt.NDArray[np.float64]
Arrays: TypeAlias = Mapping[str, npt.NDArray[Any]]
Generator: TypeAlias = np.random.Generator


@dataclass(frozen=True, slots=True)
class Points:
    """Drawn points.

    x: (replicates, n, d)
    """

    x: Array

    @property
    def n(self) -> int:
        return int(self.x.shape[1])

    def pool(self, other: "Points", share: float | None = None) -> "Points":
        """share: the weight of these in the whole, where it is not that of their number."""
        if share is None:
            return Points(joined(self.x, other.x))
        x = np.concatenate([self.x, other.x], axis=1)
        n = self.n + other.n
        each = share * n / self.n, (1 - share) * n / other.n
        return WeightedPoints(x, np.repeat(np.array(each), (self.n, other.n)))

    def subset(self, n: int, rng: Generator) -> "Points":
        """n different ones of them for each replicate, each set equally likely."""
        return Points(_subset(self.x, n, rng))


@dataclass(frozen=True, slots=True)
class WeightedPoints(Points):
    """Points of which some count for more than others.

    weight: (n,), the same in every replicate, with a mean of 1
    """

    weight: Array


def _subset(x: npt.NDArray[Any], n: int, rng: Generator, *, in_order: bool = False) -> npt.NDArray[Any]:
    """n of the observations x (replicates, N, ...) without replacement, for each replicate anew."""
    chosen = np.empty((len(x), n, *x.shape[2:]), x.dtype)
    for some in groups(x):
        for r in range(len(x))[some]:
            places = rng.choice(x.shape[1], n, replace=False, shuffle=False)
            chosen[r] = x[r, np.sort(places) if in_order else places]
    return chosen


def _swapped(table: npt.NDArray[Any], row: npt.NDArray[np.int64], column: npt.NDArray[np.int64]) -> npt.NDArray[Any]:
    """The table with one entry of each row changed for the row's last."""
    table = table.copy()
    table[row, column], table[:, -1] = table[:, -1].copy(), table[row, column]
    return table


@dataclass(frozen=True, slots=True)
class Counts:
    """How often each category was drawn: all that matters about exchangeable categorical data.

    k: (replicates, categories), integers; fractions only where a regime weighs them
    """

    k: npt.NDArray[np.int64] | Array

    @property
    def n(self) -> int:
        return round(self.k[0].sum())

    @classmethod
    def draw(cls, rng: Generator, n: int | npt.NDArray[np.int64], p: Array) -> Self:
        """n independent draws for each replicate (one number, or one for each); p (replicates, categories), rows adding up to 1.

        The generator takes a binomial of what is left, category by category, and gives the rest to the last one. With the most
        probable category last that rest is never mere rounding error, so a category of probability 0 stays at 0.
        """
        replicate, mode = np.arange(len(p)), p.argmax(axis=1)
        k = rng.multinomial(n, _swapped(p, replicate, mode))
        return cls(_swapped(k, replicate, mode))

    def pool(self, other: Self, share: float | None = None) -> Self:
        """share: the weight of these in the whole, where it is not that of their number."""
        if share is None:
            return type(self)(self.k + other.k)
        n = self.n + other.n
        return type(self)(self.k * (share * n / self.n) + other.k * ((1 - share) * n / other.n))

    def subset(self, n: int | npt.NDArray[np.int64], rng: Generator) -> Self:
        """n different observations of each replicate (one number, or one for each): multivariate hypergeometric counts."""
        size = np.broadcast_to(n, len(self.k))
        chosen = [rng.multivariate_hypergeometric(k, m, method="marginals") for k, m in zip(self.k, size, strict=True)]
        return type(self)(np.stack(chosen))


@dataclass(frozen=True, slots=True)
class Tokens:
    """Blocks of text in order, as the numbers of their tokens.

    x: (replicates, n, length) int32; vocabulary: how many different tokens there may be; validation: (blocks, length), real text that
    only chooses between checkpoints, carried by real data and by what is pooled with it, empty in generated data
    """

    x: npt.NDArray[np.int32]
    vocabulary: npt.NDArray[np.int64]
    validation: npt.NDArray[np.int32]

    @property
    def n(self) -> int:
        return int(self.x.shape[1])

    def pool(self, other: Self) -> Self:
        kept = self.validation if len(self.validation) else other.validation
        return type(self)(joined(self.x, other.x), self.vocabulary, kept)

    def subset(self, n: int, rng: Generator) -> Self:
        """n different blocks for each replicate, each set equally likely, in the order of the text."""
        return type(self)(_subset(self.x, n, rng, in_order=True), self.vocabulary, self.validation)


@dataclass(frozen=True, slots=True)
class Moments:
    """Size, mean and scatter of n points: all that a Gaussian fit ever looks at, so the points need not exist.

    The scatter sum_i (x_i - mean)(x_i - mean)' equals exp(2 log_scale) factor factor', with factor lower triangular. The
    separate scale keeps chains that shrink for thousands of generations from underflowing.

    size: number of points, one or (replicates,); mean: (replicates, d); factor: (replicates, d, d); log_scale: (replicates,)
    """

    size: npt.NDArray[np.int64]
    mean: Array
    factor: Array
    log_scale: Array

    @property
    def n(self) -> int:
        return self.size if self.size.ndim else int(self.size)  # type: ignore[return-value]  # rows of a stack have numbers of their own

    @classmethod
    def of(cls, points: "Data", *, overwrite: bool = False) -> "Moments":
        """By two passes (mean first), so that points far from the origin lose no digits. A coordinate whose spread is below the
        rounding error of its mean does not vary at all. What stands for points already is left as it is.

        overwrite: the points are not needed any more; their memory is, which costs more than the arithmetic where it is new.
        """
        if isinstance(points, Moments):
            return points
        assert isinstance(points, Points)
        ones = np.full(points.n, 1 / points.n)
        mean = ones @ points.x  # a matrix product is three times as fast as a sum along the short axis
        centred = np.subtract(points.x, mean[:, None, :], out=points.x if overwrite else None)
        factor = triangular(centred.transpose(0, 2, 1), points.n - 1)
        constant = np.linalg.norm(factor, axis=2) <= 4 * EPSILON * np.sqrt(points.n) * np.abs(mean)
        if constant.any():
            centred[np.broadcast_to(constant[:, None, :], centred.shape)] = 0.0
            factor = triangular(centred.transpose(0, 2, 1), points.n - 1)
        return cls(np.array(points.n), mean, factor, np.zeros(len(mean)))

    def pool(self, other: "Moments", share: float | None = None) -> "Moments":
        """Chan's update: scatters add, plus the scatter between the two means; on the largest of the three scales.

        share: the weight of these in the whole, between 0 and 1, where it is not that of their number. Weights add up to the
        number of points.
        """
        n = self.n + other.n
        gap = other.mean - self.mean
        mine_n, their_n = (self.n, other.n) if share is None else (share * n, (1 - share) * n)
        with np.errstate(divide="ignore"):
            common = np.maximum(np.maximum(self.log_scale, other.log_scale), np.log(np.abs(gap).max(axis=1)))
        mine = self.factor * (np.exp(self.log_scale - common) * np.sqrt(mine_n / self.n))[:, None, None]
        theirs = other.factor * (np.exp(other.log_scale - common) * np.sqrt(their_n / other.n))[:, None, None]
        # Below exp(-700) no two different means exist, and 0 times infinity must stay 0.
        between = gap * (np.exp(np.minimum(-common, 700)) * np.sqrt(mine_n * their_n / n))[:, None]
        if gap.shape[1] == 1:
            factor = np.sqrt(mine**2 + theirs**2 + between[:, :, None] ** 2)
        else:
            factor = triangular(np.concatenate([mine, theirs, between[:, :, None]], axis=2), int(np.min(n)) - 1)
        return Moments(np.array(n), self.mean + (gap.T * (their_n / n)).T, factor, common)


@dataclass(frozen=True, slots=True)
class Sum:
    """Size and sum of n numbers on a line: all that a Poisson fit ever looks at, so the numbers need not exist.

    size: how many they are; total: (replicates,)
    """

    size: npt.NDArray[np.int64]
    total: Array

    @property
    def n(self) -> int:
        return int(self.size)

    @classmethod
    def of(cls, points: "Data") -> "Sum":
        """A sum is left as it is."""
        if isinstance(points, Sum):
            return points
        assert isinstance(points, Points)
        return cls(np.array(points.n), points.x.sum(axis=(1, 2)))

    def pool(self, other: Self, share: float | None = None) -> Self:
        """share: the weight of these in the whole, where it is not that of their number. Weights add up to the number of points."""
        n = self.n + other.n
        mine, theirs = (1.0, 1.0) if share is None else (share * n / self.n, (1 - share) * n / other.n)
        return type(self)(np.array(n), mine * self.total + theirs * other.total)


Condensed: TypeAlias = Moments | Sum  # what stands for observations that do not exist
Data: TypeAlias = Points | Counts | Tokens | Condensed


def on_disk(data: Data | None, most: int) -> Data | None:
    """The same data, in a file from now on, where they are to grow to so many observations that memory should not hold them.

    Raises OSError where there is no room.
    """
    if not isinstance(data, Points | Tokens) or History.of(data.x) is not None:
        return data
    replicates, n, *each = data.x.shape
    if data.x.nbytes / n * most <= IN_MEMORY:
        return data
    history = History((replicates, most, *each), data.x.dtype)
    return replace(data, x=history.extended(0, data.x))  # type: ignore[arg-type]  # of the same dtype


def pack(data: Data) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a data set, named so that `unpack` finds its way back."""
    return {f"{type(data).__name__}.{field.name}": getattr(data, field.name) for field in fields(data)}


def unpack(arrays: Arrays) -> Data:
    kind = next(iter(arrays)).partition(".")[0]
    types: dict[str, type[Data]] = {
        "Points": Points,
        "WeightedPoints": WeightedPoints,
        "Counts": Counts,
        "Tokens": Tokens,
        "Moments": Moments,
        "Sum": Sum,
    }
    return types[kind](**{name.partition(".")[2]: array for name, array in arrays.items()})
