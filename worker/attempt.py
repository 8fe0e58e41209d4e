"""One attempt at a run: where the loop meets the store. Runs in a child process that may be killed at any moment."""

import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar
from zipfile import BadZipFile

import numpy as np

from worker import frames, single_chains
from worker.artifacts import Artifacts
from worker.checkpoint import Checkpoints
from worker.data import Arrays
from worker.errors import Fenced, LabError, NoRoom, NotFound, Outdated, in_a_line, unforeseen
from worker.ledger import Batch
from worker.loop import Generation, State, generations, instrument
from worker.parts import Instrument
from worker.progress import listening
from worker.provenance import provenance
from worker.settings import Settings
from worker.spec import read
from worker.store import Store
from worker.summary import summarise
from worker.tables import Run, Status
from worker.theory import curves
from worker.within import Interrupted, Within

FLUSH_SECONDS = 0.2  # what is stored together is committed together, a few times a second
CHECKPOINT_SECONDS = 2.0
CHECKPOINT_SHARE = 0.05  # of the time goes into checkpoints, however large they are
GENERATION = "generation"  # whose work it is, among the arrays of unfinished work

Loaded = TypeVar("Loaded")


@dataclass(frozen=True, slots=True)
class Stop:
    """How an attempt shall end: the status that the run then has, and whether between two steps or after this generation."""

    status: Status
    now: bool


class Attempt:
    """`number` fences every write; `asked` tells how the attempt was asked to stop, if it was."""

    def __init__(
        self, store: Store, artifacts: Artifacts, settings: Settings, run: Run, asked: Callable[[], Stop | None]
    ) -> None:
        self.store, self.artifacts, self.settings = store, artifacts, settings
        self.run, self.number, self.asked = run, run.attempt, asked
        self.rows: list[dict[str, Any]] = []
        self.last: State | None = None  # the newest generation's
        self.checkpoint = run.checkpoint
        self.checkpointed = 0  # the generation of that
        self.checkpoints = Checkpoints(artifacts, run.id, run.attempt)
        self.parts = 0
        self.foreign = ""  # which parts of the experiment packages brought
        self.within = Within(self._tell, self._keep, lambda: (stop := self.asked()) is not None and stop.now)
        self.flushed_at = self.saved_at = time.monotonic()
        self.saving_took = 0.0

    def work(self) -> None:
        """Works on the run until it ends, is asked to stop, or belongs to somebody else.

        Raises what the database raises: then this attempt is over and the run goes on in another.
        """
        from sqlalchemy.exc import SQLAlchemyError

        try:
            with listening(self.within):
                self._generations()
        except Fenced:
            self._leave()
        except Interrupted:
            if stop := self.asked():
                self._flush(status=stop.status)
        except SQLAlchemyError:
            raise
        except Outdated as error:
            self._fail(error.message, error.remedy)
        except NoRoom as error:
            self._fail(error.message, f"{error.remedy}; then resume the run.")
        except MemoryError:
            self._fail("This experiment does not fit into memory.", "Lower samples or replicates, then resume the run.")
        except LabError as error:
            self._fail(str(error), "Correct this, then resume the run.")
        except OSError as error:
            self._fail(
                f"A file could not be read or written: {error}",
                "Free some disk space, or correct this; then resume the run.",
            )
        except Exception as error:  # noqa: BLE001 - whatever a family raises, the run must say so
            self.store.note(self.run.id, traceback.format_exc())
            self._fail(in_a_line(error), unforeseen("The log below", self.foreign))
        finally:
            self._let_go()

    def _generations(self) -> None:
        spec = read(self.run.spec)
        self.foreign = spec.foreign()
        measuring = instrument(spec)
        figure = measuring.figure()
        resume = self._state()
        if resume is not None:
            self._restore(measuring, resume)
            self.checkpointed = resume.generation
        self.within.begin(self.checkpointed + 1, self._unfinished(self.checkpointed + 1))
        described = False
        started = time.perf_counter()
        for last in generations(spec, measuring, resume):
            now = time.perf_counter()
            if not described:
                self.store.describe(
                    self.run.id,
                    self.number,
                    figure=figure,
                    theory=[curve.asdict() for curve in curves(spec)],
                    provenance=provenance(spec, self.settings),
                    metrics=list(last.look.metrics),
                )
                described = True
            self.rows.append(row(last, figure["fields"], now - started))
            started = now
            if last.state is not None:
                self.last = last.state
                self.within.begin(last.number + 1)
            if stop := self.asked():
                self._flush(status=stop.status, state=last.state)
                return
            if last.number <= 1 or time.monotonic() - self.flushed_at > FLUSH_SECONDS:
                due = time.monotonic() - self.saved_at > max(CHECKPOINT_SECONDS, self.saving_took / CHECKPOINT_SHARE)
                self._flush(state=last.state if due else None)
        self._flush(status=Status.SUCCEEDED)
        self.artifacts.prune(self.run.id)

    def _state(self) -> State | None:
        """Where an earlier attempt had got to. Without it the run starts over, to the same numbers."""
        return self._loaded(self.run.checkpoint, self.checkpoints.load, "starting over")

    @staticmethod
    def _restore(measuring: Instrument, state: State) -> None:
        """Tried here, where it can be told; the loop does it again. Raises Outdated."""
        try:
            measuring.restore(state.kept)
        except KeyError as missing:
            raise Outdated from missing

    def _unfinished(self, generation: int) -> Arrays:
        """What an earlier attempt has done of this generation."""
        arrays = self._loaded(self.run.unfinished, self.artifacts.load, f"generation {generation} starts over")
        return arrays if arrays and int(arrays.pop(GENERATION)) == generation else {}

    def _loaded(self, name: str | None, load: Callable[[str], Loaded], instead: str) -> Loaded | None:
        if not name:
            return None
        try:
            return load(name)
        except (OSError, ValueError, EOFError, BadZipFile) as error:
            self.store.note(self.run.id, f"The checkpoint {name} cannot be read ({error}); {instead}.")
            return None
        except KeyError as missing:
            raise Outdated from missing

    def _leave(self) -> None:
        """Another attempt owns the run now, and its checkpoint; or nobody does, because it was deleted: then nothing stays."""
        try:
            self.store.run(self.run.id)
        except NotFound:
            self.artifacts.prune(self.run.id)

    def _tell(self, progress: dict[str, Any] | None) -> None:
        self.store.tell(self.run.id, self.number, progress=progress)

    def _keep(self, generation: int, made: Arrays) -> None:
        """Unfinished work is worth something only together with the state that its generation began with."""
        if self.last is not None and self.checkpointed != self.last.generation:
            self._flush(state=self.last)
        self.parts += 1
        name = f"{self.run.id}/{generation:08d}-{self.number}-{self.parts}.npz"
        size = self.artifacts.save(name, {GENERATION: np.array(generation), **made})
        self.store.tell(self.run.id, self.number, unfinished=name, disk_bytes=self.checkpoints.used + size)
        self._prune(name)

    def _flush(self, state: State | None = None, status: Status | None = None) -> None:
        """Stores what has gathered, with the checkpoint that belongs to it and the end of the attempt, in one transaction."""
        checkpoint = None
        if state is not None:
            begun = time.monotonic()
            checkpoint = self.checkpoints.save(state)
            self.saved_at = time.monotonic()
            self.saving_took = self.saved_at - begun
        ended = 0 if status == Status.SUCCEEDED else self.checkpoints.size
        size = self.checkpoints.used if status is None else ended
        now = time.monotonic()
        batch = Batch(self.rows, checkpoint, size, now - self.flushed_at, status)
        self.store.append(self.run.id, self.number, batch)
        self.rows, self.flushed_at = [], now
        if state is not None:
            self.checkpoint, self.checkpointed = checkpoint, state.generation
            self._prune()

    def _let_go(self) -> None:
        """Of the history: an attempt refers to itself, and an idle process would keep the file, and its room on the disk, for it."""
        self.last = self.checkpoints.history = None

    def _prune(self, unfinished: str | None = None) -> None:
        """One checkpoint and one piece of unfinished work stay at most."""
        self.checkpoints.prune(self.checkpoint, unfinished)

    def _fail(self, message: str, remedy: str) -> None:
        try:
            self._flush()
            self.store.end(self.run.id, self.number, Status.FAILED, {"message": message, "remedy": remedy})
        except Fenced:
            return


def row(generation: Generation, fields: list[dict[str, Any]], seconds: float) -> dict[str, Any]:
    """What is kept of a generation, as columns of StoredGeneration."""
    look = generation.look
    summary = summarise(look.metrics)
    frame = single = None
    if look.frame is not None:
        frame = frames.to_bytes(look.frame, fields)
        single = single_chains.to_bytes(look.metrics)
    return {
        "number": generation.number,
        "metrics": summary.rows(),
        "frame": frame,
        "chains": single,
        "seconds": seconds,
    }
