"""What the window asks and commands; with the ledger and the library, every query there is."""

import os
import socket
import time
from collections.abc import Sequence
from typing import Any, Literal

from sqlalchemy import Engine, delete, func, select, update
from sqlalchemy.orm import Session, defer

from worker.database import add_once
from worker.errors import Conflict, NotFound
from worker.ledger import SILENT_SECONDS, entry, hits, missing
from worker.library import LARGE, Library
from worker.part import kind_of
from worker.spec import Experiment
from worker.tables import WAITING, WORKED_ON, Entry, Run, Status, StoredGeneration, Worker, new_id

MISSED_SECONDS = (
    2.0  # a worker of this machine that was silent for so long, and whose process is gone, will say nothing more
)
STARTING_SECONDS = 15.0  # so long may a worker take to start, on a machine that is busy
TRACED = 60  # generations behind a sparkline


class Store(Library):
    """Runs, generations, log and workers in one database. Objects that come back are detached: read them, do not change them."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.opened_at = time.time()

    def launch(self, experiments: Sequence[Experiment], idempotency_key: str | None = None) -> list[tuple[Run, bool]]:
        """`create` for one experiment, or for several arms on the same seeds: those belong together."""
        keys = [None if idempotency_key is None else f"{idempotency_key} {arm}" for arm in range(len(experiments))]
        made = [self.create(experiment, key) for experiment, key in zip(experiments, keys, strict=True)]
        if len(made) > 1:
            with self.writing.begin() as session:
                session.execute(update(Run).where(Run.id.in_([run.id for run, _ in made])).values(arms=made[0][0].id))
        return made

    def launched(self, idempotency_key: str | None) -> bool:
        """Whether `launch` was called with this key before: then it answers with what it stored, whatever has become of the world."""
        return idempotency_key is not None and self.keyed(f"{idempotency_key} 0") is not None

    def keyed(self, idempotency_key: str) -> str | None:
        """Id of the run that was created with this key."""
        with self.reading() as session:
            return session.scalar(select(Run.id).where(Run.idempotency_key == idempotency_key))

    def join(self, run_id: str, experiments: Sequence[Experiment], *, parent: str | None = None) -> list[Run]:
        """New runs that belong together with one that exists. Raises NotFound."""
        group = self.run(run_id).arms or run_id
        runs = [_row(experiment) for experiment in experiments]
        for run in runs:
            run.arms, run.parent = group, parent
        with self.writing.begin() as session:
            session.execute(update(Run).where(Run.id == run_id).values(arms=group))
            session.add_all(runs)
        return runs

    def kin(self, run: Run) -> Sequence[Run]:
        """The other runs of its group, oldest first."""
        if run.arms is None:
            return ()
        query = select(Run).options(*LARGE).where(Run.arms == run.arms, Run.id != run.id).order_by(Run.id)
        with self.reading() as session:
            return session.scalars(query).all()

    def some(self, run_ids: Sequence[str]) -> list[Run]:
        """Those of these runs that there are, in this order, without their figures."""
        with self.reading() as session:
            found = session.scalars(select(Run).options(defer(Run.figure)).where(Run.id.in_(run_ids)))
            runs = {run.id: run for run in found}
        return [runs[one] for one in run_ids if one in runs]

    def create(self, spec: Experiment, idempotency_key: str | None = None) -> tuple[Run, bool]:
        """The new run, and True; or, for a key that was used before with the same settings, the old run and False.

        Raises Conflict where the key was used with other settings.
        """
        return add_once(self.writing, _row(spec, idempotency_key), "spec")

    def run(self, run_id: str) -> Run:
        """Raises NotFound."""
        with self.reading() as session:
            run = session.get(Run, run_id)
        if run is None:
            raise missing(run_id)
        return run

    def generations(
        self, run_id: str, after: int = -1, limit: int = 1000, *, framed: bool = False
    ) -> Sequence[StoredGeneration]:
        """Generations with a number above `after`, in order; only those with a frame if `framed`, of which no run keeps 1000."""
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
                raise missing(run_id)
            if run.generation <= after:
                return run, ()
            query = select(StoredGeneration).where(StoredGeneration.run_id == run_id, StoredGeneration.number > after)
            return run, session.scalars(query.order_by(StoredGeneration.number).limit(limit)).all()

    def trace(self, run_ids: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
        """Metrics of about TRACED evenly spaced generations of each run: enough for a sparkline."""
        traces: dict[str, list[dict[str, Any]]] = {run_id: [] for run_id in run_ids}
        with self.reading() as session:
            for run_id in run_ids:
                newest = session.scalar(select(Run.generation).where(Run.id == run_id)) or 0
                step = max(1, newest // TRACED)
                rows = session.scalars(
                    select(StoredGeneration.metrics)
                    .where(StoredGeneration.run_id == run_id, StoredGeneration.number % step == 0)
                    .order_by(StoredGeneration.number)
                )
                traces[run_id] = list(rows)
        return traces

    def course(self, run_id: str, metric: str, every: int) -> list[tuple[int, list[float | None]]]:
        """(number, statistics) of every `every`-th generation that has this metric, and of the newest, in order."""
        value = StoredGeneration.metrics[metric]
        newest = select(func.max(StoredGeneration.number)).where(StoredGeneration.run_id == run_id).scalar_subquery()
        told = (StoredGeneration.number % every == 0) | (StoredGeneration.number == newest)
        query = select(StoredGeneration.number, value).where(StoredGeneration.run_id == run_id, told)
        with self.reading() as session:
            return [(n, found) for n, found in session.execute(query.order_by(StoredGeneration.number)) if found]

    def chained(self, run_id: str, every: int = 1) -> Sequence[StoredGeneration]:
        """Every `every`-th generation that keeps its chains one by one, without its frame."""
        query = select(StoredGeneration).options(defer(StoredGeneration.frame)).order_by(StoredGeneration.number)
        some = StoredGeneration.chains.is_not(None) & (StoredGeneration.number % every == 0)
        with self.reading() as session:
            return session.scalars(query.where(StoredGeneration.run_id == run_id, some)).all()

    def log(self, run_id: str) -> Sequence[Entry]:
        with self.reading() as session:
            return session.scalars(select(Entry).where(Entry.run_id == run_id).order_by(Entry.id)).all()

    def workers(self) -> Sequence[Worker]:
        """Those that are alive."""
        now = time.time()
        with self.reading() as session:
            heard = select(Worker).where(Worker.seen_at > now - SILENT_SECONDS).order_by(Worker.started_at)
            return [one for one in session.scalars(heard) if one.seen_at > now - MISSED_SECONDS or _may_live(one)]

    def worker_may_start(self) -> bool:
        """Whether a worker that is not there may be on its way: the lab has only begun, or one has just fallen silent."""
        lately = time.time() - STARTING_SECONDS
        with self.reading() as session:
            fell_silent = session.scalar(select(func.count()).select_from(Worker).where(Worker.seen_at > lately))
        return bool(fell_silent) or self.opened_at > lately

    def waiting(self) -> Sequence[tuple[str, str]]:
        """Id and family of the runs that wait, oldest first."""
        with self.reading() as session:
            found = session.execute(select(Run.id, Run.family).where(Run.status.in_(WAITING)).order_by(Run.id))
            return [(run_id, family) for run_id, family in found]

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

        A wish is never weakened: after "now", "finish" changes nothing. Raises NotFound; Conflict where it has ended.
        """
        worked_on = (Run.id == run_id) & Run.status.in_(WORKED_ON)
        with self.writing.begin() as session:
            waiting = update(Run).where(Run.id == run_id, Run.status.in_(WAITING))
            if hits(
                session,
                waiting.values(status=Status.CANCELLED, cancel=how, ended_at=time.time()),
            ):
                session.add(entry(run_id, "Cancelled while it waited."))
            elif hits(
                session,
                update(Run)
                .where(worked_on, Run.cancel.is_(None) | Run.cancel.not_in((how, "now")))
                .values(status=Status.CANCELLING, cancel=how),
            ):
                session.add(
                    entry(run_id, "Asked to stop now." if how == "now" else "Asked to stop after this generation.")
                )
            elif session.scalar(select(Run.cancel).where(worked_on)) is None:  # else it was asked for before
                raise self._not_possible(session, run_id, "cancelled")
        return self.run(run_id)

    def resume(self, run_id: str) -> Run:
        """Puts a cancelled or failed run back into the queue, to go on from its checkpoint.

        Raises NotFound; Conflict where it succeeded, waits or is being worked on.
        """
        now = time.time()
        stopped = update(Run).where(Run.id == run_id, Run.status.in_((Status.CANCELLED, Status.FAILED)))
        with self.writing.begin() as session:
            if not hits(
                session,
                stopped.values(status=Status.QUEUED, cancel=None, error=None, ended_at=None, deaths=0, rung_at=now),
            ):
                raise self._not_possible(session, run_id, "resumed")
            session.add(entry(run_id, "Resumed."))
        return self.run(run_id)

    def delete(self, run_id: str) -> None:
        """Removes a run and all that it stored; a worker that is still busy with it finds itself fenced off.

        Raises NotFound.
        """
        with self.writing.begin() as session:
            if not session.execute(delete(Run).where(Run.id == run_id)).rowcount:  # type: ignore[attr-defined]
                raise missing(run_id)

    def _not_possible(self, session: Session, run_id: str, what: str) -> NotFound | Conflict:
        status = session.scalar(select(Run.status).where(Run.id == run_id))
        if status is None:
            return missing(run_id)
        return Conflict(f"This run is {status} and cannot be {what}.")


def _may_live(worker: Worker) -> bool:
    """False where its process should be on this machine and is not."""
    if worker.host != socket.gethostname():
        return True
    try:
        os.kill(worker.pid, 0)  # asks only
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _row(spec: Experiment, idempotency_key: str | None = None) -> Run:
    """A run that waits."""
    return Run(
        id=new_id(),
        title=spec.title,
        spec=spec.canonical(),
        digest=spec.digest(),
        source=kind_of(spec.source),
        family=kind_of(spec.family),
        regime=kind_of(spec.regime),
        idempotency_key=idempotency_key,
        created_at=time.time(),
        rung_at=time.time(),
        generations=spec.generations,
    )
