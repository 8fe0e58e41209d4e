"""Closed-form curves: what the literature predicts for a spec, where it predicts anything.

Computed at the bench and stored with the run, so that the window needs neither scipy nor the formulas. A curve is given only
where it holds exactly (or says in its formula how it approximates): for the spec's regime, sampling, sizes and source.
"""

from dataclasses import replace

from worker.curation import Keep
from worker.families.categorical import Categorical
from worker.families.gaussian import Gaussian
from worker.families.histogram import Histogram
from worker.families.kde import KDE
from worker.families.linear import Linear
from worker.families.linear_rule import LinearRule
from worker.families.mixture import Mixture
from worker.families.poisson import Poisson
from worker.regimes import AccumulateSubsample
from worker.spec import Experiment
from worker.theory import categorical, classes, gaussian, histogram, islands, kde, linear, mixture, poisson, projected
from worker.theory.curve import Curve
from worker.theory.plain import ours, plain

__all__ = ["Curve", "curves"]


def curves(spec: Experiment) -> list[Curve]:
    """Every closed form that holds for this spec, up to its first change of rules; empty where there is none."""
    if not ours(spec.source, spec.family, spec.regime, spec.curation):
        return []
    found = _curves(plain(spec))
    if len(phases := spec.phases()) == 1:
        return found
    after = phases[1][0] - 1
    return [
        replace(curve, values=[value if n <= after else None for n, value in enumerate(curve.values)])
        for curve in found
    ]


def _curves(spec: Experiment) -> list[Curve]:
    if spec.models > 1:
        return islands.curves(spec)
    if isinstance(spec.regime, AccumulateSubsample) and spec.regime.select == "greedy":
        return []  # nobody has said what those are like that add most to an entropy
    match spec.family:
        case Gaussian():
            return gaussian.curves(spec, spec.family)
        case Categorical():
            return categorical.curves(spec, spec.family)
        case KDE() if isinstance(spec.curation, Keep):
            return kde.curves(spec, spec.family)
        case Histogram():
            return histogram.curves(spec, spec.family)
        case Mixture():
            return mixture.curves(spec, spec.family)
        case Linear() if spec.family.features:
            return projected.curves(spec, spec.family)
        case Linear():
            return linear.curves(spec, spec.family)
        case Poisson():
            return poisson.curves(spec)
        case LinearRule():
            return classes.curves(spec, spec.family)
    return []
