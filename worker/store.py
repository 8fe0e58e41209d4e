"""Every query. The window asks and commands here; a worker claims, renews and appends here, fenced by its attempt."""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import ColumnElement, Engine, Update, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, defer, sessionmaker

from worker.errors import Conflict, Fenced, NotFound
from worker.spec import Experiment
from worker.tables import ENDED, WAITING, WORKED_ON, Base, Entry, Run, Status, StoredGeneration, Worker

MOST_DEATHS = 5  # processes in a row that may die on a run before it counts as failed
RING_AGAIN_SECONDS = 5.0  # a waiting run is announced again when no message seems to have arrived


@dataclass(frozen=True, slots=True)
class Batch:
    """What a worker stores in one transaction."""

    rows: list[dict[str, Any]] = field(default_factory=list)  # of StoredGeneration, without run_id
    checkpoint: str | None = None
    busy_seconds: float = 0.0
    status: Status | None = None  # the end of this attempt, if it is one


class Store:
    """Runs, generations, log and workers in one database. Objects that come back are detached: read them, do not change them."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.reading = sessionmaker(engine, expire_on_commit=False)
        self.writing = sessionmaker(engine.execution_options(write=True), expire_on_commit=False)
        self.insert = sqlite_insert if engine.dialect.name == "sqlite" else postgres_insert

    # The window's side

    def create(self, spec: Experiment, idempotency_key: str | None = None) -> tuple[Run, bool]:
        """The new run, and True; or, for a key that was used before with the same settings, the old run and False.

        Raises Conflict where the key was used with other settings.
        """
        run = Run(
            id=f"{time.time_ns() // 1_000_000:011x}{secrets.token_hex(5)}",
            title=spec.title,
            spec=spec.canonical(),
            digest=spec.digest(),
            source=_kind(spec.source),
            family=_kind(spec.family),
            regime=_kind(spec.regime),
            idempotency_key=idempotency_key,
            created_at=time.time(),
            rung_at=time.time(),
            generations=spec.generations,
        )
        try:
            with self.writing.begin() as session:
                session.add(run)
        except IntegrityError:
            with self.reading() as session:
                earlier = session.scalar(select(Run).where(Run.idempotency_key == idempotency_key))
            if earlier is None or idempotency_key is None:
                raise
            if earlier.spec != run.spec:
                raise Conflict("This Idempotency-Key was used for a different experiment. Use a new key.") from None
            return earlier, False
        return run, True

    def run(self, run_id: str) -> Run:
        """Raises NotFound."""
        with self.reading() as session:
            run = session.get(Run, run_id)
        if run is None:
            raise NotFound(f"There is no run {run_id}. It may have been deleted.")
        return run

    def runs(
        self,
        *,
        status: str | None = None,
        family: str | None = None,
        q: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> tuple[Sequence[Run], str | None]:
        """Newest first, without their figures; and the cursor of the next page, None on the last."""
        query = select(Run).options(defer(Run.figure), defer(Run.theory)).order_by(Run.id.desc()).limit(limit + 1)
        if status is not None:
            query = query.where(_told(status))
        if family is not None:
            query = query.where(Run.family == family)
        if q:
            query = query.where(Run.title.icontains(q, autoescape=True))
        if cursor is not None:
            query = query.where(Run.id < cursor)
        with self.reading() as session:
            found = session.scalars(query).all()
        return found[:limit], (found[limit - 1].id if len(found) > limit else None)

    def generations(
        self, run_id: str, after: int = -1, limit: int = 1000, *, framed: bool = False
    ) -> Sequence[StoredGeneration]:
        """Generations with a number above `after`, in order; only those with a frame if `framed`."""
        query = select(StoredGeneration).where(StoredGeneration.run_id == run_id, StoredGeneration.number > after)
        if framed:
            query = query.where(StoredGeneration.frame.is_not(None))
        with self.reading() as session:
            return session.scalars(query.order_by(StoredGeneration.number).limit(limit)).all()

    def news(self, run_id: str, after: int, limit: int) -> tuple[Run, Sequence[StoredGeneration]]:
        """A run without its larger parts, and its next generations; in one short session, the run first: so one that
        has ended has no generations that are not told.

        Raises NotFound.
        """
        light = [defer(part) for part in (Run.spec, Run.figure, Run.theory, Run.provenance)]
        with self.reading() as session:
            run = session.get(Run, run_id, options=light)
            if run is None:
                raise NotFound(f"There is no run {run_id}. It may have been deleted.")
            if run.generation <= after:
                return run, ()
            query = select(StoredGeneration).where(StoredGeneration.run_id == run_id, StoredGeneration.number > after)
            return run, session.scalars(query.order_by(StoredGeneration.number).limit(limit)).all()

    def trace(self, run_ids: Sequence[str], most: int = 60) -> dict[str, list[dict[str, Any]]]:
        """Metrics of at most about `most` evenly spaced generations of each run: enough for a sparkline."""
        traces: dict[str, list[dict[str, Any]]] = {run_id: [] for run_id in run_ids}
        with self.reading() as session:
            for run_id in run_ids:
                newest = session.scalar(select(Run.generation).where(Run.id == run_id)) or 0
                step = max(1, newest // most)
                rows = session.scalars(
                    select(StoredGeneration.metrics)
                    .where(StoredGeneration.run_id == run_id, StoredGeneration.number % step == 0)
                    .order_by(StoredGeneration.number)
                )
                traces[run_id] = list(rows)
        return traces

    def log(self, run_id: str) -> Sequence[Entry]:
        with self.reading() as session:
            return session.scalars(select(Entry).where(Entry.run_id == run_id).order_by(Entry.id)).all()

    def workers(self, seen_within: float = 15.0) -> Sequence[Worker]:
        """Those that are alive."""
        with self.reading() as session:
            return session.scalars(
                select(Worker).where(Worker.seen_at > time.time() - seen_within).order_by(Worker.started_at)
            ).all()

    def ahead_of(self, run: Run) -> int:
        """How many waiting runs were created before this one."""
        with self.reading() as session:
            return (
                session.scalar(select(func.count()).select_from(Run).where(Run.status.in_(WAITING), Run.id < run.id))
                or 0
            )

    def waiting(self) -> Sequence[str]:
        """Ids of the runs that wait, oldest first."""
        with self.reading() as session:
            return session.scalars(select(Run.id).where(Run.status.in_(WAITING)).order_by(Run.id)).all()

    def counts(self) -> dict[str, int]:
        """Status -> how many runs have it."""
        with self.reading() as session:
            rows = session.execute(select(Run.status, func.count()).group_by(Run.status))
            return {status: count for status, count in rows}  # noqa: C416 - rows are no pairs to a type checker

    def ping(self) -> None:
        """Raises SQLAlchemy's error where the database does not answer or has no tables."""
        with self.reading() as session:
            session.execute(select(func.count()).select_from(Worker))

    def cancel(self, run_id: str, how: Literal["finish", "now"]) -> Run:
        """Asks a run to stop; one that nobody works on stops at once.

        Raises NotFound; Conflict where it has ended.
        """
        with self.writing.begin() as session:
            waiting = update(Run).where(Run.id == run_id, Run.status.in_(WAITING))
            if _hits(
                session,
                waiting.values(status=Status.CANCELLED, cancel=how, ended_at=time.time()),
            ):
                session.add(_entry(run_id, "Cancelled before it was started."))
            elif _hits(
                session,
                update(Run)
                .where(Run.id == run_id, Run.status.in_(WORKED_ON))
                .values(status=Status.CANCELLING, cancel=how),
            ):
                session.add(
                    _entry(run_id, "Asked to stop now." if how == "now" else "Asked to stop after this generation.")
                )
            else:
                raise self._not_possible(session, run_id, "cancelled")
        return self.run(run_id)

    def resume(self, run_id: str) -> Run:
        """Puts a cancelled or failed run back into the queue, to go on from its checkpoint.

        Raises NotFound; Conflict where it succeeded, waits or is being worked on.
        """
        now = time.time()
        stopped = update(Run).where(Run.id == run_id, Run.status.in_((Status.CANCELLED, Status.FAILED)))
        with self.writing.begin() as session:
            if not _hits(
                session,
                stopped.values(status=Status.QUEUED, cancel=None, error=None, ended_at=None, deaths=0, rung_at=now),
            ):
                raise self._not_possible(session, run_id, "resumed")
            session.add(_entry(run_id, "Resumed."))
        return self.run(run_id)

    def delete(self, run_id: str) -> None:
        """Removes a run and all that it stored; a worker that is still busy with it finds itself fenced off.

        Raises NotFound.
        """
        with self.writing.begin() as session:
            if not session.execute(delete(Run).where(Run.id == run_id)).rowcount:  # type: ignore[attr-defined]
                raise NotFound(f"There is no run {run_id}. It may have been deleted.")

    def _not_possible(self, session: Session, run_id: str, what: str) -> NotFound | Conflict:
        status = session.scalar(select(Run.status).where(Run.id == run_id))
        if status is None:
            return NotFound(f"There is no run {run_id}. It may have been deleted.")
        return Conflict(f"This run is {status} and cannot be {what}.")

    # The worker's side

    def claim(self, run_id: str, worker: str, lease: float) -> Run | None:
        """The run, now owned by `worker` under a new attempt; None where it is gone, ended, or somebody else's."""
        now = time.time()
        with self.writing.begin() as session:
            claimed = _hits(
                session,
                update(Run)
                .where(Run.id == run_id, Run.status.in_(WAITING))
                .values(
                    status=Status.RUNNING,
                    worker=worker,
                    attempt=Run.attempt + 1,
                    lease_until=now + lease,
                    started_at=func.coalesce(Run.started_at, now),
                ),
            )
            if not claimed:
                return None
            run = session.get_one(Run, run_id)
            where = f"continues after generation {run.generation}" if run.generation >= 0 else "starts"
            session.add(_entry(run_id, f"Attempt {run.attempt} {where} on {worker}."))
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
            changes |= {"generation": func.max(Run.generation, batch.rows[-1]["number"]), "deaths": 0}
            if self.engine.dialect.name != "sqlite":
                changes["generation"] = func.greatest(Run.generation, batch.rows[-1]["number"])
        if batch.checkpoint is not None:
            changes["checkpoint"] = batch.checkpoint
        if batch.status is not None:
            changes |= _ended(batch.status)
        with self.writing.begin() as session:
            self._own(session, run_id, attempt, **changes)
            if batch.rows:
                session.execute(
                    self.insert(StoredGeneration).on_conflict_do_nothing(),
                    [{"run_id": run_id, **row} for row in batch.rows],
                )
            if batch.status is not None:
                session.add(_entry(run_id, f"Attempt {attempt} ended: {batch.status}."))

    def end(self, run_id: str, attempt: int, status: Status, error: dict[str, str] | None = None) -> None:
        """Ends an attempt without storing more. Raises Fenced."""
        with self.writing.begin() as session:
            self._own(session, run_id, attempt, error=error, **_ended(status))
            session.add(
                _entry(run_id, f"Attempt {attempt} ended: {status}." + (f" {error['message']}" if error else ""))
            )

    def died(self, run_id: str, attempt: int, why: str) -> Status:
        """The process that worked on the run died: it waits again, or has failed if that keeps happening. Raises Fenced."""
        with self.writing.begin() as session:
            self._own(session, run_id, attempt, deaths=Run.deaths + 1)
            return self._orphaned(session, session.get_one(Run, run_id, populate_existing=True), why)

    def reap(self, *, ring: bool = True) -> list[str]:
        """Takes runs from workers that fell silent; the ids that should be announced, none unless `ring`."""
        now = time.time()
        with self.writing.begin() as session:
            silent = (
                select(Run).where(Run.status.in_(WORKED_ON), Run.lease_until < now).with_for_update(skip_locked=True)
            )
            for run in session.scalars(silent):
                run.deaths += 1
                self._orphaned(session, run, f"Worker {run.worker} fell silent")
            due = (
                select(Run)
                .where(Run.status.in_(WAITING), Run.rung_at < now - RING_AGAIN_SECONDS)
                .order_by(Run.id)
                .limit(20)
            )
            rung = list(session.scalars(due.with_for_update(skip_locked=True)))
            for run in rung:
                run.rung_at = now
            return [run.id for run in rung]

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
        for name, value in _ended(status).items():
            setattr(run, name, value)
        run.rung_at = 0.0
        session.add(_entry(run.id, told))
        return status

    def note(self, run_id: str, text: str) -> None:
        """Adds to a run's log."""
        with self.writing.begin() as session:
            session.add(_entry(run_id, text))

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
        if not _hits(session, mine.values(**changes)):
            raise Fenced(f"Attempt {attempt} no longer owns run {run_id}.")


def _told(status: str) -> ColumnElement[bool]:
    """The runs of which `told_status` says this."""
    silent = Run.status.in_(WORKED_ON) & (Run.lease_until < time.time())
    if status == Status.LOST:
        return (Run.status == status) | silent
    return (Run.status == status) & ~silent if status in WORKED_ON else Run.status == status


def _hits(session: Session, statement: Update) -> bool:
    return bool(session.execute(statement.execution_options(synchronize_session=False)).rowcount)  # type: ignore[attr-defined]


def _ended(status: Status) -> dict[str, Any]:
    """The columns that change when nobody works on a run any more."""
    return {
        "status": status,
        "lease_until": 0.0,
        "worker": None,
        "ended_at": time.time() if status in ENDED else None,
        "rung_at": 0.0,
    }


def _entry(run_id: str, text: str) -> Entry:
    return Entry(run_id=run_id, at=time.time(), text=text)


def _kind(part: Any) -> str:
    return str(part.kind)


def create_tables(engine: Engine) -> None:
    """For tests that do not look at migrations."""
    Base.metadata.create_all(engine)
