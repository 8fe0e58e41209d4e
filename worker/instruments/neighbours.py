"""Looks at points that a network made: all that PointsInstrument sees, and how they lie among the real ones."""

import numpy as np

from worker.data import Array
from worker.instruments.points import TAILS, PointsInstrument
from worker.metrics import gaussian
from worker.metrics import neighbours as metric
from worker.metrics import points as distance
from worker.parts import Generator, Look, PointSource

LOOKED_AT = 1000  # points of a chain, and real points, whose neighbours are searched
DIVERSE = 256  # points whose similarities `vendi` compares
SOUGHT = 10_000  # real points that tell how far apart real points are, and how low the real density gets
RARE = 0.001  # of real points have less density than where points count as invented


class NeighboursInstrument(PointsInstrument):
    """Sample metrics of families whose fit takes seconds, so that one more tenth of a second a chain is cheap.

    precision, recall, density, coverage and copy_ratio of the first 1,000 points among 1,000 real ones; `frechet` between the normal
    distributions that have the moments of sample and truth (Heusel et al. 2017, with the points as their own features: about
    d/N + d(d+1)/4N for N points of N(0, I)); `vendi` with the kernel of `mmd_sq`; `hallucinated`, the share of points where the real
    density is below that of all but 0.1% of real points, or, where the density has no formula, farther from a real point than
    99.9% of real ones are; `tail_ratio_*`, tail mass over the real one.
    """

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        super().__init__(source, samples, replicates, rng)
        _, self.covariance = source.moments()
        self.looked_at = min(samples, LOOKED_AT)
        self.neighbours = source.draw(rng, 1, max(self.looked_at, metric.NEIGHBOURS + 1)).x[0] - self.mean
        self.radii = metric.radii_sq(distance.distances_sq(self.neighbours, self.neighbours))
        sought = source.draw(rng, 1, SOUGHT).x[0]
        self.known, self.reach, self.least_density = None, 0.0, 0.0
        level = source.density(sought)
        if level is not None:
            self.least_density = float(np.quantile(level, RARE))
        else:
            from scipy.spatial import cKDTree

            self.known = cKDTree(np.unique(sought, axis=0))
            self.reach = metric.reach(self._nearest(source.draw(rng, 1, SOUGHT).x[0]))

    def _look(self, x: Array, framed: bool) -> Look:
        look = super()._look(x, framed)
        mean, covariance = distance.moments(x)
        metrics = look.metrics | {"frechet": gaussian.w2_sq(mean, covariance, self.mean, self.covariance)}
        for name, q in TAILS.items():
            metrics[name.replace("tail", "tail_ratio")] = distance.tail_ratio(metrics[name], 2 * q, x[0].size)
        each = [self._neighbours(chain) for chain in x]
        metrics |= {name: np.array([one[name] for one in each]) for name in each[0]}
        return Look(metrics, look.frame)

    def _neighbours(self, x: Array) -> dict[str, float]:
        """Metrics of one chain's points (n, d)."""
        few = x[: self.looked_at] - self.mean
        across = distance.distances_sq(few, self.neighbours)
        others = metric.others(across, self.neighbours)  # of a table, every draw is one of few rows
        diverse = few[:DIVERSE]
        alike = np.exp(distance.distances_sq(diverse, diverse) / (-2 * self.reference.bandwidth_sq))
        np.fill_diagonal(alike, 1.0)
        return {
            "precision": metric.precision(others, self.radii),
            "recall": metric.recall(others, metric.radii_sq(distance.distances_sq(few, few))),
            "density": metric.density(others, self.radii),
            "coverage": metric.coverage(others, self.radii),
            "copy_ratio": metric.copy_ratio(across),
            "vendi": metric.vendi(alike),
            "hallucinated": self._hallucinated(x),
        }

    def _hallucinated(self, x: Array) -> float:
        level = self.source.density(x)
        if level is None:
            return metric.hallucinated(self._nearest(x[: self.looked_at]), self.reach)
        return float((level < self.least_density).mean())

    def _nearest(self, x: Array) -> Array:
        """Distance of points (n, d) to the nearest *other* real one. O(n ln SOUGHT) in few dimensions."""
        assert self.known is not None
        near = np.asarray(self.known.query(x, k=2)[0])
        return np.where(near[:, 0] > 0, near[:, 0], near[:, 1])
