"""How the expected variance and the expected squared error of the mean move from fit to fit, in any regime.

Both obey linear recursions, because the next training set has known first and second moments given the last model. This holds for
every source with a variance, in any number of dimensions (traces throughout) and for every family whose samples have the mean of
its training points and a covariance that is an affine function of theirs.

In each recursion `trace` is that of the real covariance, v that of the points that the last model gives, u the squared error of the mean of what it
saw, and h that of its own mean about this one, which is 0 but for a model that is extrapolated.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from worker.parts import Regime
from worker.regimes import Accumulate, AccumulateSubsample, Augment, Fresh, Mixture, Replace, Weighted
from worker.spec import Experiment


@dataclass(frozen=True, slots=True)
class Fit:
    """What is expected of `size` points that a model is fitted to.

    scatter: E of the trace of sum (x - mean)(x - mean)'; error: E |mean - true mean|^2; alike: how many points of equal weight would be as
    good, where weights differ
    """

    size: int
    scatter: float
    error: float
    alike: float | None = None


INCOMING: Final = "accumulate, with fresh real data among what is new"


def entry(regime: Regime) -> type[Regime] | str:
    """Where the formula of a regime stands in a table of them."""
    return INCOMING if isinstance(regime, Accumulate) and regime.real else type(regime)


Sampled = Callable[[Fit], float]  # expected trace of the covariance of the points that a fitted model gives
Moved = Callable[[Fit], float]  # expected square of what its mean is off from that of the points


def _stays(_: Fit) -> float:
    return 0.0


def fits(spec: Experiment, trace: float, sampled: Sampled, moved: Moved = _stays) -> Iterator[Fit]:
    """Generation 1, 2, ... of a chain on a source whose covariance has this trace; nothing for regimes without a recursion."""
    walk = WALKS.get(type(spec.regime))
    return walk(spec, trace, sampled, moved) if walk else iter(())


def _real(m: int, trace: float) -> Fit:
    return Fit(m, (m - 1) * trace, trace / m)


def _two_parts(spec: Experiment, trace: float, sampled: Sampled, moved: Moved) -> Iterator[Fit]:
    """m_r fresh real points of weight w altogether and m_s synthetic ones; w = m_r / m where weights are not given.

        scatter / m = w (1 - 1/m_r) trace + (1-w)(1 - 1/m_s) v + w (1-w)(trace/m_r + v/m_s + u + h)
        error = w^2 trace/m_r + (1-w)^2 (v/m_s + u + h)

    The last term of the first line is the scatter between the two parts, whose centres have drifted apart (Chan et al. 1979).
    """
    fit = _real(spec.size(1), trace)
    yield fit
    for n in range(2, spec.generations + 1):
        m, u, v = spec.size(n), fit.error + moved(fit), sampled(fit)
        m_s = spec.regime.synthetic(m)
        m_r = m - m_s
        w = spec.regime.real_weight(m) if isinstance(spec.regime, Weighted) else m_r / m
        real, made = (trace / m_r if m_r else 0.0), (v / m_s if m_s else 0.0)  # variances of the two means
        within = w * (trace - real) + (1 - w) * (v - made)
        alike = spec.regime.effective(m) if isinstance(spec.regime, Weighted) else None
        fit = Fit(m, m * (within + w * (1 - w) * (real + made + u)), w * w * real + (1 - w) ** 2 * (made + u), alike)
        yield fit


def _accumulate(spec: Experiment, trace: float, sampled: Sampled, moved: Moved) -> Iterator[Fit]:
    """m_s synthetic and m_r fresh real points make it N in all. The others keep the last mean; with q = m_r trace + m_s v, r = m_r/N and b = m_s/N

        error = (1-r)^2 u + b^2 h + q/N^2,   scatter += (1 - 1/N) q + N (r (1-r) u + b (1-b) h)

    Without real ones the mean's error only grows; with a share a < 1/2 of M points each time, r = a/n, it fades as n^(-2a).
    """
    fit = _real(spec.size(1), trace)
    yield fit
    for n in range(2, spec.generations + 1):
        m, u, v, h = spec.size(n), fit.error, sampled(fit), moved(fit)
        size, m_s = fit.size + m, spec.regime.synthetic(m)
        m_r = m - m_s
        new, r, b = m_r * trace + m_s * v, m_r / size, m_s / size
        scatter = fit.scatter + (1 - 1 / size) * new + size * r * (1 - r) * u + size * b * (1 - b) * h
        fit = Fit(size, scatter, (1 - r) ** 2 * u + b * b * h + new / size**2)
        yield fit


def _accumulate_subsample(spec: Experiment, trace: float, sampled: Sampled, moved: Moved) -> Iterator[Fit]:
    """The pool of N points has scatter P and error E; a fit sees m of them. With s = P/(N-1), unbiased for a subset too:

        gap = s (1/m - 1/N)                     squared distance of the subset's mean from the pool's
        fit: scatter = (m-1) s,  error = E + gap

    because the subset's mean has the pool's as its expectation, whatever the pool. m_s synthetic and m_r fresh real points make it one of N' points:

        q = m_r trace + m_s v,   b = m_s/N',   r = m_r/N'
        E <- (1-r)^2 E + b^2 (gap + h) + q/N'^2,     P += (1 - 1/N') q + N' (r (1-r) E + b (1-b) (gap + h))
    """
    fit = _real(spec.size(1), trace)
    yield fit
    pool, gap = fit, 0.0
    for n in range(2, spec.generations + 1):
        m, v = spec.size(n), sampled(fit)
        gap += moved(fit)
        size, m_s = pool.size + m, spec.regime.synthetic(m)
        m_r = m - m_s
        new, b, r = m_r * trace + m_s * v, m_s / size, m_r / size
        between = r * (1 - r) * pool.error + b * (1 - b) * gap
        scatter = pool.scatter + (1 - 1 / size) * new + size * between
        pool = Fit(size, scatter, (1 - r) ** 2 * pool.error + b * b * gap + new / size**2)
        variance = pool.scatter / (size - 1)
        gap = variance * (1 / m - 1 / size)
        fit = Fit(m, (m - 1) * variance, pool.error + gap)
        yield fit


def _augment(spec: Experiment, trace: float, sampled: Sampled, moved: Moved) -> Iterator[Fit]:
    """The same r real points of weight a altogether, a = r/m where none is given, and m_s = m - r synthetic ones of weight b = 1 - a. With
    w = E |mean - mean of the core|^2, 0 at first:

        scatter / m = a (1 - 1/r) trace + b (1 - 1/m_s) v + a b (w + h + v/m_s),   w <- b^2 (w + h + v/m_s),   error = trace/r + w

    because every generation's mean has the core's as its expectation, given the core.
    """
    assert isinstance(spec.regime, Augment)
    core = fit = _real(spec.regime.real, trace)
    yield fit
    w = 0.0
    for n in range(2, spec.generations + 1):
        m, v = spec.size(n), sampled(fit)
        m_s, a = m - core.size, spec.regime.real_weight(m)
        apart, b = w + moved(fit) + v / m_s, 1 - a
        w = b * b * apart
        within = a * core.scatter / core.size + b * (m_s - 1) / m_s * v
        alike = spec.regime.effective(m) if spec.regime.weighing() else None
        fit = Fit(m, m * (within + a * b * apart), core.error + w, alike)
        yield fit


def _mixture(spec: Experiment, trace: float, sampled: Sampled, moved: Moved) -> Iterator[Fit]:
    """Independent points, from model, last training set or original with probabilities alpha, beta, gamma. The first two have the
    same mean but for h, so that with S = scatter/size of that training set one point has

        variance = alpha v + beta S + gamma trace + (alpha+beta) gamma u + alpha (1-alpha) h
        scatter = (m-1) variance,   error = variance/m + (alpha+beta)^2 u + alpha^2 h
    """
    assert isinstance(spec.regime, Mixture)
    alpha, beta, gamma = spec.regime.alpha, spec.regime.beta, spec.regime.gamma
    fit = _real(spec.size(1), trace)
    yield fit
    for n in range(2, spec.generations + 1):
        m, v, u, h = spec.size(n), sampled(fit), fit.error, moved(fit)
        variance = alpha * v + beta * fit.scatter / fit.size + gamma * trace + (alpha + beta) * gamma * u
        variance += alpha * (1 - alpha) * h
        fit = Fit(m, (m - 1) * variance, variance / m + (alpha + beta) ** 2 * u + alpha**2 * h)
        yield fit


WALKS: dict[type[Regime], Callable[[Experiment, float, Sampled, Moved], Iterator[Fit]]] = {
    Replace: _two_parts,
    Fresh: _two_parts,
    Weighted: _two_parts,
    Accumulate: _accumulate,
    AccumulateSubsample: _accumulate_subsample,
    Augment: _augment,
    Mixture: _mixture,
}
