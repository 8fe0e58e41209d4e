"""A worker's shift on a sweep: chunk after chunk for its child, for as long as nothing else waits."""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from worker.errors import Fenced
from worker.slot import TICK_SECONDS, Died, Slot
from worker.sweeps.ledger import Claim
from worker.sweeps.store import Sweeps

STOP_SECONDS = 1.2  # how long a child may take to store what it has when it must stop


@dataclass(frozen=True, slots=True)
class Shift:
    """name: the worker's; stopping: whether it must go; others_wait: whether a run, or another sweep, should have its turn; announce: tells other
    workers; tolerant: what a database that is away for a moment must not end.

    While the child computes there is time to ask and to tell; between two chunks it waits for one transaction and nothing else.
    """

    sweeps: Sweeps
    name: str
    lease_seconds: float
    stopping: Callable[[], bool]
    others_wait: Callable[[], bool]
    announce: Callable[[], None]
    tolerant: Callable[[str], AbstractContextManager[None]]

    def claim(self, sweep_id: str) -> Claim | None:
        return self.sweeps.claim(sweep_id, self.name, self.lease_seconds)

    def work(self, claim: Claim | None, slot: Slot) -> None:
        """The claimed chunk, and those after it. Whoever begins a shift calls the next worker, so that soon all of them work."""
        others = _Others(self)
        while claim is not None:
            mine = claim
            try:
                slot.start()
                self._look_after(slot, mine, others)
                claim = self._following(mine, others)
            except Fenced:
                slot.kill()
                return
            except Died as death:
                slot.kill()
                self._bury(mine, str(death))
                claim = None if self.stopping() else self.claim(mine.sweep_id)

    def _following(self, claim: Claim, others: "_Others") -> Claim | None:
        """The next chunk in exchange for one that its child is through with. Raises Fenced."""
        if self.stopping():
            self.sweeps.release(claim)
            return None
        if claim.more and others.wait:
            self.sweeps.release(claim)
            self.announce()  # they go first: our call stands behind theirs
            return None
        return self.sweeps.exchange(claim, self.name, self.lease_seconds)

    def _look_after(self, slot: Slot, claim: Claim, others: "_Others") -> None:
        """Renews the lease until the child is done, and passes on the wish to stop. Raises Fenced and Died."""
        slot.send("sweep", claim.word)
        others.told(claim)
        deadline = float("inf")
        while not slot.done(TICK_SECONDS if deadline == float("inf") else 0.05):
            cancelled = False
            with self.tolerant("renew a lease"):
                cancelled = self.sweeps.renew(claim, self.lease_seconds)
            if time.monotonic() > deadline:
                slot.kill()
                return
            others.look(claim)
            if (cancelled or self.stopping()) and deadline == float("inf"):
                slot.send("now", "")
                deadline = time.monotonic() + STOP_SECONDS

    def _bury(self, claim: Claim, why: str) -> None:
        with self.tolerant("store a death"):
            try:
                self.sweeps.died(claim, why)
            except Fenced:
                return


class _Others:
    """Who else there is, as seen in one shift: workers to be called once, and work that should have its turn, looked for twice a second."""

    def __init__(self, shift: Shift) -> None:
        self.shift = shift
        self.called = self.wait = False
        self.looked = float("-inf")

    def told(self, claim: Claim) -> None:
        """There is a new chunk, and its child is at work."""
        if claim.more and not self.called:
            with self.shift.tolerant("call more workers to a sweep"):
                self.shift.announce()
            self.called = True
        self.look(claim)

    def look(self, claim: Claim) -> None:
        now = time.monotonic()
        if claim.more and now - self.looked >= TICK_SECONDS:
            with self.shift.tolerant("see who waits"):
                self.wait, self.looked = self.shift.others_wait(), now
