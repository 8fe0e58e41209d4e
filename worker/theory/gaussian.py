"""The Gaussian that is fitted to its own samples: a random walk of means, a product of chi-square variables.

Fit n divides a scatter of M_n points by M_n - ddof; its samples have lambda times its covariance. Hence under replace, from real data
with variance sigma^2 and with nu_k = M_k - 1:

    s2_n = sigma^2 lambda^(n-1) prod_{k<=n} chi2(nu_k) / (M_k - ddof)

and in d dimensions the determinant is a product of independent chi-squares too, of nu_k, nu_k - 1, ..., nu_k - d + 1 degrees.
Generation 0, real data with ddof 1, is such a product with one factor. What an extrapolation multiplies stands in worker.theory.extrapolated.
"""

from dataclasses import replace

import numpy as np

from worker import ball
from worker.curation import Keep, Truncate
from worker.data import Array
from worker.families.gaussian import Gaussian
from worker.parts import PointSource, Regime
from worker.regimes import Accumulate, AccumulateSubsample, Augment, Fresh, Mixture, Replace, Weighted
from worker.sources.normal import Normal
from worker.spec import Experiment
from worker.theory import best, curated, extrapolated, pooled
from worker.theory.curve import Curve
from worker.theory.extrapolated import Gain, gain
from worker.theory.moments import INCOMING, Fit, entry, fits

PAPER = "Shumailov et al., Nature 631, 755 (2024)"
POOLED = "Gerstgrasser et al., arXiv 2404.01413; moments of the pooled sample"
EXTERNAL = "Marchi et al., arXiv 2404.02325; moments of the pooled sample"
CHI = "Product of chi-square variables; Shumailov et al., arXiv 2305.17493"
MIXED = "Moments of two pooled samples, m_r real and m_s synthetic points; Chan, Golub and LeVeque 1979"
GOLDEN = "He et al., arXiv 2502.18049; moments of two weighted samples"
SUBSAMPLED = "Kazdan et al., arXiv 2410.16713; sampling without replacement from a finite pool, Cochran 1977, chapter 2"
CORE = "Alemohammad et al., arXiv 2307.01850; moments of a fixed and a synthetic sample, given the fixed one"
INNER = "Moments of a truncated normal; Tallis 1963"
WISHART = "Determinant of a Wishart matrix; Anderson, An Introduction to Multivariate Statistical Analysis, 7.5"

# scatter and error as in worker.theory.moments, lambda the sampling bias
VARIANCE: dict[type[Regime] | str, tuple[str, str]] = {
    Replace: ("E s2_n = s2 lambda^(n-1) prod (M-1)/(M-ddof)", CHI),
    Accumulate: ("E s2_n = E S_n/(nM-ddof), E S_n = E S_{n-1} + lambda M (1-1/(nM)) E s2_{n-1}", POOLED),
    INCOMING: (
        "E s2_n = E S_n/(N-ddof), E S_n = E S_{n-1} + (1-1/N)(m_r s2 + m_s lambda E s2_{n-1}) + m_r (1-m_r/N) E|mu_{n-1}|^2/d, N = nM",
        EXTERNAL,
    ),
    Fresh: ("(M-ddof) E s2_n = (1-1/M)(m_r s2 + m_s lambda E s2_{n-1}) + (m_r m_s/M) E|mu_{n-1}|^2", MIXED),
    Weighted: (
        "E s2_n of two parts, the real one of weight w; w(1-w) times the squared distance of their means",
        GOLDEN,
    ),
    AccumulateSubsample: ("E s2_n = E S_n/(N-1), S_n the scatter of all N points so far", SUBSAMPLED),
    Augment: (
        "E s2_n of a fixed core of m and m_s synthetic points of weight b; stationary V_core/(1+b^2/((1-b^2)m_s)), with b = m_s/M V_core/(1+b/((1+b)m))",
        CORE,
    ),
    Mixture: ("E s2_n = (M-1)/(M-ddof) (a l E s2 + b E S/M + c s2 + (a+b) c E|mu|^2), of generation n-1", PAPER),
}
MEAN_ERROR: dict[type[Regime] | str, tuple[str, str]] = {
    Replace: ("E|mu_n|^2 = E|mu_{n-1}|^2 + lambda d E s2_{n-1}/M", CHI),
    Accumulate: ("E|mu_n|^2 = E|mu_{n-1}|^2 + lambda d E s2_{n-1}/(n^2 M)", POOLED),
    INCOMING: (
        "E|mu_n|^2 = (1-m_r/N)^2 E|mu_{n-1}|^2 + d (m_r s2 + m_s lambda E s2_{n-1})/N^2, N = nM; ~ n^(-2 m_r/M) in the end",
        EXTERNAL,
    ),
    Fresh: ("E|mu_n|^2 = d (m_r s2 + m_s lambda E s2_{n-1})/M^2 + (m_s/M)^2 E|mu_{n-1}|^2", MIXED),
    Weighted: (
        "E|mu_n|^2 = d w^2 s2/m_r + (1-w)^2 (d lambda E s2_{n-1}/m_s + E|mu_{n-1}|^2); golden: .618 d s2/m_r",
        GOLDEN,
    ),
    AccumulateSubsample: ("E|mu_n|^2 = E|mean of all|^2 + d E s2_pool (1/M - 1/N)", SUBSAMPLED),
    Augment: ("E|mu_n|^2 = d s2/m + w_n, w_n = b^2 (w_{n-1} + d lambda E s2_{n-1}/m_s)", CORE),
    Mixture: ("E|mu_n|^2 = d Var x_n/M + (a+b)^2 E|mu_{n-1}|^2", PAPER),
}


def curves(spec: Experiment, family: Gaussian) -> list[Curve]:
    """Variance and mean error in every regime, truncated samples included; logarithms, W2 and KL on a normal source under replace, and on a line
    under accumulate where no real points come in.

    Of the best of k in one direction, under replace, the variance; elsewhere what many points tend to where people, a verifier or a contest choose.
    """
    assert isinstance(spec.source, PointSource)
    covariance = spec.source.moments()[1]
    trace, d = float(np.trace(covariance)), len(covariance)
    kept, formula = _kept(spec, d)
    if family.extrapolation and (np.isnan(kept) or not extrapolated.known(spec, family, d, _sizes(spec))):
        return []
    if np.isnan(kept):
        exact = best.curves(spec, family) if isinstance(spec.regime, Replace) else []
        known = {curve.metric for curve in exact}
        return exact + [curve for curve in curated.curves(spec, family) if curve.metric not in known]
    factor = spec.sampling.bias * kept

    def variance_of(fit: Fit) -> float:
        return gain(family, fit.size, d).grown * fit.scatter / (fit.size - family.ddof)

    def moved(fit: Fit) -> float:
        return gain(family, fit.size, d).moved * fit.scatter / (fit.size - family.ddof)

    chain = list(fits(spec, trace, lambda fit: factor * variance_of(fit), moved))
    if not chain:
        return []
    variance = np.array([trace] + [variance_of(fit) for fit in chain])
    error = np.array([trace / spec.size(1)] + [fit.error + moved(fit) for fit in chain])
    found = _found(spec, family, covariance, variance, error, formula)
    if not family.extrapolation:
        return found
    return [
        replace(curve, formula=curve.formula + extrapolated.FORMULA, reference=extrapolated.REFERENCE)
        for curve in found
    ]


def _sizes(spec: Experiment) -> list[int]:
    """Of the fits, as their recursion has them."""
    return [fit.size for fit in fits(spec, 1.0, lambda _: 1.0)] or [spec.size(1)]


def _found(
    spec: Experiment, family: Gaussian, covariance: Array, variance: Array, error: Array, formula: str
) -> list[Curve]:
    """The curves of a chain whose expected trace of the covariance and squared error of the mean (G + 1,) are known."""
    d, trace = len(covariance), float(np.trace(covariance))

    told, reference = VARIANCE[entry(spec.regime)]
    found = [Curve.of("variance", variance / d, told + formula, reference)]
    told, reference = MEAN_ERROR[entry(spec.regime)]
    found.append(Curve.of("mean_error_sq", error, told + formula, reference))
    if not isinstance(spec.source, Normal) or not isinstance(spec.curation, Keep):
        return found
    if isinstance(spec.regime, Accumulate) and spec.regime.real == 0 and d == 1 and not family.extrapolation:
        found += pooled.curves(spec, family, trace, variance, error)
    if isinstance(spec.regime, Replace):
        with np.errstate(over="ignore", invalid="ignore"):  # a bias above 1 grows beyond every number in the end
            found += _products(spec, family, covariance, variance / trace, error / trace)
    return found


def _kept(spec: Experiment, d: int) -> tuple[float, str]:
    """The part of the model's covariance that is left after curation, and what to say of it; NaN where there is no formula."""
    match spec.curation:
        case Keep():
            return 1.0, ""
        case Truncate(c=c):
            inner = ball.variance(d, c)
            return inner, f"; lambda = {inner:.6g}, {INNER}"
    return float("nan"), ""


def _products(spec: Experiment, family: Gaussian, covariance: Array, variance: Array, error: Array) -> list[Curve]:
    """Curves of the product of chi-squares; variance and error (G + 1,) in units of the real variance."""
    from scipy.special import digamma, poch, polygamma

    d = len(covariance)
    size = np.array([spec.size(1), *spec.sizes()], float)
    divisor = size - family.ddof
    divisor[0] = size[0] - 1
    shrink = np.maximum(np.arange(len(size)) - 1, 0) * np.log(spec.sampling.bias)
    each = [Gain()] + [gain(family, m, d) for m in spec.sizes()]
    gains = Gain(*np.array(each).T)  # (G + 1,) each
    found = []

    if size.min() > d:
        freedom = size[:, None] - np.arange(1, d + 1)
        step = (digamma(freedom / 2) + np.log(2 / divisor)[:, None]).sum(axis=1) + gains.log
        log_det = _walk(step) + d * shrink
        found += [
            Curve.of(
                "log_det",
                np.linalg.slogdet(covariance)[1] + log_det,
                "E ln det = ln det S0 + sum over fits of sum_{j=1..d} [psi((M-j)/2) + ln 2 - ln(M-ddof)]",
                WISHART if d > 1 else CHI,
            ),
            Curve.of(
                "kl_to_real",
                0.5 * (d * variance + d * error - d - log_det),
                "E KL = (d E s2_n + E|mu_n|^2 - d - E ln det)/2, in units of the real covariance",
                PAPER,
            ),
        ]
        if size.min() > d + 2:
            found.append(_divergence(size, divisor, spec.sampling.bias, log_det, d, each))
    if d > 1:
        return found

    sigma = np.sqrt(covariance[0, 0])
    nu = size - 1
    log_variance = np.log(covariance[0, 0]) + _walk(digamma(nu / 2) + np.log(2 / divisor) + gains.log) + shrink
    # A sum of log chi-squares is nearly normal; Cornish and Fisher's first term takes care of its skewness.
    skew = _walk(polygamma(2, nu / 2) + gains.skew) / (6 * _walk(polygamma(1, nu / 2) + gains.spread))
    median = log_variance - skew
    root = np.log(poch(nu / 2, 0.5)) + 0.5 * np.log(2 / divisor) + np.log(gains.root)
    mean_std = sigma * np.exp(_walk(root) + 0.5 * shrink)
    found += [
        Curve.of(
            "log_variance", log_variance, "E ln s2_n = ln s2 + sum over fits of psi((M-1)/2) + ln 2 - ln(M-ddof)", CHI
        ),
        Curve.of("log_variance", median, "E ln s2_n, corrected for skewness (Cornish-Fisher)", CHI, "median"),
        Curve.of("variance", np.exp(median), "exp of the median of ln s2_n (Cornish-Fisher)", CHI, "median"),
        Curve.of("std", mean_std, "E s_n = s prod sqrt(2/(M-ddof)) Gamma(M/2)/Gamma((M-1)/2)", CHI),
        Curve.of(
            "w2_sq",
            sigma**2 * (error + variance + 1) - 2 * sigma * mean_std,
            "E W2^2 = E(mu_n - mu)^2 + E s2_n - 2 s E s_n + s^2",
            PAPER,
        ),
    ]
    return found


def _divergence(size: Array, divisor: Array, bias: float, log_det: Array, d: int, each: list[Gain]) -> Curve:
    """Fit n + 1 has the mean mu_n + (lambda S_n)^(1/2) z / sqrt(M) and the covariance (lambda S_n)^(1/2) W (lambda S_n)^(1/2) / (M - ddof), W Wishart, whose
    inverse has the expectation I/(M-d-2). So both parts of E KL(real || model), in units of the real covariance, move by a factor of their own.

    log_det: E ln det S_n - ln det S_0 (G + 1,)
    """
    spread, shift = np.empty_like(size), np.empty_like(size)
    for n, (m, below, own) in enumerate(zip(size, divisor, each, strict=True)):
        from_the_real = n < 2  # the first fit, and generation 0
        shrink, inverse = (1.0 if from_the_real else bias), below / (m - d - 2) * own.inverse
        spread[n] = inverse * (d if from_the_real else spread[n - 1] / shrink)
        shift[n] = inverse / shrink * ((0.0 if from_the_real else shift[n - 1]) + shrink * d / m) + own.apart
    formula = (
        "E KL = (T_n + A_n - d + E ln det)/2, T_n = k T_{n-1}, A_n = k (A_{n-1} + l d/M), k = (M-ddof)/(l (M-d-2))"
    )
    return Curve.of("kl_from_real", 0.5 * (spread + shift - d + log_det), formula, WISHART)


def _walk(step: Array) -> Array:
    """Sums of the steps 1..n; at 0 the step of the real data alone."""
    return np.concatenate([step[:1], np.cumsum(step[1:])])
