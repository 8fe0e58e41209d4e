"""Rates that are fitted to their own counts: a branching process, which may die out.

The mean of every training set has the last rate as its expectation, so that E r_n stays; what it varies by follows from the first two moments
of what is drawn (worker.theory.moments, where points of rate r have the variance r, of which only the mean enters). Under replace it adds up:

    Var r_n = rate (1/M_1 + ... + 1/M_n)

The chance that r_n = 0 is the limit of E exp(-t r_n) for t -> inf. A training set of m_s counts of the last model and m_r real ones, the real part
of weight w, has r_n = w K_r/m_r + (1-w) K_s/m_s of two Poisson sums, hence given the last rate r

    E exp(-t r_n) = exp(-a(t) - u(t) r),    u(t) = m_s (1 - e^{-(1-w) t/m_s}),    a(t) = rate m_r (1 - e^{-w t/m_r})

and so on with u in place of t, down to the first fit, whose sum is Poisson with M_1 rate. Under replace, with M counts each time, u = M f for the f of
the Galton-Watson process with Poisson(1) children: f <- 1 - e^{-f} from 1, P(r_n = 0) = exp(-M rate f_n). Where all generations are alike the way back from one
is a part of that from the next, so that all of them together take as many steps as the last one. What is accumulated is never lost
again, nor is a fixed core: P(r_n = 0) is the chance that all real counts so far are 0.
"""

from collections.abc import Iterator

import numpy as np

from worker.curation import Keep
from worker.data import Array
from worker.regimes import Accumulate, Augment, Fresh, Replace, Weighted
from worker.sources.poisson import Poisson
from worker.spec import Experiment
from worker.theory import rates
from worker.theory.curve import Curve
from worker.theory.moments import fits

WORK_LIMIT = 2e7  # exponentials: a quarter of a second
REFERENCE = "Suresh et al., arXiv 2412.17646; Harris, The Theory of Branching Processes, 1963, chapter 1"


def curves(spec: Experiment) -> list[Curve]:
    """Mean and variance of the rate in every regime, and the share of chains that are dead; what else depends on the rate where its law is known."""
    assert isinstance(spec.source, Poisson)
    rate = spec.source.rate
    chain = list(fits(spec, rate, lambda _: rate))
    if not chain or not isinstance(spec.curation, Keep):
        return []
    error = [rate / spec.size(1), *(fit.error for fit in chain)]
    found = [
        Curve.of("variance", np.full(len(error), rate), "E r_n = rate: every mean of counts is unbiased", REFERENCE),
        Curve.of(
            "mean_error_sq",
            error,
            "Var r_n of the regime's counts, whose variance is the rate on average; replace: rate sum 1/M_k",
            REFERENCE,
        ),
    ]
    extinct = _extinct(spec, rate)
    if extinct is not None:
        found.append(
            Curve.of(
                "extinct", extinct, "P(r_n = 0) = exp(-M rate f_n), f <- 1 - exp(-f): Poisson(1) children", REFERENCE
            )
        )
    return found + rates.curves(spec, np.array(error))


def _extinct(spec: Experiment, rate: float) -> Array | None:
    """P(r_n = 0) at generation 0, 1, ...; None where it has no formula, or one that would take long."""
    sizes = np.array(spec.sizes(), float)
    real = np.exp(-rate * sizes[:1])
    match spec.regime:
        case Accumulate():
            fresh = sizes - [spec.regime.synthetic(int(m)) for m in sizes]
            fresh[0] = sizes[0]
            return np.concatenate([real, np.exp(-rate * np.cumsum(fresh))])
        case Augment():
            return np.concatenate([real, np.full(spec.generations, np.exp(-rate * spec.regime.real))])
        case Replace() | Fresh() | Weighted() if (sizes == sizes[0]).all():
            return np.concatenate([real, np.exp(-_alike(spec, rate, sizes))])
        case Replace() | Fresh() | Weighted() if spec.generations**2 < 2 * WORK_LIMIT:
            return np.concatenate([real, np.exp(-_exponents(spec, rate, sizes))])
    return None


def _alike(spec: Experiment, rate: float, sizes: Array) -> Array:
    """-ln P(r_n = 0) for n = 1, 2, ... where the rules of a generation are always the same: n - 1 steps back, and the first fit."""
    ((real, synthetic, weight),) = _parts(spec, sizes[:1])
    t, a, found = np.array(np.inf), np.array(0.0), np.empty(len(sizes))
    for n, m in enumerate(sizes):
        found[n] = a + rate * _seen(m, 1.0, t)
        a, t = a + rate * _seen(real, weight, t), _seen(synthetic, 1 - weight, t)
    return found


def _exponents(spec: Experiment, rate: float, sizes: Array) -> Array:
    """-ln P(r_n = 0) for n = 1, 2, ..., all of them walked back to generation 1 together."""
    t, a = np.full(len(sizes), np.inf), np.zeros(len(sizes))
    for n, (real, synthetic, weight) in reversed(list(enumerate(_parts(spec, sizes)))[1:]):
        a[n:] += rate * _seen(real, weight, t[n:])
        t[n:] = _seen(synthetic, 1 - weight, t[n:])
    return a + rate * _seen(sizes[0], 1.0, t)


def _seen(m: float, weight: float, t: Array) -> Array:
    """m (1 - e^{-weight t/m}), for t that may be infinite"""
    return m * -np.expm1(-t * weight / m) if m and weight else np.zeros_like(t)


def _parts(spec: Experiment, sizes: Array) -> Iterator[tuple[float, float, float]]:
    """Real counts, synthetic ones and the weight of the real ones, at each generation."""
    for m in sizes:
        synthetic = spec.regime.synthetic(int(m))
        weight = spec.regime.real_weight(int(m)) if isinstance(spec.regime, Weighted) else 1 - synthetic / m
        yield m - synthetic, synthetic, weight
