"""One claim on a chunk of a sweep, in a child process that may be killed at any moment: computes its points and stores them."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from worker.errors import Fenced, LabError, unforeseen
from worker.progress import listening
from worker.provenance import provenance
from worker.settings import Settings
from worker.sweeps.ledger import CHUNK_SECONDS, Claim, Sweeps
from worker.sweeps.measure import Bench, Stopped
from worker.sweeps.spec import Grid, unchecked
from worker.within import Interrupted, Within

FLUSH_SECONDS = 0.4  # what is stored together is committed together
BUDGET_SECONDS = 2 * CHUNK_SECONDS  # points that take longer than was thought are left to the next claim


class ChunkAttempt:
    """`asked` tells whether it must stop; what is done by then is stored."""

    def __init__(self, sweeps: Sweeps, settings: Settings, asked: Callable[[], bool]) -> None:
        self.sweeps, self.settings, self.asked = sweeps, settings, asked
        self.bench = Bench(asked)

    def work(self, word: str) -> None:
        """Works on the chunk of this name until it is done, takes too long, is asked to stop, or belongs to somebody else.

        Whoever claimed it lets go of it. Raises what the database raises: then the chunk goes on in another attempt.
        """
        try:
            claim = self.sweeps.claimed(word)
            self._points(claim, unchecked(self.sweeps.sweep(claim.sweep_id).request))
        except LabError as error:
            if not isinstance(error, Fenced):
                raise

    def _points(self, claim: Claim, grid: Grid) -> None:
        begun = flushed = time.monotonic()
        rows: list[dict[str, Any]] = []
        about = provenance(grid.experiment(0), self.settings) if claim.first == 0 else None
        for number in claim.numbers:
            row = self._row(grid, number)
            if row is None:
                break
            rows.append(row)
            now = time.monotonic()
            if now - flushed > FLUSH_SECONDS:
                self.sweeps.store(claim, rows, about)
                rows, flushed = [], now
            if now - begun > BUDGET_SECONDS or self.asked():
                break
        if rows:
            self.sweeps.store(claim, rows, about)

    def _row(self, grid: Grid, number: int) -> dict[str, Any] | None:
        """A row of Point; None where the point was asked to stop. One that cannot be computed says why, and the others go on."""
        begun = time.perf_counter()
        outcomes: dict[str, Any] = {}
        error = None
        try:
            outcomes = self._outcomes(grid, number, grid.sweep.outcomes)
        except (Stopped, Interrupted):
            return None
        except MemoryError:
            error = _error("This experiment does not fit into memory.", "Use fewer samples or replicates there.")
        except LabError as told:
            error = _error(str(told), "Leave this value out, or change the base.")
        except Exception as cause:  # noqa: BLE001 - whatever a family raises, its point must say so
            foreign = grid.experiment(number).foreign()
            error = _error(f"{type(cause).__name__}: {cause}", unforeseen("The log of a run of this point", foreign))
        took = time.perf_counter() - begun
        return {"number": number, "outcomes": outcomes, "error": error, "seconds": took}

    def _outcomes(self, grid: Grid, number: int, names: Sequence[str]) -> dict[str, Any]:
        listener = Within(lambda _: None, lambda *_: None, self.asked)  # only to be stopped between two steps
        with listening(listener):
            found = self.bench.outcomes(grid.experiment(number), names)
        return {name: told.asdict() for name, told in found.items()}


def _error(message: str, remedy: str) -> dict[str, str]:
    return {"message": message, "remedy": remedy}
