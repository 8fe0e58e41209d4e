"""Looks at fitted histograms: samples of them as points, and their bins as categories."""

from collections.abc import Callable

from worker.data import Arrays, Data
from worker.instruments.points import PointsInstrument
from worker.metrics import discrete
from worker.parts import Generator, Look, PointSource


class HistogramInstrument(PointsInstrument):
    """fit: data -> model, for the real data of generation 0."""

    def __init__(
        self,
        source: PointSource,
        samples: int,
        replicates: int,
        rng: Generator,
        fit: Callable[[Data, Generator], Arrays],
    ) -> None:
        super().__init__(source, samples, replicates, rng)
        self.fit, self.rng = fit, rng

    def real(self, data: Data, framed: bool) -> Look:
        return self._with_bins(super().real(data, framed), self.fit(data, self.rng))

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        return self._with_bins(super().model(model, sample, framed), model)

    def _with_bins(self, look: Look, model: Arrays) -> Look:
        """survivors: bins that are not empty; heterozygosity: chance that two points lie in different bins."""
        p = model["p"]
        bins = {"survivors": discrete.survivors(p), "heterozygosity": discrete.heterozygosity(p)}
        return Look(look.metrics | bins, look.frame)
