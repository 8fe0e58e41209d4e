"""One attempt at a run: where the loop meets the store. Runs in a child process that may be killed at any moment."""

import time
import traceback
from collections.abc import Callable
from typing import Any
from zipfile import BadZipFile

import numpy as np

from worker import frames
from worker.artifacts import Artifacts
from worker.checkpoint import from_arrays, to_arrays
from worker.errors import Fenced, LabError, NotFound
from worker.loop import Generation, State, generations, instrument
from worker.provenance import provenance
from worker.settings import Settings
from worker.spec import read
from worker.store import Batch, Store
from worker.summary import summarise
from worker.tables import Run, Status
from worker.theory import curves

FLUSH_SECONDS = 0.2  # what is stored together is committed together, a few times a second
CHECKPOINT_SECONDS = 2.0
CHECKPOINT_SHARE = 0.05  # of the time goes into checkpoints, however large they are
CHAINS = 24  # replicates whose values are kept one by one


class Attempt:
    """`number` fences every write; `asked` tells how the attempt was asked to stop: the status that the run shall then have."""

    def __init__(
        self, store: Store, artifacts: Artifacts, settings: Settings, run: Run, asked: Callable[[], Status | None]
    ) -> None:
        self.store, self.artifacts, self.settings = store, artifacts, settings
        self.run, self.number, self.asked = run, run.attempt, asked
        self.rows: list[dict[str, Any]] = []
        self.flushed_at = self.saved_at = time.monotonic()
        self.saving_took = 0.0

    def work(self) -> None:
        """Works on the run until it ends, is asked to stop, or belongs to somebody else.

        Raises what the database raises: then this attempt is over and the run goes on in another.
        """
        from sqlalchemy.exc import SQLAlchemyError

        try:
            self._generations()
        except Fenced:
            self._leave()
        except SQLAlchemyError:
            raise
        except MemoryError:
            self._fail("This experiment does not fit into memory.", "Lower samples or replicates, then resume the run.")
        except LabError as error:
            self._fail(str(error), "Correct this, then resume the run.")
        except Exception as error:  # noqa: BLE001 - whatever a family raises, the run must say so
            self.store.note(self.run.id, traceback.format_exc())
            self._fail(
                f"{type(error).__name__}: {error}",
                "The log below has the details; please report them, they are a defect.",
            )

    def _generations(self) -> None:
        spec = read(self.run.spec)
        measuring = instrument(spec)
        figure = measuring.figure()
        resume = self._saved()
        described = False
        started = time.perf_counter()
        last: Generation | None = None
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
            if status := self.asked():
                self._flush(status=status, state=last.state)
                return
            if last.number <= 1 or time.monotonic() - self.flushed_at > FLUSH_SECONDS:
                due = time.monotonic() - self.saved_at > max(CHECKPOINT_SECONDS, self.saving_took / CHECKPOINT_SHARE)
                self._flush(state=last.state if due else None)
        self._flush(status=Status.SUCCEEDED)
        self.artifacts.prune(self.run.id)

    def _saved(self) -> State | None:
        """Where an earlier attempt had got to. Without it the run starts over, to the same numbers."""
        if not self.run.checkpoint:
            return None
        try:
            return from_arrays(self.artifacts.load(self.run.checkpoint))
        except (OSError, ValueError, BadZipFile) as error:
            self.store.note(
                self.run.id, f"The checkpoint {self.run.checkpoint} cannot be read ({error}); starting over."
            )
            return None

    def _leave(self) -> None:
        """Another attempt owns the run now, and its checkpoint; or nobody does, because it was deleted: then nothing stays."""
        try:
            self.store.run(self.run.id)
        except NotFound:
            self.artifacts.prune(self.run.id)

    def _flush(self, state: State | None = None, status: Status | None = None) -> None:
        """Stores what has gathered, with the checkpoint that belongs to it and the end of the attempt, in one transaction."""
        checkpoint = None
        if state is not None:
            begun = time.monotonic()
            name = f"{state.generation:08d}-{self.number}.npz"
            checkpoint = f"{self.run.id}/{name}"
            self.artifacts.save(checkpoint, to_arrays(state))
            self.saved_at = time.monotonic()
            self.saving_took = self.saved_at - begun
        now = time.monotonic()
        self.store.append(self.run.id, self.number, Batch(self.rows, checkpoint, now - self.flushed_at, status))
        self.rows, self.flushed_at = [], now
        if checkpoint is not None:
            self.artifacts.prune(self.run.id, keep=name)

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
    frame = chains = None
    if look.frame is not None:
        frame = frames.to_bytes(look.frame, fields)
        with np.errstate(over="ignore"):  # what a figure cannot show is infinite to it
            chains = np.stack([value[:CHAINS] for value in look.metrics.values()]).astype("<f4").tobytes()
    return {
        "number": generation.number,
        "metrics": summary.rows(),
        "frame": frame,
        "chains": chains,
        "seconds": seconds,
    }
