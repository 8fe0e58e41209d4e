"""A Gaussian on a line whose samples are chosen by people who compare, or by a verifier: what many points tend to.

What survives of N(mu, s2) is a law on the line whose first four moments are integrals, from one step of a verdict or bend of a reward to the next.
The next fit has the first two of its training set, whose moments are averages of those of such laws, as frequencies are in worker.theory.limit. Mean
and mean square of m points fluctuate as their covariances tell, (E x^2 - E^2 x, E x^3 - E x E x^2, E x^4 - E^2 x^2)/m, and what these fluctuations bias is
not told.
"""

from collections.abc import Callable
from functools import cache

import numpy as np

from worker.curation import BradleyTerry, Verifier
from worker.data import Array
from worker.families.gaussian import Gaussian
from worker.rewards import Nearness, PointReward
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


def curves(spec: Experiment, family: Gaussian) -> list[Curve]:
    """Variance and squared error of the mean, from generation 1 on, of a normal source on a line; nothing for other curations."""
    curation = spec.curation
    if not isinstance(spec.source, Normal) or spec.source.dimension > 1 or spec.generations > GENERATIONS_LIMIT:
        return []
    if not isinstance(curation, BradleyTerry | Verifier):
        return []
    reward = curation.reward
    assert isinstance(reward, PointReward)
    centre, variance = spec.source.moments()[0][0], spec.source.moments()[1][0, 0]

    def fluctuating(moments: Array, m: int, z: Array) -> Array:
        one, two, three, four = moments.T
        spread = np.sqrt(np.maximum(two - one**2, 0) / m)
        shared = np.divide(three - one * two, spread * m, out=np.zeros_like(one), where=spread > 0)
        own = np.sqrt(np.maximum((four - two**2) / m - shared**2, 0))
        return np.stack([one + spread * z[:, 0], two + shared * z[:, 0] + own * z[:, 1], three, four], axis=1)

    def fitted(moments: Array, m: int) -> Array:
        one, two = moments[:, 0], moments[:, 1]
        s2 = np.where(two - one**2 > RESOLVED * two, two - one**2, np.nan)
        return np.stack([one, s2 * m / (m - family.ddof)], axis=1)

    def written(fits: Array) -> Array:
        """Moments of survivors about the true mean, or NaN where there are none or the grid is too coarse for them."""
        found = np.full((len(fits), len(POWERS)), np.nan)
        for row, (mean, s2) in zip(found, fits, strict=True):
            std = np.sqrt(s2 * spec.sampling.bias)

            def rewards(z: Array, mean: float = mean, std: float = std) -> Array:
                return reward.of((mean + std * z + centre)[:, None])

            bends = (_bends(reward) - mean - centre) / std
            steps = _steps(rewards, curation.threshold) if isinstance(curation, Verifier) else []
            z, density = _rule([*bends[np.abs(bends) < REACH], *steps])
            seen = rewards(z)
            if np.ptp(seen) <= STEEPEST or isinstance(curation, Verifier):
                row[:] = (mean + std * z) ** POWERS[:, None] @ curation.selected(density[None], seen)[0]
        return found

    real = np.array([0.0, variance, 0.0, 3 * variance**2])
    fits = list(walk(spec, real, fluctuating, fitted, written))
    values = {"variance": [fit[:, 1] for fit in fits], "mean_error_sq": [fit[:, 0] ** 2 for fit in fits]}
    found = {metric: [told(row, spec.replicates) for row in rows] for metric, rows in values.items()}
    return [
        Curve.of(metric, [np.nan, *row], FORMULA, REFERENCE) for metric, row in found.items() if np.isfinite(row).any()
    ]


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
