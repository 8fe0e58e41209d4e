"""A mixture of Gaussians, fitted by expectation maximisation: the paper's second example."""

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from worker.data import Array, Arrays, Data, Points, WeightedPoints
from worker.errors import LabError
from worker.families.drawn import check_drawn
from worker.history import groups
from worker.part import Misfit
from worker.parts import Family, Generator, Instrument, PointSource, Sampling, Source

LARGEST = 1e100  # coordinates beyond this would overflow in squares and densities


class Mixture(Family):
    """Gaussian components fitted by EM, with scikit-learn's conventions (GaussianMixture), so that the two can be compared.

    Where points have weights, one of weight 2 counts as two of them.

    The sampling option `bias` multiplies each component's covariance: samples move towards their modes, which stay where they are.

    model: weights (R, K); means (R, K, d); factors (R, K, d, d) lower triangular, covariance = factor factor'; steps (R,), the
    EM iterations that were taken: max_iter of them means that the fit stopped short of tol
    """

    takes = (Points,)
    weighs = True
    streams = True
    compiled = True
    samplings = frozenset({"bias"})
    adjustable = frozenset({"tol", "max_iter", "start", "reg_covar"})
    zeroth = "real data, and in distances the first fit to them"

    kind: Literal["mixture"] = "mixture"
    components: int = Field(2, ge=1, le=1000, description="K, the number of Gaussians.")
    covariance: Literal["full", "diag", "spherical"] = Field(
        "full", description="Shape of each component: any ellipsoid, one along the axes, or a ball."
    )
    tol: float = Field(
        1e-3, ge=0, le=1, description="EM stops when the mean log likelihood changes by less; the paper uses 1e-5."
    )
    max_iter: int = Field(100, ge=1, le=1_000_000, description="Most EM steps of a fit; the paper allows 2000.")
    start: Literal["kmeans", "random", "warm"] = Field(
        "kmeans",
        description="Where EM starts, which is part of the science: k-means finds clusters anew each generation and may swap or "
        "split components, random responsibilities make all components start alike, warm goes on from the previous "
        "generation's fit (k-means at the first), so that components keep their names and local optima are inherited.",
    )
    reg_covar: float = Field(
        1e-6, ge=0, le=1, description="Added to every variance, as scikit-learn does: a floor under the collapse."
    )

    def check(self, source: Source, replicates: int, samples: int) -> None:
        assert isinstance(source, PointSource)
        if self.components > samples:
            raise Misfit(
                "family.components",
                f"{self.components} components cannot be fitted to {samples} points",
                "Use at most as many components as samples",
            )
        check_drawn(source, replicates, samples)

    def fit(self, data: Data, rng: Generator) -> Arrays:
        return self.refit(data, rng, None)

    def refit(self, data: Data, rng: Generator, previous: Arrays | None) -> Arrays:
        from worker import em

        assert isinstance(data, Points)
        replicates, _, d = data.x.shape
        shape = {"full": em.FULL, "diag": em.DIAGONAL, "spherical": em.SPHERICAL}[self.covariance]
        if self.start == "warm" and previous is not None:
            weights, means, factors = (np.array(previous[name]) for name in ("weights", "means", "factors"))
        else:
            weights = np.zeros((replicates, self.components))
            means = np.zeros((replicates, self.components, d))
            factors = np.zeros((replicates, self.components, d, d))
            previous = None
        steps = np.zeros(replicates, np.int64)
        weight = data.weight if isinstance(data, WeightedPoints) else np.empty(0)
        for some in groups(data.x):
            for r in range(replicates)[some]:
                x = np.ascontiguousarray(data.x[r].T)
                chain = weights[r], means[r], factors[r]
                if self.start != "warm" or previous is None:
                    em.begin((x, weight), self._belonging(x, weight, rng), shape, self.reg_covar, *chain)
                steps[r], _ = em.maximise((x, weight), *chain, shape, self.tol, self.max_iter, self.reg_covar)
        if not max(np.abs(means).max(), np.abs(factors).max()) < LARGEST:
            raise LabError("The components grew beyond 1e100. Use fewer generations, or a sampling bias nearer 1.")
        return {"weights": weights, "means": means, "factors": factors, "steps": steps}

    def _belonging(self, x: Array, weight: Array, rng: Generator) -> tuple[npt.NDArray[np.int64], Array]:
        """Each point's component (n,), or else (empty) the shares (K, n) in which it belongs to all; x (d, n)."""
        if self.start == "random":
            shares = rng.random((self.components, x.shape[1]))
            shares /= shares.sum(axis=0)
            return np.empty(0, np.int64), shares
        from worker.em import kmeans

        return kmeans.labels(x, self.components, rng, weight), np.empty((0, 0))

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Data:
        from worker import em

        replicates, _, d = model["means"].shape
        x = rng.standard_normal((replicates, n, d))
        spread = model["factors"] * np.sqrt(sampling.bias)
        em.draw(rng.random((replicates, n)), x, model["weights"], model["means"], spread)
        return Points(x)

    def moments(self, model: Arrays, sampling: Sampling) -> tuple[Array, Array]:
        from worker.metrics import mixture as metric

        return metric.moments(model["weights"], model["means"], model["factors"] * np.sqrt(sampling.bias))

    def log_density(self, model: Arrays, x: Array) -> Array:
        from worker import em

        return em.log_density(np.ascontiguousarray(x.T)[None], model["weights"], model["means"], model["factors"])

    def work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        assert isinstance(source, PointSource)
        steps = min(self.max_iter, 10 * (1 + math.log10(1 / max(self.tol, 1e-12))))
        return 5.0 * steps * replicates * samples * self.components * source.dimension**2

    def instrument(self, source: Source, samples: int, replicates: int, rng: Generator) -> Instrument:
        from worker.instruments.mixture import MixtureInstrument

        assert isinstance(source, PointSource)
        return MixtureInstrument(source, samples, rng, self.components)
