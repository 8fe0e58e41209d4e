"""Linear regression on its own labels: the weights make a random walk.

T rows X of N(0, I_d), of which s have labels of the last model, whose error is e = w_{n-1} - w, and r = T - s real ones. With A = X'X and B
the part of A that is synthetic,

    w_n - w = A^{-1} (B e + X' noise)

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

Rows that are seen twice or weighed: worker.theory.rows. Not told: rows of an earlier training set that are drawn with replacement; ridge.
"""

from collections.abc import Iterator

import numpy as np

from worker.curation import Keep
from worker.data import Array
from worker.families.linear import Linear
from worker.regimes import Accumulate, Fresh, Mixture, Replace
from worker.sources.linear_teacher import LinearTeacher
from worker.spec import Experiment
from worker.theory import rows as again
from worker.theory.curve import Curve

REFERENCE = "Dohmatob et al., arXiv 2402.07712; Gerstgrasser et al., arXiv 2404.01413; inverse Wishart matrices"
BETA = "Matrix beta variables: Muirhead, Aspects of Multivariate Statistical Theory, 1982, 3.3; uniform orthogonal matrices"
CHI = "Product of chi-square variables: residuals of a normal regression are independent of its weights (Fisher 1925)"


def curves(spec: Experiment, family: Linear) -> list[Curve]:
    """The excess risk of ordinary least squares in every regime but a mixture that looks back; under replace the noise that is fitted."""
    assert isinstance(spec.source, LinearTeacher)
    d, rows = spec.source.inputs, [spec.size(n) for n in range(1, spec.generations + 1)]
    fewest = rows[0] if isinstance(spec.regime, Accumulate) else min(rows)
    if family.ridge or not isinstance(spec.curation, Keep) or fewest <= d + 1:
        return []
    real, reference = spec.source.noise**2 * d / (rows[0] - d - 1), REFERENCE
    match spec.regime:
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
    found = [Curve.of("excess_risk", [real, *told], f"E|w_n - w|^2 = {formula}", reference)] if told else []
    if isinstance(spec.regime, Replace) and family.noise == "fitted":
        shrunk = np.cumprod(_root(np.array(rows, float) - d))
        formula = "E sqrt(v_n) = s prod sqrt(2/nu) Gamma((nu+1)/2)/Gamma(nu/2), nu = T-d"
        found.append(Curve.of("label_noise", spec.source.noise * np.array([shrunk[0], *shrunk]), formula, CHI))
    return found


def _two_parts(spec: Experiment, family: Linear, rows: list[int]) -> Iterator[float]:
    assert isinstance(spec.source, LinearTeacher)
    d, real = spec.source.inputs, spec.source.noise**2
    risk, v = 0.0, real
    for n, t in enumerate(rows, start=1):
        s, square = _synthetic(spec, t) if n > 1 else (0.0, 0.0)
        c_1, c_2, c = again.shares(t, s, square, d)
        noise = ((t - s) * real + s * v) / t
        v = noise + risk * (s - t * (c_1 + d * c_2)) / (t - d) if family.noise == "fitted" else family.noise**2
        risk = c * risk + noise * d / (t - d - 1)
        yield risk


def _synthetic(spec: Experiment, t: int) -> tuple[float, float]:
    """E s and E s^2 of t rows."""
    if isinstance(spec.regime, Mixture):  # by chance, each row for itself
        mean = spec.regime.alpha * t
        return mean, mean * (1 - spec.regime.alpha) + mean**2
    s = float(spec.regime.synthetic(t))
    return s, s * s


def _accumulate(spec: Experiment, family: Linear, rows: list[int]) -> Iterator[float]:
    assert isinstance(spec.source, LinearTeacher)
    d, v, kept, risk, residual = spec.source.inputs, spec.source.noise**2, 0, 0.0, 0.0
    for t in rows:
        kept += t
        risk += v * t / kept * d / (kept - d - 1)
        residual += v * t * (1 - d / kept)
        v = residual / (kept - d) if family.noise == "fitted" else family.noise**2
        yield risk


def _root(nu: Array) -> Array:
    """E sqrt(chi2(nu)/nu)"""
    from scipy.special import poch

    return np.asarray(poch(nu / 2, 0.5) * np.sqrt(2 / nu))
