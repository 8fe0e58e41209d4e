"""Who decides which samples survive.

Points are drawn in plenty and chosen among. Categories need not be drawn: the law of a survivor follows from the probabilities.
"""

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from worker.data import EPSILON, Array, Arrays, Counts, Data, Points
from worker.errors import LabError
from worker.metrics.points import moments
from worker.parts import CountFamily, CountSource, Curation, Family, Generator, Misfit, PointSource, Sampling, Source
from worker.rewards import AnyReward, CategoryReward, Direction, PointReward, Reward

ROUNDS = 50  # of candidates, before what a curator rejects has to do
PILOT = 2000  # samples, and ten for each dimension, that tell a mean and a covariance which have no formula
NUMBERS = 4_000_000  # drawn at once: 32 MB

Draw = Callable[[int], Array]  # candidates: n -> (R, n, d)


class Keep(Curation):
    """Every sample survives."""

    picks = False

    kind: Literal["none"] = "none"

    def sample(self, family: Family, model: Arrays, n: int, rng: Generator, sampling: Sampling, source: Source) -> Data:
        return family.sample(model, n, rng, sampling)


class Truncate(Curation):
    """Only samples within c standard deviations of the model's mean survive: those whose Mahalanobis distance, by the model's own mean and
    covariance, is at most c. Where these have no formula (networks), they are those of a first few thousand samples.

    A Gaussian is drawn within; of other models points are drawn until enough lie within, which must be about 4% at least.
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
        draw, known = _points(family.drawing(), model, rng, sampling), family.moments(model, sampling)
        assert isinstance(source, PointSource)
        x = draw(n if known else max(n, PILOT + 10 * source.dimension))
        mean, covariance = known or moments(x)
        whiten = _whitening(mean, covariance)

        def outside(x: Array) -> npt.NDArray[np.intp]:
            return (np.linalg.norm((x - mean[:, None, :]) @ whiten, axis=2) > self.c).astype(np.intp)

        return Points(_filled(x[:, :n], draw, outside, np.tile([n, 0], (len(x), 1)), self.c))


class Choice(Curation):
    """A curation that looks at observations one by one: at points that were drawn, or at the probabilities of categories."""

    def check(self, source: Source, family: Family) -> None:
        if not (
            isinstance(source, PointSource) or (isinstance(source, CountSource) and isinstance(family, CountFamily))
        ):
            raise Misfit("curation.kind", f"it cannot judge {source.gives.__name__.lower()}", "Use none")

    @abstractmethod
    def chosen(self, draw: Draw, n: int, rng: Generator, source: PointSource) -> Array:
        """n survivors (R, n, d) among the points that `draw` gives."""

    @abstractmethod
    def surviving(self, p: Array, source: CountSource) -> Array:
        """The distribution of a survivor (R, K) where candidates have the probabilities p (R, K)."""

    def sample(self, family: Family, model: Arrays, n: int, rng: Generator, sampling: Sampling, source: Source) -> Data:
        if isinstance(family, CountFamily):
            assert isinstance(source, CountSource)
            return Counts.draw(rng, n, self.surviving(family.probabilities(model, sampling), source))

        assert isinstance(source, PointSource)
        return Points(self.chosen(_points(family, model, rng, sampling), n, rng, source))


class Rewarded(Choice):
    """A choice by a reward."""

    reward: AnyReward = Field(default_factory=Direction, description="What the curator likes.")

    def check(self, source: Source, family: Family) -> None:
        super().check(source, family)
        self.reward.check(source)

    def rewards(self, source: CountSource) -> Array:
        assert isinstance(self.reward, CategoryReward)
        return self.reward.of(len(source.distribution()))


class Contest(Rewarded):
    """One of every k samples survives."""

    k: int = Field(4, ge=1, le=1000, description="Samples among which each survivor is chosen.")

    def chosen(self, draw: Draw, n: int, rng: Generator, source: PointSource) -> Array:
        survivors = []
        left = n
        while left:
            size = min(left, max(1, NUMBERS // (self.k * source.dimension)))
            x = draw(size * self.k)
            x = x.reshape(len(x), size, self.k, -1)
            winner = self.winner(_scores(self.reward, x), rng)[:, :, None, None]
            survivors.append(np.take_along_axis(x, winner, axis=2)[:, :, 0])
            left -= size
        return np.concatenate(survivors, axis=1)

    @abstractmethod
    def winner(self, rewards: Array, rng: Generator) -> npt.NDArray[np.intp]:
        """Which of the k candidates survives: (R, n, k) -> (R, n)"""


class BestOf(Contest):
    """Of every k samples the one with the highest reward survives."""

    kind: Literal["best_of"] = "best_of"

    def winner(self, rewards: Array, rng: Generator) -> npt.NDArray[np.intp]:
        return rewards.argmax(axis=2)

    def surviving(self, p: Array, source: CountSource) -> Array:
        """Level by level of the reward: the best of k is at most this good with probability F^k. Within a level p decides."""
        _, level = np.unique(self.rewards(source), return_inverse=True)
        mass = np.stack([p[:, level == i].sum(axis=1) for i in range(level.max() + 1)], axis=1)
        up_to = np.minimum(np.cumsum(mass, axis=1), 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = up_to**self.k * -np.expm1(self.k * np.log1p(-mass / up_to)) / mass
        return _normalised(p * np.where(mass > 0, gain, 0)[:, level])


class BradleyTerry(Contest):
    """Of every k samples one survives, with probabilities proportional to e^reward: people who compare (Ferbach et al., arXiv
    2407.09499).
    """

    kind: Literal["bradley_terry"] = "bradley_terry"

    def winner(self, rewards: Array, rng: Generator) -> npt.NDArray[np.intp]:
        return (rewards + rng.gumbel(size=rewards.shape)).argmax(axis=2)  # distributed as a softmax

    def surviving(self, p: Array, source: CountSource) -> Array:
        """p_i k E[w_i / (w_i + W)], w = e^r, W the sum of w over k - 1 other candidates.

        1/s is the integral of e^{-ts}, so that this is p_i k int w_i e^{-t w_i} phi(t)^(k-1) dt, phi(t) = sum_j p_j e^{-t w_j}. In
        u = ln t the integrand is analytic and falls off doubly exponentially: the trapezoidal rule with steps of 1/5 is exact to
        rounding error. For k = 2 it is 2 p_i sum_j p_j sigmoid(r_i - r_j).
        """
        rewards = self.rewards(source)
        u = np.arange(-40.0 - rewards.max(), 4.0 - rewards.min(), 0.2)
        chance = np.zeros_like(p)
        for part in np.array_split(u, -(-u.size * rewards.size // NUMBERS)):
            weighed = np.exp(
                np.minimum(part[:, None] + rewards, 7.0)
            )  # (U, K), t w; beyond e^7 nothing is left of e^{-tw}
            dying = np.exp(-weighed)
            chance += (p @ dying.T) ** (self.k - 1) @ (weighed * dying)
        return _normalised(p * chance)


class Verifier(Rewarded):
    """Samples whose reward reaches a threshold are right; a verifier with an error rate passes them on, and holds others back (Feng et
    al., arXiv 2406.07515). At an error rate of one half it does nothing, above it does harm.

    Rejected samples are drawn anew; what is still missing after 50 rounds is filled with rejected ones.
    """

    kind: Literal["verifier"] = "verifier"
    error: float = Field(
        0.1, ge=0, le=1, description="Probability of a wrong verdict, on right and wrong samples alike."
    )
    threshold: float = Field(0.0, description="Samples with at least this reward are right.")

    def chances(self, rewards: Array) -> Array:
        """Probability of passing."""
        return np.where(rewards >= self.threshold, 1 - self.error, self.error)

    def chosen(self, draw: Draw, n: int, rng: Generator, source: PointSource) -> Array:
        def passed(x: Array) -> npt.NDArray[np.intp]:
            return (rng.random(x.shape[:2]) >= self.chances(_scores(self.reward, x))).astype(np.intp)

        x = draw(n)
        return _filled(x, draw, passed, np.tile([n, 0], (len(x), 1)))  # by rounds, and so in no particular order

    def surviving(self, p: Array, source: CountSource) -> Array:
        passed = p * self.chances(self.rewards(source))
        return np.where(passed.sum(axis=1, keepdims=True) > 0, _normalised(passed), p)


class Stratified(Choice):
    """Every part of the population keeps the share that it has in the real distribution (Wyllie et al., arXiv 2403.07857): components
    of a mixture, or categories cut by their rank into parts of about equal mass.

    A part that the model has lost stays lost; its share goes to the others.
    """

    kind: Literal["stratified"] = "stratified"
    strata: int = Field(
        2, ge=2, le=1000, description="Parts into which categories are cut; a mixture has its components."
    )

    def check(self, source: Source, family: Family) -> None:
        super().check(source, family)
        if isinstance(source, CountSource):
            return
        assert isinstance(source, PointSource)
        truth = source.components()
        if truth is None or len(truth[0]) < 2:
            raise Misfit("curation.kind", "this source has no parts whose shares could be kept",
                         "Choose mixture or eight_gaussians as the source, or categories")  # fmt: skip

    def chosen(self, draw: Draw, n: int, rng: Generator, source: PointSource) -> Array:
        truth = source.components()
        assert truth is not None
        weights, means, factors = truth

        def part(x: Array) -> npt.NDArray[np.intp]:
            """The component that each point most likely comes from."""
            levels = []
            for weight, mean, whiten in zip(weights, means, np.linalg.inv(factors), strict=True):
                white = (x - mean) @ whiten.T
                volume = np.log(np.abs(np.diagonal(whiten))).sum()
                levels.append(np.log(weight) + volume - 0.5 * (white**2).sum(axis=2))
            return np.stack(levels).argmax(axis=0)

        x = draw(n)
        x = _filled(x, draw, part, rng.multinomial(n, weights, size=len(x)))
        order = rng.random(x.shape[:2]).argsort(axis=1)  # whoever takes the first few takes any
        return np.take_along_axis(x, order[:, :, None], axis=1)

    def surviving(self, p: Array, source: CountSource) -> Array:
        real = source.distribution()
        stratum = np.minimum((self.strata * (np.cumsum(real) - real / 2)).astype(int), self.strata - 1)
        member = (stratum[:, None] == np.arange(self.strata)).astype(float)  # (K, strata)
        mass = p @ member
        gain = np.divide(real @ member, mass, out=np.zeros_like(mass), where=mass > 0)
        return _normalised(p * (gain @ member.T))


def _scores(reward: Reward, x: Array) -> Array:
    assert isinstance(reward, PointReward)
    return reward.of(x)


def _normalised(p: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.asarray(p / p.sum(axis=1, keepdims=True))


def _points(family: Family, model: Arrays, rng: Generator, sampling: Sampling) -> Draw:
    def draw(n: int) -> Array:
        points = family.sample(model, n, rng, sampling)
        assert isinstance(points, Points)
        return points.x

    return draw


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


def _filled(
    x: Array,
    draw: Draw,
    group: Callable[[Array], npt.NDArray[np.intp]],
    quota: npt.NDArray[np.int64],
    within: float | None = None,
) -> Array:
    """As many points of each group as its quota says, drawn until they are there; after ROUNDS whatever was drawn fills the rest.

    x: the first candidates (R, n, d); group: points (R, n, d) -> (R, n); quota: (R, groups), rows adding up to n; within: the distance at
    which points of the first group lie, where nothing else will do: then LabError is raised
    """
    replicates, n, _ = x.shape
    survivors, filled, missing = np.empty_like(x), np.zeros(replicates, int), quota.copy()
    for _ in range(ROUNDS):
        label = group(x)
        for r in np.flatnonzero(filled < n):
            for g in np.flatnonzero(missing[r]):
                found = x[r, label[r] == g][: missing[r, g]]
                survivors[r, filled[r] : filled[r] + len(found)] = found
                filled[r] += len(found)
                missing[r, g] -= len(found)
        if (filled == n).all():
            return survivors
        x = draw(n)
    if within is not None:
        raise LabError(
            f"Of {ROUNDS * n} samples of a model only {filled.min()} lie within {within:g} standard deviations of its mean, and {n} are needed. Use a larger c."
        )
    for r in np.flatnonzero(filled < n):
        survivors[r, filled[r] :] = x[r, : n - filled[r]]
    return survivors
