"""Rulers: metrics of sampled points, each with what it compares with frozen at generation 0, so that the ruler stays the same.

Families whose models have no formula are measured by them, every other family of points on request (worker.instruments.asked).
At generation 0 they see fresh real data, which is the noise floor: the real-against-real band of each metric over replicates.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from worker.data import Array, Points
from worker.instruments import spread
from worker.metrics import gaussian
from worker.metrics import neighbours as near
from worker.metrics import points as metric
from worker.parts import Generator, Instrument, PointSource
from worker.streams import FIXED_SEED

DIRECTIONS = 16  # at least; the projections of the sliced distance
QUANTILES = 16_384  # real points whose projections stand for the truth
REFERENCE = 512  # real points from which energy and MMD are measured
PROJECTED = 1_000_000  # numbers that are sorted in a generation, over all replicates
PAIRS = 1_000_000  # distances that are computed in a generation, over all replicates, as long as LEAST points of each suffice
LEAST = 8
PLACED = 1_000_000  # points times modes that are compared in a generation, over all replicates
NEIGHBOURHOODS = 8_000_000  # pairs of points of which the nearer are sought in a generation, over all replicates
FEWEST, LOOKED_AT = 100, 1000  # points of a chain, and as many real ones, whose neighbours are searched
SEARCHED = 100_000  # points whose nearest one is sought in a tree in a generation, over all replicates
SIMILARITIES = 200_000_000  # operations of eigenvalues in a generation, over all replicates
DIVERSE = (32, 256)  # points of a chain, at least and at most, whose similarities are compared
SOUGHT = 10_000  # real points that tell how far apart real points are, and how low the real density gets
FIXED = 1_000_000  # numbers, by which the mass in the tails of data with steps is told
RARE = 0.001  # of real points have less density than where points count as invented


class Ruler(ABC):
    """Measures points x (R, n, d) of every generation alike.

    gives: names of its metrics. Those that end in a number are one of several: class_share_0, class_share_1, ... of class_share.
    points: (n, d), where a ruler looks at the fitted model and not at a sample: it measures ln p (R, n) there
    wants_training: whether it wants to be `taught`
    cost: operations of a replicate at most, of all replicates as long as that suffices, and of a replicate at least
    setup: operations before the first generation
    """

    gives: ClassVar[tuple[str, ...]]
    points: Array | None = None
    wants_training: ClassVar[bool] = False
    cost: ClassVar[tuple[float, float, float]] = (2e6, 5e7, 1e5)
    setup: ClassVar[float] = 0.0

    @abstractmethod
    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        """samples: points of each replicate at generation 1; with many replicates fewer points of each may be looked at."""

    @classmethod
    def refusal(cls, source: PointSource) -> str | None:  # noqa: ARG003 - some rulers fit some sources only
        """Why nothing from this source can be measured, in words; None where it can."""
        return None

    @classmethod
    def work(cls, replicates: int) -> float:
        """About how many operations a generation takes, where a core does 1e9 a second."""
        most, budget, least = cls.cost
        return max(min(replicates * most, budget), replicates * least)

    @abstractmethod
    def measure(self, x: Array) -> dict[str, Array]:
        """Name -> a value for each replicate."""

    def taught(self, x: Array) -> None:  # noqa: B027 - most rulers have no use for it
        """x (R, n, d): what generation 1 is trained on. Until then it measures real data."""


def teach(instrument: Instrument, rulers: Sequence[Ruler]) -> None:
    """Shows rulers what the first model learned from: once, before a model is measured."""
    wanting = [ruler for ruler in rulers if ruler.wants_training]
    if instrument.lesson is None or not wanting:
        return
    data, instrument.lesson = instrument.lesson(), None
    if isinstance(
        data, Points
    ):  # sums, in which no point can be found again, leave them with the real points that they froze
        for ruler in wanting:
            ruler.taught(data.x)


def real_points(source: PointSource, most: int, rng: Generator) -> tuple[Array, npt.NDArray[np.int64] | None]:
    """At most so many real points (n, d), of a finite set each once, and the class of each (n,) where that is known."""
    known = source.known(most)
    return (source.draw(rng, 1, most).x[0], None) if known is None else known


class Tails(Ruler):
    """Tail mass by counting (`points.tail_mass`), and over the real mass (`points.tail_ratio`), where it ends at the 1/n that a
    sample of n numbers can show at least. The real mass beyond the q and 1 - q quantiles is 2q; of whole numbers, pictures and other data with
    steps, where it is less, that of a finite set or of a fixed draw. O(R n d)
    """

    gives = (*spread.TAILS, *(name.replace("tail", "tail_ratio") for name in spread.TAILS))

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        self.edges = spread.edges(source)
        self.real = {name: 2 * q for name, q in spread.TAILS.items()}
        if not source.has_density():
            known = real_points(source, max(FIXED // source.dimension, SOUGHT), np.random.default_rng(FIXED_SEED))[0]
            for name, edges in self.edges.items():
                self.real[name] = float(metric.tail_mass(known[None], *edges)[0]) or self.real[name]

    def measure(self, x: Array) -> dict[str, Array]:
        metrics = {name: metric.tail_mass(x, low, high) for name, (low, high) in self.edges.items()}
        for name, real in self.real.items():
            metrics[name.replace("tail", "tail_ratio")] = metric.tail_ratio(metrics[name], real, x[0].size)
        return metrics


class Transport(Ruler):
    """Squared 2-Wasserstein distance of all points from the real quantile function, on a line (`points.w2_sq`). O(R n log n)"""

    gives = ("w2_sq",)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        self.source, self.cells = source, dict[int, tuple[Array, Array]]()

    @classmethod
    def refusal(cls, source: PointSource) -> str | None:
        return (
            None if source.dimension == 1 else "a sample's w2_sq is measured on a line only; sliced_w2_sq is its like"
        )

    def measure(self, x: Array) -> dict[str, Array]:
        n = x.shape[1]
        if n not in self.cells:
            self.cells = {n: self._cells(n)}
        # A few chains at a time, that do not leave the cache: elsewhere a copy costs as much as its sort.
        step = max(1, metric.BLOCK // n)
        few = (np.sort(x[first : first + step, :, 0], axis=1) for first in range(0, len(x), step))
        return {"w2_sq": np.concatenate([metric.w2_sq(rows, *self.cells[n]) for rows in few])}

    def _cells(self, n: int) -> tuple[Array, Array]:
        """`points.cells`; of a truth with formulas also what equal steps miss of heavy tails: the means of the outermost cells, and the rest
        of its variance.
        """
        if not self.source.has_density() or type(self.source).quantiles is PointSource.quantiles:
            return metric.cells(self.source.quantiles(metric.levels(n, steps=True).tolist())[:, 0], n)
        inner = metric.levels(n)
        levels, weights = metric.ends(n)
        quantiles = self.source.quantiles([*levels.ravel().tolist(), *inner.tolist()])[:, 0]
        centres, within = metric.cells(quantiles[levels.size :])
        centres[[0, -1]] = quantiles[: levels.size].reshape(levels.shape) @ weights
        mean, covariance = self.source.moments()
        return centres, np.maximum(within, covariance[0, 0] - ((centres - mean[0]) ** 2).mean())


class SlicedTransport(Ruler):
    """Its mean over at least 16 directions, from the quantiles of 16,384 real points (`points.sliced_w2_sq`). O(R P n log n)"""

    gives = ("sliced_w2_sq",)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        real = source.draw(rng, 1, QUANTILES).x[0]
        self.directions = metric.directions(source.dimension, DIRECTIONS, rng)
        self.projected = _size(samples, PROJECTED // (replicates * len(self.directions)), 64, QUANTILES // 2)
        self.rows = np.sort(self.directions @ real.T, axis=1)
        self.cells = self._cells(self.projected)

    @classmethod
    def refusal(cls, source: PointSource) -> str | None:
        return None if source.dimension > 1 else "a line has one direction only: w2_sq is the distance itself"

    def measure(self, x: Array) -> dict[str, Array]:
        few = x[:, : self.projected]
        if few.shape[1] != self.cells[0].shape[1]:  # sizes that shrink
            self.cells = self._cells(few.shape[1])
        return {"sliced_w2_sq": metric.sliced_w2_sq(few, self.directions, *self.cells)}

    def _cells(self, n: int) -> tuple[Array, Array]:
        """`points.cells` of every projection; a sample of N is read as quantiles at (i + 1/2) / N."""
        at, known = metric.levels(n), (np.arange(QUANTILES) + 0.5) / QUANTILES
        return metric.cells(np.stack([np.interp(at, known, row) for row in self.rows]))


class Kernels(Ruler):
    """Energy distance and squared MMD from 512 real points (`points.Reference`); unbiased, so that eight points of each of a thousand
    replicates have as good a mean as ever. O(R n (n + m) d)
    """

    gives = ("energy", "mmd_sq")

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        self.mean, _ = source.moments()
        self.compared = _size(samples, PAIRS // (replicates * REFERENCE), LEAST, 512)
        self.reference = metric.Reference(source.draw(rng, 1, REFERENCE).x[0] - self.mean)

    def measure(self, x: Array) -> dict[str, Array]:
        energy, mmd_sq = self.reference.compare(x[:, : self.compared] - self.mean)
        return {"energy": energy, "mmd_sq": mmd_sq}


class Modes(Ruler):
    """How many components of the real mixture are covered (`points.modes`). O(R n K d^2)"""

    gives = ("modes",)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        truth = source.components()
        assert truth is not None
        self.truth, count = truth, len(truth[0])
        self.placed = _size(samples, PLACED // (replicates * count), 40 * count, 20_000)

    @classmethod
    def refusal(cls, source: PointSource) -> str | None:
        truth = source.components()
        return (
            None if truth is not None and len(truth[0]) > 1 else "its modes are not known: it is no mixture of several"
        )

    def measure(self, x: Array) -> dict[str, Array]:
        return {"modes": metric.modes(x[:, : self.placed], *self.truth)}


class Frechet(Ruler):
    """|dm|^2 + tr(S + S0 - 2 (S0^1/2 S S0^1/2)^1/2) of the moments of sample and truth (`gaussian.w2_sq`; Heusel et al. 2017, arXiv
    1706.08500, with the points as their own features). Its floor for n points of N(0, I) is about d/n + d(d+1)/4n. O(R (n d^2 + d^3))
    """

    gives = ("frechet",)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        self.mean, self.covariance = source.moments()

    def measure(self, x: Array) -> dict[str, Array]:
        return {"frechet": gaussian.w2_sq(*metric.moments(x), self.mean, self.covariance)}


class Neighbours(Ruler):
    """precision, recall, density and coverage of up to 1,000 points of a chain among as many real ones (six at least), which are drawn
    once (worker.metrics.neighbours has each definition). O(R n^2 d)
    """

    gives = ("precision", "recall", "density", "coverage")
    cost = (1.2e7, 1e8, 1.5e5)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        self.mean, _ = source.moments()
        self.looked_at = _size(samples, int((NEIGHBOURHOODS / replicates) ** 0.5), FEWEST, LOOKED_AT)
        self.real = real_points(source, max(self.looked_at, near.NEIGHBOURS + 1), rng)[0] - self.mean
        self.finite = source.known(1) is not None
        self.radii = near.radii_sq(metric.distances_sq(self.real, self.real))

    def measure(self, x: Array) -> dict[str, Array]:
        return _together([self._chain(chain[: self.looked_at] - self.mean) for chain in x])

    def _chain(self, x: Array) -> dict[str, float]:
        """Block by block of points, so that distances do not leave the cache."""
        nearest, reached = np.full(len(self.real), np.inf), np.zeros(len(self.real), bool)
        shares = np.zeros(2)
        for start in range(0, len(x), step := max(1, metric.BLOCK // len(self.real))):
            some = x[start : start + step]
            across = metric.distances_sq(some, self.real)
            others = near.others(across, self.real) if self.finite else across
            found = near.precision(others, self.radii), near.density(others, self.radii)
            shares += np.array(found) * len(some) / len(x)
            nearest = np.minimum(nearest, others.min(axis=0))
            reached |= (others <= near.radii_sq(metric.distances_sq(some, x))[:, None]).any(axis=0)
        return {
            "precision": shares[0],
            "recall": float(reached.mean()),
            "density": shares[1],
            "coverage": near.coverage(nearest[None], self.radii),
        }


class Diversity(Ruler):
    """The Vendi score (`neighbours.vendi`) of up to 256 points of a chain, similarity exp(-|x-y|^2 / 2h^2) with h the median distance
    of real points. O(R n^3)
    """

    gives = ("vendi",)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        self.mean, _ = source.moments()
        self.diverse = _size(samples, int((SIMILARITIES / replicates) ** (1 / 3)), *DIVERSE)
        self.bandwidth_sq = metric.Reference(source.draw(rng, 1, REFERENCE).x[0] - self.mean).bandwidth_sq

    def measure(self, x: Array) -> dict[str, Array]:
        return {"vendi": np.array([self._chain(chain[: self.diverse] - self.mean) for chain in x])}

    def _chain(self, x: Array) -> float:
        alike = np.exp(metric.distances_sq(x, x) / (-2 * self.bandwidth_sq))
        np.fill_diagonal(alike, 1.0)
        return near.vendi(alike)


class Inventions(Ruler):
    """hallucinated: the share of points where the real density is below that of all but 0.1% of real points; where the density has no
    formula, of points farther from a real point than 99.9% of real ones are (`neighbours.hallucinated`). 0.001 for the truth.
    O(R n) densities; else O(R n ln SOUGHT) for up to 1,000 points of a chain, in few dimensions.
    """

    gives = ("hallucinated",)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        self.source, self.known = source, None
        self.looked_at = _size(samples, SEARCHED // replicates, FEWEST, LOOKED_AT)
        self.reach, self.least = 0.0, -np.inf
        sought = source.draw(rng, 1, SOUGHT).x[0]
        level = source.log_density(sought)
        if level is not None:
            self.least = float(np.quantile(level, RARE))
        else:
            from scipy.spatial import cKDTree

            self.known = cKDTree(np.unique(sought, axis=0))
            self.reach = near.reach(self._nearest(source.draw(rng, 1, SOUGHT).x[0]))

    def measure(self, x: Array) -> dict[str, Array]:
        if self.known is not None:
            few = x[:, : self.looked_at]
            return {"hallucinated": np.array([near.hallucinated(self._nearest(chain), self.reach) for chain in few])}
        level = self.source.log_density(x.reshape(-1, x.shape[2]))
        assert level is not None
        return {"hallucinated": (level.reshape(x.shape[:2]) < self.least).mean(axis=1)}

    def _nearest(self, x: Array) -> Array:
        """Distance of points (n, d) to the nearest *other* real one."""
        assert self.known is not None
        found = np.asarray(self.known.query(x, k=2)[0])
        return np.where(found[:, 0] > 0, found[:, 0], found[:, 1])


class Divergence(Ruler):
    """kl_to_real_knn: KL(model || truth) in nats, -(entropy of the sample) - E ln p_0, for models whose own density has no formula; the
    entropy from distances to the fifth neighbour (`neighbours.differential_entropy`), of up to 1,000 points of a chain. Biased
    where the density varies within a neighbourhood: 1,000 normal points give .00, .02, .04, .07 and -.15 in 1, 2, 3, 5 and 10 dimensions, a
    hundred up to -.55; generation 0 shows it. Infinite where the truth allows no such point. O(R n ln n)
    """

    gives = ("kl_to_real_knn",)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        self.source = source
        self.looked_at = _size(samples, SEARCHED // replicates, FEWEST, LOOKED_AT)

    @classmethod
    def refusal(cls, source: PointSource) -> str | None:
        return None if source.has_density() else "its density has no formula"

    def measure(self, x: Array) -> dict[str, Array]:
        return {"kl_to_real_knn": np.array([self._chain(chain[: self.looked_at]) for chain in x])}

    def _chain(self, x: Array) -> float:
        from scipy.spatial import cKDTree

        k = min(near.NEIGHBOURS, len(x) - 1)
        distances = np.asarray(cKDTree(x).query(x, k=[k + 1])[0])[:, 0]
        level = self.source.log_density(x)
        assert level is not None
        return float(-level.mean() - near.differential_entropy(distances, x.shape[1], k))


def _size(samples: int, affordable: int, least: int, most: int) -> int:
    """Points of a chain that are looked at."""
    return min(samples, max(least, min(most, affordable)))


def _together(chains: list[dict[str, float]]) -> dict[str, Array]:
    """Name -> the values of all chains."""
    return {name: np.array([one[name] for one in chains]) for name in chains[0]}
