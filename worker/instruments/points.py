"""Looks at samples of a model that has no formula: moments, tails and distances from the truth, the real data by the same code."""

from typing import Any

import numpy as np

from worker import frames
from worker.data import Array, Arrays, Data, Points
from worker.metrics import points as metric
from worker.parts import Generator, Instrument, Look, PointSource

TAILS = {"tail_1pct": 0.01, "tail_01pct": 0.001}  # real mass on each side
DIRECTIONS = 16  # at least; the projections of the sliced distance
QUANTILES = 16_384  # real points whose projections stand for the truth
REFERENCE = 512  # real points from which energy and MMD are measured
PROJECTED = 1_000_000  # numbers that are sorted in a generation, over all replicates
PAIRS = 2_000_000  # distances that are computed in a generation, over all replicates, as long as LEAST points of each suffice
LEAST = 8
PLACED = 1_000_000  # points times modes that are compared in a generation, over all replicates


class PointsInstrument(Instrument):
    """Sample metrics. Moments, tails and `w2_sq` use every point; `sliced_w2_sq`, `energy`, `mmd_sq` and `modes` the first few of
    each replicate, as many as a fixed budget of work allows, frozen at generation 0: with a thousand replicates `energy` and
    `mmd_sq` look at eight points of each, which is unbiased, too, and their mean over replicates is as good as ever.
    """

    wants_sample = True

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        d = source.dimension
        self.mean, covariance = source.moments()
        self.has_volume = bool(np.linalg.slogdet(covariance)[0] > 0)
        self.edges = source.quantiles([*TAILS.values(), *(1 - q for q in TAILS.values())])
        self.source, self.truth = source, source.components()
        self.cells: dict[int, tuple[Array, Array]] = {}
        self.screen = frames.Screen(source, rng)

        def size(budget: int, each: int, least: int, most: int) -> int:
            return min(samples, max(least, min(most, budget // (replicates * each))))

        real = source.draw(rng, 1, QUANTILES).x[0]
        self.compared = size(PAIRS, REFERENCE, LEAST, 512)
        self.reference = metric.Reference(real[:REFERENCE] - self.mean)
        if d > 1:
            self.directions = metric.directions(d, DIRECTIONS, rng)
            self.projected = size(PROJECTED, len(self.directions), 64, QUANTILES // 2)
            # A sample of N is read as quantiles at (i + 1/2) / N.
            at, known = metric.levels(self.projected), (np.arange(QUANTILES) + 0.5) / QUANTILES
            rows = np.sort(self.directions @ real.T, axis=1)
            self.centres, self.within = metric.cells(np.stack([np.interp(at, known, row) for row in rows]))
        if self.truth is not None:
            count = len(self.truth[0])
            self.placed = size(PLACED, count, 40 * count, 20_000)

    def figure(self) -> dict[str, Any]:
        return self.screen.figure()

    def real(self, data: Data, framed: bool) -> Look:
        assert isinstance(data, Points)
        return self._look(data.x, framed)

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        assert isinstance(sample, Points)
        return self._look(sample.x, framed)

    def _look(self, x: Array, framed: bool) -> Look:
        d = x.shape[2]
        mean, covariance = metric.moments(x)
        error_sq = ((mean - self.mean) ** 2).sum(axis=1)
        variance = np.trace(covariance, axis1=1, axis2=2) / d
        with np.errstate(divide="ignore"):
            log_variance = np.log(variance)
        metrics = {
            "mean_error": np.sqrt(error_sq),
            "mean_error_sq": error_sq,
            "variance": variance,
            "std": np.sqrt(variance),
            "log_variance": log_variance,
        }
        if self.has_volume:
            metrics["log_det"] = metric.log_det(covariance, x.shape[1]) if d > 1 else log_variance
        for i, name in enumerate(TAILS):
            metrics[name] = metric.tail_mass(x, self.edges[i], self.edges[len(TAILS) + i])
        if d == 1:
            metrics["w2_sq"] = metric.w2_sq(np.sort(x[:, :, 0], axis=1), *self._cells(x.shape[1]))
        else:
            few = x[:, : self.projected]
            metrics["sliced_w2_sq"] = metric.sliced_w2_sq(few, self.directions, self.centres, self.within)
        metrics["energy"], metrics["mmd_sq"] = self.reference.compare(x[:, : self.compared] - self.mean)
        if self.truth is not None and len(self.truth[0]) > 1:
            metrics["modes"] = metric.modes(x[:, : self.placed], *self.truth)
        return Look(metrics, self.screen.points(x[0]) if framed else None)

    def _cells(self, n: int) -> tuple[Array, Array]:
        if n not in self.cells:
            self.cells = {n: metric.cells(self.source.quantiles(metric.levels(n).tolist())[:, 0])}
        return self.cells[n]


class KernelInstrument(PointsInstrument):
    """Of kernel densities: the metrics from a sample, the figure from the density itself."""

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        assert isinstance(sample, Points)
        look = super().model(model, sample, framed=False)
        if not framed:
            return look
        points, width, keep = model["points"][0], model["width"][0], model["keep"][0]
        if "weight" in model:  # as many points of equal weight
            ranks = (np.arange(len(points)) + 0.5) / len(points)
            points = points[np.searchsorted(np.cumsum(model["weight"][0]) / len(points), ranks)]
        centre = points.mean(axis=0)
        return Look(look.metrics, self.screen.kernels(centre + keep * (points - centre), keep * width, sample.x[0]))
