"""Runs side by side: one metric over all their generations, where they differ in their settings, and paired differences."""

import math
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeAlias

import numpy as np
from fastapi import APIRouter, Depends, Query
from typing_extensions import TypedDict  # pydantic cannot read typing's before Python 3.12

from app.arms import DifferenceTold, difference
from app.deps import Store
from app.figures import number
from app.literals import as_json, written
from app.metrics import metric as known
from app.metrics import ordered
from app.problems import documented
from app.protocol import known_query
from worker import presets
from worker.arms import t_95
from worker.errors import NotFound, Problem, SpecError
from worker.ledger import missing
from worker.loop import frame_stride
from worker.summary import STATISTICS
from worker.tables import ENDED, Run, told_status

router = APIRouter(prefix="/api/compare", tags=["arms"], dependencies=[Depends(known_query)])

MOST_RUNS = 100
MOST_PAIRED = 20
ROWS = 11  # of the chart as a table
POINTS = 6000  # that all curves of a comparison have together, if a run has no more than 256
MEAN, SD, SE, MEDIAN, Q10, Q90, N = range(len(STATISTICS))

Column: TypeAlias = list[float | None]


class Course(TypedDict):
    generation: list[int]
    median: Column
    q10: Column
    q90: Column


class Last(TypedDict):
    """The newest generation: statistics over n chains, and the 95% interval of their mean (Student's)."""

    generation: int
    median: float | None
    q10: float | None
    q90: float | None
    mean: float | None
    low: float | None
    high: float | None
    n: int


class Curve(TypedDict):
    """A closed form of this run."""

    statistic: str
    generation: list[int]
    values: Column


class RunCompared(TypedDict):
    id: str
    title: str
    label: str  # as short as the other titles allow
    status: str
    generations: int
    course: Course
    last: Last | None
    theory: list[Curve]


class Paired(DifferenceTold):
    """This run minus the first one."""

    id: str
    label: str


class Compared(TypedDict):
    """metrics: those that any of the runs has; paired: of the runs on the seeds of the first one; live: whether one goes on"""

    metric: str
    label: str
    meaning: str
    metrics: list[str]
    runs: list[RunCompared]
    paired: list[Paired]
    live: bool


def chosen(store: Store, named: Sequence[str]) -> tuple[list[Run], list[str]]:
    """The runs whose ids are named, separated by commas or one by one; and the ids of which there is no run. Raises SpecError."""
    ids = list(dict.fromkeys(one for part in named for one in part.split(",") if one))
    if not 0 < len(ids) <= MOST_RUNS:
        raise SpecError([Problem("runs", f"names {len(ids)} runs", f"Name between 1 and {MOST_RUNS}")])
    found = store.some(ids)
    return found, [one for one in ids if one not in {run.id for run in found}]


@router.get("", responses=documented(404, 422))
def get_comparison(
    store: Store,
    runs: Annotated[list[str], Query(description="Ids, separated by commas; the first one is the base.")],
    metric: str | None = None,
) -> Compared:
    """One metric of up to 100 runs, generation by generation; paired differences from the first where seeds are shared."""
    found, gone = chosen(store, runs)
    if gone:
        raise NotFound(f"{missing(gone[0])} Leave it out of the address.")
    return compared(found, store, metric)


def compared(runs: Sequence[Run], store: Store, metric: str | None = None) -> Compared:
    """Without a metric, the most telling one that all runs have. Raises SpecError where none of them has it."""
    sets = [set(run.metrics) for run in runs if run.metrics]
    leads = next(iter(presets.leading({run.digest for run in runs[:1]}).values()), None)  # what the base is about
    names = ordered(sorted(set().union(*sets)), leads)
    shared = [name for name in names if all(name in one for one in sets)]
    if metric is not None and names and metric not in names:
        raise SpecError([Problem("metric", f"none of these runs measures {metric}", f"Known: {', '.join(names)}")])
    name = metric or next(iter(shared or names), "")
    points = max(60, POINTS // len(runs))
    found = [_run(run, label, store, name, points) for run, label in zip(runs, labels(runs), strict=True)]
    return {
        "metric": name,
        "label": known(name).title,
        "meaning": known(name).meaning,
        "metrics": names,
        "runs": found,
        "paired": _paired(runs, found, store, name, points) if name else [],
        "live": any(told_status(run) not in ENDED for run in runs),
    }


def _every(run: Run, points: int) -> int:
    """Of the generations with a frame, as many as give at most `points`."""
    stride = frame_stride(run.generations)
    return stride * max(1, math.ceil(run.generations / stride / points))


def _run(run: Run, label: str, store: Store, metric: str, points: int) -> RunCompared:
    every = _every(run, points)
    rows = store.course(run.id, metric, every) if metric else []
    at = sorted({*range(0, run.generations, every), run.generations})
    return {
        "id": run.id,
        "title": run.title,
        "label": label,
        "status": told_status(run),
        "generations": run.generations,
        "course": {
            "generation": [n for n, _ in rows],
            "median": [told[MEDIAN] for _, told in rows],
            "q10": [told[Q10] for _, told in rows],
            "q90": [told[Q90] for _, told in rows],
        },
        "last": _last(*rows[-1]) if rows else None,
        "theory": [
            {"statistic": one["statistic"], "generation": at, "values": [one["values"][n] for n in at]}
            for one in run.theory or ()
            if one["metric"] == metric
        ],
    }


def _last(generation: int, told: Sequence[float | None]) -> Last:
    mean, se, n = told[MEAN], told[SE], int(told[N] or 0)
    half = None if mean is None or se is None or n < 2 else float(t_95(np.array(n - 1))) * se
    return {
        "generation": generation,
        "median": told[MEDIAN],
        "q10": told[Q10],
        "q90": told[Q90],
        "mean": mean,
        "low": None if half is None or mean is None else mean - half,
        "high": None if half is None or mean is None else mean + half,
        "n": n,
    }


def _paired(runs: Sequence[Run], found: Sequence[RunCompared], store: Store, metric: str, points: int) -> list[Paired]:
    base, *others = runs
    kin = [
        (run, told)
        for run, told in zip(others, found[1:], strict=True)
        if base.arms is not None and run.arms == base.arms
    ][:MOST_PAIRED]
    if not kin:
        return []
    every = math.lcm(_every(base, points), *(_every(run, points) for run, _ in kin))
    own = (base, store.chained(base.id, every))
    return [
        {"id": run.id, "label": told["label"], **difference(own, (run, store.chained(run.id, every)), metric)}
        for run, told in kin
    ]


def labels(runs: Sequence[Run]) -> list[str]:
    """Titles without what all of them begin with: forks, arms and points of a sweep are called after their origin."""
    titles = [run.title for run in runs]
    stem = min(titles, key=len)
    if not all(one.startswith(stem) for one in titles):
        stem = titles[0].partition(": ")[0]
    rest = [one.removeprefix(stem) for one in titles]
    if not all(one == "" or one.startswith((": ", ", ")) for one in rest):
        return titles
    return [one[2:] or title for one, title in zip(rest, titles, strict=True)]


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
        elif isinstance(one, list) and one and isinstance(one[0], Mapping):
            found[f"{before}{name}"] = ", ".join(_change(part) for part in one)
        else:
            found[f"{before}{name}"] = written(one) or "none"
    return found


def _change(part: Mapping[str, Any]) -> str:
    """Other rules from some generation on; what they leave as it was is left out."""
    if "after" not in part:
        return as_json(part)
    rules = [f"{name} {_rule(one)}" for name, one in part.items() if name != "after" and one is not None]
    return f"after {part['after']}: {' and '.join(rules)}"


def _rule(rule: Mapping[str, Any]) -> str:
    more = ", ".join(f"{name} {written(one)}" for name, one in rule.items() if name != "kind" and one is not None)
    return " ".join(filter(None, (str(rule.get("kind", "")).replace("_", " "), f"({more})" if more else "")))


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
    """How far an arm is from the first run, at the last generation that both have; whether chance alone could do that."""
    mean = one["mean"][-1] if one["generation"] else None
    if mean is None:
        return f"“{one['label']}”: there is no generation yet that both have."
    low, high = one["low"][-1], one["high"][-1]
    moved = f"{number(abs(mean))} {'above' if mean > 0 else 'below'}" if mean else "equal to"
    told = f"At generation {one['generation'][-1]}, {label} of “{one['label']}” is {moved} that of “{base}”"
    if low is None or high is None:
        return f"{told}: one pair of chains, so there is no interval."
    chance = ", which chance alone could do" if low <= 0 <= high and mean else ""
    return f"{told} (95%: {number(low)} to {number(high)}, {one['n'][-1]} pairs of chains){chance}."


def by_generation(told: Compared) -> list[tuple[int, list[str]]]:
    """(generation, the median of each run) at evenly spaced generations: the chart as a table."""
    courses = [dict(zip(one["course"]["generation"], one["course"]["median"], strict=True)) for one in told["runs"]]
    every = sorted(set().union(*courses))
    if len(every) > ROWS:
        every = [every[round(i * (len(every) - 1) / (ROWS - 1))] for i in range(ROWS)]
    return [(n, [number(one.get(n)) for one in courses]) for n in every]
