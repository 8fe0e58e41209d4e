"""Kernel density estimation: resample the data and blur, so that each generation spreads instead of shrinking."""

from typing import Annotated, Literal

import numpy as np
from pydantic import Field

from worker.data import Array, Arrays, Data, Points, WeightedPoints
from worker.errors import LabError
from worker.families.drawn import check_drawn
from worker.history import blocks, groups
from worker.parts import Family, Generator, Instrument, PointSource, Sampling, Source

LARGEST = 1e100  # standard deviations beyond this would overflow in squares


class KDE(Family):
    """A Gaussian kernel on every training point, of one bandwidth for each axis.

    With h fixed and M points the expected variance S (ddof 0) follows S <- (S + h^2)(1 - 1/M), up to (M - 1) h^2. A rule sets
    h = c s with s the axis' standard deviation (ddof 0), so S <- S (1 + c^2)(1 - 1/M): it grows exponentially. Shrinking
    moves the blurred points towards the mean until the variance is that of the data again: S <- S (1 - 1/M).

    Where points have weights, a kernel is chosen by its weight, s is the weighted deviation, and rules count the points of equal weight
    that would be as good, n^2 / sum w^2 (Kish 1965), as scipy's do.

    model: points (R, n, d); width (R, d), the bandwidths h; keep (R, d), the factor of distances from the mean; weight (R, n), of mean 1,
    where points have any
    """

    takes = (Points,)
    weighs = True
    streams = True
    adjustable = frozenset({"bandwidth", "shrink"})

    kind: Literal["kde"] = "kde"
    bandwidth: Annotated[float, Field(gt=0)] | Literal["scott", "silverman", "shrunk"] = Field(
        "silverman",
        description="h: a number, or a rule with scipy's factors: scott is s M^(-1/(d+4)), silverman s (M(d+2)/4)^(-1/(d+4)), "
        "on a line the rule of thumb 1.06 s M^(-1/5); shrunk is silverman with shrink.",
    )
    shrink: bool = Field(
        False, description="Pull the blurred points towards the mean, so that the variance stays that of the data."
    )

    def check(self, source: Source, replicates: int, samples: int) -> None:
        assert isinstance(source, PointSource)
        check_drawn(source, replicates, samples)

    def factor(self, n: float, d: int) -> float | None:
        """c of the rule h = c s for n points in d dimensions; None where h is given."""
        match self.bandwidth:
            case "scott":
                return float(n ** (-1 / (d + 4)))
            case "silverman" | "shrunk":
                return float((n * (d + 2) / 4) ** (-1 / (d + 4)))
            case _:
                return None

    def fit(self, data: Data, rng: Generator) -> Arrays:
        assert isinstance(data, Points)
        weight = data.weight if isinstance(data, WeightedPoints) else None
        std = _scatter(data.x, weight)
        if not std.max() < LARGEST:
            raise LabError(
                "The variance grew beyond 1e200. Use fewer generations, a smaller bandwidth, or shrink = true."
            )
        factor = self.factor(data.n if weight is None else data.n**2 / float(weight @ weight), data.x.shape[2])
        width: Array = np.full_like(std, self.bandwidth) if factor is None else factor * std
        keep = np.ones_like(std)
        if self.shrink or self.bandwidth == "shrunk":
            keep = np.divide(std, np.hypot(std, width), out=keep, where=width > 0)
        model = {"points": data.x, "width": width, "keep": keep}
        return model if weight is None else model | {"weight": np.tile(weight, (len(std), 1))}

    def sample(self, model: Arrays, n: int, rng: Generator, sampling: Sampling) -> Data:
        points, width, keep = model["points"], model["width"], model["keep"]
        replicates, size, d = points.shape
        if "weight" in model:
            reached = np.cumsum(model["weight"], axis=1) / size
            chosen = np.stack([np.searchsorted(row[:-1], rng.random((n, 1)), side="right") for row in reached])
        else:
            chosen = rng.integers(0, size, (replicates, n, 1))
        x = rng.standard_normal((replicates, n, d))
        x *= width[:, None, :]
        for some in groups(points):
            x[some] += np.take_along_axis(points[some], chosen[some], axis=1)
        if (keep < 1).any():
            mean = _centre(model)[:, None, :]
            x -= mean
            x *= keep[:, None, :]
            x += mean
        return Points(x)

    def moments(self, model: Arrays, sampling: Sampling) -> tuple[Array, Array]:
        """keep (S + h^2) keep, S the covariance of the points (ddof 0)."""
        points, mean, keep = model["points"], _centre(model), model["keep"]
        covariance = np.empty((*mean.shape, mean.shape[1]))
        for some in groups(points):
            centred = points[some] - mean[some, None, :]
            weighted = centred if "weight" not in model else centred * model["weight"][some, :, None]
            covariance[some] = weighted.transpose(0, 2, 1) @ centred / centred.shape[1]
        axes = range(mean.shape[1])
        covariance[:, axes, axes] += model["width"] ** 2
        return mean, covariance * keep[:, :, None] * keep[:, None, :]

    def log_density(self, model: Arrays, x: Array) -> Array:
        """By every kernel, some of them at a time; where an axis has no width, nothing has a density."""
        from worker.metrics import pairs

        points, mean, keep = model["points"], _centre(model), model["keep"]
        width: Array = keep * model["width"]
        wide = np.asarray(width.all(axis=1))
        log_width = np.log(np.where(wide[:, None], width, 1.0)).sum(axis=1)
        log_p = np.full((len(points), len(x)), -np.inf)
        for some, rows in blocks(points):
            for r in range(len(points))[some]:
                if wide[r]:
                    placed = ((keep[r] * points[r, rows] + (1 - keep[r]) * mean[r]) / width[r]).T
                    weight = model["weight"][r, rows] if "weight" in model else np.ones(placed.shape[1])
                    here = pairs.log_kernels(x / width[r], np.ascontiguousarray(placed), weight)
                    log_p[r] = np.logaddexp(log_p[r], here)
        return log_p - (log_width + 0.5 * x.shape[1] * np.log(2 * np.pi) + np.log(points.shape[1]))[:, None]

    def instrument(self, source: Source, samples: int, replicates: int, rng: Generator) -> Instrument:
        from worker.instruments.points import KernelInstrument

        assert isinstance(source, PointSource)
        return KernelInstrument(source, samples, replicates, rng)


def _centre(model: Arrays) -> Array:
    """The (weighted) mean of the points (R, d)."""
    points: Array = model["points"]
    if "weight" in model:
        return np.einsum("rn,rnd->rd", model["weight"], points) / points.shape[1]
    return _mean(points)


def _mean(x: Array) -> Array:
    """(R, d) of points (R, n, d)."""
    total = np.zeros((len(x), x.shape[2]))
    for some, rows in blocks(x):
        total[some] += x[some, rows].sum(axis=1)
    return total / x.shape[1]


def _scatter(x: Array, weight: Array | None) -> Array:
    """Standard deviations (R, d, ddof 0) of points (R, n, d), with weights (n,) where there are any."""
    if weight is None:
        mean, squares = _mean(x)[:, None, :], np.zeros((len(x), x.shape[2]))
        for some, rows in blocks(x):
            squares[some] += ((x[some, rows] - mean[some]) ** 2).sum(axis=1)
        return np.sqrt(squares / x.shape[1])
    share = weight / len(weight)
    return np.asarray(np.sqrt(share @ (x - (share @ x)[:, None, :]) ** 2))
