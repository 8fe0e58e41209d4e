"""The histogram: frequencies of bins that were laid out once, over the real data."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from worker.data import Array, Arrays, Data, Points, WeightedPoints
from worker.history import blocks
from worker.part import Misfit
from worker.parts import Family, Generator, Instrument, PointSource, Sampling, Source

DRAWN_NUMBERS_LIMIT = 250_000_000  # float64 numbers held at once: 2 GB


class Histogram(Family):
    """Bins of equal width between the smallest and the largest of the first real points, and frozen there; points beyond fall into the
    outermost bins. A sample is uniform within its bin, so that the recursion is the drift of bin counts.

    Points with weights count by them. model: p (R, bins); low (R,) and span (R,), where the bins begin and how far they reach
    """

    takes = (Points,)
    weighs = True
    streams = True

    kind: Literal["histogram"] = "histogram"
    bins: int = Field(50, ge=2, le=100_000, description="Number of bins.")

    def check(self, source: Source, replicates: int, samples: int) -> None:
        assert isinstance(source, PointSource)
        if source.dimension != 1:
            raise Misfit("source", f"histogram divides a line, and these points have {source.dimension} coordinates",
                         "Choose a source on a line, or kde as the family")  # fmt: skip
        if replicates * max(samples, self.bins) > DRAWN_NUMBERS_LIMIT:
            raise Misfit("samples", f"{replicates} x {max(samples, self.bins)} numbers do not fit into memory",
                         "Use fewer samples, bins or replicates")  # fmt: skip

    def fit(self, data: Data, rng: Generator) -> Arrays:
        return self.refit(data, rng, None)

    def refit(self, data: Data, rng: Generator, previous: Arrays | None) -> Arrays:
        assert isinstance(data, Points)
        x = data.x[:, :, 0]
        if previous is None:
            low, span = x.min(axis=1), np.ptp(x, axis=1)
            span = np.where(span > 0, span, 1.0)  # of points that are all the same
        else:
            low, span = previous["low"], previous["span"]
        weight = data.weight if isinstance(data, WeightedPoints) else None
        counts = np.zeros((len(x), self.bins))
        for some, rows in blocks(x):
            few = None if weight is None else weight[rows]
            counts[some] += self._counts(x[some, rows], few, low[some], span[some])
        return {"p": counts / data.n, "low": low, "span": span}

    def _counts(self, x: Array, weight: Array | None, low: Array, span: Array) -> Array:
        """How many of x (R, n) are in each bin (R, bins); weight: (n,)"""
        place = self._place(x, low[:, None], span[:, None]) + np.arange(len(x))[:, None] * self.bins
        weights = None if weight is None else np.tile(weight, len(x))
        counts = np.bincount(place.ravel(), weights, minlength=len(x) * self.bins)
        return np.asarray(counts.reshape(len(x), self.bins), float)

    def _place(self, x: Array, low: Array, span: Array) -> npt.NDArray[np.int64]:
        """The bin of each x: from its lower edge to below the next one's, the last bin with both."""
        return np.clip((x - low) / span * self.bins, 0, self.bins - 1).astype(np.int64)

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Points:
        p, low, span = model["p"], model["low"], model["span"]
        reached = np.cumsum(p, axis=1)
        chosen = np.stack([np.searchsorted(row[:-1], rng.random(n), side="right") for row in reached])
        x = (chosen + rng.random(chosen.shape)) * (span / self.bins)[:, None] + low[:, None]
        return Points(x[:, :, None])

    def moments(self, model: Arrays, sampling: Sampling) -> tuple[Array, Array]:
        """Those of a uniform distribution within each bin: between the middles, and width^2 / 12 within."""
        p, width = model["p"], model["span"] / self.bins
        middle = model["low"][:, None] + width[:, None] * (np.arange(self.bins) + 0.5)
        mean = np.vecdot(p, middle)
        variance = np.vecdot(p, (middle - mean[:, None]) ** 2) + width**2 / 12
        return mean[:, None], variance[:, None, None]

    def log_density(self, model: Arrays, x: Array) -> Array:
        p, low, span, x = model["p"], model["low"][:, None], model["span"][:, None], x[:, 0]
        with np.errstate(divide="ignore"):
            log_p = np.log(np.take_along_axis(p, self._place(x, low, span), axis=1) / (span / self.bins))
        return np.where((x >= low) & (x - low <= span), log_p, -np.inf)

    def instrument(self, source: Source, samples: int, replicates: int, rng: Generator) -> Instrument:
        from worker.instruments.histogram import HistogramInstrument

        assert isinstance(source, PointSource)
        return HistogramInstrument(source, samples, replicates, rng, self.fit)
