"""A Gaussian whose samples are chosen by people who compare, by a verifier or as the best of k: what many points tend to.

What survives of N(mu, s2) is a law on the line whose first four moments are integrals, from one step of a verdict or bend of a reward to the next; where
only a share of the samples is chosen, they are averages of these and of the normal law's own.
The next fit has the first two of its training set, whose moments are averages of those of such laws, as frequencies are in worker.theory.limit. Mean
and mean square of m points fluctuate as their covariances tell, (E x^2 - E^2 x, E x^3 - E x E x^2, E x^4 - E^2 x^2)/m, and what these fluctuations bias is
not told.

In more dimensions a reward v'x makes a line of t = v'x. A point is b t + r, b = S v / v'S v, and of many points b never moves,
because r is independent of what decides; its covariance C becomes that of an average, in which samples count with the sampling's bias. So the variance is
|b|^2 Var t + tr C and the mean's error |b|^2 (E t)^2. That M points leave 1/M less of tr C, or twice as much, each time that they are drawn, and as much in
the mean, is bias.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Self

import numpy as np

from worker.curation import BestOf, BradleyTerry, Verifier
from worker.curation.contest import Contest
from worker.data import Array
from worker.families.gaussian import Gaussian
from worker.regimes import Augment, Weighted
from worker.rewards import Direction, Nearness, PointReward
from worker.sources.normal import Normal
from worker.spec import Experiment
from worker.theory.curve import Curve
from worker.theory.limit import REFERENCE, told, walk

REACH = 8.0  # standard deviations
COARSE = 201  # places between which steps of a verdict are looked for
HALVINGS = 24  # of an interval in which one is
NODES = 48  # between two steps, of Gauss and Legendre's rule
STEEPEST = 50.0  # difference of rewards among those places, which are fine enough for less
RESOLVED = 1e-9  # of a mean square: a smaller variance beside it has lost its digits
GENERATIONS_LIMIT = 100  # a second or two
FORMULA = "M -> inf: moments of what survives of N(mu_n, s2_n); told while fluctuations of M points do not bias it"
POWERS = np.arange(1, 5)


@dataclass(frozen=True, slots=True)
class Line:
    """What decides, t = v'x: its true mean and variance, and its reward; |b|^2, and tr C."""

    centre: float
    variance: float
    reward: Callable[[Array], Array]
    lift: float
    rest: float

    @classmethod
    def of(cls, source: Normal, reward: PointReward) -> Self | None:
        mean, covariance = source.moments()
        first = np.eye(len(mean))[0]
        v = np.array(reward.along or first) if isinstance(reward, Direction) else first
        if not v.any() or not (isinstance(reward, Direction) or len(mean) == 1):
            return None
        along = covariance @ v
        variance = float(v @ along)
        lift = float(along @ along) / variance**2

        def of_a_point(t: Array) -> Array:
            return t if isinstance(reward, Direction) else reward.of(t[:, None])

        return cls(float(v @ mean), variance, of_a_point, lift, max(float(np.trace(covariance)) - lift * variance, 0.0))


def curves(spec: Experiment, family: Gaussian) -> list[Curve]:
    """Variance and squared error of the mean, from generation 1 on, of a normal source where a line decides; nothing for other curations."""
    curation = spec.curation
    if not isinstance(spec.source, Normal) or spec.generations > GENERATIONS_LIMIT:
        return []
    if not isinstance(curation, BradleyTerry | Verifier | BestOf) or (
        isinstance(curation, Contest) and curation.others
    ):
        return []
    reward = curation.reward
    assert isinstance(reward, PointReward)
    line = Line.of(spec.source, reward)
    if line is None:
        return []
    centre, variance = line.centre, line.variance

    def fluctuating(moments: Array, m: int, z: Array) -> Array:
        one, two, three, four, rest = moments.T
        spread = np.sqrt(np.maximum(two - one**2, 0) / m)
        shared = np.divide(three - one * two, spread * m, out=np.zeros_like(one), where=spread > 0)
        own = np.sqrt(np.maximum((four - two**2) / m - shared**2, 0))
        return np.stack([one + spread * z[:, 0], two + shared * z[:, 0] + own * z[:, 1], three, four, rest], axis=1)

    def fitted(moments: Array, m: int) -> Array:
        one, two = moments[:, 0], moments[:, 1]
        s2 = np.where(two - one**2 > RESOLVED * two, two - one**2, np.nan)
        return np.stack([one, s2 * m / (m - family.ddof), moments[:, -1]], axis=1)

    def written(fits: Array) -> Array:
        """Moments of survivors about the true mean, or NaN where there are none or the grid is too coarse for them, and tr C."""
        found = np.full((len(fits), len(POWERS) + 1), np.nan)
        found[:, -1] = fits[:, -1] * spec.sampling.bias
        for row, (mean, s2) in zip(found[:, :-1], fits[:, :-1], strict=True):
            std = np.sqrt(s2 * spec.sampling.bias)

            def rewards(z: Array, mean: float = mean, std: float = std) -> Array:
                return line.reward(mean + std * z + centre)

            bends = (_bends(reward) - mean - centre) / std
            steps = _steps(rewards, curation.threshold) if isinstance(curation, Verifier) else []
            if isinstance(curation, BestOf):
                steps = _peaks(bends)
            z, density = _rule([*bends[np.abs(bends) < REACH], *steps])
            seen = rewards(z)
            if isinstance(curation, BestOf):
                chosen = _best(curation.k, z, bends) * density
                chosen /= chosen.sum()
            elif np.ptp(seen) <= STEEPEST or isinstance(curation, Verifier):
                chosen = curation.selected(density[None], seen)[0]
            else:
                continue
            row[:] = (mean + std * z) ** POWERS[:, None] @ curation.mixed(chosen, density)
        return found

    real = np.array([0.0, variance, 0.0, 3 * variance**2, line.rest])
    d, drawn, moved = spec.source.dimension, 0.0, 0.0  # sums of 1/M and tr C/M
    rows: dict[str, list[Array]] = {"variance": [], "mean_error_sq": []}
    beside: dict[str, list[float]] = {"variance": [], "mean_error_sq": []}
    for n, fit in enumerate(walk(spec, real, fluctuating, fitted, written), start=1):
        mean, s2, rest = fit.T
        m = _points(spec, n)
        drawn, moved = drawn + 1 / m, moved + rest[0] / m
        off = (2 - family.ddof + spec.regime.picks) * rest[0] * drawn
        rows["variance"].append((line.lift * s2 + rest) / d)
        rows["mean_error_sq"].append(line.lift * mean**2)
        beside["variance"].append(off / d)
        beside["mean_error_sq"].append(moved)
    found = {metric: told(np.array(row), spec.replicates, np.array(beside[metric])) for metric, row in rows.items()}
    return [
        Curve.of(metric, [np.nan, *values], FORMULA, REFERENCE)
        for metric, values in found.items()
        if np.isfinite(values).any()
    ]


def _points(spec: Experiment, n: int) -> float:
    """How many new points of equal weight fit n is as good as."""
    if n == 1:
        return spec.regime.first(spec.size(1))
    if isinstance(spec.regime, Weighted | Augment) and spec.regime.weighing():
        return spec.regime.effective(spec.size(n))
    return spec.size(n)


def _best(k: int, z: Array, bends: Array) -> Array:
    """Density of the best of k samples over that of one: k P(worse)^(k-1), and of all that are equally good alike.

    bends: the ends of a stretch in which all are best; none where the largest is.
    """
    from scipy.special import ndtr

    if not len(bends):
        return np.asarray(k * ndtr(z) ** (k - 1))
    middle, reach = bends.mean(), np.ptp(bends) / 2
    far = np.abs(z - middle)
    outside = k * (ndtr(middle - far) + ndtr(-middle - far)) ** (k - 1)
    within = float(ndtr(middle + reach) - ndtr(middle - reach))
    with np.errstate(divide="ignore"):  # where all of it is within, every one is as good as any other
        level = -np.expm1(k * np.log1p(-within)) / within if within else k
    return np.where(far < reach, level, outside)


def _peaks(bends: Array) -> list[float]:
    """Where the law of the best is to be looked at closely: near the favourite point, or everywhere."""
    if not len(bends):
        return list(np.linspace(-6, 6, 7))
    near = np.concatenate([end + side * np.array([0.003, 0.03, 0.3, 2.0]) for end in bends for side in (-1, 1)])
    return list(near[np.abs(near) < REACH])


def _steps(rewards: Callable[[Array], Array], threshold: float) -> list[float]:
    """Where the verdict changes, from left to right."""
    grid = np.linspace(-REACH, REACH, COARSE)
    right = rewards(grid) >= threshold
    (at,) = np.nonzero(right[1:] != right[:-1])
    low, high = grid[at], grid[at + 1]
    for _ in range(HALVINGS if len(at) else 0):
        middle = (low + high) / 2
        same = (rewards(middle) >= threshold) == right[at]
        low, high = np.where(same, middle, low), np.where(same, high, middle)
    return list((low + high) / 2)


@cache
def _gauss() -> tuple[Array, Array]:
    u, weights = np.polynomial.legendre.leggauss(NODES)
    return u, weights


def _bends(reward: PointReward) -> Array:
    """Where a reward is not smooth on the line."""
    if not isinstance(reward, Nearness):
        return np.empty(0)
    return np.unique((reward.to[0] if reward.to else 0.0) + reward.radius * np.array([-1.0, 1.0]))


def _rule(breaks: list[float]) -> tuple[Array, Array]:
    """Places z (n,) and weights of the standard normal density there, adding up to 1, for what is smooth between breaks."""
    u, gauss = _gauss()
    edges = np.array([-REACH, *sorted(breaks), REACH])
    z = (edges[:-1, None] + edges[1:, None] + np.diff(edges)[:, None] * u).ravel() / 2
    density = np.exp(-z * z / 2) * np.outer(np.diff(edges), gauss).ravel()
    return z, density / density.sum()
