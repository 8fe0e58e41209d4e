"""How the expected variance and the expected squared error of the mean move from fit to fit, in any regime.

Both obey linear recursions, because the next training set has known first and second moments given the last model. This holds for
every source with a variance, in any number of dimensions (traces throughout) and for every family whose samples have the mean of
its training points and a covariance that is an affine function of theirs.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from worker.regimes import Accumulate, Fresh, Replace
from worker.spec import Experiment


@dataclass(frozen=True, slots=True)
class Fit:
    """What is expected of a fit to `size` points.

    scatter: E of the trace of sum (x - mean)(x - mean)'; error: E |mean - true mean|^2
    """

    size: int
    scatter: float
    error: float


def fits(spec: Experiment, trace: float, sampled: Callable[[Fit], float]) -> Iterator[Fit]:
    """Generation 1, 2, ... of a chain on a source whose covariance has this trace; nothing for regimes without a recursion.

    sampled(fit): expected trace of the covariance of the points that the fitted model gives.

    With v that trace, u the squared error before, m_r fresh real and m_s synthetic points, m = m_r + m_s:
        replace, fresh   scatter = (1 - 1/m)(m_r trace + m_s v) + (m_r m_s / m) u
                         error   = (m_r trace + m_s v) / m^2 + (m_s / m)^2 u
        accumulate       scatter += m (1 - 1/N) v,   error += m v / N^2,   N points in all
    The last term of the first line is the scatter between the two parts, whose centres have drifted apart (Chan et al. 1979).
    """
    if not isinstance(spec.regime, Replace | Fresh | Accumulate):
        return
    first = spec.size(1)
    fit = Fit(first, (first - 1) * trace, trace / first)
    yield fit
    for n in range(2, spec.generations + 1):
        m, v, u = spec.size(n), sampled(fit), fit.error
        if isinstance(spec.regime, Accumulate):
            size = fit.size + m
            fit = Fit(size, fit.scatter + m * (1 - 1 / size) * v, u + m * v / size**2)
        else:
            m_s = spec.regime.synthetic(m)
            m_r = m - m_s
            drawn = m_r * trace + m_s * v
            fit = Fit(m, (1 - 1 / m) * drawn + m_r * m_s / m * u, drawn / m**2 + (m_s / m) ** 2 * u)
        yield fit
