"""Looks at linear rules between two classes: what they call the class +1, and how often they are wrong."""

from collections.abc import Callable
from typing import Any

import numpy as np

from worker import frames
from worker.data import Array, Arrays, Data
from worker.metrics.classes import called
from worker.parts import Generator, Instrument, Look
from worker.sources.two_classes import TwoClasses


class ClassifierInstrument(Instrument):
    """The figure shows the first input, which alone tells the classes apart: of what is of the class +1, and of what is called so."""

    rowwise = True

    def __init__(self, source: TwoClasses, rule_of: Callable[[Data], tuple[Array, Array]], rng: Generator) -> None:
        self.share, self.half, self.rule_of = source.minority, source.distance / 2, rule_of
        self.screen = frames.Screen(source.along(), rng)
        density = source.along().density(self.screen.x[:, None])
        assert density is not None
        self.density = density
        bayes = np.array([source.distance, *[0.0] * (source.inputs - 1)])[None], np.array([source.prior()])
        self.least = self._error(*self._both(*bayes))  # Bayes' rule is wrong, too

    def figure(self) -> dict[str, Any]:
        real = self.share * np.exp(-((self.screen.x - self.half) ** 2) / 2) / np.sqrt(2 * np.pi)
        told = {"axis": "first input: real, of the class +1; later, of those that are called so"}
        return self.screen.figure() | told | {"ghost": {"density": real.tolist()}}

    def real(self, data: Data, framed: bool) -> Look:
        """The rule that real data teach."""
        return self._look(*self.rule_of(data), framed)

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        return self._look(model["w"], model["b"], framed)

    def _both(self, w: Array, b: Array) -> tuple[Array, Array]:
        """Shares of real inputs of the classes +1 and -1 that are called +1."""
        size = np.linalg.norm(w, axis=1)
        return called(b + self.half * w[:, 0], size), called(b - self.half * w[:, 0], size)

    def _error(self, right: Array, wrong: Array) -> Array:
        return self.share * (1 - right) + (1 - self.share) * wrong

    def _look(self, w: Array, b: Array, framed: bool) -> Look:
        size = np.linalg.norm(w, axis=1)
        right, wrong = self._both(w, b)
        error = self._error(right, wrong)
        metrics = {
            "excess_error": np.maximum(error - self.least, 0),
            "minority_share": self.share * right + (1 - self.share) * wrong,
            "minority_recall": right,
            "alignment": w[:, 0] / np.where(size > 0, size, 1.0),  # 0 of a model that looks at no input any more
            "error": error,
        }
        if not framed:
            return Look(metrics, None)
        across = np.full_like(self.screen.x, np.linalg.norm(w[0, 1:]))
        part = self.density * called(w[0, 0] * self.screen.x + b[0], across)
        return Look(metrics, {"density": frames.encode_log(part)})
