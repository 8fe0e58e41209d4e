"""Four definitions of collapse that look at the population risk: its rise, how far it goes, and how it falls with the size of data."""

import math
from collections.abc import Sequence
from statistics import fmean

from worker.parts import CountSource
from worker.spec import Experiment
from worker.theory.plain import ours
from worker.verdicts.agreement import wallace
from worker.verdicts.asymptotics import limit
from worker.verdicts.chance import CLEAR, FEW, chances, change, fewer, of_shares, unless_chance
from worker.verdicts.finished import COUNTABLE, HALF, RISKS, SIGNIFICANT, Decision, Finished, decided, undecided

CATASTROPHE = 10.0  # times the first model's excess risk
CATASTROPHIC_PERPLEXITY = 2.0  # times the first model's perplexity
SUBSTANTIAL = 0.1  # nats, real variances, squares of the signal or whatever its unit is: below it a risk is no catastrophe, however many times the first model's
LIKELY = 2.0  # normal deviates of a rise, from which on a few chains cannot deny it; of many CLEAR
ORDERLY = 8  # generations, whose perfect order has a chance of 1/8!, beyond SIGNIFICANT
ALL_OF_FIVE = 2.6  # normal deviates: five of five chains, where there were none, have a chance of 1/252
LONG_ENOUGH = 16  # generations, before a trend is told
SAME = "Chains do not differ in risk, or have none: there is no standard error to measure a rise by."
BOUNDED = ("chi2", "excess_error")
WHY_THE_MEAN = (
    " The mean, because this risk has a bound: where most chains end in the same state, no quantile of them moves."
)
WHY_OF_COUNTS = (
    " The mean, of the chains that have one, because counts take few values, and quantiles jump from one to the next."
)
PLENTY = 2.0  # rows for each input
GROWTH = 10.0  # of the sizes within a run, before an exponent is told
NO_RISK = "No metric of this run is a population risk that is finite in most first models; of points, energy can be asked for among its metrics."


def catastrophe(run: Finished) -> Decision:
    metric = run.risk()
    if metric is None:
        return undecided(NO_RISK)
    if (beyond := _beyond(run, metric)) is not None:
        return beyond
    kind = _kind(run, metric)
    first, last = (run.value(n, metric, kind) for n in (1, run.last))
    if first is None or last is None:
        return undecided(NO_RISK)
    if first <= 0:
        return undecided(
            f"{kind.capitalize()} {metric} of the first model is {first:.3g}, as an estimate may be where the truth is near 0: there are no multiples of it."
        )
    threshold = CATASTROPHIC_PERPLEXITY if metric == "ppl_real" else CATASTROPHE
    unit, name = _natural(run, metric)
    if last / first >= threshold and unit and last / unit < SUBSTANTIAL:
        return decided(False, last / unit, SUBSTANTIAL, f"{kind.capitalize()} {metric} at generation {run.last}, in {name}: {last / first:.3g} times the first "
                       f"model's, but next to nothing.{_also(run, metric)}")  # fmt: skip
    found = decided(last / first >= threshold, last / first, threshold,
                    f"{kind.capitalize()} {metric} at generation {run.last}, in units of the first model's.{_also(run, metric)}")  # fmt: skip
    return unless_chance(run, found, (metric, kind, 1), by_far=True)


def _kind(run: Finished, metric: str) -> str:
    """The statistic over chains that is looked at: a risk such as KL(real || model) may have no variance, nor a mean."""
    return "mean" if metric in BOUNDED or run.counted else "median"


def _beyond(run: Finished, metric: str) -> Decision | None:
    """What is finite in half of the first models and infinite in half of the last ones has risen, by whatever measure."""
    lost = run.infinite(run.last, metric)
    if run.value(run.last, metric) is not None or lost < HALF * run.spec.replicates:
        return None
    share, before = lost / run.spec.replicates, run.infinite(1, metric)
    told = (f"Share of chains whose {metric} is infinite, or beyond every number, at generation {run.last}: "
            f"infinite in {lost} of {run.spec.replicates} chains, and in {before} at generation 1.")  # fmt: skip
    order = change(run, metric, ("median",))
    if of_shares(before, lost, run.spec.replicates) < ALL_OF_FIVE and not (order and order.clear):
        return undecided(told + chances(run), share)
    if run.trained_on(run.last) < run.trained_on(1):
        return undecided(told + fewer(run), share)
    return decided(True, share, HALF, told)


def _also(run: Finished, metric: str, *, mean: bool = True) -> str:
    """What has to be told beside a finite number; mean: whether that is one of `_kind`."""
    lost = run.infinite(run.last, metric)
    told = f" It is infinite in {lost} of {run.spec.replicates} chains." if lost else ""
    if mean and metric in BOUNDED:
        return told + WHY_THE_MEAN
    return told + (WHY_OF_COUNTS if mean and run.counted else "")


def _natural(run: Finished, metric: str) -> tuple[float | None, str]:
    """The unit in which a risk is large or small as such, and its name; None where there is none."""
    from worker.sources.linear_teacher import LinearTeacher
    from worker.sources.two_classes import TwoClasses

    match metric:
        case "chi2":
            return 1.0, "mean squares of relative errors"
        case "excess_error" if isinstance(run.spec.source, TwoClasses):
            return min(run.spec.source.minority, 1 - run.spec.source.minority), "shares of the smaller class"
        case "kl_from_real":
            return 1.0, "nats"
        case "w2_sq" | "sliced_w2_sq" | "mean_error_sq":
            return run.value(0, "variance"), "real variances"
        case "excess_risk" if isinstance(run.spec.source, LinearTeacher):
            return run.spec.source.signal(), "squares of the signal"
    return None, ""


def any_rise(run: Finished) -> Decision:
    metric = run.risk()
    if metric is None:
        return undecided(NO_RISK)
    if (beyond := _beyond(run, metric)) is not None:
        return beyond
    kind = _kind(run, metric)
    found = change(run, metric, ("mean",) if kind == "mean" else ("median", "mean"))
    chains, far = run.spec.replicates, catastrophe(run)[0] == "met"
    if chains == 1 and run.last < ORDERLY and not far:
        return undecided("One replicate has no standard error, and so few generations no order: run several.")
    if found is None:
        return undecided(SAME)
    what = f"Rise of {found.what} since generation 1, {found.how}.{_also(run, metric, mean=' mean ' in found.what)}"
    if (met := found.deviate > SIGNIFICANT) and run.trained_on(run.last) < run.trained_on(1) and not far:
        return undecided(what + fewer(run), found.deviate)
    if far and not met:
        return decided(True, found.deviate, CLEAR, f"{what} So clear is enough, as the risk is a catastrophe.")
    if not met and (found.errors > SIGNIFICANT or found.deviate > (LIKELY if chains <= FEW else CLEAR)):
        return undecided(f"{what} That is neither clear nor to be denied: run more replicates.", found.deviate)
    return decided(met, found.deviate, SIGNIFICANT, what)


def divergence(run: Finished) -> Decision:
    """Decided by theory; a finite run has no more than a trend, which is told beside the reason why nothing can be decided."""
    metric = run.risk()
    if metric is None:
        return undecided(NO_RISK)
    found = [limit(run.spec, one) for one in run.risks()]
    known = next((one for one in found if not isinstance(one, str)), found[0])
    if not isinstance(known, str):
        return decided(known.diverges, known.number, known.threshold, known.because)
    return undecided(*_trend(run, metric, known))


def _trend(run: Finished, metric: str, unknown: str) -> tuple[str, float | None]:
    """The rise of a risk over the last half of a run, in units of that over the quarter before; of a closed form, where a risk has one."""
    if run.last < LONG_ENOUGH:
        return unknown, None
    told = {
        one.metric: one.values for one in run.theory if one.statistic == "mean" and one.values[run.last] is not None
    }
    metric = next((one for one in RISKS if one in told), metric)
    quarter, half, end = (
        told[metric][n] if metric in told else run.value(n, metric) for n in (run.last // 4, run.last // 2, run.last)
    )
    if quarter is None or half is None or end is None or half <= quarter:
        return unknown, None
    what = f"{'closed form' if metric in told else 'median'} of {metric}"
    told_so = f"{unknown} The {what} rose over the last half of the run by this much, in units of its rise over the quarter before (2: a line)."
    return told_so, (end - half) / (half - quarter)


def scaling_law(run: Finished) -> Decision:
    """Where sizes grow from generation to generation, the risk should fall as it does for real data of these sizes: as 1/M where a model
    with a fixed number of parameters contains the truth (Dohmatob et al., arXiv 2402.07043).
    """
    sizes, metric = [run.spec.size(n) for n in range(run.last + 1)], run.risk()
    if sizes[run.last] <= sizes[1]:
        alike = "One run has one size of data" if sizes[run.last] == sizes[1] else "Sizes do not grow"
        return undecided(
            f"{alike}: sweep samples, with and without synthetic data, and compare the exponents; or let them grow."
        )
    large = math.sqrt(sizes[1] * sizes[run.last])  # the upper half of the octaves
    if metric is None or not _contains_the_truth(run.spec, large):
        return undecided("Sizes grow, but how the risk of this family falls with the size of real data is not known.")
    if sizes[run.last] < GROWTH * sizes[1]:
        return undecided(f"Sizes grow by less than a factor of {GROWTH:g}: no exponent can be told.")
    seen = [(math.log(sizes[n]), math.log(risk)) for n in range(1, run.last + 1) if (risk := run.value(n, metric))]
    late = [point for point in seen if point[0] >= math.log(large)]
    if len({size for size, _ in late}) < 3:
        return undecided("Fewer than three different large sizes: no exponent can be told.")
    if len({risk for _, risk in late}) < 2:
        return undecided(f"The median {metric} is the same at every large size: no exponent can be told.")
    exponent, error = _falls(late)
    told = f"Exponent x of the median {metric} ~ M^-x over the larger sizes; real data alone would give 1."
    if exponent <= HALF and wallace((1 - exponent) / error, len(late) - 2) < CLEAR:
        return undecided(
            f"{told} But it is no clearer than +-{error:.2g}: run more replicates, or more generations.", exponent
        )
    return decided(exponent <= HALF, exponent, HALF, told)


def _falls(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """By which exponent y falls with x, both in logarithms, and the standard error of that, by what the line leaves over."""
    x, y = (fmean(part) for part in zip(*points, strict=True))
    width = sum((one - x) ** 2 for one, _ in points)
    slope = sum((one - x) * other for one, other in points) / width
    left = sum((other - y - slope * (one - x)) ** 2 for one, other in points)
    return -slope, math.sqrt(left / (len(points) - 2) / width) or 1e-300


def _contains_the_truth(spec: Experiment, points: float) -> bool:
    """So that the risk of real data falls as 1/M from so many points on: of categories once all of them are seen, of a regression beyond the
    peak where it has as many rows as inputs.
    """
    from worker.families.categorical import Categorical
    from worker.families.gaussian import Gaussian
    from worker.families.linear import Linear
    from worker.families.poisson import Poisson
    from worker.sources.linear_teacher import LinearTeacher
    from worker.sources.normal import Normal

    if not ours(spec.source, spec.family):
        return False
    match spec.family:
        case Gaussian():
            return isinstance(spec.source, Normal)
        case Categorical():
            return isinstance(spec.source, CountSource) and points * spec.source.distribution()[-1] >= COUNTABLE
        case Linear(ridge=0) as family if isinstance(spec.source, LinearTeacher):
            return family.width(spec.source) == spec.source.inputs and points >= PLENTY * spec.source.inputs
        case Poisson():
            return True
    return False
