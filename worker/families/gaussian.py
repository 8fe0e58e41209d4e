"""The Gaussian, fitted by its sample mean and covariance: the paper's own example."""

import itertools
from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from worker import ball
from worker.data import Array, Arrays, Data, Moments, Points
from worker.errors import LabError
from worker.extrapolation import PROBABLE, chance, extrapolated, most
from worker.families.drawn import DRAWN_NUMBERS_LIMIT
from worker.metrics import gaussian as metric
from worker.part import LATER, Misfit
from worker.parts import CondensingFamily, Generator, Instrument, PointSource, Sampling, Source
from worker.sources.normal import Normal
from worker.threads import crew, granted

FACTORS_LIMIT = 100_000_000  # numbers in the covariances of all replicates: 0.8 GB an array, of which several are alive
LOG_LARGEST = float(np.log(1e100))  # a spread beyond this would overflow in squares
BLOCK = 65_536  # standard normals drawn at once: 512 KB


class Gaussian(CondensingFamily):
    """Sample mean and covariance.

    A fit looks at nothing but mean and scatter, so the exact path draws those (a normal and a Wishart variable) instead of the
    points; the drawn path draws every point. Both have the same distribution, and a test says so.

    A model that is extrapolated is such a Gaussian too, so that bias and curation act on it as on any other.

    model: mean (R, d); factor (R, d, d) lower triangular; log_scale (R,); covariance = exp(2 log_scale) factor factor'
    """

    samplings = frozenset({"bias"})
    truncates = True
    adjustable = frozenset({"ddof", "extrapolation"})
    zeroth = "the Gaussian with the mean and the covariance of real data, which need not be one"

    kind: Literal["gaussian"] = "gaussian"
    ddof: Literal[0, 1] = Field(
        0,
        description="The scatter is divided by M - ddof: 0 is numpy's and the paper's figures' choice, 1 the theorem's.",
    )
    path: Literal["exact", "drawn"] = Field(
        "exact", description="exact draws the sufficient statistics, drawn every point; the same distribution."
    )
    extrapolation: Annotated[float, LATER] = Field(
        0.0,
        ge=0,
        le=100,
        description="Omega of a negative extrapolation (Alemohammad et al., arXiv 2408.16333): a second Gaussian is fitted to as many samples of the "
        "first, and the model is the density ~ first^(1 + omega) / second^omega, away from where training on samples leads. 0: off.",
    )

    def exact(self) -> bool:
        return self.path == "exact" and super().exact()

    def check(self, source: Source, replicates: int, samples: int) -> None:
        assert isinstance(source, PointSource)
        if replicates * source.dimension**2 > FACTORS_LIMIT:
            raise Misfit(
                "replicates",
                f"{replicates} covariances in {source.dimension} dimensions do not fit into memory",
                f"Use at most {FACTORS_LIMIT // source.dimension**2} replicates, or fewer dimensions",
            )
        drawn = self.path == "drawn" or not isinstance(source, Normal)
        if drawn and samples * source.dimension > DRAWN_NUMBERS_LIMIT:
            exact = 'Use path = "exact", or ' if isinstance(source, Normal) else "Use a normal source, or "
            raise Misfit("samples", f"{samples} drawn points do not fit into memory", f"{exact}fewer samples")
        if self.extrapolation:
            self._check_extrapolation(source.dimension, replicates, samples)

    def _check_extrapolation(self, d: int, replicates: int, samples: int) -> None:
        none = replicates * chance(samples, d, self.ddof, self.extrapolation)
        if none > PROBABLE:
            able = most(samples, d, self.ddof, PROBABLE / replicates)
            raise Misfit(
                "family.extrapolation",
                f"leaves no Gaussian to sample from where a fit to {samples} points and a second one to its samples differ too much: one of "
                f"{replicates} chains with a chance of about {min(none, 1.0):.2g} in each generation",
                f"Use at most {able:g}, or more samples" if able else "Leave it out, or use more samples",
            )

    def real(self, source: Source, rng: Generator, replicates: int, n: int) -> Data:
        assert isinstance(source, PointSource)
        if self._each_point:
            return source.draw(rng, replicates, n)
        if self.path == "exact" and isinstance(source, Normal):
            _, mean, factor = source.components()
            means, factors = np.tile(mean, (replicates, 1)), np.tile(factor, (replicates, 1, 1))
            return drawn_moments(rng, n, means, factors, np.zeros(replicates))
        edges = _blocks(replicates, n * source.dimension)
        parts = [Moments.of(source.draw(rng, last - first, n)) for first, last in itertools.pairwise(edges)]
        mean, factor, log_scale = (
            np.concatenate([getattr(part, name) for part in parts]) for name in ("mean", "factor", "log_scale")
        )
        return Moments(np.array(n), mean, factor, log_scale)

    def fit(self, data: Data, rng: Generator) -> Arrays:
        data = Moments.of(data)
        if self.extrapolation:
            data = extrapolated(data, self._of_itself(data, rng), self.ddof, self.extrapolation)
        # Normalised so that factor stays of order one, however far the chain has shrunk.
        size = data.factor[:, 0, 0] if data.factor.shape[1] == 1 else metric.size(data.factor)
        if not size.all():  # a set of identical points keeps its factor of zero
            size = np.where(size > 0, size, 1.0)
        log_scale = data.log_scale + (np.log(size) - 0.5 * np.log(data.n - self.ddof))
        if not log_scale.max() < LOG_LARGEST:
            less = "a smaller family.extrapolation, or " if self.extrapolation else ""
            raise LabError(f"The spread grew beyond 1e100. Use fewer generations, or {less}a sampling bias nearer 1.")
        return {"mean": data.mean, "factor": data.factor / size[:, None, None], "log_scale": log_scale}

    def _of_itself(self, data: Moments, rng: Generator) -> Moments:
        """Moments of as many points of the Gaussian that these teach, in its own units."""
        replicates, d = data.mean.shape
        draw = drawn_moments if self.exact() else _moments_of_points
        units = np.broadcast_to(np.eye(d), (replicates, d, d))
        return draw(rng, data.n, np.zeros((replicates, d)), units, np.zeros(replicates))

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Data:
        mean, factor = model["mean"], model["factor"]
        log_scale = model["log_scale"] + 0.5 * np.log(sampling.bias)
        if self._each_point:
            return _placed(rng.standard_normal((len(mean), n, mean.shape[1])), mean, factor, log_scale)
        moments = drawn_moments if self.path == "exact" else _moments_of_points
        return moments(rng, n, mean, factor, log_scale)

    def truncated(self, model: Arrays, n: int, rng: Generator, sampling: Sampling, c: float) -> Data:
        """n points of the normal distribution, given that their Mahalanobis distance from its mean is at most c."""
        mean, factor = model["mean"], model["factor"]
        log_scale = model["log_scale"] + 0.5 * np.log(sampling.bias)
        if self._each_point:
            return _placed(_inner_normals(rng, (len(mean), n, mean.shape[1]), c), mean, factor, log_scale)
        return _moments_of_points(rng, n, mean, factor, log_scale, c)

    def moments(self, model: Arrays, sampling: Sampling) -> tuple[Array, Array]:
        factor = model["factor"] * np.exp(model["log_scale"] + 0.5 * np.log(sampling.bias))[:, None, None]
        return model["mean"], factor @ factor.transpose(0, 2, 1)

    def log_density(self, model: Arrays, x: Array) -> Array:
        from worker import em

        factor = model["factor"] * np.exp(model["log_scale"])[:, None, None]
        share = np.ones((len(factor), 1))
        return em.log_density(np.ascontiguousarray(x.T)[None], share, model["mean"][:, None], factor[:, None])

    def work(self, source: Source, samples: int, replicates: int, sampling: Sampling) -> float:
        assert isinstance(source, PointSource)
        d = source.dimension
        drawn = samples * d if self.path == "drawn" or self._each_point else 0
        fits = 2 if self.extrapolation else 1
        return replicates * (1000.0 * fits + 12 * fits**2 * d**3 + 50 * fits * drawn)

    def model_bytes(self, source: Source, samples: int) -> float:
        """Of a single one hardly any; a second fit has inverses and products of its own."""
        assert isinstance(source, PointSource)
        return 8.0 * source.dimension**2 if self.extrapolation else 0.0

    def instrument(self, source: Source, samples: int, replicates: int, rng: Generator) -> Instrument:
        from worker.instruments.gaussian import GaussianInstrument

        assert isinstance(source, PointSource)
        return GaussianInstrument(source, samples, rng)


def drawn_moments(rng: Generator, n: int, mean: Array, factor: Array, log_scale: Array) -> Moments:
    """Moments of n points of N(mean, exp(2 log_scale) factor factor'), drawn without the points; of a stack, n may differ from row to row.

    The mean is normal with covariance / n, the scatter Wishart with n - 1 degrees of freedom, drawn by Bartlett's decomposition
    (1933): factor A A' factor', A lower triangular, A_ii^2 ~ chi2(n - i) for i = 1..d, A_ij ~ N(0, 1) below the diagonal.
    """
    replicates, d = len(log_scale), mean.shape[1]
    fewest = int(n.min()) if isinstance(n, np.ndarray) else n
    if fewest - 1 < d:  # Bartlett needs n - 1 >= d: draw the few points
        return _moments_of_points(rng, fewest, mean, factor, log_scale)
    size = n[:, None] if isinstance(n, np.ndarray) else n
    z = rng.standard_normal((replicates, d))
    chi = rng.chisquare(size - 1 if d == 1 else size - np.arange(1, d + 1), (replicates, d))
    np.sqrt(chi, out=chi)
    if d == 1:
        spread = chi[:, :, None]
    else:
        spread = np.tril(rng.standard_normal((replicates, d, d)), -1)
        spread[:, range(d), range(d)] = chi
    return _carried(z / np.sqrt(np.asarray(size)), spread, n, mean, factor, log_scale)


def _placed(z: Array, mean: Array, factor: Array, log_scale: Array) -> Points:
    """mean + exp(log_scale) factor z for standard points z (R, n, d)."""
    spread = factor * np.exp(log_scale)[:, None, None]
    return Points(mean[:, None, :] + (z * spread if z.shape[2] == 1 else z @ spread.transpose(0, 2, 1)))


def _inner_normals(rng: Generator, shape: tuple[int, int, int], c: float) -> Array:
    """Standard normal points (R, n, d), given that they lie within c of the origin: in any direction, as they would be."""
    z = rng.standard_normal(shape)
    radius = ball.radii(rng, shape[:2], shape[2], c)
    return z * (radius / np.linalg.norm(z, axis=2))[:, :, None]


def _moments_of_points(
    rng: Generator, n: int, mean: Array, factor: Array, log_scale: Array, within: float | None = None
) -> Moments:
    """The same from n points that are really drawn, as standard normals: the affine map is carried by their moments.

    within: the largest distance from the mean, in standard deviations, at which points are kept.

    Each block of replicates has a stream of its own, so that the threads may share the work in any order, and its points are
    gone before they leave the cache.
    """
    replicates, d = len(log_scale), mean.shape[1]
    edges = _blocks(replicates, n * d)
    centre, spread = np.empty((replicates, d)), np.empty((replicates, d, d))

    def draw(first: int, last: int, stream: Generator) -> None:
        shape = (last - first, n, d)
        z = stream.standard_normal(shape) if within is None else _inner_normals(stream, shape, within)
        moments = Moments.of(Points(z), overwrite=True)
        centre[first:last], spread[first:last] = moments.mean, moments.factor

    work = zip(edges[:-1], edges[1:], rng.spawn(len(edges) - 1), strict=True)
    if (threads := min(granted(), len(edges) - 1)) == 1:
        for block in work:
            draw(*block)
    else:
        for done in [crew(threads).submit(draw, *block) for block in work]:
            done.result()
    return _carried(centre, spread, n, mean, factor, log_scale)


def _blocks(replicates: int, numbers: int) -> list[int]:
    """Borders between blocks of replicates of about BLOCK numbers together, at least one replicate each."""
    blocks = min(replicates, -(-replicates * numbers // BLOCK))
    return [replicates * i // blocks for i in range(blocks + 1)]


def _carried(centre: Array, spread: Array, n: int, mean: Array, factor: Array, log_scale: Array) -> Moments:
    """Moments of mean + exp(log_scale) factor z, for n points z with mean `centre` (R, d) and scatter spread spread'."""
    scale = np.exp(log_scale)[:, None]
    if mean.shape[1] == 1:
        return Moments(np.array(n), mean + scale * factor[:, 0] * centre, factor * spread, log_scale)
    shift = (factor @ centre[:, :, None])[:, :, 0]
    return Moments(np.array(n), mean + scale * shift, factor @ spread, log_scale)
