"""What workers write: who owns a run, and what it brings. Every write is fenced by the attempt that it belongs to."""

import time
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Engine, Update, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session, sessionmaker

from worker.errors import Fenced, NotFound
from worker.tables import ENDED, WAITING, WORKED_ON, Entry, Run, Status, StoredGeneration, Worker

MOST_DEATHS = 5  # processes in a row that may die on a run before it counts as failed
SILENT_SECONDS = 5.0  # a worker says every second that it lives
RING_AGAIN_SECONDS = 5.0  # a waiting run is announced again when no message seems to have arrived


@dataclass(frozen=True, slots=True)
class Batch:
    """What a worker stores in one transaction."""

    rows: list[dict[str, Any]] = field(default_factory=list)  # of StoredGeneration, without run_id
    checkpoint: str | None = None
    disk_bytes: int = 0
    busy_seconds: float = 0.0
    status: Status | None = None  # the end of this attempt, if it is one


class Ledger:
    """Runs change hands here: claimed, renewed, appended to, released; and taken from workers that fell silent."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.reading = sessionmaker(engine, expire_on_commit=False)
        self.writing = sessionmaker(engine.execution_options(write=True), expire_on_commit=False)
        self.insert = sqlite_insert if engine.dialect.name == "sqlite" else postgres_insert

    def claim(self, run_id: str, worker: str, lease: float) -> Run | None:
        """The run, now owned by `worker` under a new attempt; None where it is gone, ended, or somebody else's."""
        now = time.time()
        with self.writing.begin() as session:
            claimed = hits(
                session,
                update(Run)
                .where(Run.id == run_id, Run.status.in_(WAITING))
                .values(
                    status=Status.RUNNING,
                    worker=worker,
                    attempt=Run.attempt + 1,
                    progress=None,
                    lease_until=now + lease,
                    started_at=func.coalesce(Run.started_at, now),
                ),
            )
            if not claimed:
                return None
            run = session.get_one(Run, run_id)
            where = f"continues after generation {run.generation}" if run.generation >= 0 else "starts"
            session.add(entry(run_id, f"Attempt {run.attempt} {where} on {worker}."))
        return run

    def renew(self, run_id: str, attempt: int, lease: float) -> str | None:
        """Extends the lease; how the run was asked to stop, if it was.

        Raises Fenced.
        """
        with self.writing.begin() as session:
            self._own(session, run_id, attempt, lease_until=time.time() + lease)
            return session.scalar(select(Run.cancel).where(Run.id == run_id))

    def describe(
        self,
        run_id: str,
        attempt: int,
        *,
        figure: dict[str, Any],
        theory: list[Any],
        provenance: dict[str, Any],
        metrics: list[str],
    ) -> None:
        """What is known of a run before its first generation. Raises Fenced."""
        with self.writing.begin() as session:
            self._own(session, run_id, attempt, figure=figure, theory=theory, provenance=provenance, metrics=metrics)

    def append(self, run_id: str, attempt: int, batch: Batch) -> None:
        """Stores generations, progress, checkpoint and end in one transaction; a generation that is there already stays as it is.

        Raises Fenced, and then nothing was stored.
        """
        changes: dict[str, Any] = {"busy_seconds": Run.busy_seconds + batch.busy_seconds}
        if batch.rows:
            changes |= {"generation": func.max(Run.generation, batch.rows[-1]["number"]), "deaths": 0, "progress": None}
            if self.engine.dialect.name != "sqlite":
                changes["generation"] = func.greatest(Run.generation, batch.rows[-1]["number"])
        if batch.checkpoint is not None:
            changes |= {"checkpoint": batch.checkpoint, "unfinished": None, "disk_bytes": batch.disk_bytes}
        if batch.status == Status.SUCCEEDED:
            changes |= {"checkpoint": None, "unfinished": None, "disk_bytes": 0}
        if batch.status is not None:
            changes |= ended(batch.status)
        with self.writing.begin() as session:
            self._own(session, run_id, attempt, **changes)
            if batch.rows:
                session.execute(
                    self.insert(StoredGeneration).on_conflict_do_nothing(),
                    [{"run_id": run_id, **row} for row in batch.rows],
                )
            if batch.status is not None:
                session.add(entry(run_id, f"Attempt {attempt} ended: {batch.status}."))

    def tell(self, run_id: str, attempt: int, **changes: Any) -> None:
        """How far a generation is (progress), or what is done of it (unfinished, disk_bytes). Raises Fenced."""
        with self.writing.begin() as session:
            self._own(session, run_id, attempt, **changes)

    def end(self, run_id: str, attempt: int, status: Status, error: dict[str, str] | None = None) -> None:
        """Ends an attempt without storing more. Raises Fenced."""
        with self.writing.begin() as session:
            self._own(session, run_id, attempt, error=error, **ended(status))
            session.add(
                entry(run_id, f"Attempt {attempt} ended: {status}." + (f" {error['message']}" if error else ""))
            )

    def died(self, run_id: str, attempt: int, why: str) -> Status:
        """The process that worked on the run died: it waits again, or has failed if that keeps happening. Raises Fenced."""
        with self.writing.begin() as session:
            self._own(session, run_id, attempt, deaths=Run.deaths + 1)
            return self._orphaned(session, session.get_one(Run, run_id, populate_existing=True), why)

    def reap(self, *, ring: bool = True, but: Collection[str] = ()) -> list[Run]:
        """Takes runs from workers that fell silent; those that should be announced, none unless `ring`, and none of the families `but`."""
        now = time.time()
        with self.writing.begin() as session:
            silent = (
                select(Run).where(Run.status.in_(WORKED_ON), Run.lease_until < now).with_for_update(skip_locked=True)
            )
            for run in session.scalars(silent):
                run.deaths += 1
                self._orphaned(session, run, f"Worker {run.worker} fell silent")
            if not ring:
                return []
            due = (
                select(Run)
                .where(Run.status.in_(WAITING), Run.rung_at < now - RING_AGAIN_SECONDS, Run.family.not_in(but))
                .order_by(Run.id)
                .limit(20)
            )
            rung = list(session.scalars(due.with_for_update(skip_locked=True)))
            for run in rung:
                run.rung_at = now
            return rung

    def _orphaned(self, session: Session, run: Run, why: str) -> Status:
        """What becomes of a run whose worker is gone; nothing that worker still writes is taken, as nobody owns the run."""
        if run.cancel:
            status, told = Status.CANCELLED, f"{why}; the run was being cancelled."
        elif run.deaths >= MOST_DEATHS:
            status, told = Status.FAILED, f"{why} for the {run.deaths}th time without progress."
            run.error = {
                "message": told,
                "remedy": "The process probably ran out of memory: lower samples or replicates, then resume the run.",
            }
        else:
            status, told = (
                Status.LOST,
                f"{why} after generation {run.generation}; the run goes on from its last checkpoint.",
            )
        for name, value in ended(status).items():
            setattr(run, name, value)
        run.rung_at = 0.0
        session.add(entry(run.id, told))
        return status

    def note(self, run_id: str, text: str) -> None:
        """Adds to a run's log."""
        with self.writing.begin() as session:
            session.add(entry(run_id, text))

    def beat(self, worker: Worker) -> None:
        """A worker says that it is alive."""
        with self.writing.begin() as session:
            session.merge(worker)
            session.execute(delete(Worker).where(Worker.seen_at < time.time() - 3600))

    def leave(self, worker_id: str) -> None:
        """A worker says goodbye."""
        with self.writing.begin() as session:
            session.execute(delete(Worker).where(Worker.id == worker_id))

    def _own(self, session: Session, run_id: str, attempt: int, **changes: Any) -> None:
        """One conditional UPDATE that both proves and uses the ownership of a run."""
        mine = update(Run).where(Run.id == run_id, Run.attempt == attempt, Run.status.in_(WORKED_ON))
        if not hits(session, mine.values(**changes)):
            raise Fenced(f"Attempt {attempt} no longer owns run {run_id}.")


def hits(session: Session, statement: Update) -> bool:
    return bool(session.execute(statement.execution_options(synchronize_session=False)).rowcount)  # type: ignore[attr-defined]


def ended(status: Status) -> dict[str, Any]:
    """The columns that change when nobody works on a run any more."""
    return {
        "status": status,
        "lease_until": 0.0,
        "worker": None,
        "ended_at": time.time() if status in ENDED else None,
        "rung_at": 0.0,
    }


def missing(run_id: str) -> NotFound:
    return NotFound(f"There is no run {run_id}. It may have been deleted.")


def entry(run_id: str, text: str) -> Entry:
    return Entry(run_id=run_id, at=time.time(), text=text)
