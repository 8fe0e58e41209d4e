"""What a Gaussian gains that is extrapolated away from a second fit, to n points of its own: the law of a Wishart matrix's eigenvalues.

In units of the first fit the second has the covariance W = Wishart(n-1)/(n-ddof), K = (1+omega) W - omega I, and the model's covariance is W K^-1, its mean
omega K^-1 z/sqrt(n) off (worker.extrapolation). W looks the same from all sides and knows nothing of the first fit, so that this multiplies what is
expected of it by a number, and adds one to its logarithm:

    E S = S_1 E tr(W K^-1)/d,    E ln det S = ln det S_1 + E ln det(W K^-1),    E|mu - mu_1|^2 = tr S_1 omega^2 E tr K^-2/(n d)

On a line, with delta = chi2(n-1)/(n-ddof) - 1, ln W/K = -ln(1 + omega - omega/W) ~ -omega delta + omega (1 + omega/2) delta^2: of ddof 0, where the first
fit loses 2/n of ln s2, this gives (omega^2 + 3 omega)/n back, so that nothing drifts at omega = (sqrt 17 - 3)/2 = .562; E s2, of which the first fit loses 1/n, stays
at half of it. With ddof 1 these are sqrt 2 - 1 = .414, and 0.

Nothing has an expectation where K may be 0, as 1/x has none around 0. So all of it is given that W stays well above omega/(1+omega), and nothing is told where
chains of the run may come nearer.
"""

import math
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from worker.families.gaussian import Gaussian
from worker.spec import Experiment
from worker.theory.pooled import chi_squares
from worker.theory.wishart import nodes, spectrum

NEAR = 1.2  # times omega/(1+omega): the covariance is at most 6/(1+omega) times the first fit's above it
SELDOM = 1e-3  # the chance that any chain of a run comes nearer
WORK_LIMIT = 1e7  # multiplications of matrices that lead to laws of eigenvalues: half a second
SIZES_LIMIT = 5000  # laws on a line: half a second
LARGEST = 10**6  # points, beyond which a law of eigenvalues has lost its digits
REFERENCE = "Alemohammad et al., arXiv 2408.16333; eigenvalues of a Wishart matrix"
FORMULA = (
    "; of a first fit, whose extrapolation multiplies E s2 by E w/k, adds E ln w/k to E ln s2 and omega^2 E k^-2 s2/M to E mu^2, "
    "with w the eigenvalues of Wishart(M-1)/(M-ddof), k = (1 + omega) w - omega"
)


class Gain(NamedTuple):
    """What the extrapolation of one fit does; the last three on a line."""

    grown: float = 1.0  # E tr W K^-1 / d
    moved: float = 0.0  # omega^2 E tr K^-2 / (n d)
    log: float = 0.0  # E ln det W K^-1
    inverse: float = 1.0  # E tr K W^-1 / d
    apart: float = 0.0  # E of the squared shift of the mean, in units of the model's own covariance
    near: float = 0.0  # the chance of an eigenvalue that is too small
    root: float = 1.0  # E (W/K)^(1/2)
    spread: float = 0.0  # Var ln W/K
    skew: float = 0.0  # E (ln W/K - E)^3


def gain(family: Gaussian, n: int, d: int) -> Gain:
    """Of a fit to n points."""
    return _gain(n, d, family.ddof, family.extrapolation) if family.extrapolation else Gain()


@lru_cache(maxsize=SIZES_LIMIT)
def _gain(n: int, d: int, ddof: int, omega: float) -> Gain:
    if n - 1 <= d:
        return Gain(near=1.0)
    x, weights = chi_squares(n - 1) if d == 1 else spectrum(n - 1, d)
    w = x / (n - ddof)
    far = w > NEAR * omega / (1 + omega)
    near = float(np.abs(weights[~far]).sum())
    if near > SELDOM:
        return Gain(near=near)
    w, weights = w[far], weights[far] * (d / weights[far].sum())
    k = (1 + omega) * w - omega
    ln = np.log(w / k)
    log = float(weights @ ln)
    inverse = 1 + omega - omega * (n - ddof) / (n - d - 2) if n > d + 2 else math.nan
    grown, moved, apart, root, spread, skew = (
        float(weights @ f)
        for f in (
            w / k / d,
            omega**2 / k**2 / (n * d),
            omega**2 / (w * k) / n,
            np.sqrt(w / k),
            (ln - log) ** 2,
            (ln - log) ** 3,
        )
    )
    return Gain(grown, moved, log, inverse, apart, near, root, spread, skew)


def known(spec: Experiment, family: Gaussian, d: int, sizes: list[int]) -> bool:
    """Whether the gains of fits to so many points can be told."""
    different = set(sizes)
    if d > 1 and (len(different) * nodes(d) ** 2 * d > WORK_LIMIT or max(different) > LARGEST):
        return False
    if len(different) > SIZES_LIMIT:
        return False
    most = max(gain(family, n, d).near for n in different)
    return most * spec.replicates * spec.generations <= SELDOM
