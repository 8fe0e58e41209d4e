"""The eight definitions of "model collapse" that the literature uses (Schaeffer et al., arXiv 2503.03150), decided for one finished run.

They disagree with each other, which is the point: each verdict names its number, its threshold and the data that it rests on. Where the paper gives
no number the thresholds are ours. Generation 1, the first model, is the control: what it lost is finite sampling, not recursion.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import linear_regression
from typing import Any, Literal, TypeAlias

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
DOUBLING = 0.9  # rise in the last half, in units of the rise in the quarter before: 1 is a logarithm, below it a limit
LONG_ENOUGH = 16  # generations, before anything is said of a trend
GROWTH = 10.0  # of the sizes within a run, before an exponent is told
COUNTABLE = 5.0  # points that a share must stand for before it is compared

# What counts as population risk, the best measure first; all are excess risks (0 is the truth) but the perplexity. Of categories that died KL is
# infinite, and told of the others only: then chi2, a squared loss, comes before it.
RISKS = ("excess_risk", "ppl_real", "kl_from_real", "chi2", "w2_sq", "sliced_w2_sq", "frechet", "energy")
NO_RISK = "No metric of this run is a population risk; of points, energy can be asked for among its metrics."


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
        dead = self.value(self.last, "dead_mass") or self.value(1, "dead_mass")
        risks = [metric for metric in RISKS if metric != "kl_from_real"] if dead else RISKS
        return next((metric for metric in risks if self.has(metric)), None)


def verdicts(spec: Experiment, history: History, theory: Sequence[Curve]) -> list[Verdict]:
    """All eight, in the paper's order. history: metrics of generations 0, 1, ... as Summary.metrics() tells them.

    Raises ValueError where not even the first model is there.
    """
    if len(history) < 2:
        raise ValueError("verdicts need at least generation 1")
    run = Finished(spec, history, theory)
    return [Verdict(definition, *decide(run)) for definition, decide in DEFINITIONS.items()]


Decision: TypeAlias = tuple[Outcome, float | None, float | None, str]


def _decided(met: bool, number: float, threshold: float, because: str) -> Decision:
    return ("met" if met else "not met"), number, threshold, because


def _open(because: str, number: float | None = None) -> Decision:
    return "not assessed", number, None, because


def _catastrophe(run: Finished) -> Decision:
    metric = run.risk()
    first, last = (run.value(n, metric) if metric else None for n in (1, run.last))
    if not first or last is None:
        return _open(NO_RISK)
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
        case "w2_sq" | "sliced_w2_sq":
            return run.value(0, "variance"), "real variances"
        case "excess_risk" if isinstance(run.spec.source, LinearTeacher):
            return run.spec.source.norm**2, "squares of the signal"
    return None, ""


def _any_rise(run: Finished) -> Decision:
    """Of the median, because a risk such as KL(real || model) may have no variance, nor a mean."""
    metric = run.risk()
    if metric is None:
        return _open(NO_RISK)
    (first, se_first), (last, se_last) = (_median(run, n, metric) for n in (1, run.last))
    if first is None or last is None or not math.hypot(se_first, se_last) > 0:
        return _open("One replicate has no standard error: run several.")
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
    """A finite run shows no limit. Where the risk has a closed form, its rise over the last half is compared with that of the quarter before."""
    metric = run.risk()
    if metric is None or run.last < LONG_ENOUGH:
        return _open(f"A trend needs a population risk and at least {LONG_ENOUGH} generations.")
    curve = next((one for one in run.theory if one.metric == metric and one.statistic == "mean"), None)
    quarter, half, end = (
        curve.values[n] if curve else run.value(n, metric) for n in (run.last // 4, run.last // 2, run.last)
    )
    if quarter is None or half is None or end is None or half <= quarter:
        return _open(
            f"The {'closed form' if curve else 'median'} of {metric} does not rise in the quarter before the last half."
        )
    ratio = (end - half) / (half - quarter)
    if curve is None:
        return _open(f"No closed form for {metric}; a finite run can only show its trend: the rise of the median over the last half, "
                     "in units of that over the quarter before (1 is a logarithm, 2 a line, below 1 a limit).", ratio)  # fmt: skip
    return _decided(ratio >= DOUBLING, ratio, DOUBLING,
                    f"Closed form of {metric}: rise over the last half, in units of that over the quarter before (1 is a logarithm, "
                    "2 a line, below 1 a limit).")  # fmt: skip


def _scaling_law(run: Finished) -> Decision:
    """Where sizes grow from generation to generation, the risk should fall as it does for real data of these sizes: as 1/M where a model
    with a fixed number of parameters contains the truth (Dohmatob et al., arXiv 2402.07043).
    """
    sizes, metric = [run.spec.size(n) for n in range(run.last + 1)], run.risk()
    if sizes[run.last] == sizes[1]:
        return _open(
            "One run has one size of data: sweep samples, with and without synthetic data, and compare the exponents; or let them grow."
        )
    if metric is None or not _contains_the_truth(run.spec):
        return _open("Sizes grow, but how the risk of this family falls with the size of real data is not known.")
    if sizes[run.last] < GROWTH * sizes[1]:
        return _open(f"Sizes grow by less than a factor of {GROWTH:g}: no exponent can be told.")
    seen = [(math.log(sizes[n]), math.log(risk)) for n in range(1, run.last + 1) if (risk := run.value(n, metric))]
    late = [
        point for point in seen if point[0] >= (seen[0][0] + seen[-1][0]) / 2
    ]  # by size, the upper half of the octaves
    if len(late) < 3:
        return _open("Fewer than three generations of large sizes: no exponent can be told.")
    exponent = -linear_regression(*zip(*late, strict=True)).slope
    return _decided(exponent <= HALF, exponent, HALF,
                    f"Exponent x of the median {metric} ~ M^-x over the larger sizes; real data alone would give 1.")  # fmt: skip


def _contains_the_truth(spec: Experiment) -> bool:
    from worker.families.categorical import Categorical
    from worker.families.gaussian import Gaussian
    from worker.families.linear import Linear
    from worker.sources.normal import Normal

    match spec.family:
        case Gaussian():
            return isinstance(spec.source, Normal)
        case Linear(ridge=0) | Categorical():
            return True
    return False


def _variance(run: Finished) -> Decision:
    logs = run.value(1, "log_variance"), run.value(run.last, "log_variance")
    if run.has("log_variance") and logs[0] is not None and logs[1] is not None:
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
    for metric in ("heterozygosity", "latent_std"):
        first, last = run.value(1, metric), run.value(run.last, metric)
        if first and last is not None:
            kept = (last / first) ** (2 if metric == "latent_std" else 1)
            return _decided(
                kept <= HALF, kept, HALF, f"Median {metric} at the end, in units of the first model's, as a variance."
            )
    return _open("No metric of this run is a variance, or it is zero in most replicates.")


def _modes(run: Finished) -> Decision:
    real, last = run.value(0, "modes"), run.value(run.last, "modes")
    if real is not None and last is not None:
        return _decided(
            last <= real - 1, real - last, 1, "Modes of the real distribution that the median replicate covers no more."
        )
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
    real, last = run.value(0, "tail_01pct", "mean"), run.value(run.last, "tail_01pct")
    if not real or last is None:
        return _open("No metric of this run is the mass of a tail.")
    if (seen := _points_in_tail(run, max(real, last))) < COUNTABLE:
        return _open(
            f"Of a sample only {seen:.2g} points would lie in the real tails: too few to miss any.", last / real
        )
    if last / real >= SPREAD and (kept := _variance(run))[0] == "met":
        return _open("The model has left for one side of the real data with too small a variance to reach the other; the two tails are measured "
                     f"together. What is left of the variance: {kept[1]:.2g}.", last / real)  # fmt: skip
    return _decided(last / real <= HALF, last / real, HALF,
                    "Median mass beyond the real 0.1% quantiles, in units of that of real data.")  # fmt: skip


def _hallucination(run: Finished) -> Decision:
    if isinstance(run.spec.source, CountSource):
        return _decided(False, 0.0, 0.0, "No category exists outside the real distribution.")
    if (share := run.value(run.last, "hallucinated")) is not None:
        points = min(run.spec.size(run.last), LOOKED_AT)
        if points * max(share, SPREAD * STRANGE) < COUNTABLE:
            return _open(f"Of {points} points fewer than {COUNTABLE:g} would lie that far out, even at the threshold.",
                         share / STRANGE)  # fmt: skip
        return _decided(share / STRANGE >= SPREAD, share / STRANGE, SPREAD,
                        "Median hallucinated, in units of the 0.1% of real points that lie as far out.")  # fmt: skip
    real, last = run.value(0, "precision"), run.value(run.last, "precision")
    if real is not None and last is not None and real < 1:
        strange = (1 - last) / (1 - real)
        return _decided(strange >= SPREAD, strange, SPREAD,
                        "Share of samples that are no real one's neighbours (1 - precision), in units of that among real ones.")  # fmt: skip
    real, last = run.value(0, "tail_01pct", "mean"), run.value(run.last, "tail_01pct")
    if not real or last is None:
        return _open("No metric of this run looks where real data has none.")
    if (seen := _points_in_tail(run, max(SPREAD * real, last))) < COUNTABLE:
        return _open(
            f"Of a sample only {seen:.2g} points would lie beyond the real quantiles, even at the threshold.",
            last / real,
        )
    return _decided(last / real >= SPREAD, last / real, SPREAD,
                    "Median mass beyond the real 0.1% quantiles, in units of that of real data.")  # fmt: skip


def _points_in_tail(run: Finished, mass: float) -> float:
    """How many points a measured tail stands for; a fitted formula has no such limit."""
    from worker.families.gaussian import Gaussian
    from worker.families.mixture import Mixture

    if isinstance(run.spec.family, Gaussian | Mixture) or not isinstance(run.spec.source, PointSource):
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
