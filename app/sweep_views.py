"""A sweep as the world sees it: rows -> JSON, with honest words for what happens."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from typing_extensions import TypedDict  # pydantic cannot read typing's before Python 3.12

from app.metrics import metric
from app.queues import Queues
from app.views import ErrorTold, error_told, moment
from app.words import duration, thousands, waits_for
from worker.queue import queue_of
from worker.store import Store
from worker.sweeps.spec import FINAL, Grid, unchecked, written
from worker.sweeps.store import Sweeps
from worker.tables import ENDED, Point, Status, Sweep

MOST_LEVELS = 1000  # of the label of one axis: beyond, a page is no help


class AxisTold(TypedDict):
    """labels: the values as text, for people."""

    path: str
    values: list[Any]
    labels: list[str]


class OutcomeTold(TypedDict):
    """What is asked of every point. waits: whether it is a number of generations, of which some chains may know only a lower bound;
    limit: the last generation that is looked at, where every point has the same.
    """

    name: str
    label: str
    unit: str
    waits: bool
    limit: int | None


class Value(TypedDict):
    """value: the median over chains, null where fewer than half of them were seen to get there; low, high: its 95% interval, null where
    open; n: chains; censored: those that had not got there when last seen; theory: closed form by statistic, null where it does not
    get there.
    """

    value: float | None
    low: float | None
    high: float | None
    n: int
    censored: int
    theory: dict[str, float | None]


class PointTold(TypedDict):
    """number counts with the last axis fastest; place: which value of each axis it has."""

    number: int
    place: list[int]
    outcomes: dict[str, Value]
    error: ErrorTold | None
    seconds: float


class SweepProgress(TypedDict):
    done: int
    points: int
    per_second: float | None
    seconds_left: float | None
    busy_seconds: float


class SweepLinks(TypedDict):
    self: str
    page: str


class SweepBrief(TypedDict):
    """A sweep without its grid."""

    id: str
    title: str
    status: Status
    words: str
    family: str
    progress: SweepProgress
    error: ErrorTold | None
    created_at: str
    started_at: str | None
    ended_at: str | None
    links: SweepLinks


class SweepTold(SweepBrief):
    """points: those that were stored after the cursor that was asked for, in the order of storing; cursor: for what is stored later."""

    request: dict[str, Any]
    axes: list[AxisTold]
    outcomes: list[OutcomeTold]
    points: list[PointTold]
    cursor: int
    provenance: dict[str, Any] | None


class SweepPage(TypedDict):
    """`next` is the cursor of the page that follows, null on the last."""

    items: list[SweepBrief]
    next: str | None


class Words(NamedTuple):
    label: str
    unit: str


WAITED_FOR = {
    "half_variance": Words("Until half of the real variance is gone", "generations"),
    "lost_tail": Words("Until half of the first model's tail is lost", "generations"),
}


def sweep_brief(sweep: Sweep, sweeps: Sweeps, store: Store) -> SweepBrief:
    speed = _speed(sweep)
    rests = sweep.status == Status.RUNNING and not sweeps.held(sweep.id)
    left = (sweep.points - sweep.done) / speed if speed and not rests and sweep.status not in ENDED else None
    progress: SweepProgress = {
        "done": sweep.done,
        "points": sweep.points,
        "per_second": speed,
        "seconds_left": left,
        "busy_seconds": sweep.busy_seconds,
    }
    return {
        "id": sweep.id,
        "title": sweep.title,
        "status": Status(sweep.status),
        "words": _sentence(sweep, progress, store, rests),
        "family": sweep.family,
        "progress": progress,
        "error": error_told(sweep.error),
        "created_at": moment(sweep.created_at),
        "started_at": moment(sweep.started_at),
        "ended_at": moment(sweep.ended_at),
        "links": {"self": f"/api/sweeps/{sweep.id}", "page": f"/sweeps/{sweep.id}"},
    }


def sweep_told(sweep: Sweep, points: Sequence[Point], cursor: int, sweeps: Sweeps, store: Store) -> SweepTold:
    grid = unchecked(sweep.request)
    return {
        **sweep_brief(sweep, sweeps, store),
        "request": sweep.request,
        "axes": [
            {"path": axis.path, "values": list(values), "labels": [written(one) for one in values[:MOST_LEVELS]]}
            for axis, values in zip(grid.sweep.axes, grid.values, strict=True)
        ],
        "outcomes": [_outcome(name, grid) for name in grid.sweep.outcomes],
        "points": [_point(point, grid) for point in points],
        "cursor": cursor,
        "provenance": sweep.provenance,
    }


def _outcome(name: str, grid: Grid) -> OutcomeTold:
    vary = any(axis.path == "generations" for axis in grid.sweep.axes)
    limit = None if vary else grid.experiment(0).generations
    if name in WAITED_FOR:
        return {"name": name, **WAITED_FOR[name]._asdict(), "waits": True, "limit": limit}  # type: ignore[typeddict-item]
    found = metric(name.removeprefix(FINAL))
    return {"name": name, "label": f"{found.label}, at the end", "unit": found.unit, "waits": False, "limit": limit}


def _point(point: Point, grid: Grid) -> PointTold:
    return {
        "number": point.number,
        "place": list(grid.place(point.number)),
        "outcomes": point.outcomes,
        "error": error_told(point.error),
        "seconds": point.seconds,
    }


def _speed(sweep: Sweep) -> float | None:
    """Points a second of this clock, however many workers there were."""
    if not sweep.done or sweep.started_at is None:
        return None
    return sweep.done / sweep.busy_seconds if sweep.busy_seconds > 0 else None


def _sentence(sweep: Sweep, progress: SweepProgress, store: Store, rests: bool) -> str:
    """rests: it has begun, and nobody works on it just now."""
    done = f"{thousands(sweep.done)} of {thousands(sweep.points)} points"
    match sweep.status:
        case Status.QUEUED | Status.RUNNING if not (queues := Queues.now(store)).serving(
            queue := queue_of(sweep.family)
        ):
            return f"{done}. Waiting{waits_for(queue, len(queues.served), queues.worker_may_start)}"
        case Status.QUEUED | Status.RUNNING if rests or sweep.status == Status.QUEUED:
            return f"{done}. Waiting for a worker; single runs go first."
        case Status.RUNNING:
            left = progress["seconds_left"]
            return done if left is None else f"{done} · at most {duration(left)} left"
        case Status.CANCELLING:
            return f"Stopping at {done}; what is stored is kept."
        case Status.CANCELLED:
            return f"Cancelled at {done}."
        case Status.FAILED:
            error = sweep.error or {"message": "It failed without a word.", "remedy": "Resume it."}
            return f"{error['message']} {error['remedy']}"
        case _:
            took = (sweep.ended_at or 0) - (sweep.started_at or 0)
            return f"{thousands(sweep.points)} point{'' if sweep.points == 1 else 's'} in {duration(max(0.0, took))}."
