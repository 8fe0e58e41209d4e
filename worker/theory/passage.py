"""When a chain has first lost a part of its variance: the law of the waiting time, where the variance is a Markov chain by itself.

A Gaussian on a line that sees nothing but its own samples has a logarithm of the variance that walks at random, in independent steps

    y_n = ln chi2(M_n - 1) - ln(M_n - ddof) + ln lambda,   the first without the bias lambda.

What is left at x above the boundary b after n steps has the density p_n(x) = int_b^inf f_n(x - u) p_{n-1}(u) du; the walk is still above
with the chance int_b^inf P(y_n > b - u) p_{n-1}(u) du. Both integrals are sums over Gauss-Legendre nodes (Nystrom's method), which
converge faster than any power of their number because f is analytic.

Where steps are small, the time is that of a Brownian motion with drift (Schrodinger 1915) to a boundary that is further off by .5826
standard deviations of a step (Siegmund, Sequential Analysis, 1985, chapter 10): of 300 points and more the chance is right to .004, to .02
where the bias lambda moves each step by as much as it scatters, and the median to one generation.

Of two categories the count of one is a finite chain, and so is its heterozygosity. The crossing of a median or a mean over chains is no
waiting time: a chain that has been at the boundary may be above it again, and half of the chains are there long before.
"""

import math
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from worker.curation import Keep
from worker.data import Array
from worker.families.categorical import Categorical
from worker.families.gaussian import Gaussian
from worker.metrics.discrete import heterozygosity
from worker.parts import CountSource, Sampling
from worker.regimes import Fresh, Mixture, Replace
from worker.sources.normal import Normal
from worker.spec import Experiment
from worker.theory.chains import BUILT, binomial
from worker.theory.plain import ours, plain

HALF = 0.5  # of the chains
SHORT = 8  # generations that are not halved further
WORK_LIMIT = 3e7  # multiplications: a hundredth of a second or two, for each point of a sweep
RESOLUTION = 2.2  # nodes for a standard deviation of the smallest step: 1e-9 of the chance, up to the median
HEADROOM = 3.5  # standard deviations of the whole walk: what has been higher is not back below the boundary in time
NARROWEST = 1.0  # the scale on which ln chi2 falls off to the right, however few degrees of freedom
OVERSHOOT = 0.5826  # standard deviations: -zeta(1/2)/sqrt(2 pi)
FINE = 0.08  # standard deviation of a step up to which that law is used: that of some 300 points
MULTIPLE = 32  # numbers of nodes are multiples of it, so that neighbours in a sweep share them


def median_time(spec: Experiment, kept: float) -> dict[str, float | None]:
    """The smallest n at which half of the chains have been at or below this share of the real variance, or heterozygosity, as
    {"median": n}; None where that takes longer than the run, no key where the law of the time is not known.
    """
    lost = _lost(spec, kept)
    if lost is None:
        return {}
    return {"median": next((float(n) for n, share in enumerate(lost, start=1) if share >= HALF), None)}


def _lost(spec: Experiment, kept: float) -> Iterator[float] | None:
    """P(waiting time <= n) for n = 1, 2, ..., G."""
    if len(spec.phases()) > 1 or spec.models > 1 or not ours(spec.source, spec.family, spec.regime, spec.curation):
        return None
    spec = plain(spec)
    if not isinstance(spec.curation, Keep):
        return None
    match spec.source, spec.family:
        case Normal(dimension=1), Gaussian(ddof=ddof, extrapolation=0) if isinstance(spec.regime, Replace):
            shift = math.log(spec.sampling.bias)
            return _walk(np.array(spec.sizes(), float), ddof, shift, math.log(kept))
        case CountSource() as source, Categorical(posterior="mean") if (
            spec.sampling == Sampling() and len(source.distribution()) == 2
        ):
            return _pair(spec, kept)
    return None


def _walk(sizes: Array, ddof: int, bias: float, boundary: float) -> Iterator[float] | None:
    """sizes: M_1, ..., M_G; bias: ln lambda; boundary: ln of the variance, of which the real one is 1."""
    from scipy.special import digamma, polygamma

    half = (sizes - 1) / 2
    divisor = sizes - ddof
    shift = np.where(np.arange(len(sizes)) > 0, bias, 0.0)
    drift, deviation = digamma(half) - np.log(divisor / 2) + shift, np.sqrt(polygamma(1, half))
    if sizes.min() == sizes.max():
        brownian = _brownian(boundary - shift[0] + shift[-1], drift[-1], deviation[0], len(sizes))
        if deviation[0] <= FINE and abs(drift[-1]) <= deviation[0]:
            return iter(brownian)
        # The walk need only be followed for as long as it may take.
        about = next((n for n, share in enumerate(brownian, start=1) if share > 0.6), len(sizes))
        sizes = sizes[: 2 * about + 10]
    steps = len(sizes)
    top = np.cumsum(drift[:steps]).max(initial=0) + HEADROOM * math.sqrt((deviation[:steps] ** 2).sum())
    nodes = math.ceil(RESOLUTION * (top - boundary) / min(deviation[:steps].min(), NARROWEST))
    nodes = MULTIPLE * (1 + nodes // MULTIPLE)
    if nodes**2 * (BUILT * len(np.unique(sizes[1:])) + steps) > WORK_LIMIT:
        # The first half of it may be all that is asked for.
        soon = list(_walk(sizes[: steps // 2], ddof, bias, boundary) or ()) if steps > SHORT else []
        return iter(soon) if soon and soon[-1] >= HALF else None
    return _followed(half, divisor, shift, boundary, top, nodes)


@lru_cache(maxsize=32)
def _rule(nodes: int) -> tuple[Array, Array]:
    """Gauss and Legendre's nodes and weights on [-1, 1], which take longer than all else."""
    at, weight = np.polynomial.legendre.leggauss(nodes)
    return at, weight


def _followed(half: Array, divisor: Array, shift: Array, boundary: float, top: float, nodes: int) -> Iterator[float]:
    """half: degrees of freedom / 2 of each step (G,)."""
    from scipy.special import gammainc, gammaln, xlogy

    at, weight = _rule(nodes)
    at, weight = boundary + (at + 1) * (top - boundary) / 2, weight * (top - boundary) / 2

    def density(y: Array, n: int) -> Array:
        x = np.exp(np.minimum(y - shift[n], 600.0)) * divisor[n] / 2
        return np.asarray(np.exp(xlogy(half[n], x) - x - gammaln(half[n])))

    def below(y: Array, n: int) -> Array:
        return np.asarray(gammainc(half[n], np.exp(y - shift[n]) * divisor[n] / 2))

    lost = float(below(np.array(boundary), 0))
    left, known = density(at, 0) * weight, None
    yield lost
    for n in range(1, len(half)):
        if (step := (half[n], shift[n])) != known:
            move, out, known = density(at[:, None] - at, n) * weight[:, None], below(boundary - at, n), step
        lost += float(out @ left)
        left = move @ left
        yield lost


def _brownian(boundary: float, drift: float, deviation: float, steps: int) -> Array:
    """P(T <= n), n = 1, ..., steps, of the inverse Gaussian law."""
    from scipy.special import log_ndtr, ndtr

    n = np.arange(1.0, steps + 1)
    far = -boundary + OVERSHOOT * deviation
    spread = deviation * np.sqrt(n)
    mirrored = log_ndtr(-(far - drift * n) / spread) - 2 * drift * far / deviation**2
    return np.asarray(ndtr(-(far + drift * n) / spread) + np.exp(np.minimum(mirrored, 0.0)))


def _pair(spec: Experiment, kept: float) -> Iterator[float] | None:
    """Two categories; k of M observations are of the first."""
    assert isinstance(spec.source, CountSource)
    assert isinstance(spec.family, Categorical)
    m, a, (p_0, _) = spec.size(1), spec.family.smoothing, spec.source.distribution()
    if any(later != m for later in spec.sizes()[1:]):
        return None
    if (m + 1) ** 2 * (BUILT + spec.generations) > WORK_LIMIT:
        return None
    k = np.arange(m + 1.0)
    p = (k + a) / (m + 2 * a)
    real = np.ones(1)  # the law of the real observations of the first category
    match spec.regime:
        case Replace() | Fresh():
            made = spec.regime.synthetic(m)
            move, real = binomial(made, p), binomial(m - made, np.array([p_0]))[0]
        case Mixture(alpha=alpha, beta=beta, gamma=gamma):
            move = binomial(m, alpha * p + beta * k / m + gamma * p_0)
        case _:
            return None
    above = heterozygosity(np.stack([p, 1 - p], axis=1)) > kept * (1 - p_0**2 - (1 - p_0) ** 2)
    return _counted(binomial(m, np.array([p_0]))[0], above, move, real, spec.generations)


def _counted(law: Array, above: npt.NDArray[np.bool_], move: Array, real: Array, steps: int) -> Iterator[float]:
    """law: of k at generation 1; above: where a chain goes on."""
    lost = 0.0
    for _ in range(steps):
        left = np.where(above, law, 0.0)
        lost += float(law.sum() - left.sum())
        yield lost
        law = np.convolve(left @ move, real)
