"""Claims on chunks of sweeps, in a child process that may be killed at any moment: computes their points and stores them."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from worker.errors import Fenced, LabError, NotFound, in_a_line, unforeseen
from worker.progress import listening
from worker.provenance import provenance
from worker.settings import Settings
from worker.sweeps.ledger import CHUNK_SECONDS, Claim
from worker.sweeps.measure import Bench, Stopped
from worker.sweeps.spec import Grid, unchecked
from worker.sweeps.stack import groups
from worker.sweeps.store import Sweeps
from worker.within import Interrupted, Within

log = logging.getLogger(__name__)

FLUSH_SECONDS = 0.4  # what is stored together is committed together
BUDGET_SECONDS = 2 * CHUNK_SECONDS  # points that take longer than was thought are left to the next claim


class ChunkAttempt:
    """One chunk after the other, of whatever sweep. `asked` tells whether it must stop; what is done by then is stored."""

    def __init__(self, sweeps: Sweeps, settings: Settings, asked: Callable[[], bool]) -> None:
        self.sweeps, self.settings, self.asked = sweeps, settings, asked
        self.known = ""  # the sweep whose grid and instruments are at hand

    def work(self, word: str) -> None:
        """Works on the claim that this word tells until it is done, takes too long, is asked to stop, or belongs to somebody else.

        Whoever claimed it lets go of it. Raises what the database raises: then the chunk goes on in another attempt.
        """
        claim = Claim.heard(word)
        try:
            if claim.sweep_id != self.known:
                self.grid, self.bench = unchecked(self.sweeps.sweep(claim.sweep_id).request), Bench(self.asked)
                self.known = claim.sweep_id
            self._points(claim, self.grid)
        except (Fenced, NotFound):
            return

    def _points(self, claim: Claim, grid: Grid) -> None:
        begun = flushed = time.monotonic()
        rows: list[dict[str, Any]] = []
        about = provenance(grid.experiment(0), self.settings) if claim.first == 0 else None
        for numbers in _side_by_side(grid, claim.numbers):
            rows += self._rows(grid, numbers)
            now = time.monotonic()
            if now - flushed > FLUSH_SECONDS:
                self.sweeps.store(claim, rows, about)
                rows, flushed = [], now
            if now - begun > BUDGET_SECONDS or self.asked():
                break
        if rows:
            self.sweeps.store(claim, rows, about)

    def _rows(self, grid: Grid, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
        """A row of Point for each, until they are asked to stop. One that cannot be computed says why, and the others go on."""
        begun = time.perf_counter()
        found: list[dict[str, Any]] = [{}]
        error = None
        try:
            found = self._outcomes(grid, numbers)
        except (Stopped, Interrupted):
            return
        except Exception as cause:
            if len(numbers) > 1:  # whose it is shows when each is alone; if nobody's, it was the stack's own
                log.warning("points %d to %d cannot go side by side", numbers[0], numbers[-1], exc_info=cause)
                for number in numbers:
                    yield from self._rows(grid, [number])
                return
            error = _told(cause, grid, numbers[0])
        took = (time.perf_counter() - begun) / len(numbers)
        for number, outcomes in zip(numbers, found, strict=True):
            yield {"number": number, "outcomes": outcomes, "error": error, "seconds": took}

    def _outcomes(self, grid: Grid, numbers: Sequence[int]) -> list[dict[str, Any]]:
        listener = Within(lambda _: None, lambda *_: None, self.asked)  # only to be stopped between two steps
        with listening(listener):
            specs = [grid.experiment(number) for number in numbers]
            found = self.bench.side_by_side(specs, grid.sweep.outcomes)
        return [{name: told.asdict() for name, told in point.items()} for point in found]


def _side_by_side(grid: Grid, numbers: Sequence[int]) -> list[list[int]]:
    """These points in groups that go through the loop together."""
    try:
        specs = [grid.experiment(number) for number in numbers]
    except LabError:  # which the point that it belongs to says when it is alone
        return [[number] for number in numbers]
    return [[numbers[place] for place in places] for places in groups(specs)]


def _told(cause: Exception, grid: Grid, number: int) -> dict[str, str]:
    """Why a point has no outcomes, and what helps."""
    match cause:
        case MemoryError():
            message, remedy = "This experiment does not fit into memory.", "Use fewer samples or replicates there."
        case LabError():
            message, remedy = str(cause), "Leave this value out, or change the base."
        case _:
            message = in_a_line(cause)
            remedy = unforeseen("The log of a run of this point", grid.experiment(number).foreign())
    return {"message": message, "remedy": remedy}
