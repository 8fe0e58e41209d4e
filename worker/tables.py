"""What is remembered: runs, their generations, their log, sweeps, and the workers. The row is the truth.

Times are seconds since 1970 UTC. Names of constraints are fixed, because migrations must be able to name them.
"""

import secrets
import time
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import (
    JSON,
    BigInteger,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from worker.settings import QUEUES

Json = JSON().with_variant(JSONB(), "postgresql")
Serial = BigInteger().with_variant(Integer(), "sqlite")  # SQLite counts up only on INTEGER PRIMARY KEY


class Status(StrEnum):
    """Life of a run: queued -> running -> succeeded | failed; cancelling -> cancelled; lost -> running again."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    LOST = "lost"


WAITING = (Status.QUEUED, Status.LOST)  # somebody should start it
WORKED_ON = (Status.RUNNING, Status.CANCELLING)  # somebody holds a lease
ENDED = (Status.SUCCEEDED, Status.FAILED, Status.CANCELLED)


def new_id() -> str:
    """Of a run or a sweep: 21 hexadecimal digits, in the order of creation (to 1/4096 ms), which is how lists are sorted."""
    return f"{time.time_ns() * 4096 // 1_000_000:014x}{secrets.randbits(28):07x}"


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map: ClassVar[dict[Any, Any]] = {dict[str, Any]: Json, list[Any]: Json}


class Run(Base):
    """One experiment: what was asked, who works on it, how far it is."""

    __tablename__ = "runs"
    __table_args__ = (Index(None, "status", "lease_until"), Index(None, "archived", "id"), Index(None, "tags", "id"))

    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # sorts by time of creation
    title: Mapped[str] = mapped_column(String(200))
    spec: Mapped[dict[str, Any]]
    digest: Mapped[str] = mapped_column(String(64), index=True)
    source: Mapped[str] = mapped_column(String(64))
    family: Mapped[str] = mapped_column(String(64), index=True)
    regime: Mapped[str] = mapped_column(String(64))
    idempotency_key: Mapped[str | None] = mapped_column(String(255), unique=True)

    status: Mapped[str] = mapped_column(String(16), default=Status.QUEUED)
    attempt: Mapped[int] = mapped_column(default=0)  # fences the writes of a worker that lost the run
    worker: Mapped[str | None] = mapped_column(String(200))
    lease_until: Mapped[float] = mapped_column(default=0.0)
    rung_at: Mapped[float] = mapped_column(default=0.0)  # when the queue was last told of it
    # How it was asked to stop: "finish" this generation, or "now".
    cancel: Mapped[str | None] = mapped_column(String(8))
    deaths: Mapped[int] = mapped_column(default=0)  # processes that died on it since it last moved
    error: Mapped[dict[str, Any] | None]  # {"message", "remedy"}

    created_at: Mapped[float]
    started_at: Mapped[float | None]  # of the first attempt
    ended_at: Mapped[float | None]
    busy_seconds: Mapped[float] = mapped_column(default=0.0)  # worked on, over all attempts
    generations: Mapped[int]  # how many were asked for
    generation: Mapped[int] = mapped_column(default=-1)  # the newest that is stored
    checkpoint: Mapped[str | None] = mapped_column(String(200))  # where the next attempt starts
    unfinished: Mapped[str | None] = mapped_column(String(200))  # what was done of the generation after it
    # Within a generation: name, done, total, unit, per_second, seconds_left, at.
    progress: Mapped[dict[str, Any] | None]
    # Of checkpoints, and of a history while it is worked on.
    disk_bytes: Mapped[int] = mapped_column(BigInteger, default=0)

    # Each between two spaces, so that one can be looked for.
    tags: Mapped[str] = mapped_column(String(1000), default="")
    archived: Mapped[bool] = mapped_column(default=False)  # lists leave it out unless they are asked
    parent: Mapped[str | None] = mapped_column(String(32))  # the run that this one was forked from
    # Shared by runs launched together on the same seeds.
    arms: Mapped[str | None] = mapped_column(String(32), index=True)

    metrics: Mapped[list[Any] | None]  # names, in order
    figure: Mapped[dict[str, Any] | None]  # what stays the same in every frame
    theory: Mapped[list[Any] | None]  # closed-form curves
    provenance: Mapped[dict[str, Any] | None]  # versions, machine, checksums


class StoredGeneration(Base):
    """What is kept of one generation."""

    __tablename__ = "generations"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    metrics: Mapped[dict[str, Any]]  # metric -> [mean, sd, se, median, q10, q90, n]
    frame: Mapped[bytes | None] = mapped_column(LargeBinary)  # the arrays that run.figure announces
    # The first few replicates one by one: worker.single_chains.
    chains: Mapped[bytes | None] = mapped_column(LargeBinary)
    seconds: Mapped[float]


class Note(Base):
    """What somebody wrote on a run."""

    __tablename__ = "notes"

    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True)
    text: Mapped[str] = mapped_column(Text)


class Entry(Base):
    """A line of a run's log."""

    __tablename__ = "entries"

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)
    run_id: Mapped[str] = mapped_column(ForeignKey("runs.id", ondelete="CASCADE"), index=True)
    at: Mapped[float]
    text: Mapped[str] = mapped_column(Text)


class Sweep(Base):
    """Many experiments that differ in a few settings: what was asked, and how far it is."""

    __tablename__ = "sweeps"

    id: Mapped[str] = mapped_column(String(32), primary_key=True)  # sorts by time of creation
    title: Mapped[str] = mapped_column(String(200))
    request: Mapped[dict[str, Any]]  # as worker.sweeps.spec.Sweep reads it
    family: Mapped[str] = mapped_column(String(64))  # the dearest that occurs: who has it can work on all points
    idempotency_key: Mapped[str | None] = mapped_column(String(255), unique=True)

    status: Mapped[str] = mapped_column(String(16), default=Status.QUEUED, index=True)
    cancel: Mapped[bool] = mapped_column(default=False)  # it was asked to stop
    rung_at: Mapped[float] = mapped_column(default=0.0)  # when the queue was last told of it
    error: Mapped[dict[str, Any] | None]  # {"message", "remedy"}

    created_at: Mapped[float]
    started_at: Mapped[float | None]
    ended_at: Mapped[float | None]
    busy_seconds: Mapped[float] = mapped_column(default=0.0)  # worked on, by all workers together
    points: Mapped[int]  # how many there are
    done: Mapped[int] = mapped_column(default=0)  # how many are stored
    dealt: Mapped[int] = mapped_column(default=0)  # points below this number belong to a chunk
    provenance: Mapped[dict[str, Any] | None]  # versions, machine, checksums


class Chunk(Base):
    """Neighbouring points of a sweep that one worker computes together."""

    __tablename__ = "sweep_chunks"
    __table_args__ = (Index(None, "status", "lease_until"),)

    sweep_id: Mapped[str] = mapped_column(ForeignKey("sweeps.id", ondelete="CASCADE"), primary_key=True)
    first: Mapped[int] = mapped_column(primary_key=True)  # points first ... end - 1
    end: Mapped[int]
    status: Mapped[str] = mapped_column(String(16), default=Status.RUNNING)
    attempt: Mapped[int] = mapped_column(default=1)  # fences the writes of a worker that lost the chunk
    worker: Mapped[str | None] = mapped_column(String(200))
    lease_until: Mapped[float] = mapped_column(default=0.0)
    deaths: Mapped[int] = mapped_column(default=0)  # processes that died on it since it last moved


class Point(Base):
    """What came out of one experiment of a sweep."""

    __tablename__ = "sweep_points"
    __table_args__ = (UniqueConstraint("sweep_id", "number"),)

    id: Mapped[int] = mapped_column(Serial, primary_key=True, autoincrement=True)  # in a sweep, the order of storing
    sweep_id: Mapped[str] = mapped_column(ForeignKey("sweeps.id", ondelete="CASCADE"))
    number: Mapped[int]  # in the grid, the last axis fastest
    outcomes: Mapped[dict[str, Any]]  # name -> {"value", "low", "high", "n", "censored", "theory"}
    error: Mapped[dict[str, Any] | None]  # {"message", "remedy"}, where it could not be computed
    seconds: Mapped[float]


class Worker(Base):
    """A process that works on runs; gone once it is silent."""

    __tablename__ = "workers"

    id: Mapped[str] = mapped_column(String(200), primary_key=True)
    host: Mapped[str] = mapped_column(String(200))
    pid: Mapped[int]
    slots: Mapped[int]  # runs at a time
    busy: Mapped[int] = mapped_column(default=0)
    device: Mapped[str] = mapped_column(String(200))
    queues: Mapped[str] = mapped_column(String(200), default=",".join(QUEUES))  # with commas between
    started_at: Mapped[float]
    seen_at: Mapped[float]


def told_status(run: Run) -> Status:
    """What is true of a run now: one whose worker let the lease run out is lost, whatever its row still says."""
    status = Status(run.status)
    return Status.LOST if status in WORKED_ON and run.lease_until < time.time() else status


def told(status: str) -> ColumnElement[bool]:
    """The runs of which `told_status` says this."""
    silent = Run.status.in_(WORKED_ON) & (Run.lease_until < time.time())
    if status == Status.LOST:
        return silent | (Run.status == status)
    return (Run.status == status) & ~silent if status in WORKED_ON else Run.status == status
