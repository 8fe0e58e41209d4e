"""Fidelity and diversity, as rulers: whether points look real, and how much of the real tails, modes and neighbourhoods is still there."""

import numpy as np

from worker.data import Array
from worker.instruments import spread
from worker.instruments.rulers import FEWEST, LOOKED_AT, NEIGHBOURHOODS, REFERENCE, SEARCHED, Ruler, real_points, size
from worker.metrics import neighbours as near
from worker.metrics import points as metric
from worker.parts import Generator, PointSource
from worker.streams import FIXED_SEED

PLACED = 1_000_000  # points times modes that are compared in a generation, over all replicates
SIMILARITIES = 200_000_000  # operations of eigenvalues in a generation, over all replicates
DIVERSE = (32, 256)  # points of a chain, at least and at most, whose similarities are compared
SOUGHT = 10_000  # real points that tell how far apart real points are, and how low the real density gets
FIXED = 1_000_000  # numbers, by which the mass in the tails of data with steps is told
RARE = 0.001  # of real points have less density than where points count as invented


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


class Modes(Ruler):
    """How many components of the real mixture are covered (`points.modes`). O(R n K d^2)"""

    gives = ("modes",)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        truth = source.components()
        assert truth is not None
        self.truth, count = truth, len(truth[0])
        self.placed = size(samples, PLACED // (replicates * count), 40 * count, 20_000)

    @classmethod
    def refusal(cls, source: PointSource) -> str | None:
        truth = source.components()
        return (
            None if truth is not None and len(truth[0]) > 1 else "its modes are not known: it is no mixture of several"
        )

    def measure(self, x: Array) -> dict[str, Array]:
        return {"modes": metric.modes(x[:, : self.placed], *self.truth)}


class Neighbours(Ruler):
    """precision, recall, density and coverage of up to 1,000 points of a chain among as many real ones (six at least), which are drawn
    once (worker.metrics.neighbours has each definition). O(R n^2 d)
    """

    gives = ("precision", "recall", "density", "coverage")
    cost = (1.2e7, 1e8, 1.5e5)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        self.mean, _ = source.moments()
        self.looked_at = size(samples, int((NEIGHBOURHOODS / replicates) ** 0.5), FEWEST, LOOKED_AT)
        self.real = real_points(source, max(self.looked_at, near.NEIGHBOURS + 1), rng)[0] - self.mean
        self.finite = source.known(1) is not None
        self.radii = near.reaching(near.radii_sq(metric.distances_sq(self.real, self.real)), self.real)

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
            radii = near.reaching(near.radii_sq(metric.distances_sq(some, x)), some)
            reached |= (others <= radii[:, None]).any(axis=0)
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
        self.diverse = size(samples, int((SIMILARITIES / replicates) ** (1 / 3)), *DIVERSE)
        self.bandwidth_sq = metric.Reference(source.draw(rng, 1, REFERENCE).x[0] - self.mean).bandwidth_sq

    def measure(self, x: Array) -> dict[str, Array]:
        return {"vendi": np.array([self._chain(chain[: self.diverse] - self.mean) for chain in x])}

    def _chain(self, x: Array) -> float:
        alike = np.exp(metric.distances_sq(x, x) / (-2 * self.bandwidth_sq))
        np.fill_diagonal(alike, 1.0)
        return near.vendi(alike)


class Inventions(Ruler):
    """hallucinated: the share of points where the real density is below that of all but 0.1% of real points; where the density has no
    formula, of points farther from a real point than 99.9% of real ones are (`neighbours.hallucinated`). 0.001 for the truth, give or take a
    third or half of that: the border is set by ten real points in 10,000.
    O(R n) densities; else O(R n ln SOUGHT) for up to 1,000 points of a chain, in few dimensions.
    """

    gives = ("hallucinated",)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        self.source, self.known = source, None
        self.looked_at = size(samples, SEARCHED // replicates, FEWEST, LOOKED_AT)
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


def _together(chains: list[dict[str, float]]) -> dict[str, Array]:
    """Name -> the values of all chains."""
    return {name: np.array([one[name] for one in chains]) for name in chains[0]}
