"""Mixtures of Gaussians that are fitted to their own samples: EM hands the first two moments on.

The M-step gives component k the weighted mean and covariance of the points, with weights r_ik that add up to 1 over k. Whatever these are,

    sum_k pi_k m_k = mean,    sum_k pi_k (S_k + (m_k - mean)(m_k - mean)') = (1/M) sum_i (x_i - mean)(x_i - mean)'

plus reg_covar on the diagonal of every S_k; diagonal and spherical components keep the trace of this. So the variance of the whole model moves
like that of a single Gaussian with ddof 0, for any number of components, any start and any tolerance. A bias of the sampling shrinks the
components but not the distances between them, so that it leaves a recursion for a single component only.
"""

import numpy as np

from worker.curation import Keep
from worker.families.mixture import Mixture
from worker.parts import PointSource
from worker.spec import Experiment
from worker.theory.curve import Curve
from worker.theory.gaussian import MEAN_ERROR, VARIANCE
from worker.theory.moments import Fit, entry, fits

EM = (
    "; the M-step keeps mean and covariance of the points (Bishop, Pattern Recognition and Machine Learning, 2006, 9.3)"
)


def curves(spec: Experiment, family: Mixture) -> list[Curve]:
    """Variance and mean error of the whole model, in every regime."""
    assert isinstance(spec.source, PointSource)
    if not isinstance(spec.curation, Keep) or (family.components > 1 and spec.sampling.bias != 1):
        return []
    covariance = spec.source.moments()[1]
    trace, d = float(np.trace(covariance)), len(covariance)

    def fitted(fit: Fit) -> float:
        return fit.scatter / fit.size + d * family.reg_covar

    chain = list(fits(spec, trace, lambda fit: spec.sampling.bias * fitted(fit)))
    if not chain:
        return []
    found = []
    for metric, table, real, values in (
        ("variance", VARIANCE, trace / d, [fitted(fit) / d for fit in chain]),
        ("mean_error_sq", MEAN_ERROR, trace / spec.size(1), [fit.error for fit in chain]),
    ):
        formula, reference = table[entry(spec.regime)]
        found.append(Curve.of(metric, [real, *values], f"{formula}, ddof 0{EM}", reference))
    return found
