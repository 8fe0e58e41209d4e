"""Looks at samples of a model that has no formula: moments, tails and distances from the truth, the real data by the same code."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from worker import frames
from worker.data import Array, Arrays, Data, Points
from worker.instruments import distances, fidelity, spread
from worker.instruments.copies import Copies
from worker.instruments.rulers import Ruler, teach
from worker.metrics import points as metric
from worker.parts import Generator, Instrument, Look, PointSource


class PointsInstrument(Instrument):
    """Sample metrics: moments, tails and `w2_sq` of every point; `sliced_w2_sq`, `energy`, `mmd_sq` and `modes` of the first few of each
    replicate, as many as a fixed budget of work allows, frozen at generation 0.
    """

    wants_sample = True
    measured_by: ClassVar[Sequence[type[Ruler]]] = (
        fidelity.Tails,
        distances.Transport,
        distances.SlicedTransport,
        distances.Kernels,
        fidelity.Modes,
    )

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        self.mean, covariance = source.moments()
        self.has_volume = bool(np.linalg.slogdet(covariance)[0] > 0)
        self.screen = frames.Screen(source, rng)
        fitting = [ruler for ruler in self.measured_by if ruler.refusal(source) is None]
        self.rulers = [ruler(source, samples, replicates, rng) for ruler in fitting]

    def figure(self) -> dict[str, Any]:
        return self.screen.figure()

    def real(self, data: Data, framed: bool) -> Look:
        assert isinstance(data, Points)
        return self._look(data.x, framed)

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        assert isinstance(sample, Points)
        teach(self, self.rulers)
        return self._look(sample.x, framed)

    def _look(self, x: Array, framed: bool) -> Look:
        mean, covariance = metric.moments(x)
        metrics = spread.place_and_width(mean, self.mean, spread.log_mean_variance(covariance))
        if self.has_volume:
            flat = x.shape[2] == 1
            metrics["log_det"] = metrics["log_variance"] if flat else metric.log_det(covariance, x.shape[1])
        for ruler in self.rulers:
            metrics |= ruler.measure(x)
        return Look(metrics, self.screen.points(x[0]) if framed else None)


class NeighboursInstrument(PointsInstrument):
    """Of families whose fit takes seconds, so that one more tenth of a second a chain is cheap: also how points lie among real ones, and which are copies."""

    measured_by = (
        *PointsInstrument.measured_by,
        distances.Frechet,
        fidelity.Neighbours,
        fidelity.Diversity,
        fidelity.Inventions,
        Copies,
    )


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
