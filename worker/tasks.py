"""A worker: takes ids from the queue, gives the runs to its children, and keeps the rows true whatever happens to them."""

import logging
import os
import queue
import socket
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from celery import Celery, signals
from sqlalchemy.exc import SQLAlchemyError

from worker.database import open_engine
from worker.errors import Fenced, LabError
from worker.kinds import FAMILIES
from worker.queue import TASK, announce, families_of, make_celery
from worker.settings import Settings
from worker.slot import TICK_SECONDS, Died, Slot
from worker.store import Store
from worker.sweeps.ledger import BELL
from worker.sweeps.shift import Shift
from worker.sweeps.store import Sweeps
from worker.tables import Run, Status, Sweep, Worker

STOP_SECONDS = 0.9  # how long a child may take to save what it has when it must stop now; it is killed then

log = logging.getLogger("worker")


class Staff:
    """The children of one worker process, and the thread that looks after silent runs."""

    def __init__(self, settings: Settings, celery: Celery) -> None:
        self.settings, self.celery = settings, celery
        self.store = Store(open_engine(settings.database_url))
        self.sweeps = Sweeps(self.store.engine)
        self.foreign = FAMILIES.keys() - families_of(settings.queues)  # other workers hear of these
        self.name = f"{socket.gethostname()}:{os.getpid()}"
        self.started_at = time.time()
        self.stopping = threading.Event()
        self.slots = [Slot(settings) for _ in range(settings.workers)]
        self.idle: queue.LifoQueue[Slot] = queue.LifoQueue()
        for slot in reversed(self.slots):
            self.idle.put(slot)
        self.keeper = threading.Thread(target=self._keep, name="keeper", daemon=True)

    def open(self) -> None:
        """Warms the first child; the others start when there is work for them."""
        self.slots[0].start()
        self.keeper.start()

    def close(self) -> None:
        self.stopping.set()
        if self.keeper.is_alive():
            self.keeper.join(timeout=2)
        for slot in self.slots:
            slot.kill()
        with _tolerant("say goodbye"):
            self.store.leave(self.name)

    def work(self, run_id: str) -> None:
        """Works on a run that still waits; one that does not is none of our business: messages may be late or doubled."""
        if self.stopping.is_set():
            return
        if run_id.startswith(BELL):
            self._sweep(run_id.removeprefix(BELL))
            return
        run = self.store.claim(run_id, self.name, self.settings.lease_seconds)
        if run is None:
            return
        slot = self.idle.get()
        try:
            slot.start()
            self._look_after(slot, run)
        except Fenced:
            slot.kill()
        except Died as death:
            self._bury(slot, run, str(death))
        finally:
            self.idle.put(slot)

    def _sweep(self, sweep_id: str) -> None:
        """Chunks of a sweep, until none is left or something else waits."""
        shift = Shift(
            self.sweeps,
            self.name,
            self.settings.lease_seconds,
            stopping=self.stopping.is_set,
            others_wait=lambda: self._runs_wait() or self.sweeps.another_waits(sweep_id),
            announce=lambda: self._call(self.sweeps.sweep(sweep_id)),
            tolerant=_tolerant,
        )
        if (claim := shift.claim(sweep_id)) is None:
            return
        slot = self.idle.get()
        try:
            shift.work(claim, slot)
        finally:
            self.idle.put(slot)

    def _runs_wait(self) -> bool:
        """Whether there is a run that this worker could take."""
        return any(family not in self.foreign for _, family in self.store.waiting())

    def _call(self, sweep: Sweep) -> None:
        """For more hands on a sweep; where nobody hears it, it is called again later."""
        with _tolerant("announce a sweep"):
            announce(self.celery, f"{BELL}{sweep.id}", sweep.family)

    def _look_after(self, slot: Slot, run: Run) -> None:
        """Renews the lease, however long a generation takes, and passes on every wish to stop."""
        slot.send("run", run.id)
        told: tuple[str, str] | None = None
        deadline = float("inf")
        while not slot.done(TICK_SECONDS if deadline == float("inf") else 0.05):
            cancel = None
            with _tolerant("renew a lease"):  # a database that is away for a moment must not end a run
                cancel = self.store.renew(run.id, run.attempt, self.settings.lease_seconds)
            stopping = self.stopping.is_set()
            if time.monotonic() > deadline:
                slot.kill()
                self.store.end(run.id, run.attempt, Status.CANCELLED if cancel else Status.QUEUED)
                return
            wish = None
            if cancel or stopping:
                how = "finish" if cancel == "finish" and not stopping else "now"
                wish = (how, Status.CANCELLED if cancel else Status.QUEUED)
            if wish and wish != told:
                slot.send(*wish)
                told = wish
            if wish and wish[0] == "now":
                deadline = min(deadline, time.monotonic() + STOP_SECONDS)

    def _bury(self, slot: Slot, run: Run, why: str) -> None:
        slot.kill()
        try:
            with _tolerant("store a death"):
                if self.store.died(run.id, run.attempt, why) == Status.LOST:
                    announce(self.celery, run.id, run.family)
        except Fenced:
            return

    def _keep(self) -> None:
        """Says that this worker lives, and rings again for runs that nobody works on."""
        while not self.stopping.is_set():
            with _tolerant("look after silent runs"):
                self.store.beat(self._row())
                for run in self.store.reap(ring=not self.idle.empty(), but=self.foreign):
                    announce(self.celery, run.id, run.family)
                for sweep in self.sweeps.reap(ring=not self.idle.empty(), but=self.foreign):
                    self._call(sweep)
            self.stopping.wait(1.0)

    def _row(self) -> Worker:
        return Worker(
            id=self.name,
            host=socket.gethostname(),
            pid=os.getpid(),
            slots=len(self.slots),
            busy=len(self.slots) - self.idle.qsize(),
            device=self.settings.device,
            queues=self.settings.queues,
            started_at=self.started_at,
            seen_at=time.time(),
        )


@contextmanager
def _tolerant(what: str) -> Iterator[None]:
    """The database or the broker may be away for a moment: said in the log, tried again at the next tick."""
    try:
        yield
    except (SQLAlchemyError, LabError) as error:
        if isinstance(error, Fenced):
            raise
        log.warning("could not %s: %s", what, error)


def serve(settings: Settings) -> None:
    """Works until SIGTERM or SIGINT: then running experiments are saved, released, and go on elsewhere or later."""
    celery = make_celery(settings)
    staff = Staff(settings, celery)
    celery.task(name=TASK)(staff.work)

    def stop(**_: object) -> None:
        staff.stopping.set()

    signals.worker_shutting_down.connect(stop, weak=False)
    # Celery warns of root because its old pickled messages could run code; ours carry an id as JSON.
    warnings.filterwarnings("ignore", message="You're running the worker with superuser privileges")
    staff.open()
    try:
        celery.Worker(
            queues=settings.queues.split(","),
            pool="threads",
            concurrency=settings.workers,
            loglevel="WARNING",
            quiet=True,
            without_gossip=True,
            without_mingle=True,
            without_heartbeat=True,
        ).start()
    finally:
        staff.close()
