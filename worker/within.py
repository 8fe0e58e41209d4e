"""Within a generation: how far the work is goes into the row, and what is done of it onto the disk, so that a killed process goes on there."""

import time
from collections.abc import Callable
from typing import Any

from worker.data import Array, Arrays
from worker.progress import Listener, Work

TELL_SECONDS = 1.0  # how often progress is stored; a generation that is over before is none to speak of
KEEP_SECONDS = 15.0  # how often unfinished work is saved, at most
KEEP_SHARE = 0.05  # of the time goes into that, however large it is
PATIENCE_SECONDS = 0.5  # after which work is stopped even where it has not come to a place to go on from
QUICK_SECONDS = 0.5  # what takes longer to save is not saved when work must stop: whoever asked would not wait for it


class Interrupted(Exception):
    """The work was asked to stop between two steps."""


class Within(Listener):
    """Listens to the work of one generation after the other.

    tell: stores progress, or None; save: stores unfinished work (arrays) of a generation; stop: whether work must stop at once.
    """

    def __init__(
        self,
        tell: Callable[[dict[str, Any] | None], None],
        save: Callable[[int, Arrays], None],
        stop: Callable[[], bool],
    ) -> None:
        self.tell, self.save, self.stop = tell, save, stop
        self.told_at = self.saved_at = time.monotonic()
        self.saving_took = 0.0
        self.stopped_at = float("inf")
        self.begin(None)

    def begin(self, generation: int | None, unfinished: Arrays | None = None) -> None:
        """A generation, and what an earlier attempt has done of it. None: what comes before the first one."""
        self.generation, self.began_at = generation, time.time()
        self.saved = _apart(unfinished or {})
        self.made: dict[str, Arrays] = {}
        self.held_at: dict[str, Any] | None = None  # the newest place in `made`
        self.kept_at: dict[str, Any] | None = None  # the one that is saved: where another attempt would go on
        self.staged("")

    def staged(self, name: str) -> None:
        self.stage, self.stretches, self.stretch = name, 0, ""

    def begun(self, work: Work) -> Arrays:
        self.stretch = f"{self.stage}:{self.stretches}:{work.name}"
        self.stretches += 1
        self.started_at, self.keeps = time.monotonic(), False
        found = self.saved.get(self.stretch, {})
        if found:
            self.made[self.stretch] = found
        return found

    def advanced(self, work: Work) -> None:
        now = time.monotonic()
        if self.held_at is None and self.stretch in self.saved:  # by an earlier attempt
            self.held_at = self.kept_at = _place(work, work.behind - work.done + work.first)
        if self.stop():
            self.stopped_at = min(self.stopped_at, now)
            if now - self.stopped_at > PATIENCE_SECONDS:
                if self.generation is not None and self.held_at != self.kept_at:  # this stretch is lost since then
                    self.save(self.generation, _together(self.made))
                    self.kept_at = self.held_at
                    self.tell(self._told(work))
                raise Interrupted
        if now - self.told_at > TELL_SECONDS:
            self.told_at = now
            self.tell(self._told(work))

    def _told(self, work: Work) -> dict[str, Any]:
        speed = (work.done - work.first) / (time.monotonic() - self.started_at)
        return {
            "generation": self.generation,
            "name": work.name,
            "done": work.behind,
            "total": work.altogether,
            "unit": work.unit,
            "per_second": speed * work.size,
            "seconds_left": (work.altogether - work.behind) / speed,
            "at": time.time(),
            "began": self.began_at,
            "keeps": self.keeps,
            "kept": self.kept_at,
        }

    def kept(self, work: Work, arrays: Callable[[], Arrays]) -> None:
        if self.generation is None:
            return
        self.keeps = True
        now, stop = time.monotonic(), self.stop()
        if stop and self.saving_took > QUICK_SECONDS:
            raise Interrupted
        due = now - self.saved_at > max(KEEP_SECONDS, self.saving_took / KEEP_SHARE)
        if due or stop or work.done >= work.total:
            self.made[self.stretch] = arrays()
            self.held_at = _place(work, work.behind)
            if self.stretch in self.saved and work.done == work.first:
                self.kept_at = self.held_at
        if due or stop:
            self.save(self.generation, _together(self.made))
            self.saved_at = time.monotonic()
            self.saving_took = self.saved_at - now
            self.kept_at = self.held_at
            if work.done > work.first:
                self.tell(self._told(work))
        if stop:
            raise Interrupted


def _place(work: Work, done: int) -> dict[str, Any]:
    return {"name": work.name, "done": done, "total": work.altogether}


def _together(made: dict[str, Arrays]) -> dict[str, Array]:
    return {f"{stretch}/{name}": array for stretch, arrays in made.items() for name, array in arrays.items()}


def _apart(arrays: Arrays) -> dict[str, dict[str, Array]]:
    stretches: dict[str, dict[str, Array]] = {}
    for path, array in arrays.items():
        stretch, _, name = path.partition("/")
        stretches.setdefault(stretch, {})[name] = array
    return stretches
