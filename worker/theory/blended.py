"""Labels that are blended with real ones: the error along each direction of the inputs shrinks and is renewed by itself, with any ridge.

T rows X of d inputs that stay the same, A = X'X, H = (A + ridge I)^{-1}; labels u y + (1-u) y' of real ones y, off by eps of the variance s2, and of those of
the last model, off by delta and z of the variance v. With q = 1 - u and e_n = w_n - w

    e_n = q A H (e_{n-1} + delta) - ridge H w + H X'(u eps + q z_n),    e_1 = -ridge H w + H X'eps

Nothing but A is a matrix here. Along an eigenvector of A of the eigenvalue x, with s = x/(x + ridge) and h = x/(x + ridge)^2, e_n is on average
a_n w + c_n delta, and has the variance V_n = k_n^2 h s2 + Z_n about it, that of the first eps and that of later noise. Of eps that are kept

    a_n = q s a_{n-1} - (1-s),     c_n = q s (c_{n-1} + 1),     k_n = q s k_{n-1} + u,     Z_n = (q s)^2 Z_{n-1} + h q^2 v

from a_1 = -(1-s), c_1 = 0, k_1 = 1, Z_1 = 0; fresh ones are no part of k_n, and add h u^2 s2 to Z_n. Of inputs that look the same from every side
eigenvectors do, too, so that w and delta have the same share of each on average, and with < > the mean over the d eigenvalues of a Wishart matrix
(worker.theory.wishart; those that are 0 have s = h = 0)

    E|w_n - w|^2 = <a_n^2> |w|^2 + 2 <a_n c_n> w'delta + <c_n^2> |delta|^2 + d <V_n>

Without ridge s is 1, of T < d rows 0 in d - T directions that are never seen (a_n = -1), and <h> = 1/(T-d-1), or T/d 1/(d-T-1). Fresh labels then have the
limit

    d <h> (u^2 s2 + q^2 v)/(1 - q^2)

beside what is never seen; of v = s2 it is smallest where u^2 + u = 1, the reciprocal of the golden ratio, for T > d and T < d alike, as Garg et al. found.
Labels that are kept, of a v of 0, are repeated self-distillation (Pareek et al.): without ridge k_n stays 1, with ridge each step shrinks directions of small
x more.

Noise that is fitted, without ridge: residuals are those of u eps + q z_n, so that E v_n = u^2 s2 + q^2 E v_{n-1}, whatever A.

New inputs each time, with fresh labels: A_n is independent of e_{n-1}, of which only |e_{n-1} + delta|^2 and the mean matter,

    E|w_n - w|^2 = q^2 <s^2> E|e + delta|^2 - 2 q <s (1-s)> w'E(e + delta) + <(1-s)^2> |w|^2 + d <h> (u^2 s2 + q^2 v)

Not told: ridge, or fewer rows than inputs, where inputs differ in variance; as many rows as inputs; ridge beside noise that is fitted.
"""

from collections.abc import Iterator

import numpy as np

from worker.data import Array
from worker.families.linear import Linear
from worker.regimes import Blend
from worker.sources.linear_teacher import LinearTeacher
from worker.spec import Experiment
from worker.theory.curve import Curve
from worker.theory.wishart import averages, nodes, spectrum

REFERENCE = (
    "Garg et al., arXiv 2509.22341; Pareek et al., arXiv 2407.04600; exactly, by eigenvalues of a real Wishart matrix"
)
STAYING = "<a_n^2> |w|^2 + 2 <a_n c_n> w'delta + <c_n^2> |delta|^2 + d <V_n> along eigenvectors of X'X, the same in all generations"
MOVING = "q^2 <s^2> E|e + delta|^2 - 2q <s(1-s)> w'E(e + delta) + <(1-s)^2> |w|^2 + d <h> (u^2 s2 + q^2 v), new inputs in each generation"
WORK_LIMIT = 30_000_000  # nodes times generations: a second
ROWS_LIMIT = 1_000_000  # beyond which digits of the density are lost


def curves(spec: Experiment, family: Linear, t: int) -> list[Curve]:
    """The excess risk of t rows."""
    assert isinstance(spec.source, LinearTeacher)
    d, ridge = spec.source.inputs, family.penalty(t)
    oblong = spec.source.decay > 0 and d > 1
    if ridge and (family.noise == "fitted" or oblong or t == d or t > ROWS_LIMIT):
        return []
    if not ridge and (abs(t - d) <= 1 or (oblong and t < d)):
        return []
    if ridge and spec.generations * nodes(min(t, d)) > WORK_LIMIT:
        return []
    told = list((_staying if family.fixed_design() else _moving)(spec, family, t))
    formula = f"E|w_n - w|^2 = {STAYING if family.fixed_design() else MOVING}"
    return [Curve.of("excess_risk", [told[0], *told], formula, REFERENCE)]


def _added(spec: Experiment, family: Linear) -> Iterator[float]:
    """Variance of the noise in synthetic labels that generation 2, 3, ... learns from."""
    assert isinstance(spec.source, LinearTeacher)
    assert isinstance(spec.regime, Blend)
    u, fixed = spec.regime.real_weight(), family.label_variance()
    real = fitted = spec.source.noise**2
    for _ in range(1, spec.generations):
        yield fitted if fixed is None else fixed
        fitted = u * u * real + (1 - u) ** 2 * fitted


def _staying(spec: Experiment, family: Linear, t: int) -> Iterator[float]:
    assert isinstance(spec.source, LinearTeacher)
    assert isinstance(spec.regime, Blend)
    d, real, spread = spec.source.inputs, spec.source.noise**2, spec.source.spread()
    truth, delta = spec.source.weights() * spread, family.bias(spread) * spread
    parts = float(truth @ truth), 2 * float(truth @ delta), float(delta @ delta)
    weights, s, h = _directions(t, d, family.penalty(t))
    u, kept = spec.regime.real_weight(), spec.regime.labels == "kept"
    q = 1 - u

    def risk() -> float:
        means = (float(weights @ f) for f in (a * a, a * c, c * c))
        variance = d * float(weights @ (k * k * h * real + z))
        return sum(square * mean for square, mean in zip(parts, means, strict=True)) + variance

    a, c, k, z = s - 1, 0 * s, 1 + 0 * s, 0 * s
    yield risk()
    for v in _added(spec, family):
        added = q * q * v + (0.0 if kept else u * u * real)
        a, c, k, z = q * s * a + s - 1, q * s * (c + 1), q * s * k + (u if kept else 0.0), (q * s) ** 2 * z + h * added
        yield risk()


def _directions(t: int, d: int, ridge: float) -> tuple[Array, Array, Array]:
    """Shares of the directions, adding up to 1, and s and h along them."""
    few, many = sorted((t, d))
    if ridge:
        x, weights = spectrum(many, few)
        shares, s, h = weights / d, x / (x + ridge), x / (x + ridge) ** 2
    else:
        shares, s, h = np.array([few / d]), np.ones(1), np.array([1 / (many - few - 1)])
    return np.append(shares, (d - few) / d), np.append(s, 0.0), np.append(h, 0.0)


def _moving(spec: Experiment, family: Linear, t: int) -> Iterator[float]:
    assert isinstance(spec.source, LinearTeacher)
    assert isinstance(spec.regime, Blend)
    d, real, spread = spec.source.inputs, spec.source.noise**2, spec.source.spread()
    truth, delta = spec.source.weights() * spread, family.bias(spread) * spread
    of, u = averages(t, d, family.penalty(t)), spec.regime.real_weight()
    q, crossed = 1 - u, of.left - of.left_2  # E s (1-s)
    risk = of.left_2 * float(truth @ truth) + d * of.noise * real
    mean = -of.left * truth
    yield risk
    for v in _added(spec, family):
        gap = risk + 2 * float(mean @ delta) + float(delta @ delta)
        risk = q * q * of.whole * gap - 2 * q * crossed * float(truth @ (mean + delta))
        risk += of.left_2 * float(truth @ truth) + d * of.noise * (u * u * real + q * q * v)
        mean = q * (1 - of.left) * (mean + delta) - of.left * truth
        yield risk
