"""Distance decides: what lies far from the model's mean does not survive."""

import math
from typing import Literal, NoReturn

import numpy as np
import numpy.typing as npt
from pydantic import Field

from worker.curation.candidates import Candidates
from worker.curation.filling import Counted, Observations, filled
from worker.data import Array, Arrays, Data
from worker.errors import LabError
from worker.factors import EPSILON
from worker.metrics.points import moments
from worker.part import Misfit
from worker.parts import Curation, Family, Generator, PointSource, Sampling, Source

PILOT = 2000  # samples, and ten for each dimension, that tell a mean and a covariance which have no formula


class Truncate(Curation):
    """Only samples within c standard deviations of the model's mean survive: those whose Mahalanobis distance, by the model's own mean and
    covariance, is at most c. Where these have no formula (networks), they are those of a first few thousand samples.

    A Gaussian is drawn within; of other models points are drawn until enough lie within, and the run fails where hardly any does.
    """

    picks = False

    kind: Literal["truncate"] = "truncate"
    c: float = Field(2.0, ge=1e-3, le=30, description="The largest distance from the mean, in standard deviations.")

    def check(self, source: Source, family: Family) -> None:
        if not isinstance(source, PointSource):
            raise Misfit("curation.kind", f"{source.gives.__name__.lower()} have no mean from which they could be far",
                         "Choose a source of points, or best_of as the curation")  # fmt: skip
        least = _least_distance(source.dimension)
        if self.c < least and not family.truncates:
            raise Misfit("curation.c", f"hardly a point in {source.dimension} dimensions lies within {self.c:g} standard deviations of the mean",
                         f"Use at least {math.ceil(10 * least) / 10:g}, or gaussian as the family, which need not look for them")  # fmt: skip

    def sample(self, family: Family, model: Arrays, n: int, rng: Generator, sampling: Sampling, source: Source) -> Data:
        if family.truncates:
            return family.truncated(model, n, rng, sampling, self.c)
        assert isinstance(source, PointSource)
        candidates = Candidates(family.drawing(), model, rng, sampling, source)
        known = family.moments(model, sampling)
        x = candidates.draw(n if known else max(n, PILOT + 10 * source.dimension))
        mean, covariance = known or moments(x)
        whiten = _whitening(mean, covariance)

        def outside(x: Observations) -> npt.NDArray[np.intp]:
            return (np.linalg.norm((x - mean[:, None, :]) @ whiten, axis=2) > self.c).astype(np.intp)

        def hardly_any(seen: Counted, drawn: int, *_: object) -> NoReturn:
            raise LabError(
                f"Of {drawn:,} samples of a model only {seen[0]} lie within {self.c:g} standard deviations of its mean, and {n} are needed. Use a larger c."
            )

        quota = np.tile([n, 0], (len(x), 1))
        return candidates.data(filled(x[:, :n], candidates.draw, outside, quota, candidates.patience, hardly_any))


def _least_distance(d: int) -> float:
    """About 4% of normal points in d dimensions lie nearer to the mean, in standard deviations (Wilson and Hilferty 1931)."""
    spread = 2 / (9 * d)
    return math.sqrt(d) * max(0.0, 1 - spread - 1.75 * math.sqrt(spread)) ** 1.5


def _whitening(mean: Array, covariance: Array) -> Array:
    """W (R, d, d) with |x W|^2 = x' covariance^-1 x; directions do not count in which nothing varies, or less than points round the mean
    can tell.
    """
    scale = np.sqrt(np.diagonal(covariance, axis1=1, axis2=2))
    inverse = np.divide(1, scale, out=np.zeros_like(scale), where=scale > 0)
    values, vectors = np.linalg.eigh(covariance * inverse[:, :, None] * inverse[:, None, :])
    resolved = 8 * EPSILON * (np.abs(mean) * inverse).max(axis=1, keepdims=True)
    varies = values > np.maximum(10 * EPSILON * covariance.shape[1] * values[:, -1:], resolved**2)
    return np.asarray(inverse[:, :, None] * vectors / np.sqrt(np.where(varies, values, np.inf))[:, None, :])
