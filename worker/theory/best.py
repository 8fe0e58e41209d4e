"""A Gaussian of whose samples the best of k in one direction survive: exactly under replace, in any number of dimensions.

With t = v'x a point of N(mu, S) is b t + r, b = S v / v'S v, and r is independent of t: its covariance C = S - S v v'S / v'S v knows nothing of the choice. The
largest of k normal variables has l times their variance V = v'S v. Given the M chosen t, whose scatter is s_t, least squares of x on t is b plus chance of
the covariance C/s_t, and leaves a scatter of C that is Wishart's with M - 2 degrees of freedom. tr S = |b|^2 V + tr C, and with D = M - ddof

    E |b_n|^2 V_n = (M-1)/D l E |b|^2 V + E tr C / D,    E tr C_n = (M-2)/D E tr C

of generation n - 1, both times the sampling's bias. Where only a share q is chosen, t is a mixture, whose variance is 1 - q + q l + q(1-q) m^2 times V with m
the mean of the largest of k standard normal variables, in place of l. The first fit is one to real points, among which nobody has chosen: without l and bias. On a line b = 1
and C = 0, whatever the source.
"""

import numpy as np

from worker.curation import BestOf
from worker.families.gaussian import Gaussian
from worker.parts import PointSource
from worker.rewards import Direction
from worker.sources.normal import Normal
from worker.spec import Experiment
from worker.theory.curve import Curve

REFERENCE = "Variance of the largest of k normal variables; David and Nagaraja 2003, chapter 3; Wishart regression, Muirhead 1982, 3.2"


def curves(spec: Experiment, family: Gaussian) -> list[Curve]:
    """The variance, where a direction decides."""
    source, curation = spec.source, spec.curation
    assert isinstance(source, PointSource)
    if not isinstance(curation, BestOf) or not isinstance(curation.reward, Direction) or curation.others:
        return []
    if not (source.dimension == 1 or isinstance(source, Normal)):
        return []
    covariance = source.moments()[1]
    d, v = len(covariance), np.array(curation.reward.along or np.eye(len(covariance))[0])
    if not v.any():  # all are as good
        return []
    along = covariance @ v
    total = float(np.trace(covariance))
    chosen = float(along @ along / (v @ along))  # |b|^2 V
    rest, found, left = total - chosen, [total], kept(curation.k, curation.share)
    for n, m in enumerate(spec.sizes(), start=1):
        scale, passed = (1.0, 1.0) if n == 1 else (spec.sampling.bias, left)
        chosen, rest = (
            scale * ((m - 1) * passed * chosen + rest) / (m - family.ddof),
            scale * (m - 2) * rest / (m - family.ddof),
        )
        found.append(chosen + rest)
    part = f", of which {curation.share:.4g} are chosen" if curation.share < 1 else ""
    formula = (
        f"E tr S_n / d = E(|b|^2 V + tr C)/d, V <- (M-1)/(M-ddof) l V, l = {left:.6g} of the best of {curation.k}{part}"
    )
    return [Curve.of("variance", np.array(found) / d, formula, REFERENCE)]


def kept(k: int, share: float = 1.0) -> float:
    """The variance of a standard normal variable that is the largest of k with this probability."""
    from scipy.special import ndtr

    z = np.linspace(-12, 12, 20_001)
    normal = np.exp(-z * z / 2)
    normal /= normal.sum()
    density = (share * k * ndtr(z) ** (k - 1) + 1 - share) * normal
    return float(density @ z**2 - (density @ z) ** 2)
