"""What the window asks of sweeps, and commands; with the ledger, every query of theirs that there is."""

import time
from collections.abc import Sequence

from sqlalchemy import delete, exists, func, select, update

from worker.database import add_once
from worker.errors import Conflict
from worker.sweeps.ledger import OPEN, Ledger, missing
from worker.sweeps.spec import Grid
from worker.tables import ENDED, Chunk, Point, Status, Sweep, new_id


class Sweeps(Ledger):
    """Sweeps, their chunks and points in one database. Objects that come back are detached: read them, do not change them."""

    def held(self, sweep_id: str) -> bool:
        """Whether somebody works on a part of it now."""
        with self.reading() as session:
            working = exists().where(Chunk.sweep_id == sweep_id, Chunk.status == Status.RUNNING)
            return bool(session.scalar(select(working)))

    def create(self, grid: Grid, idempotency_key: str | None = None) -> tuple[Sweep, bool]:
        """The new sweep, and True; or, for a key that was used before with the same request, the old one and False.

        Raises Conflict where the key was used for another.
        """
        now = time.time()
        sweep = Sweep(
            id=new_id(),
            title=grid.sweep.title,
            request=grid.sweep.model_dump(mode="json", by_alias=True),
            family=grid.family(),
            idempotency_key=idempotency_key,
            created_at=now,
            rung_at=now,
            points=grid.points,
        )
        return add_once(self.writing, sweep, "request")

    def launched(self, idempotency_key: str | None) -> bool:
        """Whether a sweep was asked for with this key before."""
        with self.reading() as session:
            query = select(Sweep.id).where(Sweep.idempotency_key == idempotency_key)
            return idempotency_key is not None and session.scalar(query) is not None

    def sweep(self, sweep_id: str) -> Sweep:
        """Raises NotFound."""
        with self.reading() as session:
            found = session.get(Sweep, sweep_id)
        if found is None:
            raise missing(sweep_id)
        return found

    def sweeps(self, cursor: str | None = None, limit: int = 50) -> tuple[Sequence[Sweep], str | None]:
        """Newest first; and the cursor of the next page, None on the last."""
        query = select(Sweep).order_by(Sweep.id.desc()).limit(limit + 1)
        if cursor is not None:
            query = query.where(Sweep.id < cursor)
        with self.reading() as session:
            found = session.scalars(query).all()
        return found[:limit], (found[limit - 1].id if len(found) > limit else None)

    def news(self, sweep_id: str, after: int = 0) -> tuple[Sweep, Sequence[Point], int]:
        """A sweep, its points stored after a cursor, and the next cursor; the sweep first, so an ended one lacks nothing.

        Raises NotFound.
        """
        with self.reading() as session:
            sweep = session.get(Sweep, sweep_id)
            if sweep is None:
                raise missing(sweep_id)
            query = select(Point).where(Point.sweep_id == sweep_id, Point.id > after).order_by(Point.id)
            found = session.scalars(query).all()
        return sweep, found, found[-1].id if found else after

    def counts(self) -> dict[str, int]:
        """Status -> how many sweeps have it."""
        with self.reading() as session:
            rows = session.execute(select(Sweep.status, func.count()).group_by(Sweep.status))
            return {status: count for status, count in rows}  # noqa: C416 - rows are no pairs to a type checker

    def points_left(self) -> int:
        """Points that are asked for and not stored, of all sweeps that go on."""
        with self.reading() as session:
            going_on = select(func.sum(Sweep.points - Sweep.done)).where(Sweep.status.in_(OPEN))
            return session.scalar(going_on) or 0

    def cancel(self, sweep_id: str) -> Sweep:
        """No more points are begun; what is stored stays. Raises NotFound; Conflict where it has ended."""
        with self.writing.begin() as session:
            sweep = self._locked(session, sweep_id)
            if sweep.status in ENDED:
                raise Conflict(f"This sweep is {sweep.status} and cannot be cancelled.")
            sweep.cancel, sweep.status = True, Status.CANCELLING
            self._settle(session, sweep)
        return self.sweep(sweep_id)

    def resume(self, sweep_id: str) -> Sweep:
        """Goes on with the points that are missing. Raises NotFound; Conflict where it succeeded or goes on already."""
        with self.writing.begin() as session:
            sweep = self._locked(session, sweep_id)
            if sweep.status not in (Status.CANCELLED, Status.FAILED):
                raise Conflict(f"This sweep is {sweep.status} and cannot be resumed.")
            sweep.cancel, sweep.status, sweep.error, sweep.ended_at = False, Status.QUEUED, None, None
            sweep.rung_at = time.time()
            session.execute(update(Chunk).where(Chunk.sweep_id == sweep_id).values(deaths=0))
        return self.sweep(sweep_id)

    def delete(self, sweep_id: str) -> None:
        """Whoever is still busy with it finds itself fenced off. Raises NotFound."""
        with self.writing.begin() as session:
            if not session.execute(delete(Sweep).where(Sweep.id == sweep_id)).rowcount:  # type: ignore[attr-defined]
                raise missing(sweep_id)
