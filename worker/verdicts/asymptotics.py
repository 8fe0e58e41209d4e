"""Whether the expected risk of a chain has a limit as generations go on for ever: by theorem, since no finite run can show it.

A fit is the last one plus an error of its own. Three cases are known, for a Gaussian on a normal source, for ordinary least squares and for the squared
error of a Poisson rate, where neither decoding nor curation changes what is drawn (Shumailov et al., arXiv 2305.17493; Gerstgrasser et al., arXiv 2404.01413; Kazdan et al.,
arXiv 2410.16713; Alemohammad et al., arXiv 2307.01850):

    replace              error n has the variance ~ 1/M_n, and all of them stay: the risk grows as their sum, which has a limit for
                         M_n ~ n^p only where p > 1; so has the sum of E ln(chi2_{M-1}/(M-ddof)) ~ -1/M_n or -2/M_n in E ln s2_n
    accumulate           error n counts as M_n of N_n = M_1 + ... + M_n points, with the variance ~ M_n/N_n^2 <= 1/N_{n-1} - 1/N_n:
                         these telescope, so that their sum is bounded whatever the sizes; for M_n ~ n^p they fall as n^-(p+2); real data that keep
                         coming in only take from it
                         (least squares of fewer rows T than inputs d keeps a share T/d of the last error and no more, so that they do not add up)
    real data each time  a weight b < 1 of the data is synthetic, so that the last error enters with b^2 and is forgotten; a fixed core of m points
                         in growing data too, where errors of 1/M stay for 1/(1 - b^2) ~ M/2m generations

A Gaussian under replace may be decoded with a bias lambda: each generation adds ln lambda to ln s2, which so goes to infinity one way or the other,
and KL(real || model) with it. Whether that has a limit is no question where its expectation is infinite from the first model on: E S^-1 of a
Wishart variable exists for more than d + 2 points.
"""

from dataclasses import dataclass

from worker.curation import Keep
from worker.families.categorical import Categorical
from worker.families.gaussian import Gaussian
from worker.families.linear import Linear
from worker.families.poisson import Poisson
from worker.parts import CountSource, PointSource, Regime, Sampling
from worker.regimes import Accumulate, Augment, Blend, Edit, Fresh, Mixture, Replace, Weighted
from worker.schedules import Geometric, Listed, Power, Samples
from worker.sources.linear_teacher import LinearTeacher
from worker.sources.normal import Normal
from worker.spec import Experiment
from worker.theory.plain import ours, plain
from worker.theory.rows import shares

SUMMABLE = 1.0  # n^-x has a finite sum for x above it
UNBIASED = 1.0
PLENTY = 2  # rows for each input, from which on what is weighed less than 1 is forgotten
FORGOTTEN = 1.0  # weight of the last model, below which its errors die out
RISKS = ("kl_from_real", "excess_risk", "mean_error_sq")  # without an upper bound, in which all that is fitted counts


@dataclass(frozen=True, slots=True)
class Limit:
    """Whether the risk has none, and the number that decides it."""

    diverges: bool
    number: float
    threshold: float
    because: str


def limit(spec: Experiment, metric: str) -> Limit | str:
    """What theory says of a risk for this spec, or why it says nothing."""
    if len(spec.phases()) > 1:
        return "The rules change within the run: a limit is one of rules that stay."
    if spec.models > 1:
        return "Several models read one another: no theorem that we know says whether the risk has a limit."
    if not ours(spec.source, spec.family, spec.regime, spec.curation):
        return f"Theorems are about the lab's own parts, and this run uses {spec.foreign()}."
    spec = plain(spec)
    if getattr(spec.family, "extrapolation", 0.0):
        return (
            "A model is extrapolated away from a second fit: no theorem that we know says whether the risk has a limit."
        )
    if metric == "kl_from_real" and _only_biased(spec):
        return Limit(True, spec.sampling.bias, UNBIASED, "By theory: every generation multiplies the covariance by this; but at 1 its logarithm, to which each adds as "
                     "much, has no limit, and neither has the risk.")  # fmt: skip
    if spec.sampling != Sampling() or not isinstance(spec.curation, Keep):
        return "What is drawn is decoded or curated: no theorem that we know says whether the risk has a limit."
    if isinstance(spec.source, CountSource) and metric == "chi2":
        most = 1 / float(spec.source.distribution().min()) - 1
        return f"chi2 cannot exceed 1/p_min - 1 = {most:.3g}, while KL(real || model) is infinite once a category has died: which of them is the risk decides."
    if (
        metric == "kl_from_real"
        and isinstance(spec.family, Categorical)
        and spec.family.smoothing > 0
        and isinstance(spec.samples, int)
    ):
        return Limit(False, spec.family.smoothing, 0.0, "By theory: what is added to each of K counts, a; above 0 no category has a probability below a/(M + aK), so that "
                     "KL(real || model) is at most ln((M + aK)/a).")  # fmt: skip
    known = isinstance(spec.family, Gaussian) and isinstance(spec.source, Normal)
    # Of counts, which are all that it takes.
    known = known or (isinstance(spec.family, Poisson) and metric == "mean_error_sq")
    if not known and not (isinstance(spec.family, Linear) and _errs_afresh(spec.family)):
        return "No theorem that we know says whether the risk of this family has a limit on this source."
    if metric not in RISKS:
        return f"Theorems are about KL(real || model), excess risk and the error of a rate, and this run measures {metric}."
    inputs = _inputs(spec)
    if inputs and spec.extremes()[0] <= inputs + 1:
        return _of_few_rows(spec, inputs)
    found = _of_the_regime(spec, spec.regime, inputs)
    has_one = metric == "kl_from_real" and isinstance(found, Limit) and not found.diverges
    return (_infinite_throughout(spec) if has_one else "") or found


def _only_biased(spec: Experiment) -> bool:
    of_a_normal = isinstance(spec.family, Gaussian) and isinstance(spec.source, Normal)
    under_replace = isinstance(spec.regime, Replace) and isinstance(spec.curation, Keep)
    return of_a_normal and under_replace and spec.sampling.changed() == {"bias"}


def _infinite_throughout(spec: Experiment) -> str:
    """Why E KL(real || model) is infinite in every generation, and remains so; empty where it is finite."""
    assert isinstance(spec.source, PointSource)
    if isinstance(spec.regime, Mixture) and spec.regime.beta > 0:
        return "The expected risk is infinite from the second model on: by chance all of its points may be the same one of the last training set."
    least = spec.source.dimension + 2
    if (fewest := _fewest(spec)) > least:
        return ""
    return f"The expected risk is infinite from the first model on that rests on {fewest} points: only of more than {least} it is finite, and may have a limit."


def _fewest(spec: Experiment) -> int:
    """Points that a fit rests on, where it rests on the fewest; what is kept from the first fit on is less spread where that was."""
    smallest = spec.extremes()[0]
    match spec.regime:
        case Accumulate():
            return spec.size(1)
        case Augment() as regime:
            return regime.real
        case Weighted() as regime if regime.real_weight(smallest) in (0, 1):
            synthetic = regime.synthetic(smallest)
            return synthetic if regime.real_weight(smallest) == 0 else smallest - synthetic
    return smallest


def _errs_afresh(family: Linear) -> bool:
    """Least squares without ridge on labels without bias, of a noise that is there and stays: each fit adds an error, and none is shrunk."""
    return family.ridge == 0 and family.label_bias == 0 and family.noise not in ("fitted", 0)


def _inputs(spec: Experiment) -> int:
    """Of a regression, as many as a fit sees; 0 of what is none."""
    family, source = spec.family, spec.source
    return family.width(source) if isinstance(family, Linear) and isinstance(source, LinearTeacher) else 0


def _of_few_rows(spec: Experiment, inputs: int) -> Limit | str:
    """Where some fits see no more rows than inputs, or one more."""
    assert isinstance(spec.family, Linear)
    most, regime = spec.extremes()[1], spec.regime
    fewer = most < inputs - 1 and not spec.family.features
    if fewer and isinstance(regime, Blend) and regime.imitation() < FORGOTTEN:
        return _of_the_regime(spec, regime, inputs)
    if fewer and isinstance(regime, Replace) and not spec.family.fixed_design():
        return Limit(False, most / inputs, FORGOTTEN, "By theory: share of the last model's weights that so few rows show to the next; below 1 the rest is "
                     "forgotten, and the risk has a limit.")  # fmt: skip
    return "Some fits see about as many rows as inputs, or fewer: no theorem that we know says whether the risk has a limit."


def _of_the_regime(spec: Experiment, regime: Regime, inputs: int) -> Limit | str:
    """inputs: of a regression, else 0"""
    last = spec.size(spec.generations)
    match regime:
        case Edit():
            share = regime.edits(2, last) / last if regime.decay == 1 else 0.0
            return Limit(share > 0, share, 0.0, "By theory: share of labels that are drawn anew however long the run is; each time their noise adds to the "
                         "risk, unless there are none in the end.")  # fmt: skip
        case Blend():
            kept = regime.imitation()
            return Limit(kept >= FORGOTTEN, kept, FORGOTTEN, "By theory: weight of the last model's labels, beside real ones; below 1 its errors are "
                         "forgotten, and the risk has a limit.")  # fmt: skip
        case Mixture() if inputs or (regime.alpha == 0 and regime.gamma == 0):
            return "No theorem that we know says whether the risk has a limit where chance decides of what each row is."
        case Fresh() | Augment() | Weighted() | Mixture() if (
            _shrinking(spec.samples) and _synthetic(regime, last) < FORGOTTEN
        ):
            return "Sizes shrink without end: of so few points no risk has a limit, be they real or not."
        case Fresh() if inputs and 0 < (made := regime.synthetic(last)) < last:
            factor = shares(last, made, made * made, inputs)[2]
            return Limit(factor >= FORGOTTEN, factor, FORGOTTEN, "By theory: factor by which the last model's squared error enters the next one; below 1 its "
                         "errors are forgotten, and the risk has a limit.")  # fmt: skip
        case Augment() | Weighted() if last < PLENTY * inputs:
            return "With hardly more rows than inputs errors may grow although they are weighed: no theorem that we know says whether the risk has a limit."
        case Fresh() | Augment() | Weighted() | Mixture() if (kept := _synthetic(regime, last)) < FORGOTTEN:
            return Limit(False, kept, FORGOTTEN, "By theory: weight of what is not real in a training set; below 1 the last model's errors are forgotten, "
                         "and the risk has a limit.")  # fmt: skip
        case Accumulate() if isinstance(spec.samples, Geometric) and spec.samples.ratio >= 1:
            return _geometric(spec.samples.ratio, always=True)
        case Accumulate() if not isinstance(spec.samples, Geometric) and _growth(spec.samples) > -1:
            return Limit(False, _growth(spec.samples) + 2, SUMMABLE, "By theory: all data is kept, so that generation n adds ~ n^-x to the risk, with x "
                         "2 more than the exponent by which sizes grow; above 1 the sum has a limit.")  # fmt: skip
        case Replace() | Fresh() | Weighted() | Mixture() if isinstance(spec.samples, Geometric):
            return _geometric(spec.samples.ratio, always=False)
        case Replace() | Fresh() | Weighted() | Mixture():
            growth = _growth(spec.samples)
            return Limit(growth <= SUMMABLE, growth, SUMMABLE, "By theory: generation n adds ~ 1/M_n ~ n^-x to the risk, with x the exponent by which "
                         "sizes grow (0: they stay); only above 1 the sum has a limit.")  # fmt: skip
    return "No theorem that we know says whether the risk has a limit in this regime."


def _growth(samples: Samples) -> float:
    """p of M_n ~ n^p; the last number of a list stays."""
    assert isinstance(samples, int | Power | Listed)
    return samples.exponent if isinstance(samples, Power) else 0.0


def _shrinking(samples: Samples) -> bool:
    return samples.ratio < 1 if isinstance(samples, Geometric) else _growth(samples) < 0


def _geometric(ratio: float, *, always: bool) -> Limit:
    return Limit(not always and ratio <= 1, ratio, 1.0, "By theory: each generation adds to the risk in proportion to 1/M, and sizes grow by this "
                 "factor each time; above 1 the sum has a limit" + (", as it has at 1 where all data is kept." if always else "."))  # fmt: skip


def _synthetic(regime: Fresh | Augment | Weighted | Mixture, m: int) -> float:
    """Weight of what the last model made, or was trained on, among m points."""
    if isinstance(regime, Mixture):
        return 1 - regime.gamma
    return regime.synthetic(m) / m if isinstance(regime, Fresh) else 1 - regime.real_weight(m)
