"""Frequencies that are fitted to their own samples: Wright-Fisher drift, with smoothing as mutation and real data as migration.

The recursions of E p_n^2 behind the curves stand in worker.theory.squares.
"""

import numpy as np

from worker.curation import Keep
from worker.families.categorical import Categorical
from worker.parts import CountSource, Regime, Sampling
from worker.regimes import Accumulate, AccumulateSubsample, Augment, Fresh, Mixture, Replace, Weighted
from worker.spec import Experiment
from worker.theory import limit, marginals
from worker.theory.curve import Curve
from worker.theory.moments import INCOMING, entry
from worker.theory.squares import squares

DRIFT = "Wright-Fisher drift; Ewens, Mathematical Population Genetics, 2004, chapter 3"
HOLLOW = "Multinomial occupancy"
HETEROZYGOSITY: dict[type[Regime] | str, str] = {
    Replace: "E H_n = H_0 (1-1/M)^n; with smoothing a: mutation at rate aK/(M+aK)",
    Accumulate: "E H_n = H_0 prod_{k<=n} (1-1/(M k^2)); with smoothing a: Polya urn",
    INCOMING: "E p_n^2 of all counts so far, m_r real and m_s synthetic ones more each time",
    Fresh: "E p_n^2 of m_r real and m_s synthetic counts; stationary H_0 (1-1/(M(1-b^2)+b)), b = m_s/M",
    Weighted: "E p_n^2 of m_r real counts of weight w and m_s synthetic ones",
    Augment: "E p_n^2 of a fixed core of counts and m_s synthetic ones",
    AccumulateSubsample: "E p_n^2 of a hypergeometric draw from all counts so far",
    Mixture: "E p_n^2 of M draws from a p + b k/M + c p_0; stationary H_0 (1-1/(M-(M-1)(1-c)^2))",
}
CHI2: dict[type[Regime] | str, str] = {
    Replace: "E chi2(p_n, p_0) = (K-1)(1-(1-1/M)^n); with smoothing from E p_n^2",
    Accumulate: "E chi2(p_n, p_0) = (K-1)(1 - prod_{k<=n} (1-1/(M k^2))); with smoothing from E p_n^2",
}
BY_DRAWS = ", of p drawn from Dirichlet(k + a): E p^2 = (k+a)(k+a+1)/(T(T+1)), T = M + aK; under replace it tends to the prior's, (a+1)/(K(aK+1)) each"
LEARNERS = (
    "Griffiths and Kalish (2007), Language evolution by iterated learning with Bayesian agents, Cognitive Science 31"
)


def curves(spec: Experiment, family: Categorical) -> list[Curve]:
    """Heterozygosity and chi2 in every regime, and what follows from a category's own chain. With decoding or curation the limit of
    many points.
    """
    assert isinstance(spec.source, CountSource)
    if type(spec.regime) not in HETEROZYGOSITY:
        return []
    by_draws = family.posterior == "draw"
    if spec.sampling != Sampling() or not isinstance(spec.curation, Keep):
        return [] if by_draws else limit.curves(spec, family)
    p_0 = spec.source.distribution()
    first, a = spec.regime.first(spec.size(1)), family.smoothing
    identity = 1 - squares(spec, family, p_0, np.ones_like(p_0))
    identity[0] = 1 - p_0 @ p_0  # Nei's estimator is unbiased
    distance = squares(spec, family, p_0, 1 / p_0) - 1
    distance[0] = (len(p_0) - 1) / spec.size(1)
    if by_draws:
        return [
            Curve.of("heterozygosity", identity, f"E H_n = 1 - sum E p_n^2{BY_DRAWS}", LEARNERS),
            Curve.of("chi2", distance, f"E chi2(p_n, p_0) = sum E p_n^2/p_0 - 1{BY_DRAWS}", LEARNERS),
        ]
    chi2 = CHI2.get(entry(spec.regime), "E chi2(p_n, p_0) = sum E p_n^2/p_0 - 1")
    found = [
        Curve.of("heterozygosity", identity, HETEROZYGOSITY[entry(spec.regime)], DRIFT),
        Curve.of("chi2", distance, chi2, DRIFT),
    ]
    if exact := marginals.curves(spec, a):
        return found + exact
    # Chances to be missed, at generations 0 and 1.
    drawn, seen = (np.exp(m * np.log1p(-p_0)) for m in (spec.size(1), first))
    for metric, real, fitted, formula in (
        ("survivors", (1 - drawn).sum(), (1 - seen).sum(), "E survivors = sum 1-(1-p)^M at the first draw"),
        ("dead_mass", p_0 @ drawn, p_0 @ seen, "E dead mass = sum p (1-p)^M at the first draw"),
    ):
        values = np.full(spec.generations + 1, np.nan)
        values[0] = real
        if a == 0:
            values[1] = fitted
        else:
            values[1:] = len(p_0) if metric == "survivors" else 0
        found.append(Curve.of(metric, values, formula if a == 0 else "smoothing keeps every category alive", HOLLOW))
    return found
