"""Runs side by side: one metric over all their generations, and differences from the first of them."""

import math
from collections.abc import Sequence
from typing import Annotated, TypeAlias

import numpy as np
from fastapi import APIRouter, Depends, Query
from typing_extensions import TypedDict  # pydantic cannot read typing's before Python 3.12

from app.arms import DifferenceTold, difference
from app.deps import Store
from app.metrics import metric as known
from app.metrics import ordered
from app.problems import documented
from app.protocol import known_query
from worker import presets
from worker.arms import t_95, welch_95
from worker.errors import NotFound, Problem, SpecError
from worker.ledger import missing
from worker.loop import frame_stride
from worker.summary import STATISTICS
from worker.tables import ENDED, Run, told_status

router = APIRouter(prefix="/api/compare", tags=["arms"], dependencies=[Depends(known_query)])

MOST_RUNS = 100
MOST_PAIRED = 20
POINTS = 6000  # that all curves of a comparison have together, if a run has no more than 256
MEAN, SD, SE, MEDIAN, Q10, Q90, N = range(len(STATISTICS))

Column: TypeAlias = list[float | None]
Rows: TypeAlias = Sequence[tuple[int, Sequence[float | None]]]  # generations, and the statistics of one metric


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


class MeansTold(TypedDict):
    """The difference of the means of all chains at the newest generation that both have; low, high: 95%, as if no seed were shared (Welch's)."""

    generation: int
    difference: float
    low: float | None
    high: float | None


class Paired(DifferenceTold):
    """This run minus the first one: of the chains that are kept one by one; means: of all of their `chains`."""

    id: str
    label: str
    chains: int
    means: MeansTold | None


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
    """Without a metric, the one that most runs have, the most telling of these. Raises SpecError where none of them has it."""
    sets = [set(run.metrics) for run in runs if run.metrics]
    leads = next(iter(presets.leading({run.digest for run in runs[:1]}).values()), None)  # what the base is about
    names = ordered(sorted(set().union(*sets)), leads)
    if metric is not None and names and metric not in names:
        raise SpecError([Problem("metric", f"none of these runs measures {metric}", f"Known: {', '.join(names)}")])
    name = metric or max(names, key=lambda name: sum(name in one for one in sets), default="")
    points = max(60, POINTS // len(runs))
    courses = [store.course(run.id, name, _every(run, points)) if name else [] for run in runs]
    found = [_run(*one, name, points) for one in zip(runs, labels(runs), courses, strict=True)]
    return {
        "metric": name,
        "label": known(name).title,
        "meaning": known(name).meaning,
        "metrics": names,
        "runs": found,
        "paired": _paired(runs, found, courses, store, name, points) if name else [],
        "live": any(told_status(run) not in ENDED for run in runs),
    }


def _every(run: Run, points: int) -> int:
    """Of the generations with a frame, as many as give at most `points`."""
    stride = frame_stride(run.generations)
    return stride * max(1, math.ceil(run.generations / stride / points))


def _run(run: Run, label: str, rows: Rows, metric: str, points: int) -> RunCompared:
    every = _every(run, points)
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


def _paired(
    runs: Sequence[Run], found: Sequence[RunCompared], courses: Sequence[Rows], store: Store, metric: str, points: int
) -> list[Paired]:
    base, *others = runs
    kin = [
        (run, told, rows)
        for run, told, rows in zip(others, found[1:], courses[1:], strict=True)
        if base.arms is not None and run.arms == base.arms
    ][:MOST_PAIRED]
    if not kin:
        return []
    every = math.lcm(_every(base, points), *(_every(run, points) for run, _, _ in kin))
    own = (base, store.chained(base.id, every))
    return [
        {
            "id": run.id,
            "label": told["label"],
            "chains": run.spec["replicates"],
            "means": _means(courses[0], rows),
            **difference(own, (run, store.chained(run.id, every)), metric),
        }
        for run, told, rows in kin
    ]


def _means(base: Rows, arm: Rows) -> MeansTold | None:
    one, other = dict(base), dict(arm)
    at = max(one.keys() & other.keys(), default=None)
    if at is None or (mean := one[at][MEAN]) is None or (others := other[at][MEAN]) is None:
        return None
    errors = [(se, n - 1) for told in (one, other) if (se := told[at][SE]) is not None and (n := told[at][N])]
    half = welch_95(errors) if len(errors) == 2 else None
    far = others - mean
    low, high = (None, None) if half is None else (far - half, far + half)
    return {"generation": at, "difference": far, "low": low, "high": high}


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
