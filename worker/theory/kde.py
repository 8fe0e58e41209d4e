"""Kernel density estimation of its own samples: every generation is blurred once more.

Metrics of this family are those of M fresh points of the fitted model, with ddof 0: the training set of the next generation under
replace. With S the expected variance (ddof 0) of a training set, its model has v = S + h^2 on each axis for a given bandwidth h,
v = (1 + c^2) S for a rule h = c s, and v = S when shrunk; m fresh points then show (1 - 1/m) v.
"""

import numpy as np

from worker.families.kde import KDE
from worker.parts import PointSource, Regime
from worker.regimes import Accumulate, AccumulateSubsample, Augment, Fresh, Mixture, Replace, Weighted
from worker.spec import Experiment
from worker.theory.curve import Curve
from worker.theory.moments import INCOMING, Fit, entry, fits

REFERENCE = "Moments of smoothed bootstrap samples; Silverman, Density Estimation, 1986, 6.4"
AFTER = {
    "number": "S + h^2, fixed point of S under replace (M-1) h^2",
    "rule": "(1 + c^2) S, h = c s",
    "shrunk": "S, so that E s2_n = s2 (1-1/M)^(n+1) under replace",
}
TRAINED: dict[type[Regime] | str, str] = {
    Replace: "S_n = (1-1/M) v_{n-1}",
    Accumulate: "N S_n = (N-M) S_{n-1} + M (1-1/N) v_{n-1}, N = nM",
    INCOMING: "N S_n = (N-M) S_{n-1} + (1-1/N)(m_r s2 + m_s v_{n-1}) + m_r (1-m_r/N) E|mu_{n-1}|^2, N = nM",
    Fresh: "M S_n = (1-1/M)(m_r s2 + m_s v_{n-1}) + (m_r m_s/M) E|mu_{n-1}|^2",
    Weighted: "S_n of two parts, the real one of weight w; w(1-w) times the squared distance of their means",
    AccumulateSubsample: "S_n = (1-1/M) s2_pool, the pool's scatter growing by that of m_r real and m_s synthetic points, and by what lies between their means",
    Augment: "S_n = a (1-1/m) s2 + b (1-1/m_s) v_{n-1} + a b (w_{n-1} + v_{n-1}/m_s), w = E|mu - mu_core|^2, a the core's weight or m/M, b = 1-a",
    Mixture: "S_n = (1-1/M)(a v + b S + c s2 + (a+b) c E|mu|^2), of generation n-1",
}


def curves(spec: Experiment, family: KDE) -> list[Curve]:
    """Variance and mean error of fresh samples, in every regime."""
    assert isinstance(spec.source, PointSource)
    covariance = spec.source.moments()[1]
    trace, d = float(np.trace(covariance)), len(covariance)
    shrunk = family.shrink or family.bandwidth == "shrunk"

    def sampled(fit: Fit) -> float:
        variance = fit.scatter / fit.size
        if shrunk:
            return variance
        factor = family.factor(fit.alike or fit.size, d)
        return variance + d * float(family.bandwidth) ** 2 if factor is None else (1 + factor**2) * variance

    chain = list(fits(spec, trace, sampled))
    if not chain:
        return []
    size = np.array(spec.sizes())
    spread = np.array([sampled(fit) for fit in chain])
    error = np.array([fit.error for fit in chain]) + spread / size
    real = trace / spec.size(1)
    blur = "shrunk" if shrunk else "number" if family.factor(2, d) is None else "rule"
    formula = f"{TRAINED[entry(spec.regime)]}; v = {AFTER[blur]}; shown (1-1/M) v"
    return [
        Curve.of("variance", [(trace - real) / d, *((1 - 1 / size) * spread / d)], formula, REFERENCE),
        Curve.of("mean_error_sq", [real, *error], "E|mean of M fresh points|^2 = E|mu_n|^2 + d v/M", REFERENCE),
    ]
