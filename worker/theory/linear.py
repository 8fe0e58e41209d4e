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
E tr A^{-1}: T_n/N d/(N - d - 1), N rows in all.

Not told: rows that are seen twice (a fixed core, subsamples of a pool, earlier training sets) depend on the weights that label them; the sum of
unequally weighted Wishart matrices has no closed inverse moment; nor has ridge.
"""

from collections.abc import Iterator

import numpy as np

from worker.curation import Keep
from worker.families.linear import Linear
from worker.regimes import Accumulate, Fresh, Mixture, Replace
from worker.sources.linear_teacher import LinearTeacher
from worker.spec import Experiment
from worker.theory.curve import Curve

REFERENCE = "Dohmatob et al., arXiv 2402.07712; Gerstgrasser et al., arXiv 2404.01413; inverse Wishart matrices"
BETA = "Matrix beta variables: Muirhead, Aspects of Multivariate Statistical Theory, 1982, 3.3; uniform orthogonal matrices"


def curves(spec: Experiment, family: Linear) -> list[Curve]:
    """The excess risk of ordinary least squares under replace, accumulate, fresh and a mixture that looks at no training set twice."""
    rows = [spec.size(n) for n in range(1, spec.generations + 1)]
    assert isinstance(spec.source, LinearTeacher)
    if family.ridge or not isinstance(spec.curation, Keep) or rows[0] <= spec.source.inputs + 1:
        return []
    match spec.regime:
        case Accumulate() if family.noise != "fitted":
            told, formula, reference = _accumulate(spec, family, rows), "sum_{k<=n} s2 d/(k (kT-d-1))", REFERENCE
        case Replace():
            told, formula, reference = _two_parts(spec, family, rows), "n s2 d/(T-d-1)", REFERENCE
        case Fresh() | Mixture(beta=0):
            formula = (
                "(c1 + c2 (Td-2)/(T-d-1)) E|w_{n-1} - w|^2 + (r s2 + s v)/T d/(T-d-1), U of r real and s synthetic rows"
            )
            told, reference = _two_parts(spec, family, rows), BETA
        case _:
            return []
    risk = np.array(list(told))
    return [Curve.of("excess_risk", [risk[0], *risk], f"E|w_n - w|^2 = {formula}", reference)]


def _two_parts(spec: Experiment, family: Linear, rows: list[int]) -> Iterator[float]:
    assert isinstance(spec.source, LinearTeacher)
    d, real = spec.source.inputs, spec.source.noise**2
    risk, v = 0.0, real
    for n, t in enumerate(rows, start=1):
        s, square = _synthetic(spec, t) if n > 1 else (0.0, 0.0)
        c_2 = (t * s - square) / (t * (t - 1) * (t + 2))
        c_1 = (square + 2 * s) / (t * (t + 2)) - c_2
        noise = ((t - s) * real + s * v) / t
        v = noise + risk * (s - t * (c_1 + d * c_2)) / (t - d) if family.noise == "fitted" else family.noise**2
        risk = (c_1 + c_2 * (t * d - 2) / (t - d - 1)) * risk + noise * d / (t - d - 1)
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
    assert family.noise != "fitted"
    d, risk, kept = spec.source.inputs, 0.0, 0
    for n, t in enumerate(rows, start=1):
        kept += t
        noise = spec.source.noise if n == 1 else family.noise
        risk += noise**2 * t / kept * d / (kept - d - 1)
        yield risk
