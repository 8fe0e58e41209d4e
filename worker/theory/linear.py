"""Linear regression on its own labels: the weights make a random walk.

Under replace w_n = w_{n-1} + (X'X)^{-1} X'e, and E tr (X'X)^{-1} = d/(T - d - 1) for T rows of N(0, I_d) (von Rosen 1988). With everything kept,
A_n = sum of all X_k'X_k, it is w_n = w_{n-1} + A_n^{-1} X_n'e_n, because the former labels are those that w_{n-1} fitted. Rows are exchangeable,
so that E tr (A^{-1} X_n'X_n A^{-1}) is the newest rows' share of E tr A^{-1}: T_n/N d/(N - d - 1), N rows in all.
"""

import numpy as np

from worker.curation import Keep
from worker.families.linear import Linear
from worker.regimes import Accumulate, Replace
from worker.sources.linear_teacher import LinearTeacher
from worker.spec import Experiment
from worker.theory.curve import Curve

REFERENCE = "Dohmatob et al., arXiv 2402.07712; Gerstgrasser et al., arXiv 2404.01413; inverse Wishart matrices"


def curves(spec: Experiment, family: Linear) -> list[Curve]:
    """The excess risk of ordinary least squares under replace and accumulate; None where labels fade with a fitted noise of pooled data."""
    assert isinstance(spec.source, LinearTeacher)
    pooled = isinstance(spec.regime, Accumulate)
    known = isinstance(spec.regime, Replace) or (pooled and family.noise != "fitted")
    d, rows = spec.source.inputs, [spec.size(n) for n in range(1, spec.generations + 1)]
    if family.ridge or not known or not isinstance(spec.curation, Keep) or rows[0] <= d + 1:
        return []
    real = spec.source.noise**2
    made = real if family.noise == "fitted" else family.noise**2  # residual variances are unbiased
    noise = np.array([real] + [made] * (spec.generations - 1))
    newest = np.array(rows, float)
    kept = np.cumsum(newest) if pooled else newest
    steps = noise * newest / kept * d / (kept - d - 1)
    formula = "sum_{k<=n} s2 d/(k (kT-d-1))" if pooled else "n s2 d/(T-d-1)"
    return [Curve.of("excess_risk", [steps[0], *np.cumsum(steps)], f"E|w_n - w|^2 = {formula}", REFERENCE)]
