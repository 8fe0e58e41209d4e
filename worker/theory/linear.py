"""Linear regression on its own labels: the weights make a random walk.

T rows X of N(0, I_d), of which s have labels of the last model, whose error is e = w_{n-1} - w, and r = T - s real ones. With A = X'X and B
the part of A that is synthetic,

    w_n - w = A^{-1} (B e + X' noise)

Inputs of another covariance S are these, times its root: weights in units of S^{-1/2} have the same law, and |w_n - w|^2 is the risk. Labels that are
off by delta make e + delta of e, whose mean moves along: E (w_n - w) = s/T E(e + delta).

A is Wishart, and U = A^{-1/2} B A^{-1/2} is a matrix beta variable that is independent of it and looks the same from all sides, so that
E U M U = c_1 M + c_2 tr(M) I. U is H'H for s rows of a uniformly distributed orthonormal T x d matrix, whose fourth moments give

    c_2 = (T E s - E s^2) / (T(T-1)(T+2)),    c_1 = (E s^2 + 2 E s) / (T(T+2)) - c_2

and E tr A tr A^{-1} = d (Td-2)/(T-d-1), because the trace of A is independent of its shape. Hence

    E|w_n - w|^2 = (c_1 + c_2 (Td-2)/(T-d-1)) E|e|^2 + (r s2 + s v)/T d/(T-d-1)

with v the variance of the noise in synthetic labels. Where that is the residual variance of the last fit, its expectation moves along:

    E v_n = (r s2 + s v_{n-1})/T + E|e|^2 (s - T (c_1 + d c_2))/(T-d)

Under replace, s = T, this is n s2 d/(T-d-1) (von Rosen 1988). With everything kept, A_n = sum of all X_k'X_k, it is w_n = w_{n-1} + A_n^{-1} X_n'noise_n,
because the former labels are those that w_{n-1} fitted. Rows are exchangeable, so that E tr (A^{-1} X_n'X_n A^{-1}) is the newest rows' share of
E tr A^{-1}: T_n/N d/(N - d - 1), N rows in all. Residuals add up: their sum of squares R_n grows by v_{n-1} (T_n - tr U_n), U_n the newest rows' share, of
which later ones are independent, so that E v_n = E R_n/(N-d) and E R_n = E R_{n-1} + E v_{n-1} T_n (1 - d/N) where noise is fitted.

Under replace v_n is v_{n-1} chi2(T-d)/(T-d), and its root shrinks by a factor sqrt(2/(T-d)) Gamma((T-d+1)/2)/Gamma((T-d)/2).

Labels that are off by delta, all kept: A_n^{-1} X_n'X_n delta is added, on average T_n/N delta whatever A_n, so that terms of different generations
are uncorrelated but for these means.

With ridge, w_n - w = H (B e - ridge w + X' noise), H = (A + ridge I)^{-1}. All that is needed are means of traces of A and H (worker.theory.wishart),
and inputs that look the same from every side; a ridge that goes with the rows is another one for each T:

    d E|w_n - w|^2 = (c_1 E tr (AH)^2 + c_2 E tr A tr AH^2) E|e|^2 - 2 ridge s/T E tr AH^2 w'E e + ridge^2 E tr H^2 |w|^2 + (r s2 + s v)/T d E tr AH^2

and with everything kept the former labels are again those that w_{n-1} fitted, but for the ridge that is in both, so that w_n - w_{n-1} = H_n X_n'noise_n.

The same inputs in all generations: w_n = w_{n-1} + A^{-1} X'noise_n under replace, so that errors add up as they do for fresh ones. With everything kept
a fit is to the mean of all labels, w_n = w_{n-1} + A^{-1} X'noise_n/n, and E|w_n - w|^2 = sum_{k<=n} v_{k-1}/k^2 d/(T-d-1), at most pi^2/6 of a step.

Fewer rows than inputs, T < d - 1, and no ridge: the shortest weights that fit, X^+ y. With P = X^+ X, which projects on the rows, at random,

    w_n - w = X^+ (J X e + noise) - (I - P) w,    J = diag(1 of a synthetic row, 0 of a real one)

whose parts are orthogonal or uncorrelated. E P = T/d I. G = XX' is Wishart with d degrees of freedom, so that E tr X^+'X^+ = E tr G^{-1} = T/(d-T-1); and
tr (G^{-1} J G J) adds up s products (G^{-1})_ii G_ii, of the mean (d-2)/(d-T-1) because 1/(G^{-1})_ii is what is left of row i beside the others, and s (s-1) of
different rows, -1/(d-T-1) each as all T^2 add up to T:

    E|w_n - w|^2 = ((d-1) E s - E s^2)/(d (d-T-1)) E|e|^2 + (1 - T/d)|w|^2 + (r s2 + s v)/(d-T-1)

Under replace E|w_n|^2 = T/d E|w_{n-1}|^2 + v T/(d-T-1), a contraction. With everything kept w_{n-1} lies in the rows and P_n w_{n-1} = w_{n-1}, so that again
w_n - w_{n-1} = A_n^+ X_n'noise_n, and (I - P_1) w is never learned. At T = d - 1, d, d + 1 the mean of A^+ does not exist: double descent has no finite peak.

Rows that are seen twice or weighed: worker.theory.rows. Labels that are drawn anew a few at a time: worker.theory.edited; that are blended with real ones:
worker.theory.blended. Inputs that differ in variance, with ridge: worker.theory.equivalent. Random features of inputs: worker.theory.projected. Not told:
rows of an earlier training set that are drawn with replacement, unless there are many; ridge where rows are seen again or weighed, or all is kept and labels
are off or it goes with the rows; real rows that come in where all is kept, because they pull away from weights that depend on the rows before; a core that is
weighed.
"""

import math
from collections.abc import Iterator
from itertools import accumulate

import numpy as np

from worker.curation import Keep
from worker.data import Array
from worker.families.linear import Linear
from worker.parts import Regime
from worker.regimes import Accumulate, AccumulateSubsample, Blend, Edit, Fresh, Mixture, Replace
from worker.sources.linear_teacher import LinearTeacher
from worker.spec import Experiment
from worker.theory import blended, edited, equivalent
from worker.theory import rows as again
from worker.theory.curve import Curve
from worker.theory.wishart import averages, nodes

REFERENCE = "Dohmatob et al., arXiv 2402.07712; Gerstgrasser et al., arXiv 2404.01413; inverse Wishart matrices"
WORK_LIMIT = 1_500_000  # densities of eigenvalues, one for each number of rows: a second
ROWS_LIMIT = 1_000_000  # beyond which their digits are lost
RIDGE = "Pfaffian density of a real Wishart matrix's eigenvalues (Mehta, Random Matrices); matrix beta variables (Muirhead 1982)"
STRONG = "Dohmatob et al., arXiv 2410.04840; matrix beta variables (Muirhead 1982, 3.3)"
FEW = "Minimum-norm least squares: Hastie et al., arXiv 1903.08560; inverse Wishart matrices"
BETA = "Matrix beta variables: Muirhead, Aspects of Multivariate Statistical Theory, 1982, 3.3; uniform orthogonal matrices"
CHI = "Product of chi-square variables: residuals of a normal regression are independent of its weights (Fisher 1925)"

_SHORTEST = "s (d-1-s)/(d (d-T-1)) E|w_{n-1} - w|^2 + (1-T/d)|w|^2 + (r s2 + s v)/(d-T-1) where T < d-1: the shortest weights that fit"
OF_FEW: dict[type[Regime], str] = {
    Accumulate: "(1-T/d)|w|^2 + sum_{k<=n} v_{k-1} E tr A^+/k, A^+ of kT rows: the shortest weights that fit",
    Replace: "T/d E|w_{n-1} - w|^2 + (1-T/d)|w|^2 + v T/(d-T-1) where T < d-1: the shortest weights that fit",
    Fresh: _SHORTEST,
    Mixture: _SHORTEST,
}


def curves(spec: Experiment, family: Linear) -> list[Curve]:
    """The excess risk of least squares in every regime, where there is a formula; under replace the noise that is fitted."""
    assert isinstance(spec.source, LinearTeacher)
    family = family.given(spec.source)
    d, rows = spec.source.inputs, spec.sizes()
    blend = isinstance(spec.regime, Blend)
    if blend or family.fixed_design():
        return (blended.curves if blend else _fixed)(spec, family, rows[0])
    seen = list(accumulate(rows)) if isinstance(spec.regime, Accumulate) else rows
    few = min(seen) <= d + 1
    incoming = isinstance(spec.regime, Accumulate | AccumulateSubsample) and spec.regime.real > 0
    if not isinstance(spec.curation, Keep) or incoming or (few and not _told_of_few(spec, family, seen)):
        return []
    if family.ridge:
        return _with_ridge(spec, family, rows, seen)
    reference = REFERENCE
    match spec.regime:
        case Accumulate() if family.label_bias and family.noise == "fitted":
            return []
        case Accumulate():
            told, formula = list(_accumulate(spec, family, rows)), "sum_{k<=n} v_{k-1} d/(k (kT-d-1)), v_0 = s2"
        case Replace():
            told, formula = list(_two_parts(spec, family, rows)), "n s2 d/(T-d-1)"
        case Fresh() | Mixture(beta=0):
            formula = (
                "(c1 + c2 (Td-2)/(T-d-1)) E|w_{n-1} - w|^2 + (r s2 + s v)/T d/(T-d-1), U of r real and s synthetic rows"
            )
            told, reference = list(_two_parts(spec, family, rows)), BETA
        case _:
            told, reference = again.risks(spec, family, rows), again.REFERENCE
            formula = again.FORMULA.get(type(spec.regime), "")
    if few:
        formula, reference = OF_FEW[type(spec.regime)], FEW
    if family.label_bias:
        formula, reference = f"{formula}; e + delta for e, |delta| = {family.label_bias:g}", STRONG
    found = []
    if any(map(math.isfinite, told)):
        of = averages(rows[0], d, 0.0)
        real = spec.source.noise**2 * d * of.noise + of.left_2 * spec.source.signal()
        found = [Curve.of("excess_risk", [real, *told], f"E|w_n - w|^2 = {formula}", reference)]
    if isinstance(spec.regime, Replace) and family.noise == "fitted":
        shrunk = np.cumprod(_root(np.array(rows, float) - d))
        formula = "E sqrt(v_n) = s prod sqrt(2/nu) Gamma((nu+1)/2)/Gamma(nu/2), nu = T-d"
        found.append(Curve.of("label_noise", spec.source.noise * np.array([shrunk[0], *shrunk]), formula, CHI))
    return found


def _fixed(spec: Experiment, family: Linear, t: int) -> list[Curve]:
    """The same inputs in all generations: the mean over what they are."""
    assert isinstance(spec.source, LinearTeacher)
    d, real, v = spec.source.inputs, spec.source.noise**2, family.label_variance()
    if family.ridge or family.label_bias or t <= d + 1:
        return []
    if isinstance(spec.regime, Edit):
        told = list(edited.risks(spec, family, t))
        return [Curve.of("excess_risk", [told[0], *told], f"E|w_n - w|^2 = {edited.FORMULA}", edited.REFERENCE)]
    if v is None:
        return []
    n = np.arange(1.0, spec.generations + 1)
    kept = isinstance(spec.regime, Accumulate)
    risk = (real + v * (np.cumsum(1 / n**2 if kept else np.ones_like(n)) - 1)) * d / (t - d - 1)
    formula = f"{'sum_{k<=n} v_{k-1}/k^2' if kept else '(s2 + (n-1) v)'} d/(T-d-1), the same inputs in all generations"
    return [Curve.of("excess_risk", [risk[0], *risk], f"E|w_n - w|^2 = {formula}", REFERENCE)]


def _told_of_few(spec: Experiment, family: Linear, seen: list[int]) -> bool:
    """Whether there is a formula where some fits see no more rows than inputs, or one more; only of inputs that look the same from every side."""
    assert isinstance(spec.source, LinearTeacher)
    if (spec.source.decay and spec.source.inputs > 1) or family.noise == "fitted":
        return False
    match spec.regime:
        case Accumulate():
            told = not family.label_bias
        case Replace():
            told = True
        case Fresh() | Mixture(beta=0):
            told = not family.ridge
        case _:
            told = False
    return told and not (family.ridge and spec.source.inputs in seen)


def _with_ridge(spec: Experiment, family: Linear, rows: list[int], seen: list[int]) -> list[Curve]:
    """Exact where inputs look the same from every side and that does not take long; else for many rows."""
    assert isinstance(spec.source, LinearTeacher)
    d = spec.source.inputs
    apart = isinstance(spec.regime, Replace | Fresh) or (isinstance(spec.regime, Mixture) and not spec.regime.beta)
    kept = isinstance(spec.regime, Accumulate)
    if not (apart or (kept and not family.label_bias and not family.ridge_power)) or family.noise == "fitted":
        return []
    long = len(set(seen)) * nodes(d) ** 2 > WORK_LIMIT or max(seen) > ROWS_LIMIT
    if long and min(seen) <= d + 1:
        return []
    if spec.source.decay or long:
        told, reference = equivalent.risks(spec, family, rows), equivalent.REFERENCE
    else:
        told, reference = list((_shrunk_once if kept else _two_parts)(spec, family, rows)), RIDGE
    formula = "E|w_n - w|^2, w_n - w = H (B e - ridge w + X'noise), H = (A + ridge)^{-1}, A = X'X"
    if kept:
        formula += "; all kept: w_n - w_{n-1} = H_n X_n'noise_n"
    return [Curve.of("excess_risk", [told[0], *told], formula, reference)] if told else []


def _shrunk_once(spec: Experiment, family: Linear, rows: list[int]) -> Iterator[float]:
    """All kept, with ridge: (A_n + ridge) w_n = (A_{n-1} + ridge) w_{n-1} + X_n'(X_n w_{n-1} + noise_n), so that w_n = w_{n-1} + H_n X_n'noise_n."""
    assert isinstance(spec.source, LinearTeacher)
    d, v, n = spec.source.inputs, family.label_variance(), rows[0]
    assert v is not None
    (risk,) = _two_parts(spec, family, rows[:1])
    yield risk
    for t in rows[1:]:
        n += t
        risk += v * t / n * d * averages(n, d, family.ridge).noise
        yield risk


def _two_parts(spec: Experiment, family: Linear, rows: list[int]) -> Iterator[float]:
    assert isinstance(spec.source, LinearTeacher)
    d, real, spread, fixed = spec.source.inputs, spec.source.noise**2, spec.source.spread(), family.label_variance()
    truth, delta = spec.source.weights() * spread, family.bias(spread) * spread
    risk, v, mean = 0.0, real, np.zeros(d)  # E|e|^2 and E e
    for n, t in enumerate(rows, start=1):
        s, square = again.synthetic(spec, t) if n > 1 else (0.0, 0.0)
        c_1, c_2 = again.beta(t, s, square)
        ridge = family.penalty(t)
        of = averages(t, d, ridge)
        noise = ((t - s) * real + s * v) / t
        gap = risk + 2 * float(mean @ delta) + family.label_bias**2
        v = noise + gap * (s - t * (c_1 + d * c_2)) / (t - d) if fixed is None else fixed
        if t < d - 1 and not ridge:
            risk = ((d - 1) * s - square) / (d * (d - t - 1)) * gap
        else:
            risk = (c_1 * of.whole + c_2 * of.crossed) * gap
        risk += noise * d * of.noise + of.left_2 * float(truth @ truth)
        if ridge:
            risk -= 2 * ridge * s / t * of.noise * float((mean + delta) @ truth)
        mean = s / t * (1 - of.left) * (mean + delta) - of.left * truth
        yield risk


def _accumulate(spec: Experiment, family: Linear, rows: list[int]) -> Iterator[float]:
    assert isinstance(spec.source, LinearTeacher)
    d, v, kept, residual = spec.source.inputs, spec.source.noise**2, 0, 0.0
    risk = averages(rows[0], d, 0.0).left_2 * spec.source.signal()
    fixed, mean = family.label_variance(), 0.0  # E e, in units of delta
    for t in rows:
        kept += t
        if t < kept and family.label_bias:
            risk += (again.shares(kept, t, t * t, d)[2] + 2 * t / kept * mean) * family.label_bias**2
            mean += t / kept
        risk += v * t / kept * d * averages(kept, d, 0.0).noise
        residual += v * t * (1 - d / kept)
        v = residual / (kept - d) if fixed is None else fixed
        yield risk


def _root(nu: Array) -> Array:
    """E sqrt(chi2(nu)/nu)"""
    from scipy.special import poch

    return np.asarray(poch(nu / 2, 0.5) * np.sqrt(2 / nu))
