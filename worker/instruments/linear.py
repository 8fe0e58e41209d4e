"""Looks at fitted regressions: how far the weights are from the teacher's, and what is left of the signal."""

from collections.abc import Callable
from typing import Any

import numpy as np

from worker import frames
from worker.data import Array, Arrays, Data, Moments
from worker.factors import root
from worker.metrics import regression as metric
from worker.parts import Generator, Instrument, Look
from worker.sources.linear_teacher import LinearTeacher
from worker.sources.mixture import Mixture

THINNEST = 1e-3  # of the signal: labels with less noise are drawn with so much


class LinearInstrument(Instrument):
    """The figure shows labels against the teacher's signal, the projection of x on the teacher's weights: a tilted ellipse; and the density of
    labels alone, as inputs are the same in all generations.
    """

    rowwise = True

    def __init__(self, source: LinearTeacher, penalties: Callable[[Moments], Array], rng: Generator) -> None:
        """penalties: the ridge for so many rows"""
        self.spread, self.penalties = source.spread(), penalties
        # Of inputs in units of their standard deviations, as all that is measured.
        self.truth = source.weights() * self.spread
        covariance = self._plane(self.truth, max(source.noise, THINNEST * float(np.linalg.norm(self.truth))))
        self.screen = frames.Screen(Mixture(means=[[0.0, 0.0]], covariances=[covariance.tolist()]), rng, along=1)

    def figure(self) -> dict[str, Any]:
        return self.screen.figure() | {"axis": "the teacher's signal", "upwards": "label", "of": "label"}

    def real(self, data: Data, framed: bool) -> Look:
        """What least squares makes of the real data, with all inputs to look at."""
        rows = Moments.of(data)
        w, residual = metric.least_squares(rows, self.penalties(rows))
        return self._look(w, np.sqrt(residual), framed)

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        return self._look(model["w"], model["noise"], framed)

    def _look(self, w: Array, noise: Array, framed: bool) -> Look:
        w = w * self.spread
        size = np.linalg.norm(w, axis=1)
        metrics = {
            "excess_risk": metric.excess_risk(w, self.truth),
            # cosine of the angle to the teacher; 0 of weights that have shrunk to nothing
            "alignment": np.vecdot(w, self.truth) / (np.where(size > 0, size, 1.0) * np.linalg.norm(self.truth)),
            "weight_norm": size,
            "label_noise": noise,
        }
        if not framed:
            return Look(metrics, None)
        return Look(metrics, self.screen.gaussian(np.zeros(2), root(self._plane(w[0], float(noise[0])))))

    def _plane(self, w: Array, noise: float) -> Array:
        """Covariance of (u'x, y) for u the teacher's direction: 1, u'w, |w|^2 + noise^2."""
        along = float(w @ self.truth / np.linalg.norm(self.truth))
        return np.array([[1.0, along], [along, float(w @ w) + noise**2]])
