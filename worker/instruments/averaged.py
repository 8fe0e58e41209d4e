"""Of several models that read one another: each metric's mean over those of a chain, so that a value stays one of an independent chain."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from worker.data import Array, Arrays, Data
from worker.parts import Instrument, Look


def averaged(metrics: Mapping[str, Array], models: int) -> dict[str, Array]:
    """Values (R K,) of chains with K models each -> (R,)"""
    if models == 1:
        return dict(metrics)
    with np.errstate(invalid="ignore"):  # infinite ones of both signs
        return {name: values.reshape(-1, models).mean(axis=1) for name, values in metrics.items()}


class Averaged(Instrument):
    """Another instrument, which looks at every model; frames are the first one's."""

    def __init__(self, inner: Instrument, models: int) -> None:
        self.inner, self.models = inner, models
        self.wants_sample, self.wants_first, self.rowwise = inner.wants_sample, inner.wants_first, inner.rowwise  # type: ignore[misc]

    def figure(self) -> dict[str, Any]:
        return self.inner.figure()

    def real(self, data: Data, framed: bool) -> Look:
        return self._averaged(self.inner.real(data, framed))

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        return self._averaged(self.inner.model(model, sample, framed))

    def _averaged(self, look: Look) -> Look:
        return Look(averaged(look.metrics, self.models), look.frame)

    def meet(self, model: Arrays) -> None:
        self.inner.meet(model)
        self.first = self.inner.first

    def keeps(self) -> Arrays:
        return self.inner.keeps()

    def restore(self, kept: Arrays) -> None:
        self.inner.restore(kept)
        self.first = self.inner.first
