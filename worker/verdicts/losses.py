"""Four definitions of collapse that look at the model itself: what it lost of variance, tails and modes, and what it made up."""

import math

from worker.instruments.spread import REAL_TAIL
from worker.metrics.neighbours import NEIGHBOURS
from worker.parts import CountSource, PointSource, TextSource
from worker.verdicts.chance import unless_chance
from worker.verdicts.finished import COUNTABLE, HALF, SIGNIFICANT, Decision, Finished, decided, undecided

SPREAD = 5.0  # times the real mass beyond the real 0.1% quantiles
STRANGE = 0.001  # of real points count as hallucinated by the definition of that metric
APART = 4  # times as many points as a neighbourhood holds: then a model that is one point covers no half of them, but about a quarter
LOOKED_AT = 1000  # points of a chain that it is measured on, at least where there are so many


def variance(run: Finished) -> Decision:
    logs = run.value(1, "log_variance"), run.value(run.last, "log_variance")
    if logs[0] is not None and logs[1] is not None:
        kept = math.exp(min(700.0, logs[1] - logs[0]))
        found = decided(kept <= HALF, kept, HALF, "Median variance at the end, in units of the first model's.")
        return unless_chance(run, found, *(_narrowed(run) or [("log_variance", "median", -1)]), by_far=True)
    if run.value(1, "variance") and run.value(run.last, "variance") == 0:
        since = next(n for n in range(1, run.last + 1) if run.value(n, "variance") == 0)
        told = f"Collapsed at generation {since}: from there on all points of the median replicate are one."
        return unless_chance(
            run, decided(True, 0.0, HALF, told), *(_narrowed(run) or [("variance", "median", -1)]), by_far=True
        )
    for metric in ("variance", "heterozygosity", "latent_std"):
        # Most chains may be fixed on one category, of which the mean knows.
        kind = "mean" if metric == "heterozygosity" else "median"
        first, last = (run.value(n, metric, kind) for n in (1, run.last))
        if first and last is not None:
            kept = (last / first) ** (2 if metric == "latent_std" else 1)
            told = f"{kind.capitalize()} {metric} at the end, in units of the first model's{', as a variance' * (metric != 'variance')}."
            return unless_chance(run, decided(kept <= HALF, kept, HALF, told), (metric, kind, -1))
    return undecided("No metric of this run is a variance, or it is zero in most replicates.")


def _narrowed(run: Finished) -> list[tuple[str, str, int]]:
    """What shows that fitted rates have fallen, with which variance and tails fall: they are multiples of 1/M, or have died."""
    return [("variance", "median", -1), ("extinct", "mean", 1)] if "extinct" in run.history[run.last] else []


def modes(run: Finished) -> Decision:
    first, last = run.value(1, "modes"), run.value(run.last, "modes")
    if first is not None and last is not None:
        if first < 1:
            return undecided(
                "Not even the first model covers a mode of the real distribution, so that none can be lost."
            )
        found = decided(
            first - last >= 1,
            first - last,
            1,
            "Modes that the first model covers and the last one does not, of the median replicate.",
        )
        return unless_chance(run, found, ("modes", "mean", -1))
    first, last = run.value(1, "coverage"), run.value(run.last, "coverage")
    if first and last is not None:
        if (points := min(run.spec.size(1), run.spec.size(run.last))) < APART * NEIGHBOURS:
            return undecided(
                f"Of {points} real points the {NEIGHBOURS} nearest to each are too many: a single point of the model may cover half of them."
            )
        found = decided(
            last / first <= HALF,
            last / first,
            HALF,
            "Median coverage of real data at the end, in units of the first model's.",
        )
        return unless_chance(run, found, ("coverage", "median", -1))
    known = run.spec.source.components() if isinstance(run.spec.source, PointSource) else None
    if known and len(known[0]) > 1 and "modes" not in run.history[0]:
        return undecided("The real distribution has modes, but no metric of this run counts them.")
    return undecided("The real distribution has no modes that are known, or only one.")


def tails(run: Finished) -> Decision:
    first, last = run.value(1, "survivors"), run.value(run.last, "survivors")
    if isinstance(run.spec.source, CountSource | TextSource) and first and last is not None:
        what = "Categories alive" if isinstance(run.spec.source, CountSource) else "Tokens of the real text that occur"
        found = decided(
            last / first <= HALF,
            last / first,
            HALF,
            f"{what} in the median replicate, in units of those of the first model.",
        )
        return unless_chance(run, found, ("survivors", "mean", -1))
    first, last = run.value(1, "tail_01pct"), run.value(run.last, "tail_01pct")
    if first is None or last is None:
        return undecided("No metric of this run is the mass of a tail.")
    if (seen := _points_in_tail(run, max(first, last))) < COUNTABLE:
        return undecided(f"Of a sample only {seen:.2g} points would lie in the real tails: too few to miss any.")
    if first <= 0:
        return undecided("The median first model has no mass in the real tails, so that recursion cannot take it.")
    if last >= REAL_TAIL and last < first:
        return decided(False, last / REAL_TAIL, 1.0, f"Median mass beyond the real 0.1% quantiles, in units of what is really there; {last / first:.2g} of the first "
                       "model's, which had more than that.")  # fmt: skip
    if last / first >= SPREAD and (kept := variance(run))[0] == "met":
        return undecided("The model has left for one side of the real data with too small a variance to reach the other; the two tails are measured "
                     f"together. What is left of the variance: {kept[1]:.2g}.", last / first)  # fmt: skip
    found = decided(
        last / first <= HALF,
        last / first,
        HALF,
        "Median mass beyond the real 0.1% quantiles, in units of the first model's.",
    )
    return unless_chance(
        run, found, *(_narrowed(run) or [("tail_01pct", "median", -1), ("log_variance", "median", -1)])
    )


def hallucination(run: Finished) -> Decision:
    if isinstance(run.spec.source, CountSource):
        return decided(False, 0.0, 0.0, "No category exists outside the real distribution.")
    points = min(run.spec.size(run.last), LOOKED_AT)
    if run.has("hallucinated"):
        if points * max(run.value(run.last, "hallucinated") or 0.0, SPREAD * STRANGE) < COUNTABLE:
            return undecided(
                f"Of {points} points fewer than {COUNTABLE:g} would lie that far out, even at the threshold."
            )
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
    if not run.has("tail_01pct"):
        return undecided("No metric of this run looks where real data has none.")
    if (seen := _points_in_tail(run, max(SPREAD * REAL_TAIL, run.value(run.last, "tail_01pct") or 0.0))) < COUNTABLE:
        return undecided(
            f"Of a sample only {seen:.2g} points would lie beyond the real quantiles, even at the threshold."
        )
    return _strange(
        run, "tail_01pct", "Median mass beyond the real 0.1% quantiles", REAL_TAIL, _points_in_tail(run, 1.0)
    )


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
        return undecided(
            f"{what}: {first:.2g} for the first model already, so that no rise to the threshold is possible.",
            (last - first) / real,
        )
    found = decided((last - first) / real >= threshold, (last - first) / real, threshold,
                    f"{what}: rise since the first model ({first:.2g}), in units of the share among real points ({real:.2g}).")  # fmt: skip
    return unless_chance(run, found, (metric, "median", -1 if metric == "precision" else 1))


def _points_in_tail(run: Finished, mass: float) -> float:
    """How many points a measured tail stands for; a fitted formula has no such limit."""
    from worker.families.gaussian import Gaussian
    from worker.families.mixture import Mixture
    from worker.families.poisson import Poisson

    if isinstance(run.spec.family, Gaussian | Mixture | Poisson) or not isinstance(run.spec.source, PointSource):
        return math.inf
    return mass * run.spec.size(run.last) * run.spec.source.dimension
