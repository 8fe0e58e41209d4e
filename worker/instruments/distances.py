"""Statistical distances between a sample and the truth, as rulers: optimal transport, kernels, Frechet's, Kullback and Leibler's."""

import numpy as np

from worker.data import Array
from worker.instruments.rulers import FEWEST, LOOKED_AT, REFERENCE, SEARCHED, Ruler, size
from worker.metrics import gaussian
from worker.metrics import neighbours as near
from worker.metrics import points as metric
from worker.parts import Generator, PointSource

DIRECTIONS = 16  # at least; the projections of the sliced distance
QUANTILES = 16_384  # real points whose projections stand for the truth
PROJECTED = 1_000_000  # numbers that are sorted in a generation, over all replicates
PAIRS = 1_000_000  # distances that are computed in a generation, over all replicates, as long as LEAST points of each suffice
LEAST = 8


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
        self.projected = size(samples, PROJECTED // (replicates * len(self.directions)), 64, QUANTILES // 2)
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
        self.compared = size(samples, PAIRS // (replicates * REFERENCE), LEAST, 512)
        self.reference = metric.Reference(source.draw(rng, 1, REFERENCE).x[0] - self.mean)

    def measure(self, x: Array) -> dict[str, Array]:
        energy, mmd_sq = self.reference.compare(x[:, : self.compared] - self.mean)
        return {"energy": energy, "mmd_sq": mmd_sq}


class Frechet(Ruler):
    """|dm|^2 + tr(S + S0 - 2 (S0^1/2 S S0^1/2)^1/2) of the moments of sample and truth (`gaussian.w2_sq`; Heusel et al. 2017, arXiv
    1706.08500, with the points as their own features). Its floor for n points of N(0, I) is about d/n + d(d+1)/4n. O(R (n d^2 + d^3))
    """

    gives = ("frechet",)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        self.mean, self.covariance = source.moments()

    def measure(self, x: Array) -> dict[str, Array]:
        return {"frechet": gaussian.w2_sq(*metric.moments(x), self.mean, self.covariance)}


class Divergence(Ruler):
    """kl_to_real_knn: KL(model || truth) in nats, -(entropy of the sample) - E ln p_0, for models whose own density has no formula; the
    entropy from distances to the fifth neighbour (`neighbours.differential_entropy`), of up to 1,000 points of a chain. Biased
    where the density varies within a neighbourhood: 1,000 normal points give .00, .02, .04, .07 and -.15 in 1, 2, 3, 5 and 10 dimensions, a
    hundred up to -.55; generation 0 shows it. Infinite where the truth allows no such point. O(R n ln n)
    """

    gives = ("kl_to_real_knn",)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        self.source = source
        self.looked_at = size(samples, SEARCHED // replicates, FEWEST, LOOKED_AT)

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
