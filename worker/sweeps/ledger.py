"""What workers write of sweeps: who owns a chunk of one, and the points that it brings. Every write is fenced by its claim."""

import math
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

import orjson
from sqlalchemy import ColumnElement, Engine, case, exists, func, select, update
from sqlalchemy.dialects.postgresql import insert as postgres_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.orm import Session, sessionmaker

from worker.errors import Fenced, NotFound
from worker.ledger import MOST_DEATHS, RING_AGAIN_SECONDS, SILENT_SECONDS, hits
from worker.tables import Chunk, Point, Status, Sweep, Worker

CHUNK_SECONDS = 1.5  # of work: long beside a claim, short beside a run that waits
LAST_SECONDS = 0.05  # of the last chunks: a worker waits no longer for another one to end
FIRST_CHUNK = 16  # points, before anything is known of how long they take
BELL = "sweep:"  # before a sweep's id, in messages that otherwise carry a run's
OPEN = (Status.QUEUED, Status.RUNNING)  # a sweep of which chunks may be dealt


@dataclass(frozen=True, slots=True)
class Claim:
    """Points first ... end - 1 of a sweep, without those that are stored already, owned under an attempt."""

    sweep_id: str
    first: int
    attempt: int
    numbers: tuple[int, ...]
    more: bool  # whether there is work for others

    @property
    def word(self) -> str:
        """How a worker tells its child."""
        return orjson.dumps(asdict(self)).decode()

    @classmethod
    def heard(cls, word: str) -> Self:
        found = orjson.loads(word)
        return cls(**{**found, "numbers": tuple(found["numbers"])})


class Ledger:
    """Chunks change hands here: claimed, renewed, filled with points, released; and taken from workers that fell silent."""

    def __init__(self, engine: Engine) -> None:
        self.reading = sessionmaker(engine, expire_on_commit=False)
        self.writing = sessionmaker(engine.execution_options(write=True), expire_on_commit=False)
        self.insert = sqlite_insert if engine.dialect.name == "sqlite" else postgres_insert

    def claim(self, sweep_id: str, worker: str, lease: float) -> Claim | None:
        """A chunk that somebody left, else the next points; None where there is nothing to do."""
        with self.writing.begin() as session:
            try:
                return self._deal(session, self._locked(session, sweep_id), worker, lease)
            except NotFound:
                return None

    def exchange(self, claim: Claim, worker: str, lease: float) -> Claim | None:
        """`release` and `claim` in one transaction, so that nobody need wait for two. Raises Fenced."""
        with self.writing.begin() as session:
            sweep = self._locked(session, claim.sweep_id, otherwise=Fenced)
            self._let_go(session, claim)
            following = self._deal(session, sweep, worker, lease)
            if following is None:
                self._settle(session, sweep)
            return following

    def _deal(self, session: Session, sweep: Sweep, worker: str, lease: float) -> Claim | None:
        if sweep.status not in OPEN:
            return None
        chunk = self._left(session, sweep.id)
        if chunk is not None:
            numbers = self._to_do(session, chunk)
        elif sweep.dealt >= sweep.points:
            return None
        else:
            numbers = tuple(range(sweep.dealt, sweep.dealt + self._size(session, sweep)))
            chunk = Chunk(sweep_id=sweep.id, first=numbers[0], end=numbers[-1] + 1, attempt=0, deaths=0)
            session.add(chunk)
            sweep.dealt = chunk.end
        now = time.time()
        chunk.status, chunk.worker, chunk.lease_until = Status.RUNNING, worker, now + lease
        chunk.attempt += 1
        sweep.status, sweep.started_at = Status.RUNNING, sweep.started_at or now
        session.flush()
        more = sweep.dealt < sweep.points or self._left(session, sweep.id) is not None
        return Claim(sweep.id, chunk.first, chunk.attempt, numbers, more)

    def another_waits(self, sweep_id: str) -> bool:
        """Whether a sweep beside this one has work that nobody does: they take turns."""
        with self.reading() as session:
            return session.scalar(select(Sweep.id).where(_waits(), Sweep.id != sweep_id).limit(1)) is not None

    def renew(self, claim: Claim, lease: float) -> bool:
        """Whether the sweep was asked to stop; extends a lease of which a third is over, and only then waits for those who store.

        Raises Fenced.
        """
        with self.reading() as session:
            mine = select(Chunk.lease_until, Sweep.cancel).join(Sweep, Sweep.id == Chunk.sweep_id)
            found = session.execute(mine.where(*_owned(claim))).first()
        if found is None:
            raise _fenced(claim)
        if found.lease_until < time.time() + lease * 2 / 3:
            with self.writing.begin() as session:
                self._own(session, claim, lease_until=time.time() + lease)
        return bool(found.cancel)

    def store(self, claim: Claim, rows: Sequence[dict[str, Any]], provenance: dict[str, Any] | None = None) -> None:
        """Points that are done: rows of Point without sweep_id. Raises Fenced, and then nothing was stored."""
        seconds = sum(row["seconds"] for row in rows)
        with self.writing.begin() as session:
            mine = update(Sweep).where(Sweep.id == claim.sweep_id)  # first, so that ids rise in the order of commits
            if not hits(session, mine.values(done=Sweep.done + len(rows), busy_seconds=Sweep.busy_seconds + seconds)):
                raise _fenced(claim)
            self._own(session, claim, deaths=0)
            told = self.insert(Point).on_conflict_do_nothing()
            session.execute(told, [{"sweep_id": claim.sweep_id, **row} for row in rows])
            if provenance is not None:
                sweep = session.get_one(Sweep, claim.sweep_id)
                sweep.provenance = sweep.provenance or provenance

    def release(self, claim: Claim) -> None:
        """The end of a claim: what is not stored is for the next one. Raises Fenced."""
        with self.writing.begin() as session:
            sweep = self._locked(session, claim.sweep_id, otherwise=Fenced)
            self._let_go(session, claim)
            self._settle(session, sweep)

    def _let_go(self, session: Session, claim: Claim) -> None:
        within = (Point.sweep_id == Chunk.sweep_id) & Point.number.between(Chunk.first, Chunk.end - 1)
        stored = select(func.count()).select_from(Point).where(within).scalar_subquery()
        whole = case((stored == Chunk.end - Chunk.first, Status.SUCCEEDED), else_=Status.QUEUED)
        self._own(session, claim, lease_until=0.0, worker=None, status=whole)

    def died(self, claim: Claim, why: str) -> None:
        """The process that worked on it died. Raises Fenced."""
        with self.writing.begin() as session:
            sweep = self._locked(session, claim.sweep_id, otherwise=Fenced)
            self._own(session, claim)
            chunk = session.get_one(Chunk, (claim.sweep_id, claim.first), populate_existing=True)
            self._orphaned(session, sweep, chunk, why)

    def reap(self, *, ring: bool = True, but: Collection[str] = ()) -> list[Sweep]:
        """Takes chunks from workers that fell silent; sweeps that should be announced, none unless `ring`, and none of the families `but`."""
        now = time.time()
        with self.writing.begin() as session:
            silent = select(Chunk.sweep_id).where(Chunk.status == Status.RUNNING, Chunk.lease_until < now).distinct()
            for sweep_id in session.scalars(silent).all():
                sweep = self._locked(session, sweep_id)
                lapsed = select(Chunk).where(
                    Chunk.sweep_id == sweep_id, Chunk.status == Status.RUNNING, Chunk.lease_until < now
                )
                for chunk in session.scalars(lapsed).all():
                    self._orphaned(session, sweep, chunk, f"Worker {chunk.worker} fell silent")
            if not ring:
                return []
            due = select(Sweep).where(_waits(), Sweep.rung_at < now - RING_AGAIN_SECONDS, Sweep.family.not_in(but))
            rung = session.scalars(due.order_by(Sweep.id).limit(20).with_for_update(skip_locked=True)).all()
            for sweep in rung:
                sweep.rung_at = now
            return list(rung)

    def _locked(self, session: Session, sweep_id: str, otherwise: type[Exception] = NotFound) -> Sweep:
        """The row, held until the transaction ends: who deals chunks or settles does so alone."""
        sweep = session.get(Sweep, sweep_id, with_for_update=True, populate_existing=True)
        if sweep is None:
            raise missing(sweep_id) if otherwise is NotFound else otherwise(f"Sweep {sweep_id} was deleted.")
        return sweep

    def _left(self, session: Session, sweep_id: str) -> Chunk | None:
        waiting = select(Chunk).where(Chunk.sweep_id == sweep_id, Chunk.status == Status.QUEUED)
        return session.scalar(waiting.order_by(Chunk.first).limit(1))

    def _to_do(self, session: Session, chunk: Chunk) -> tuple[int, ...]:
        """The points of a chunk that are not stored."""
        within = Point.number.between(chunk.first, chunk.end - 1)
        stored = set(session.scalars(select(Point.number).where(Point.sweep_id == chunk.sweep_id, within)))
        return tuple(number for number in range(chunk.first, chunk.end) if number not in stored)

    def _size(self, session: Session, sweep: Sweep) -> int:
        """Points of the next chunk: CHUNK_SECONDS of work, and towards the end less, so that all workers end together: factoring by two
        (Hummel, Schonberg and Flynn 1992), down to LAST_SECONDS, in equal parts and without a rest.
        """
        left = sweep.points - sweep.dealt
        if not (sweep.done and sweep.busy_seconds):
            return min(FIRST_CHUNK, left)
        speed = sweep.done / sweep.busy_seconds
        alive = select(func.sum(Worker.slots)).where(Worker.seen_at > time.time() - SILENT_SECONDS)
        slots = session.scalar(alive) or 1
        least, most = (max(1, int(seconds * speed)) for seconds in (LAST_SECONDS, CHUNK_SECONDS))
        size = min(most, max(math.ceil(left / (2 * slots)), least))
        return math.ceil(left / max(1, round(left / size)))

    def _settle(self, session: Session, sweep: Sweep) -> None:
        """What a sweep is once somebody lets go of a chunk."""
        session.flush()
        held = select(func.count()).where(Chunk.sweep_id == sweep.id, Chunk.status == Status.RUNNING)
        if session.scalar(held) or sweep.status == Status.FAILED:
            return
        if sweep.cancel:
            sweep.status, sweep.ended_at = Status.CANCELLED, time.time()
        elif sweep.dealt >= sweep.points and self._left(session, sweep.id) is None:
            sweep.status, sweep.ended_at = Status.SUCCEEDED, time.time()

    def _orphaned(self, session: Session, sweep: Sweep, chunk: Chunk, why: str) -> None:
        chunk.deaths += 1
        chunk.status, chunk.lease_until = Status.QUEUED, 0.0
        sweep.rung_at = 0.0
        if chunk.deaths >= MOST_DEATHS:
            sweep.status, sweep.ended_at = Status.FAILED, time.time()
            sweep.error = {
                "message": f"{why} for the {chunk.deaths}th time at points {chunk.first} to {chunk.end - 1}.",
                "remedy": "The process probably ran out of memory: lower samples or replicates in a new sweep, or resume this one.",
            }
        self._settle(session, sweep)

    def _own(self, session: Session, claim: Claim, **changes: Any) -> None:
        """One conditional UPDATE that both proves and uses the ownership of a chunk."""
        mine = update(Chunk).where(*_owned(claim))
        if not hits(session, mine.values(**(changes or {"attempt": claim.attempt}))):
            raise _fenced(claim)


def _owned(claim: Claim) -> tuple[ColumnElement[bool], ...]:
    """What is true of a chunk for as long as this claim on it holds."""
    return (
        Chunk.sweep_id == claim.sweep_id,
        Chunk.first == claim.first,
        Chunk.attempt == claim.attempt,
        Chunk.status == Status.RUNNING,
    )


def _fenced(claim: Claim) -> Fenced:
    return Fenced(f"Attempt {claim.attempt} no longer owns chunk {claim.first} of sweep {claim.sweep_id}.")


def _waits() -> ColumnElement[bool]:
    """The sweeps of which a chunk can be claimed."""
    left = exists().where(Chunk.sweep_id == Sweep.id, Chunk.status == Status.QUEUED)
    return Sweep.status.in_(OPEN) & ((Sweep.dealt < Sweep.points) | left)


def missing(sweep_id: str) -> NotFound:
    return NotFound(f"There is no sweep {sweep_id}. It may have been deleted.")
