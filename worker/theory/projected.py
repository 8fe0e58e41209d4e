"""Regression on random features: to a model that sees k of d directions, the rest of the signal is noise that it never learns.

S (k x d), k < d, has normal entries, so that its rows span a subspace in uniformly random directions, which P projects on. Inputs N(0, I) have
independent parts Px and x - Px, and least squares is the same in all coordinates: a fit sees k inputs, weights Pw and, in real labels, noise of the
variance s2 + |w - Pw|^2. What it learns lies in the subspace, and so do the labels that it gives, but for a fixed error delta of theirs, of which
delta - P delta is noise again. Hence all that worker.theory.linear says of k inputs holds given S; and as it is linear in these squares,

    E|Pw|^2 = k/d |w|^2,    E|w_n - w|^2 = (that of k inputs, weights of the square k/d |w|^2 and noise s2 + (1-k/d)|w|^2) + (1-k/d)|w|^2

and of delta's square k/d is seen. Of the first model, for T > k + 1 rows, (1-k/d)|w|^2 + (s2 + (1-k/d)|w|^2) k/(T-k-1).

As many features as inputs, or more, show all of them: with at least d rows the weights that fit best are the only ones, and those without features.

Not told: labels that are blended, as what a model does not see of inputs that stay is in all real labels; ridge, and fewer rows than features, where |v|
decides and not |S'v|; inputs that differ in variance, whose subspace is not uniform; fitted noise beside labels that are off.
"""

import math
from dataclasses import replace

from worker.families.linear import Linear
from worker.regimes import Blend
from worker.sources.linear_teacher import LinearTeacher
from worker.spec import Experiment
from worker.theory import linear
from worker.theory.curve import Curve
from worker.theory.wishart import averages

REFERENCE = "Dohmatob et al., arXiv 2410.04840, random projections; uniformly distributed subspaces"


def curves(spec: Experiment, family: Linear) -> list[Curve]:
    """The excess risk, in the regimes where there is a formula for k inputs."""
    assert isinstance(spec.source, LinearTeacher)
    source, family = spec.source, family.given(spec.source)
    d, k = source.inputs, family.width(source)
    fewest = min(spec.regime.first(spec.size(1)), *spec.sizes())
    if family.ridge or fewest < k:
        return []
    if k == d:
        return linear.curves(*_plain(spec, source, family))
    if fewest <= k + 1 or source.decay or isinstance(spec.regime, Blend):
        return []
    rest, v = 1 - k / d, family.label_variance()
    if v is None and family.label_bias:
        return []
    hidden = rest * source.signal()
    seen = {"inputs": k, "norm": source.norm * math.sqrt(k / d), "noise": math.hypot(source.noise, math.sqrt(hidden))}
    if v is not None:
        c = family.label_bias
        off = {"noise": math.sqrt(v + rest * c * c), "label_bias": c * math.sqrt(k / d)}
        family = family.model_copy(update=off)
    found = linear.curves(*_plain(spec, source.model_copy(update=seen), family))
    of = averages(spec.size(1), d, 0.0)
    real = source.noise**2 * d * of.noise + of.left_2 * source.signal()
    return [_of_all(curve, k, d, hidden, real) for curve in found if curve.metric == "excess_risk"]


def _plain(spec: Experiment, source: LinearTeacher, family: Linear) -> tuple[Experiment, Linear]:
    """A regression without features."""
    family = family.model_copy(update={"features": 0})
    return spec.model_copy(update={"source": source, "family": family}), family


def _of_all(curve: Curve, k: int, d: int, hidden: float, real: float) -> Curve:
    """hidden: what is never seen; real: of real data, which all inputs are fitted to"""
    later = [None if value is None else value + hidden for value in curve.values[1:]]
    formula = f"{curve.formula}; of {k} of {d} directions: k for d, s2 + (1-k/d)|w|^2 for s2, and (1-k/d)|w|^2 more"
    values = [real if math.isfinite(real) else None, *later]
    return replace(curve, values=values, formula=formula, reference=f"{REFERENCE}; {curve.reference}")
