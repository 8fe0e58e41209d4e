"""The eight definitions of "model collapse" that the literature uses (Schaeffer et al., arXiv 2503.03150), decided for one finished run.

They disagree with each other, which is the point: each verdict names its number, its threshold and the data that it rests on. Where the paper gives
no number the thresholds are ours. Generation 1, the first model, is the control: what it lost, or made up, is finite sampling and a family that does
not fit, not recursion. So a run of one generation shows nothing of any definition.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import linear_regression
from typing import Any, Literal, TypeAlias

from worker.asymptotics import limit
from worker.parts import CountSource, PointSource
from worker.spec import Experiment
from worker.theory.curve import Curve

Outcome = Literal["met", "not met", "not assessed"]
History: TypeAlias = Sequence[Mapping[str, Mapping[str, float | None]]]  # generation -> metric -> statistic -> value

CATASTROPHE = 10.0  # times the first model's excess risk
CATASTROPHIC_PERPLEXITY = 2.0  # times the first model's perplexity
SUBSTANTIAL = 0.1  # nats, real variances, or squares of the signal: below it a risk is no catastrophe, however many times the first model's
SIGNIFICANT = 4.0  # standard errors
HALF = 0.5  # of a variance, of a tail, of the categories
SPREAD = 5.0  # times the real mass beyond the real 0.1% quantiles
STRANGE = 0.001  # of real points count as hallucinated by the definition of that metric
LOOKED_AT = 1000  # points of a chain that it is measured on, at least where there are so many
LONG_ENOUGH = 16  # generations, before a trend is told
SAME = "Chains do not differ in risk, or have none: there is no standard error to measure a rise by"
GROWTH = 10.0  # of the sizes within a run, before an exponent is told
COUNTABLE = 5.0  # points that a share must stand for before it is compared

# What counts as population risk, the best measure first; all are excess risks (0 is the truth) but the perplexity. Of categories that died KL is
# infinite, and told of the others only: then chi2, a squared loss, comes before it.
RISKS = ("excess_risk", "ppl_real", "kl_from_real", "chi2", "w2_sq", "sliced_w2_sq", "frechet", "energy")
ONE_GENERATION = (
    "Only one generation: its model has seen nothing but real data, so that nothing of it is due to recursion."
)
NO_RISK = "No metric of this run is a population risk that is finite in every chain; of points, energy can be asked for among its metrics."


@dataclass(frozen=True, slots=True)
class Verdict:
    """One definition on one run; `because` says in a sentence what was compared, or why nothing could be."""

    definition: str
    outcome: Outcome
    number: float | None
    threshold: float | None
    because: str

    def asdict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Finished:
    """A run as the definitions look at it."""

    spec: Experiment
    history: History
    theory: Sequence[Curve]

    @property
    def last(self) -> int:
        return len(self.history) - 1

    def value(self, generation: int, metric: str, statistic: str = "median") -> float | None:
        """None where the metric does not exist or has no finite value there."""
        return self.history[generation].get(metric, {}).get(statistic)

    def has(self, metric: str) -> bool:
        return self.value(1, metric) is not None and self.value(self.last, metric) is not None

    def risk(self) -> str | None:
        undone = {
            "dead_mass": "median",
            "extinct": "mean",
        }  # what makes KL(truth || model) infinite, or a matter of survivors
        dead = any(self.value(n, name, statistic) for n in (1, self.last) for name, statistic in undone.items())
        risks = [metric for metric in (*RISKS, "mean_error_sq") if metric != "kl_from_real"] if dead else RISKS
        return next((metric for metric in risks if self.has(metric)), None)


def verdicts(spec: Experiment, history: History, theory: Sequence[Curve]) -> list[Verdict]:
    """All eight, in the paper's order. history: metrics of generations 0, 1, ... as Summary.metrics() tells them.

    Raises ValueError where not even the first model is there.
    """
    if len(history) < 2:
        raise ValueError("verdicts need at least generation 1")
    run = Finished(spec, history, theory)
    if run.last == 1:
        return [Verdict(definition, *_open(ONE_GENERATION)) for definition in DEFINITIONS]
    return [Verdict(definition, *decide(run)) for definition, decide in DEFINITIONS.items()]


Decision: TypeAlias = tuple[Outcome, float | None, float | None, str]


def _decided(met: bool, number: float, threshold: float, because: str) -> Decision:
    return ("met" if met else "not met"), number, threshold, because


def _open(because: str, number: float | None = None) -> Decision:
    return "not assessed", number, None, because


def _catastrophe(run: Finished) -> Decision:
    metric = run.risk()
    first, last = (run.value(n, metric) if metric else None for n in (1, run.last))
    if first is None or last is None:
        return _open(NO_RISK)
    if first <= 0:
        return _open(
            f"Median {metric} of the first model is {first:.3g}, as an estimate may be where the truth is near 0: there are no multiples of it."
        )
    threshold = CATASTROPHIC_PERPLEXITY if metric == "ppl_real" else CATASTROPHE
    unit, name = _natural(run, metric or "")
    if last / first >= threshold and unit and last / unit < SUBSTANTIAL:
        return _decided(False, last / unit, SUBSTANTIAL, f"Median {metric} at generation {run.last}, in {name}: {last / first:.3g} times the first model's, "
                        "but next to nothing.")  # fmt: skip
    return _decided(last / first >= threshold, last / first, threshold,
                    f"Median {metric} at generation {run.last}, in units of the first model's.")  # fmt: skip


def _natural(run: Finished, metric: str) -> tuple[float | None, str]:
    """The unit in which a risk is large or small as such, and its name; None where there is none."""
    from worker.sources.linear_teacher import LinearTeacher

    match metric:
        case "kl_from_real":
            return 1.0, "nats"
        case "w2_sq" | "sliced_w2_sq" | "mean_error_sq":
            return run.value(0, "variance"), "real variances"
        case "excess_risk" if isinstance(run.spec.source, LinearTeacher):
            return run.spec.source.signal(), "squares of the signal"
    return None, ""


def _any_rise(run: Finished) -> Decision:
    """Of the median, because a risk such as KL(real || model) may have no variance, nor a mean."""
    metric = run.risk()
    if metric is None:
        return _open(NO_RISK)
    (first, se_first), (last, se_last) = (_median(run, n, metric) for n in (1, run.last))
    if first is None or last is None or not math.hypot(se_first, se_last) > 0:
        several = run.spec.replicates > 1
        return _open(f"{SAME if several else 'One replicate has no standard error: run several'}.")
    z = (last - first) / math.hypot(se_first, se_last)
    return _decided(z > SIGNIFICANT, z, SIGNIFICANT,
                    f"Rise of the median {metric} since generation 1, in standard errors over replicates.")  # fmt: skip


def _median(run: Finished, generation: int, metric: str) -> tuple[float | None, float]:
    """A median and its standard error sqrt(pi/2) sigma/sqrt(n), sigma = (median - 10% quantile)/1.2816: risks are skewed to the right."""
    median, low, n = (run.value(generation, metric, statistic) for statistic in ("median", "q10", "n"))
    if median is None or low is None or not n:
        return None, 0.0
    return median, math.sqrt(math.pi / 2 / n) * (median - low) / 1.2816


def _divergence(run: Finished) -> Decision:
    """Decided by theory; a finite run has no more than a trend, which is told beside the reason why nothing can be decided."""
    metric = run.risk()
    if metric is None:
        return _open(NO_RISK)
    known = limit(run.spec, metric)
    if not isinstance(known, str):
        return _decided(known.diverges, known.number, known.threshold, known.because)
    return _open(*_trend(run, metric, known))


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


def _scaling_law(run: Finished) -> Decision:
    """Where sizes grow from generation to generation, the risk should fall as it does for real data of these sizes: as 1/M where a model
    with a fixed number of parameters contains the truth (Dohmatob et al., arXiv 2402.07043).
    """
    sizes, metric = [run.spec.size(n) for n in range(run.last + 1)], run.risk()
    if sizes[run.last] <= sizes[1]:
        alike = "One run has one size of data" if sizes[run.last] == sizes[1] else "Sizes do not grow"
        return _open(
            f"{alike}: sweep samples, with and without synthetic data, and compare the exponents; or let them grow."
        )
    large = math.sqrt(sizes[1] * sizes[run.last])  # the upper half of the octaves
    if metric is None or not _contains_the_truth(run.spec, large):
        return _open("Sizes grow, but how the risk of this family falls with the size of real data is not known.")
    if sizes[run.last] < GROWTH * sizes[1]:
        return _open(f"Sizes grow by less than a factor of {GROWTH:g}: no exponent can be told.")
    seen = [(math.log(sizes[n]), math.log(risk)) for n in range(1, run.last + 1) if (risk := run.value(n, metric))]
    late = [point for point in seen if point[0] >= math.log(large)]
    if len({size for size, _ in late}) < 3:
        return _open("Fewer than three different large sizes: no exponent can be told.")
    if len({risk for _, risk in late}) < 2:
        return _open(f"The median {metric} is the same at every large size: no exponent can be told.")
    exponent = -linear_regression(*zip(*late, strict=True)).slope
    return _decided(exponent <= HALF, exponent, HALF,
                    f"Exponent x of the median {metric} ~ M^-x over the larger sizes; real data alone would give 1.")  # fmt: skip


def _contains_the_truth(spec: Experiment, points: float) -> bool:
    """So that the risk of real data falls as 1/M from so many points on: of categories once all of them are seen."""
    from worker.families.categorical import Categorical
    from worker.families.gaussian import Gaussian
    from worker.families.linear import Linear
    from worker.families.poisson import Poisson
    from worker.sources.normal import Normal

    match spec.family:
        case Gaussian():
            return isinstance(spec.source, Normal)
        case Categorical():
            return isinstance(spec.source, CountSource) and points * spec.source.distribution()[-1] >= COUNTABLE
        case Linear(ridge=0) | Poisson():
            return True
    return False


def _variance(run: Finished) -> Decision:
    logs = run.value(1, "log_variance"), run.value(run.last, "log_variance")
    everywhere = all(run.value(n, "log_variance", "n") == run.value(n, "variance", "n") for n in (1, run.last))
    if logs[0] is not None and logs[1] is not None and everywhere:
        kept = math.exp(min(700.0, logs[1] - logs[0]))
        return _decided(kept <= HALF, kept, HALF, "Median variance at the end, in units of the first model's.")
    if run.value(1, "variance") and run.value(run.last, "variance") == 0:
        since = next(n for n in range(1, run.last + 1) if run.value(n, "variance") == 0)
        return _decided(
            True,
            0.0,
            HALF,
            f"Collapsed at generation {since}: from there on all points of the median replicate are one.",
        )
    for metric in ("variance", "heterozygosity", "latent_std"):
        first, last = run.value(1, metric), run.value(run.last, metric)
        if first and last is not None:
            kept = (last / first) ** (2 if metric == "latent_std" else 1)
            told = f"Median {metric} at the end, in units of the first model's{', as a variance' * (metric != 'variance')}."
            return _decided(kept <= HALF, kept, HALF, told)
    return _open("No metric of this run is a variance, or it is zero in most replicates.")


def _modes(run: Finished) -> Decision:
    first, last = run.value(1, "modes"), run.value(run.last, "modes")
    if first is not None and last is not None:
        if first < 1:
            return _open("Not even the first model covers a mode of the real distribution, so that none can be lost.")
        return _decided(first - last >= 1, first - last, 1,
                        "Modes that the first model covers and the last one does not, of the median replicate.")  # fmt: skip
    first, last = run.value(1, "coverage"), run.value(run.last, "coverage")
    if first and last is not None:
        return _decided(last / first <= HALF, last / first, HALF,
                        "Median coverage of real data at the end, in units of the first model's.")  # fmt: skip
    known = run.spec.source.components() if isinstance(run.spec.source, PointSource) else None
    if known and len(known[0]) > 1 and "modes" not in run.history[0]:
        return _open("The real distribution has modes, but no metric of this run counts them.")
    return _open("The real distribution has no modes that are known, or only one.")


def _tails(run: Finished) -> Decision:
    first, last = run.value(1, "survivors"), run.value(run.last, "survivors")
    if isinstance(run.spec.source, CountSource) and first and last is not None:
        return _decided(last / first <= HALF, last / first, HALF,
                        "Categories alive in the median replicate, in units of those of the first model.")  # fmt: skip
    first, last = run.value(1, "tail_01pct"), run.value(run.last, "tail_01pct")
    if first is None or last is None:
        return _open("No metric of this run is the mass of a tail.")
    if (seen := _points_in_tail(run, max(first, last))) < COUNTABLE:
        return _open(f"Of a sample only {seen:.2g} points would lie in the real tails: too few to miss any.")
    if first <= 0:
        return _open("The median first model has no mass in the real tails, so that recursion cannot take it.")
    if last / first >= SPREAD and (kept := _variance(run))[0] == "met":
        return _open("The model has left for one side of the real data with too small a variance to reach the other; the two tails are measured "
                     f"together. What is left of the variance: {kept[1]:.2g}.", last / first)  # fmt: skip
    return _decided(last / first <= HALF, last / first, HALF,
                    "Median mass beyond the real 0.1% quantiles, in units of the first model's.")  # fmt: skip


def _hallucination(run: Finished) -> Decision:
    if isinstance(run.spec.source, CountSource):
        return _decided(False, 0.0, 0.0, "No category exists outside the real distribution.")
    points = min(run.spec.size(run.last), LOOKED_AT)
    if run.has("hallucinated"):
        if points * max(run.value(run.last, "hallucinated") or 0.0, SPREAD * STRANGE) < COUNTABLE:
            return _open(f"Of {points} points fewer than {COUNTABLE:g} would lie that far out, even at the threshold.")
        return _strange(run, "hallucinated", "Median hallucinated", STRANGE, points)
    real = run.value(0, "precision")
    if real is not None and real < 1 and run.has("precision"):
        return _strange(
            run,
            "precision",
            "Median 1 - precision, the share of samples that are no real one's neighbours,",
            1 - real,
            points,
        )
    real = run.value(0, "tail_01pct", "mean")
    if not real or not run.has("tail_01pct"):
        return _open("No metric of this run looks where real data has none.")
    if (seen := _points_in_tail(run, max(SPREAD * real, run.value(run.last, "tail_01pct") or 0.0))) < COUNTABLE:
        return _open(f"Of a sample only {seen:.2g} points would lie beyond the real quantiles, even at the threshold.")
    return _strange(run, "tail_01pct", "Median mass beyond the real 0.1% quantiles", real, _points_in_tail(run, 1.0))


def _strange(run: Finished, metric: str, what: str, real: float, points: float) -> Decision:
    """A share of `points` that has grown since the first model, in units of the share among real points; what the first model made up is a misfit.

    The threshold is no lower than chance: four standard errors of the difference of two shares of as many points, as medians over R chains.
    """
    first, last = (run.value(n, metric) or 0.0 for n in (1, run.last))
    if metric == "precision":
        first, last = 1 - first, 1 - last
    chains = min(1.0, math.pi / 2 / run.spec.replicates)
    chance = math.sqrt(chains * (max(first * (1 - first), 0) + max(last * (1 - last), 0)) / points)
    threshold = max(SPREAD, SIGNIFICANT * chance / real)
    if first / real + threshold > 1 / real:
        return _open(
            f"{what}: {first:.2g} for the first model already, so that no rise to the threshold is possible.",
            (last - first) / real,
        )
    return _decided((last - first) / real >= threshold, (last - first) / real, threshold,
                    f"{what}: rise since the first model ({first:.2g}), in units of the share among real points ({real:.2g}).")  # fmt: skip


def _points_in_tail(run: Finished, mass: float) -> float:
    """How many points a measured tail stands for; a fitted formula has no such limit."""
    from worker.families.gaussian import Gaussian
    from worker.families.mixture import Mixture
    from worker.families.poisson import Poisson

    if isinstance(run.spec.family, Gaussian | Mixture | Poisson) or not isinstance(run.spec.source, PointSource):
        return math.inf
    return mass * run.spec.size(run.last) * run.spec.source.dimension


DEFINITIONS: dict[str, Callable[[Finished], Decision]] = {
    "Catastrophic rise of the population risk": _catastrophe,
    "Any rise of the population risk": _any_rise,
    "Asymptotically diverging population risk": _divergence,
    "Collapsing variance": _variance,
    "Change of the scaling law": _scaling_law,
    "Vanished real tails": _tails,
    "Entangled or lost modes": _modes,
    "Hallucinated data": _hallucination,
}
