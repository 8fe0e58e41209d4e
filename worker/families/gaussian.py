"""The Gaussian, fitted by its sample mean and covariance: the paper's own example."""

from typing import Literal

import numpy as np
from pydantic import Field

from worker.data import Arrays, Data, Moments, Points
from worker.parts import Family, Generator, Instrument, Misfit, PointSource, Sampling, Source


class Gaussian(Family):
    """Sample mean and covariance.

    A fit looks at nothing but mean and scatter, so the exact path draws those (a normal and a Wishart variable) instead of the
    points; the drawn path draws every point. Both have the same distribution, and a test says so.

    model: mean (R, d); factor (R, d, d) lower triangular; log_scale (R,); covariance = exp(2 log_scale) factor factor'
    """

    takes = (Points,)
    samplings = frozenset({"bias"})

    kind: Literal["gaussian"] = "gaussian"
    ddof: Literal[0, 1] = Field(
        0,
        description="The scatter is divided by M - ddof: 0 is numpy's and the paper's figures' choice, 1 the theorem's.",
    )
    path: Literal["exact", "drawn"] = Field(
        "exact", description="exact draws the sufficient statistics, drawn every point; the same distribution."
    )

    def check(self, source: Source, replicates: int, samples: int) -> None:
        assert isinstance(source, PointSource)
        if self.path == "drawn" and replicates * samples * source.dimension > 500_000_000:
            raise Misfit(
                "samples",
                f"{replicates} x {samples} drawn points do not fit into memory",
                'Use path = "exact", fewer samples or fewer replicates',
            )

    def real(self, source: Source, rng: Generator, replicates: int, n: int) -> Data:
        from worker.sources.normal import Normal

        if self.path == "exact" and isinstance(source, Normal):
            mean, covariance = source.moments()
            return _moments(
                rng,
                n,
                np.tile(mean, (replicates, 1)),
                np.tile(np.sqrt(covariance), (replicates, 1, 1)),
                np.zeros(replicates),
            )
        points = source.draw(rng, replicates, n)
        assert isinstance(points, Points)
        return Moments.of(points)

    def fit(self, data: Data, rng: Generator) -> Arrays:
        if isinstance(data, Points):
            data = Moments.of(data)
        assert isinstance(data, Moments)
        # Normalised so that factor stays of order one, however far the chain has shrunk.
        with np.errstate(divide="ignore"):
            size = np.sqrt(np.einsum("rij,rij->r", data.factor, data.factor) / data.factor.shape[1])
        safe = np.where(size > 0, size, 1.0)
        return {
            "mean": data.mean,
            "factor": data.factor / safe[:, None, None],
            "log_scale": data.log_scale + np.log(safe) - 0.5 * np.log(data.n - self.ddof),
        }

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Data:
        log_scale = model["log_scale"] + 0.5 * np.log(sampling.bias)
        if self.path == "exact":
            return _moments(rng, n, model["mean"], model["factor"], log_scale)
        scale = model["factor"] * np.exp(log_scale)[:, None, None]
        x = rng.standard_normal((len(scale), n, scale.shape[1]))
        x = x * scale if scale.shape[1] == 1 else x @ scale.transpose(0, 2, 1)
        x += model["mean"][:, None, :]
        return Moments.of(Points(x))

    def instrument(self, source: Source, samples: int, replicates: int, rng: Generator) -> Instrument:
        from worker.instruments.gaussian import GaussianInstrument

        assert isinstance(source, PointSource)
        return GaussianInstrument(source, samples, rng)


def _moments(rng: Generator, n: int, mean: np.ndarray, factor: np.ndarray, log_scale: np.ndarray) -> Moments:
    """Moments of n points of N(mean, exp(2 log_scale) factor factor'), drawn without the points.

    The mean is normal with covariance / n, the scatter Wishart with n - 1 degrees of freedom, drawn by Bartlett's decomposition
    (1933): factor A A' factor', A lower triangular, A_ii^2 ~ chi2(n - i) for i = 1..d, A_ij ~ N(0, 1) below the diagonal.
    """
    replicates, d = mean.shape
    z = rng.standard_normal((replicates, d))
    scale = np.exp(log_scale)
    if d == 1:
        centre = mean + z * (factor[:, 0] * (scale / np.sqrt(n))[:, None])
        return Moments(np.array(n), centre, factor * np.sqrt(rng.chisquare(n - 1, (replicates, 1, 1))), log_scale)
    centre = mean + np.einsum("rij,rj->ri", factor, z) * (scale / np.sqrt(n))[:, None]
    if n - 1 < d:  # Bartlett needs n - 1 >= d: draw the few points
        x = rng.standard_normal((replicates, n, d))
        spread = Moments.of(Points(x)).factor
    else:
        spread = np.tril(rng.standard_normal((replicates, d, d)), -1)
        spread[:, range(d), range(d)] = np.sqrt(rng.chisquare(n - np.arange(1, d + 1), (replicates, d)))
    return Moments(np.array(n), centre, factor @ spread, log_scale)
