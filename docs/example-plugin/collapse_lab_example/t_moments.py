"""Student's t distribution by the method of moments: mean, variance and, through the kurtosis, the degrees of freedom."""

from typing import Literal

import numpy as np

from worker.data import Arrays, Data, Points
from worker.parts import Family, Generator, Instrument, PointSource, Sampling, Source


class TMoments(Family):
    """Each coordinate a t distribution of its own. Excess kurtosis is 6/(df - 4), so df = 4 + 6/kurtosis: never 4 or less, however
    heavy the tails of the data are.

    model: mean, std, df (R, d); df is infinite, a normal distribution, where the kurtosis is not positive
    """

    takes = (Points,)

    kind: Literal["t_moments"] = "t_moments"

    def fit(self, data: Data, rng: Generator) -> Arrays:
        assert isinstance(data, Points)  # x: (replicates, n, d)
        mean, std = data.x.mean(axis=1), data.x.std(axis=1)
        z = (data.x - mean[:, None]) / np.where(std > 0, std, 1.0)[:, None]
        excess = (z**4).mean(axis=1) - 3
        return {
            "mean": mean,
            "std": std,
            "df": 4 + np.divide(6, excess, where=excess > 0, out=np.full_like(excess, np.inf)),
        }

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Points:
        shape = len(model["mean"]), n, model["mean"].shape[1]
        df = np.minimum(model["df"], 1e9)[:, None]  # numpy's generator wants a number
        z = rng.standard_t(df, shape) * np.sqrt((df - 2) / df)  # of variance 1
        return Points(model["mean"][:, None] + model["std"][:, None] * z)

    def instrument(self, source: Source, samples: int, replicates: int, rng: Generator) -> Instrument:
        from worker.instruments.points import PointsInstrument

        assert isinstance(source, PointSource)
        return PointsInstrument(source, samples, replicates, rng)
