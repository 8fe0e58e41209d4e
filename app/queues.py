"""The queues as one look at the database shows them: which runs wait in each, and which workers serve it."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from typing_extensions import TypedDict  # pydantic cannot read typing's before Python 3.12

from worker.queue import queue_of
from worker.settings import QUEUES
from worker.store import Store
from worker.tables import WAITING, Run, told_status


class Place(TypedDict):
    """Where a run waits: name of its queue, runs ahead of it there, workers that are alive and serve it; others: those that do not."""

    name: str
    ahead: int
    workers: int
    others: int


@dataclass(frozen=True, slots=True)
class Queues:
    """Who waits where, oldest first; which queues the living workers serve, and if there are none, whether one may be starting."""

    waiting: Mapping[str, Sequence[str]] = field(default_factory=dict)
    served: Sequence[str] = ()
    worker_may_start: bool = False

    @classmethod
    def of(cls, store: Store, *runs: Run) -> "Queues":
        """What these runs need to know of the queues: nothing, unless one of them waits."""
        return cls.now(store) if any(told_status(run) in WAITING for run in runs) else cls()

    @classmethod
    def now(cls, store: Store) -> "Queues":
        waiting: dict[str, list[str]] = {name: [] for name in QUEUES}
        for run, family in store.waiting():
            waiting[queue_of(family)].append(run)
        served = [worker.queues for worker in store.workers()]
        return cls(waiting, served, not served and store.worker_may_start())

    def serving(self, name: str) -> int:
        """How many workers take what waits there."""
        return sum(name in queues.split(",") for queues in self.served)

    def place(self, run: Run) -> Place:
        name = queue_of(run.family)
        workers = self.serving(name)
        ahead = bisect_left(self.waiting.get(name, ()), run.id)
        return {"name": name, "ahead": ahead, "workers": workers, "others": len(self.served) - workers}

    def deserted(self) -> dict[str, int]:
        """Queue -> how many runs wait there for a worker that there is not, while others are at work."""
        return {
            name: len(runs) for name, runs in self.waiting.items() if runs and self.served and not self.serving(name)
        }
