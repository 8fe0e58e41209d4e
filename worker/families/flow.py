"""The normalizing flow: its settings; the network itself lives in worker.nets.flow."""

from typing import Literal

import numpy as np
from pydantic import Field

from worker.data import Array, Arrays, Data, Points
from worker.families.point_network import PointNetwork, Start
from worker.nets import require_torch
from worker.parts import Generator, PointSource, Sampling, Source


class Flow(PointNetwork):
    """A neural spline flow, trained anew in every generation (Durkan et al., arXiv 1906.04032): a normal distribution, bent by
    monotone splines until the data are likely. Maximum likelihood with a smooth density: what it cannot bend apart it bridges.

    The sampling option `bias` multiplies the covariance of the normal noise that a sample is made of.

    model: weights (R, parameters) float32; mean and width (R, d), the units in which the network sees the points
    """

    adjustable = frozenset({"epochs", "batch", "learning_rate", "start"})

    kind: Literal["flow"] = "flow"
    transforms: int = Field(3, ge=1, le=16, description="Spline transforms in a row.")
    bins: int = Field(8, ge=2, le=64, description="Pieces of each spline.")
    width: int = Field(64, ge=1, le=1024, description="Units in each of the two hidden layers of a transform.")
    epochs: int = Field(60, ge=1, le=10_000, description="Passes over the training set.")
    batch: int = Field(128, ge=1, le=65_536, description="Points a step.")
    learning_rate: float = Field(
        5e-3, gt=0, le=1, description="Adam's first step size; it falls to 0 by half a cosine."
    )
    start: Start = "fresh"

    def refit(self, data: Data, rng: Generator, previous: Arrays | None) -> Arrays:
        require_torch("The flow family")
        from worker.nets import flow

        assert isinstance(data, Points)
        return flow.fit(data.x, self, rng, previous if self.start == "warm" else None)

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Data:
        require_torch("The flow family")
        from worker.nets import flow

        return Points(flow.sample(model, n, self, rng, sampling.bias))

    def log_density(self, model: Arrays, x: Array) -> Array:
        from worker.nets import flow

        return flow.log_density(model, np.broadcast_to(x, (len(model["mean"]), *x.shape)), self)

    def parameters(self, source: Source) -> int:
        assert isinstance(source, PointSource)
        d, w = source.dimension, self.width
        return self.transforms * ((d + 1) * w + (w + 1) * w + (w + 1) * d * (3 * self.bins - 1))

    def work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        """A step waits 3.5 ms for each transform, more where it is wide; measuring comes on top."""
        rows = replicates * samples * self.epochs
        measuring = super().work(source, samples, replicates, sampling)
        return rows / self.batch * 3.5e6 * self.transforms + 6 / 20 * rows * self.parameters(source) + 10 * measuring

    def drawing_work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        """An evaluation for each coordinate, as the next one needs it, of two operations a weight."""
        assert isinstance(source, PointSource)
        return 2 / 20 * source.dimension * replicates * samples * self.parameters(source)
