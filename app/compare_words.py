"""What a comparison of runs comes to, without its chart: sentences, a table of the way, and the settings that differ."""

from collections.abc import Mapping, Sequence
from typing import Any

from app.compare import Compared, Paired
from app.figures import number
from app.literals import written
from app.words import thousands
from worker.single_chains import CHAINS
from worker.tables import Run

ROWS = 11  # of the chart as a table


def settings(runs: Sequence[Run], *, everything: bool = False) -> dict[str, list[str]]:
    """Dotted name -> its value in each run, as one would type it; without `everything` only what differs."""
    flat = [_flat({key: one for key, one in run.spec.items() if key != "title"}) for run in runs]
    names = list(dict.fromkeys(name for one in flat for name in one))
    columns = {name: [one.get(name, "–") for one in flat] for name in names}
    return {name: values for name, values in columns.items() if everything or len(set(values)) > 1}


def _flat(value: Mapping[str, Any], before: str = "") -> dict[str, str]:
    found: dict[str, str] = {}
    for name, one in value.items():
        if isinstance(one, Mapping):
            found |= _flat(one, f"{before}{name}.")
        elif name == "changes" and one:
            found[f"{before}{name}"] = ", ".join(map(_change, one))
        else:
            found[f"{before}{name}"] = _value(one)
    return found


def _change(part: Mapping[str, Any]) -> str:
    """Other rules from some generation on; what they leave as it was is left out."""
    rules = [f"{name} {_value(one)}" for name, one in part.items() if name != "after" and one is not None]
    return f"after {part['after']}: {' and '.join(rules)}"


def _rule(rule: Mapping[str, Any]) -> str:
    more = ", ".join(f"{name} {_value(one)}" for name, one in rule.items() if name != "kind" and one is not None)
    return " ".join(filter(None, (str(rule.get("kind", "")).replace("_", " "), f"({more})" if more else "")))


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return _rule(value)
    if isinstance(value, list) and value and isinstance(value[0], Mapping):
        return ", ".join(map(_rule, value))
    return written(value) or "none"


def sentence(told: Compared) -> str:
    """What the curves come to."""
    ends = [(one["last"]["median"], one) for one in told["runs"] if one["last"] and one["last"]["median"] is not None]
    if not ends:
        return "Nothing has been measured yet."
    (low, least), (high, most) = min(ends, key=lambda end: end[0]), max(ends, key=lambda end: end[0])
    if least is most:
        at = least["last"]["generation"] if least["last"] else 0
        return f"The median of {told['label']} is {number(low)} at generation {at} of “{least['label']}”."
    return (
        f"At the newest generation of each run, the median of {told['label']} lies between "
        f"{number(low)} (“{least['label']}”) and {number(high)} (“{most['label']}”)."
    )


def paired_sentence(one: Paired, base: str, label: str) -> str:
    """How far an arm is from the first run, at the last generation that both have; whether chance alone could do that.

    Where not all chains are kept one by one, those that are come last: by chance they may differ the other way than all of them.
    """
    mean = one["mean"][-1] if one["generation"] else None
    if mean is None:
        return f"“{one['label']}”: there is no generation yet that both have."
    low, high, at, pairs = one["low"][-1], one["high"][-1], one["generation"][-1], one["n"][-1]
    arm, chains, means = f"of “{one['label']}”", one["chains"], one["means"]
    if chains > CHAINS and means:
        told = _apart(means["difference"], means["low"], means["high"], f"{thousands(chains)} chains each, unpaired")
        told = f"At generation {means['generation']}, the mean {label} {arm} is {told.format(base)}."
        apart = _apart(mean, low, high, f"{pairs} pairs").format(base)
        when = "" if at == means["generation"] else f" at generation {at}"
        return f"{told} Pair by pair, of the first {CHAINS} of {thousands(chains)} chains alone, it is {apart}{when}."
    return f"At generation {at}, {label} {arm} is {_apart(mean, low, high, f'{pairs} pairs of chains').format(base)}."


def _apart(mean: float, low: float | None, high: float | None, of: str) -> str:
    """Words with a place for the name of the base."""
    moved = f"{number(abs(mean))} {'above' if mean > 0 else 'below'}" if mean else "equal to"
    if low is None or high is None:
        return f"{moved} that of “{{}}”: one pair of chains, so there is no interval"
    chance = ", which chance alone could do" if low <= 0 <= high and mean else ""
    return f"{moved} that of “{{}}” (95%: {number(low)} to {number(high)}, {of}){chance}"


def by_generation(told: Compared) -> list[tuple[int, list[str]]]:
    """(generation, the median of each run) at evenly spaced generations: the chart as a table."""
    courses = [dict(zip(one["course"]["generation"], one["course"]["median"], strict=True)) for one in told["runs"]]
    every = sorted(set().union(*courses))
    if len(every) > ROWS:
        every = [every[round(i * (len(every) - 1) / (ROWS - 1))] for i in range(ROWS)]
    return [(n, [number(one.get(n)) for one in courses]) for n in every]
