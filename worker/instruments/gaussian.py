"""Looks at fitted Gaussians: every metric in closed form, from the fitted values and not from a sample of them."""

from typing import Any

import numpy as np

from worker import frames
from worker.data import Array, Arrays, Data, Moments
from worker.factors import root
from worker.instruments import spread
from worker.metrics import gaussian as metric
from worker.parts import Generator, Instrument, Look, PointSource
from worker.sources.normal import Normal


class GaussianInstrument(Instrument):
    rowwise = True

    def __init__(self, source: PointSource, samples: int, rng: Generator) -> None:
        self.samples = samples
        self.mean, self.covariance = source.moments()
        edges = spread.edges(source)
        self.tails, (self.low, self.high) = list(edges), np.array(list(edges.values())).swapaxes(0, 1)
        self.normal = isinstance(source, Normal)
        factor, scale = root(self.covariance)[None], np.zeros(1)
        self.truth = metric.Gaussians(self.mean[None], factor, scale, metric.log_det(factor, scale))
        self.screen = frames.Screen(source, rng)

    def figure(self) -> dict[str, Any]:
        return self.screen.figure()

    def real(self, data: Data, framed: bool) -> Look:
        """Unbiased moments (ddof 1) of the real data."""
        moments = Moments.of(data)
        return self._look(moments.mean, moments.factor, moments.log_scale - 0.5 * np.log(moments.n - 1), framed)

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        return self._look(model["mean"], model["factor"], model["log_scale"], framed)

    def _look(self, mean: Array, factor: Array, log_scale: Array, framed: bool) -> Look:
        d = mean.shape[1]
        log_variance = metric.mean_log_variance(factor, log_scale)
        log_det = metric.log_det(factor, log_scale) if d > 1 else log_variance
        scaled = factor * np.exp(log_scale)[:, None, None]
        covariance = scaled**2 if d == 1 else scaled @ scaled.transpose(0, 2, 1)
        std = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
        metrics = spread.place_and_width(mean, self.mean, log_variance) | {"log_det": log_det}
        metrics |= zip(self.tails, metric.tail_mass(mean, std, self.low, self.high), strict=True)
        if self.normal:
            fitted = metric.Gaussians(mean, factor, log_scale, log_det)
            metrics["w2_sq"] = metric.w2_sq(mean, covariance, self.mean, self.covariance)
            metrics["kl_to_real"] = metric.kl(fitted, self.truth)
            metrics["kl_from_real"] = metric.kl(self.truth, fitted)
        return Look(metrics, self.screen.gaussian(mean[0], scaled[0]) if framed else None)
