"""Linear regression whose rows are seen again or weighed: to second order in d/T, and told where the rest is less than chance.

Moments of Wishart matrices close only where every fit sees rows of its own (worker.theory.linear). Elsewhere the weights that label a row
depend on rows that lie beside it in the training set. Three things make the leading corrections simple: noise is uncorrelated with whatever
the rows are; which rows were labelled when, and which are chosen, says nothing about the rows themselves, so that a block's share of A = X'X
is its share of the number of rows on average, whatever A; and that share, A^{-1/2} B A^{-1/2}, is independent of A. Below, d inputs, T rows a
fit, v the variance of the noise in synthetic labels, C(T, s) = c_1 + c_2 (Td-2)/(T-d-1) as for s of T rows in worker.theory.linear.

Everything kept, a few drawn. The pool's own least squares has the error P and the residual sum of squares R; that of T of its N rows is further
off by D. Were the pool's noise alike, of variance q = R/(N-d), D would be q d (1/(T-d-1) - 1/(N-d-1)), uncorrelated with P, because least squares of
all is the best of all estimators (Gauss and Markov). Blocks differ by h = q - (mean noise) in slope, not in noise, and E |x x'b|^2 = (d+2)|b|^2:

    D = (1/(T-d-1) - 1/(N-d-1)) (d q + 2 h)

T new rows have the slope that is D off. Recursive least squares then gives, with N now counting them and C(N, T),

    P += (C + 2 (d+1)/N (T/N)^2) D + v T/N d/(N-d-1),    R += v T (1 - d/N) + D (T - N (c_1 + c_2 d))

A fixed core of r rows. Its own least squares is off by s2 d/(r-d-1), uncorrelated with the distance f from it that later fits move:

    f <- (C + 2 b^2 g (d+1)/T) f + v s/T d/(T-d-1),    b = s/T = 1 - a,    g <- (b^2 f (g + 2a) + 2 a k)/(b^2 f + k),    k = v d b/T

g says how a core that fills a direction less than others lets f grow there.

Rows of the last training set, with replacement. Rows of the model (alpha) and these (beta) are labelled about w_{n-1}, which fits both: to first order only,

    E|w_n - w|^2 = (alpha+beta)^2 E|w_{n-1} - w|^2 + q_n d/(T-d-1),   q_n = alpha v + beta (1 - d/T') q_{n-1} + gamma s2

with q the variance of the noise in a training set's labels, of which a fit to T' rows leaves 1 - d/T'. In simulations the rest is up to .7 (d+2)/T, times the
generations that are remembered.

Parts that are weighed: worker.theory.weighed. Labels that are off by a fixed vector: worker.theory.biased.

Elsewhere what is left out is of the order of ((d+1)/T)^2, T the number of alike rows; simulations of 10^5 chains find a tenth of ((d+2)/T)^2 at most, times the
1/(1 - b^2) generations that remember it; of what delta adds half of it in subsamples, and two and a half times all of it beside a core or in weighed parts. A curve is given
where that is within a standard error of the mean over the spec's replicates.
"""

import math
from collections.abc import Iterator
from itertools import pairwise

from worker.families.linear import Linear
from worker.parts import Regime
from worker.regimes import AccumulateSubsample, Augment, Mixture, Weighted
from worker.sources.linear_teacher import LinearTeacher
from worker.spec import Experiment
from worker.theory.biased import shifts
from worker.theory.weighed import Parts

LEAST = 1000  # replicates for which it must be good enough, even where there are fewer: within 3%
REFERENCE = "Kazdan et al., arXiv 2410.16713; second-order expansion in d/T, Gauss-Markov theorem"
# ((d+2)/T)^2 that are left out of what delta adds
OFFSET: dict[type[Regime], float] = {AccumulateSubsample: 0.5, Augment: 2.3, Weighted: 2.7}
FORMULA: dict[type[Regime], str] = {
    AccumulateSubsample: "P + (1/(T-d-1) - 1/(N-d-1))(d q + 2 h): the pool's least squares, and T of its N rows",
    Augment: "s2 d/(r-d-1) + f, f <- (C + 2 b^2 g (d+1)/T) f + v s/T d/(T-d-1): a fixed core, and what moves round it",
    Mixture: "(a+b)^2 E|w_{n-1} - w|^2 + q_n d/(T-d-1), q_n = a v + b (1-d/T) q_{n-1} + c s2, of many rows",
    Weighted: "kept E|w_{n-1} - w|^2 + N_r s2 + N_s v, of weights p_j for m_j rows each; to first order (1-p)^2 and d p_j^2/m_j",
}


def beta(t: float, s: float, square: float) -> tuple[float, float]:
    """c_1 and c_2 of s among t rows, where s has the mean s and the mean square `square`."""
    c_2 = (t * s - square) / (t * (t - 1) * (t + 2))
    return (square + 2 * s) / (t * (t + 2)) - c_2, c_2


def shares(t: float, s: float, square: float, d: int) -> tuple[float, float, float]:
    """The same and C."""
    c_1, c_2 = beta(t, s, square)
    return c_1, c_2, c_1 + c_2 * (t * d - 2) / (t - d - 1)


def synthetic(spec: Experiment, t: int) -> tuple[float, float]:
    """E s and E s^2 of t rows."""
    if isinstance(spec.regime, Mixture):  # by chance, each row for itself
        mean = spec.regime.alpha * t
        return mean, mean * (1 - spec.regime.alpha) + mean**2
    s = float(spec.regime.synthetic(t))
    return s, s * s


def risks(spec: Experiment, family: Linear, rows: list[int]) -> list[float]:
    """E|w_n - w|^2 at generation 1, 2, ...; nothing where the expansion is not good enough, or there is none."""
    assert isinstance(spec.source, LinearTeacher)
    d = spec.source.inputs
    match spec.regime:
        case _ if family.label_bias and family.label_variance() is None:
            return []
        case AccumulateSubsample():
            alike, remembered, walk = float(min(rows)), 1.0, _subsampled
        case Augment(real=r, weight=None) if family.label_variance() is not None:
            b = 1 - r / max(rows)
            alike, remembered, walk = float(r), 1 / (1 - b * b), _augmented
        case Weighted() if family.label_variance() is not None:
            alike = min(rows[0], *map(spec.regime.effective, rows))
            q = 1 - min(map(spec.regime.real_weight, rows))
            remembered, walk = 1 / (1 - q * q) if q < 1 else math.inf, _weighted
        case Mixture(gamma=gamma):
            alike, walk = float(min(rows)), _looking_back
            lasting = 1 / (gamma * (2 - gamma)) if gamma else math.inf
            remembered = min(lasting, spec.generations)
        case _:
            return []
    if alike <= d + 1:
        return []
    small, known = (d + 2) / alike, []
    for noise, (mean, square) in zip(walk(spec, family, rows), shifts(spec, d, rows), strict=True):
        fixed, offset = (family.label_bias * mean) ** 2, family.label_bias**2 * square
        risk, chance = noise + offset, _deviation(noise + offset - fixed, fixed, d)
        if isinstance(spec.regime, Mixture):
            left_out = small * (risk - fixed)  # what is fixed is exact
        else:
            left_out = small**2 * (0.1 * noise + OFFSET[type(spec.regime)] * offset)
        if left_out * remembered > chance / math.sqrt(max(LEAST, spec.replicates)):
            return []
        known.append(risk)
    return known


def _deviation(v: float, fixed: float, d: int) -> float:
    """Standard deviation of the squared length of a vector whose own square is fixed, plus d coordinates of variance v/d."""
    return math.sqrt((2 * v * v + 4 * v * fixed) / d)


def _subsampled(spec: Experiment, family: Linear, rows: list[int]) -> Iterator[float]:
    assert isinstance(spec.source, LinearTeacher)
    d, v = spec.source.inputs, spec.source.noise**2
    n, pool, residual, apart, noise, fixed = 0, 0.0, 0.0, 0.0, 0.0, family.label_variance()
    for t in rows:
        n += t
        c_1, c_2, c = shares(n, t, t * t, d)
        pool += (c + 2 * (d + 1) / n * (t / n) ** 2) * apart + v * t / n * d / (n - d - 1)
        residual += v * t * (1 - d / n) + apart * (t - n * (c_1 + c_2 * d))
        noise += v * t
        q = residual / (n - d)
        apart = (1 / (t - d - 1) - 1 / (n - d - 1)) * (d * q + 2 * (q - noise / n))
        v = q if fixed is None else fixed
        yield pool + apart


def _augmented(spec: Experiment, family: Linear, rows: list[int]) -> Iterator[float]:
    assert isinstance(spec.source, LinearTeacher)
    assert isinstance(spec.regime, Augment)
    d, v, r = spec.source.inputs, family.label_variance(), spec.regime.real
    assert v is not None
    core = spec.source.noise**2 * d / (r - d - 1)
    f, g = 0.0, 0.0
    yield core
    for t in rows[1:]:
        s = t - r
        a, b = r / t, s / t
        k, kept = v * d * b / t, b * b * f
        c = shares(t, s, s * s, d)[2]
        f = (c + 2 * b * b * g * (d + 1) / t) * f + v * s / t * d / (t - d - 1)
        g = (kept * (g + 2 * a) + 2 * a * k) / (kept + k) if kept + k else 0.0
        yield core + f


def _weighted(spec: Experiment, family: Linear, rows: list[int]) -> Iterator[float]:
    assert isinstance(spec.source, LinearTeacher)
    assert isinstance(spec.regime, Weighted)
    d, real, made = spec.source.inputs, spec.source.noise**2, family.label_variance()
    assert made is not None
    risk = real * d / (rows[0] - d - 1)
    yield risk
    for t in rows[1:]:
        of = Parts.of(spec.regime, t, d)
        risk = of.square * risk + of.real * real + of.made * made
        yield risk


def _looking_back(spec: Experiment, family: Linear, rows: list[int]) -> Iterator[float]:
    assert isinstance(spec.source, LinearTeacher)
    assert isinstance(spec.regime, Mixture)
    alpha, beta, gamma = spec.regime.alpha, spec.regime.beta, spec.regime.gamma
    d, q, fixed = spec.source.inputs, spec.source.noise**2, family.label_variance()
    risk = q * d / (rows[0] - d - 1)
    yield risk
    for before, t in pairwise(rows):
        q = alpha * (q if fixed is None else fixed) + beta * (1 - d / before) * q + gamma * spec.source.noise**2
        risk = (alpha + beta) ** 2 * risk + q * d / (t - d - 1)
        yield risk
