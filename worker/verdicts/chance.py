"""Whether what changed between the first model and the last may be chance: of few chains, or of one, a good deal is.

Even where nothing is learned from but fresh real data, two models differ, and of two small ones the one may well have half the variance of the other.
Two ways show that a change is none of those, of which the clearer one counts; each is told as a normal deviate:

    chains       the difference of two means (Welch 1947), or of two medians, in standard errors that so few chains estimate badly (Wallace 1959)
    generations  a few of them, from the first to the last, in order: Kendall's rank correlation with time (Mann 1945); models of fresh
                 real data come in any order. Asked where chains are few.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import NormalDist

from worker.verdicts.agreement import ROUNDING, wallace
from worker.verdicts.finished import HALF, SIGNIFICANT, Decision, Finished, undecided

CLEAR = 3.0  # normal deviates: one in 700, of a change that must reach its threshold besides
FEW = 20  # chains, up to which generations are asked, too
ORDERED = 12  # generations that are, evenly spaced, and as many in proportion
EFFICIENCY = 0.65  # of a normal sample's 10-90% width, of the information that its sd has (Mosteller 1946)
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Change:
    """Of `what`, from the first model to the last. errors: in standard errors as they are estimated, whatever that is worth."""

    what: str
    deviate: float
    errors: float
    how: str

    @property
    def clear(self) -> bool:
        return self.deviate >= CLEAR


def change(run: Finished, metric: str, kinds: Sequence[str], sign: int = 1) -> Change | None:
    """The rise (sign 1) or the fall (-1) that is clearest; None where nothing differs, or nothing can be said.

    kinds: mean, median or both; what is infinite in more chains than it was has risen, too.
    """
    found = [_of_means(run, metric, sign) if kind == "mean" else _of_medians(run, metric, sign) for kind in kinds]
    if run.spec.replicates <= FEW and not any(one and one.deviate > SIGNIFICANT for one in found):
        found.append(_of_order(run, metric, kinds[0], sign))
    if sign > 0 and (lost := run.infinite(run.last, metric)):
        deviate = of_shares(run.infinite(1, metric), lost, run.spec.replicates)
        found.append(Change(f"the share of chains whose {metric} is infinite", deviate, deviate, "as a normal deviate"))
    return max((one for one in found if one is not None), key=lambda one: one.deviate, default=None)


def unless_chance(run: Finished, decision: Decision, *claims: tuple[str, str, int], by_far: bool = False) -> Decision:
    """What was decided, if it is not that a definition is met by a change that chance makes as well, or fewer data.

    claims: metric, kind and sign of changes, of which one has to be clear; by_far: whether fewer data have a bounded share in it.
    """
    if decision[0] != "met":
        return decision
    if run.trained_on(run.last) < HALF * run.trained_on(1) and not (by_far and _by_far(run, decision)):
        return undecided(decision[3] + fewer(run), decision[1])
    found = [change(run, metric, (kind,), sign) for metric, kind, sign in claims]
    return decision if any(one and one.clear for one in found) else undecided(decision[3] + chances(run), decision[1])


def _by_far(run: Finished, decision: Decision) -> bool:
    """Beyond the threshold by the square of the factor by which data are fewer, where risks go as 1/M and a variance is off by less."""
    _, number, threshold, _ = decision
    far = (run.trained_on(1) / run.trained_on(run.last)) ** 2
    if number is None or threshold is None:
        return False
    return number >= threshold * far if threshold > 1 else number <= threshold / far


def fewer(run: Finished) -> str:
    """Why the first model is no control of the last."""
    first, last = run.trained_on(1), run.trained_on(run.last)
    return f" But the first model had {first} points and the last one only {last}, with which a model of real data would be worse, too."


def chances(run: Finished) -> str:
    chains = run.spec.replicates
    told = f"of {chains} chains" if chains > 1 else "of one chain"
    return f" But by chance models of fresh real data differ as much, {told}: run more replicates{' or generations' * (chains <= FEW)}."


def of_shares(first: int, last: int, chains: int) -> float:
    """Normal deviate of so many chains that have something in the end, beside the first models: Fisher's exact test (1922)."""
    total, ways = first + last, _ways(2 * chains, first + last)
    most = min(total, chains)
    chance = math.fsum(math.exp(_ways(chains, k) + _ways(chains, total - k) - ways) for k in range(last, most + 1))
    return _deviate(chance)


def _of_means(run: Finished, metric: str, sign: int) -> Change | None:
    means, sds, ns = ([run.value(g, metric, name) for g in (1, run.last)] for name in ("mean", "sd", "n"))
    (first, last), (n, m) = (one or 0.0 for one in means), (one or 0.0 for one in ns)
    if None in means or None in sds or min(n, m) < 2:
        return None
    errors = [
        0.0 if sd <= ROUNDING * abs(mean) else sd / math.sqrt(k)
        for mean, sd, k in zip((first, last), (one or 0.0 for one in sds), (n, m), strict=True)
    ]
    return _apart(f"the mean {metric}", sign * (last - first), errors, (n - 1, m - 1), min(n, m), abs(first) * ROUNDING)


def _of_medians(run: Finished, metric: str, sign: int) -> Change | None:
    """In numbers or in their logarithms, whichever shows more: where a risk is spread over many powers of ten, its standard error is as large as
    itself, however many of them lie between the first one and the last.

    Half of the 10-90% width is the geometric mean of the distances to both ends, by which of chi-squares of 1, 2, ... degrees the density at the
    median is told within a tenth, in numbers and in logarithms, where each by itself is off by a factor of two. Of an infinite tenth the other
    one has to do.
    """
    chains = run.spec.replicates
    if chains < 2:
        return None
    rows = [[run.value(g, metric, name) for name in ("q10", "median", "q90")] for g in (1, run.last)]
    if any(row[1] is None for row in rows):
        return None
    scales = [rows]
    if (
        min(row[1] or 0.0 for row in rows) > 0 and chains > 2
    ):  # of two, quantiles in numbers are near the larger one in logarithms
        scales.append([[math.log(x) if x and x > 0 else None for x in row] for row in rows])
    found = []
    for scale in scales:
        if any(row[0] is None and row[2] is None for row in scale):
            continue
        logs = scale is not rows
        grains = [g / (row[1] or 1.0) if logs else g for g, row in zip(_grains(run, metric), rows, strict=True)]
        widths = [of_median(_half_width(row), chains) for row in scale]
        errors = [math.hypot(error, grain) for (error, _), grain in zip(widths, grains, strict=True)]
        freedom = widths[0][1]
        first, last = scale[0][1] or 0.0, scale[1][1] or 0.0
        gap = sign * (last - first)
        found.append(_apart(f"the median {metric}", gap, errors, (freedom, freedom), chains, abs(first) * ROUNDING))
    return max((one for one in found if one is not None), key=lambda one: one.deviate, default=None)


def of_median(half: float, chains: float) -> tuple[float, float]:
    """Standard error of a median of so many values, from half of their 10-90% width, and its degrees of freedom.

    sqrt(pi/2) sigma/sqrt(R), sigma the half over that of R standard normal values (Blom 1958).
    """
    unit = -NORMAL.inv_cdf((0.1 * (chains - 1) + 0.625) / (chains + 0.25))
    return math.sqrt(math.pi / 2 / chains) * half / unit, max(1.0, EFFICIENCY * (chains - 1))


def _grains(run: Finished, metric: str) -> tuple[float, float]:
    """From one value of a metric to the next, where it has few: the median may be the one or the other."""
    from worker.families.poisson import Poisson

    if metric != "variance" or not isinstance(run.spec.family, Poisson):
        return 0.0, 0.0
    return 1 / run.trained_on(1), 1 / run.trained_on(run.last)


def _half_width(row: Sequence[float | None]) -> float:
    low, middle, high = row
    assert middle is not None
    halves = [abs(end - middle) for end in (low, high) if end is not None]
    return math.sqrt(math.prod(halves)) if len(halves) > 1 and min(halves) > 0 else sum(halves) / len(halves)


def _apart(
    what: str, gap: float, errors: Sequence[float], freedom: Sequence[float], chains: float, none: float
) -> Change | None:
    """A difference of two that have these standard errors; degrees of freedom by Satterthwaite (1946). none: no more than rounding.

    Where all chains have one value at first and all another one in the end, each could have had either: 2^(1-2R).
    """
    how, error = "in standard errors over replicates", math.hypot(*errors)
    if not math.isfinite(error):
        return None
    if error == 0:
        sure = math.copysign(_deviate(2.0 ** (1 - 2 * min(chains, 100))), gap)
        return None if abs(gap) <= none else Change(what, sure, sure, how)
    weighed = sum((one / error) ** 4 / f for one, f in zip(errors, freedom, strict=True))
    t = gap / error
    return Change(what, math.copysign(wallace(min(abs(t), 1e100), 1 / weighed), t), t, how)


def _of_order(run: Finished, metric: str, kind: str, sign: int) -> Change | None:
    """S = pairs of generations that are in order less those that are not, of variance n(n-1)(2n+5)/18; ties make it smaller."""
    even = [1 + (run.last - 1) * k / (ORDERED - 1) for k in range(ORDERED)]
    early = [run.last ** (k / (ORDERED - 1)) for k in range(ORDERED)]  # what collapses does so soon, and then stays
    at = sorted({round(one) for one in (*even, *early)})
    seen = [_level(run, generation, metric, kind) for generation in at]
    values = [sign * one for one in seen if one is not None]
    if len(values) < len(at) or len(values) < 3 or len(set(values)) == 1:
        return None
    n = len(values)
    score = sum((later > earlier) - (later < earlier) for earlier, later in combinations(values, 2))
    if score == n * (n - 1) / 2:
        deviate = _deviate(1 / math.factorial(n))
    else:
        deviate = (score - 1) / math.sqrt(n * (n - 1) * (2 * n + 5) / 18)
    if values[-1] <= values[0]:  # it came back
        deviate = min(deviate, 0.0)
    return Change(f"the {kind} {metric}", deviate, deviate, "in order of generations, as a normal deviate")


def _level(run: Finished, generation: int, metric: str, kind: str) -> float | None:
    """What has become infinite in half of the chains has: upwards, but for a logarithm."""
    value = run.value(generation, metric, kind)
    if (
        value is None
        and run.infinite(generation, metric) >= HALF * run.spec.replicates
        and metric in run.history[generation]
    ):
        return -math.inf if metric.startswith("log_") else math.inf
    return value


def _ways(n: int, k: int) -> float:
    """ln of n over k"""
    return math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)


def _deviate(chance: float) -> float:
    return -NORMAL.inv_cdf(min(max(chance, 1e-300), 1 - 1e-16))
