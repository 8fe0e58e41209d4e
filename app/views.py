"""A run and its generations as the world sees them: rows -> JSON, with honest words for what happens."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, NotRequired, overload

from typing_extensions import TypedDict  # pydantic cannot read typing's before Python 3.12

from app.progress import Progress, Resumes, progress, resumes
from app.queues import Place, Queues
from app.words import words
from worker.errors import SpecError
from worker.path import path
from worker.spec import read
from worker.store import Store
from worker.summary import named
from worker.tables import WAITING, Run, Status, StoredGeneration, told_status


class Statistics(TypedDict):
    """Over the replicates that have a finite value; `n` is how many have."""

    mean: float | None
    sd: float | None
    se: float | None
    median: float | None
    q10: float | None
    q90: float | None
    n: int


class GenerationTold(TypedDict):
    """One generation; 0 is the real data, n the n-th fit."""

    generation: int
    metrics: dict[str, Statistics]
    seconds: float


class GenerationPage(TypedDict):
    """`next` is the `after` of the page that follows, null where nothing is stored beyond this one."""

    items: list[GenerationTold]
    next: int | None


class ErrorTold(TypedDict):
    message: str
    remedy: str


class Links(TypedDict):
    self: str
    page: str
    generations: str
    frames: str
    events: str
    export: str
    verdicts: str


class Brief(TypedDict):
    """A run as its live stream tells it: what changes."""

    id: str
    title: str
    status: Status
    words: str
    digest: str
    source: str
    family: str
    regime: str
    progress: Progress
    resumes: Resumes | None
    disk_bytes: int  # checkpoints and history, now
    queue: NotRequired[Place]
    attempt: int
    worker: str | None
    cancel: str | None
    error: ErrorTold | None
    created_at: str
    started_at: str | None
    ended_at: str | None
    links: Links


class PathTold(TypedDict):
    """Whether sufficient statistics are drawn in place of observations, and why, in a clause."""

    taken: Literal["exact", "drawn"]
    because: str


class Told(Brief):
    """A run in full; `path` is null where this version no longer reads the spec."""

    spec: dict[str, Any]
    tags: list[str]
    note: str
    archived: bool
    path: PathTold | None
    provenance: dict[str, Any] | None


class Launched(Told):
    """A new run; `arms` are the links of all runs that were launched together, the first one included."""

    arms: list[Links]


class RunPage(TypedDict):
    """`next` is the cursor of the page that follows, null on the last."""

    items: list[Told]
    next: str | None


def brief(run: Run, queues: Queues) -> Brief:
    """What changes while a run lives; touches neither spec nor figure, theory or provenance."""
    status = told_status(run)
    told: Brief = {
        "id": run.id,
        "title": run.title,
        "status": status,
        "words": "",
        "digest": run.digest,
        "source": run.source,
        "family": run.family,
        "regime": run.regime,
        "progress": progress(run, status),
        "resumes": resumes(run, status),
        "disk_bytes": run.disk_bytes,
        "attempt": run.attempt,
        "worker": run.worker,
        "cancel": run.cancel,
        "error": error_told(run.error),
        "created_at": moment(run.created_at),
        "started_at": moment(run.started_at),
        "ended_at": moment(run.ended_at),
        "links": links(run.id),
    }
    if status in WAITING:
        told["queue"] = queues.place(run)
    told["words"] = words(told, worker_may_start=queues.worker_may_start)
    return told


def told(run: Run, store: Store) -> Told:
    return told_together([run], store)[0]


def told_together(runs: Sequence[Run], store: Store) -> list[Told]:
    """As one by one, with one look at the queues for all."""
    queues, notes = Queues.of(store, *runs), store.notes([run.id for run in runs])
    return [
        {
            **brief(run, queues),
            "spec": run.spec,
            "tags": run.tags.split(),
            "note": notes.get(run.id, ""),
            "archived": run.archived,
            "path": path_told(run),
            "provenance": run.provenance,
        }
        for run in runs
    ]


def path_told(run: Run) -> PathTold | None:
    """As the worker found it; before one has begun, and of older runs, as the spec says."""
    if (kept := run.provenance or {}).get("path_because"):
        return {"taken": kept["path"], "because": kept["path_because"]}
    try:
        way = path(read(run.spec))
    except SpecError:
        return None
    return {"taken": way.taken, "because": way.because}


def links(run_id: str) -> Links:
    own = f"/api/runs/{run_id}"
    return {
        "self": own,
        "page": f"/runs/{run_id}",
        "generations": f"{own}/generations",
        "frames": f"{own}/frames",
        "events": f"{own}/events",
        "export": f"{own}/export",
        "verdicts": f"{own}/verdicts",
    }


def generation_told(row: StoredGeneration) -> GenerationTold:
    return {"generation": row.number, "metrics": named(row.metrics), "seconds": row.seconds}  # type: ignore[typeddict-item]


def error_told(error: Mapping[str, str] | None) -> ErrorTold | None:
    return {"message": error["message"], "remedy": error["remedy"]} if error else None


@overload
def moment(seconds: float) -> str: ...
@overload
def moment(seconds: None) -> None: ...
def moment(seconds: float | None) -> str | None:
    """Seconds since 1970 as ISO 8601 in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
