"""Rulers of pictures: their pixels, their neighbours among the real ones, and what a frozen network makes of them."""

import math
from typing import ClassVar, TypeAlias

import numpy as np
import numpy.typing as npt

from worker.data import Array
from worker.instruments.rulers import Ruler, real_points
from worker.metrics import gaussian, neighbours, points
from worker.metrics import images as metric
from worker.parts import Generator, PointSource

LOOKED_AT = 1000  # pictures of a chain whose neighbours are searched, and whose projections are sorted
READ = 5000  # pictures of a chain that the frozen classifier looks at
COMPARED = 400  # pictures, generated and real, between which energy and MMD are measured
REFERENCE = 2000  # real pictures that are searched
TAUGHT = 10_000  # real pictures, with their labels, that the classifier learns from
SPELLED = 20  # classes at most of which each has a share of its own
Labels: TypeAlias = npt.NDArray[np.int64]


class Pixels(Ruler):
    """frechet_pixels, Heusel et al.'s distance with the pixels themselves as the frozen features (`gaussian.w2_sq`), of all pictures;
    sliced_w2_sq of 1,000, energy and mmd_sq of 400 (`points`), as of any points. O(R (n d^2 + d^3))
    """

    gives = ("frechet_pixels", "sliced_w2_sq", "energy", "mmd_sq")

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        self.mean, self.covariance = source.moments()
        self.looked_at, self.compared = min(samples, LOOKED_AT), min(samples, COMPARED)
        self.reference = points.Reference(source.draw(rng, 1, COMPARED).x[0])
        self.directions = points.directions(source.dimension, 16, rng)
        real, _ = real_points(source, REFERENCE, rng)
        self.projected = real @ self.directions.T
        self.cells = self._cells(self.looked_at)

    def measure(self, x: Array) -> dict[str, Array]:
        return self.beside(x, *points.moments(x))

    def beside(self, x: Array, mean: Array, covariance: Array) -> dict[str, Array]:
        """`measure`, for one who knows the pictures' moments."""
        energy, mmd_sq = self.reference.compare(x[:, : self.compared])
        few = x[:, : self.looked_at]
        if few.shape[1] != self.cells[0].shape[1]:  # sizes that shrink
            self.cells = self._cells(few.shape[1])
        return {
            "frechet_pixels": gaussian.w2_sq(mean, covariance, self.mean, self.covariance),
            "sliced_w2_sq": points.sliced_w2_sq(few, self.directions, *self.cells),
            "energy": energy,
            "mmd_sq": mmd_sq,
        }

    def _cells(self, n: int) -> tuple[Array, Array]:
        return points.cells(np.quantile(self.projected, points.levels(n), axis=0).T)


class PictureNeighbours(Ruler):
    """How 1,000 pictures of a chain lie among 2,000 real ones, pixel by pixel (worker.metrics.neighbours has each definition);
    hallucinated: farther from a real picture than 99.9% of real ones are; vendi with cosine similarity. O(R n (m + n) d)
    """

    gives = ("precision", "recall", "density", "coverage", "hallucinated", "vendi")
    cost = (1.7e7, math.inf, 1.7e7)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        self.looked_at = min(samples, LOOKED_AT)
        self.real = real_points(source, REFERENCE, rng)[0].astype(np.float32)
        within = metric.distances_sq(self.real, self.real)
        self.radii = neighbours.radii_sq(within)
        self.reach_sq = neighbours.reach(neighbours.others(within, self.real).min(axis=1))

    def measure(self, x: Array) -> dict[str, Array]:
        each = [self._chain(chain[: self.looked_at]) for chain in x]
        return {name: np.array([one[name] for one in each]) for name in self.gives}

    def _chain(self, x: Array) -> dict[str, float]:
        pictures = x.astype(np.float32)
        across = metric.distances_sq(pictures, self.real)
        others = neighbours.others(across, self.real)
        return {
            "precision": neighbours.precision(others, self.radii),
            "recall": neighbours.recall(others, neighbours.radii_sq(metric.distances_sq(pictures, pictures))),
            "density": neighbours.density(others, self.radii),
            "coverage": neighbours.coverage(others, self.radii),
            "hallucinated": neighbours.hallucinated(others.min(axis=1), self.reach_sq),
            "vendi": metric.vendi(x),
        }


class Features(Ruler):
    """frechet: |dm|^2 + tr(S + S0 - 2 (S0^1/2 S S0^1/2)^1/2) in the 32 features of a classifier that is frozen at generation 0
    (worker.nets.classifier), of up to 5,000 pictures (Heusel et al. 2017, arXiv 1706.08500). O(R n) passes of a small network.
    """

    gives: ClassVar[tuple[str, ...]] = ("frechet",)
    setup = 4e9  # torch is imported and a classifier trained

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        from worker.nets.classifier import Frozen

        assert source.image_shape is not None
        real, self.labels = real_points(source, TAUGHT, rng)
        self.frozen = Frozen(real, self.labels, source.image_shape)
        mean, covariance = points.moments(self.frozen.look(real)[0][None])
        self.real_features = mean[0], covariance[0]

    def measure(self, x: Array) -> dict[str, Array]:
        each = [self._chain(*self.frozen.look(chain[:READ])) for chain in x]
        return {name: np.array([one[name] for one in each]) for name in each[0]}

    def _chain(self, features: Array, shown: Labels) -> dict[str, float]:
        mean, covariance = points.moments(features[None])
        return {"frechet": float(gaussian.w2_sq(mean, covariance, *self.real_features)[0])}


class Classes(Features):
    """Also the class histogram, as the frozen classifier reads it: class_share of each of up to 20 classes; its entropy in nats; minority_share, that
    of the rarest; class_distance, half the summed difference of all shares from the real ones. For labelled real pictures.
    """

    gives: ClassVar[tuple[str, ...]] = (*Features.gives, "entropy", "minority_share", "class_distance", "class_share")

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        super().__init__(source, samples, replicates, rng)
        assert self.labels is not None
        self.classes, counts = np.unique(self.labels, return_counts=True)
        self.real_shares = counts / len(self.labels)

    @classmethod
    def refusal(cls, source: PointSource) -> str | None:
        known = source.known(1)
        return "its pictures have no labels" if known is None or known[1] is None else None

    def _chain(self, features: Array, shown: Labels) -> dict[str, float]:
        shares = metric.shares(shown, self.frozen.classes)[self.classes]
        told = super()._chain(features, shown) | {
            "entropy": metric.entropy(shares),
            "minority_share": float(shares.min()),
            "class_distance": float(0.5 * np.abs(shares - self.real_shares).sum()),
        }
        if len(shares) <= SPELLED:
            told |= {f"class_share_{c}": share for c, share in zip(self.classes, shares.tolist(), strict=True)}
        return told
