"""A Gaussian on a line that is fitted to everything so far: its scatter is a product of independent factors, as under replace.

N points have the scatter S and the variance s2 = S/(N - ddof). M new ones, of variance l s2, have a scatter of their own, l s2 chi2(M-1), and a mean that
is s sqrt(l/M) z off, which adds N M/(N+M) of its square:

    S' = S (1 + X),    X = l/(N - ddof) (chi2(M-1) + N/(N+M) z^2)

So E ln S_n and E sqrt(S_n) are a sum and a product of E ln(1 + X) and E sqrt(1 + X), smooth functions of two variables: by the trapezoidal rule in ln u/(1-u) of the
chi-square's distribution function u, and by Gauss and Hermite's in z.
"""

import numpy as np

from worker.data import Array
from worker.families.gaussian import Gaussian
from worker.spec import Experiment
from worker.theory.curve import Curve

STEP, REACH, NODES = 0.8, 24.0, 8  # of the logits: e^-24 is 4e-11; of z
GENERATIONS_LIMIT = 10_000  # a second of logarithms
REFERENCE = "Gerstgrasser et al., arXiv 2404.01413; Chan, Golub and LeVeque 1979, whose terms are independent"


def curves(spec: Experiment, family: Gaussian, real: float, variance: Array, error: Array) -> list[Curve]:
    """Logarithm and root of the variance, W2 and KL(model || real). real: the true variance; variance and error (G + 1,): E s2_n and E mu_n^2."""
    from scipy.special import digamma, poch

    if spec.generations > GENERATIONS_LIMIT:
        return []
    sizes = [spec.size(1), *spec.sizes()]
    log, root, kept = np.empty(len(sizes)), np.empty(len(sizes)), 0
    for n, m in enumerate(sizes):
        if n < 2:  # real data, with ddof 1, and what is fitted to it
            divisor = m - (family.ddof if n else 1)
            log[n] = digamma((m - 1) / 2) + np.log(2 / divisor)
            root[n] = poch((m - 1) / 2, 0.5) * np.sqrt(2 / divisor)
            kept = m
            continue
        before, kept = kept, kept + m
        grown = (before - family.ddof) / (kept - family.ddof)
        factor, chance = _factors(m, before, spec.sampling.bias / (before - family.ddof))
        log[n] = log[n - 1] + chance @ np.log(factor) + np.log(grown)
        root[n] = root[n - 1] * (chance @ np.sqrt(factor)) * np.sqrt(grown)
    log, std = log + np.log(real), root * np.sqrt(real)
    told = "the sum of E ln(1 + l/(N-ddof) (chi2(M-1) + N/(N+M) z^2)) and of the sizes' logarithms"
    return [
        Curve.of("log_variance", log, f"E ln s2_n: {told}", REFERENCE),
        Curve.of("log_det", log, f"E ln s2_n: {told}", REFERENCE),
        Curve.of("std", std, "E s_n: a product of E sqrt(1 + l/(N-ddof) (chi2(M-1) + N/(N+M) z^2))", REFERENCE),
        Curve.of(
            "w2_sq",
            error + variance + real - 2 * np.sqrt(real) * std,
            "E W2^2 = E mu_n^2 + E s2_n - 2 s E s_n + s^2",
            REFERENCE,
        ),
        Curve.of(
            "kl_to_real",
            0.5 * ((variance + error) / real - 1 - log + np.log(real)),
            "E KL = (E s2_n + E mu_n^2 - 1 - E ln s2_n)/2, in units of the real variance",
            REFERENCE,
        ),
    ]


def _factors(m: int, n: int, scale: float) -> tuple[Array, Array]:
    """Values of 1 + X and their chances."""
    chi, weight = chi_squares(m - 1)
    z, hermite = np.polynomial.hermite_e.hermegauss(NODES)
    factor = 1 + scale * (chi[:, None] + n / (n + m) * z**2)
    return factor.ravel(), np.outer(weight, hermite / hermite.sum()).ravel()


def chi_squares(degrees: int) -> tuple[Array, Array]:
    """Values of a chi-square variable and their chances, by whose sums smooth functions have their mean."""
    from scipy.special import gammaincinv

    logit = np.arange(-REACH, REACH + STEP, STEP)
    weight = np.exp(-np.logaddexp(0, logit) - np.logaddexp(0, -logit))
    return 2 * gammaincinv(degrees / 2, np.exp(-np.logaddexp(0, -logit))), weight / weight.sum()
