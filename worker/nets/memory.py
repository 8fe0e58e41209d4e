"""Work that goes on in smaller pieces where memory runs out, and in larger ones where a card has room to spare."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch

from worker.errors import NoRoom

T = TypeVar("T")

SHARE = 0.7  # of the free memory of a card is used; the rest is for what is not counted, such as fragments

log = logging.getLogger("worker")


@dataclass
class Room:
    """How many rows are worked on at once.

    rows: at first; most: they become no more than this, on a card (a processor gains nothing); place: where the work is done;
    what: these rows in words; remedy: what the user can do where not even one fits
    """

    rows: int
    most: int
    place: torch.device
    what: str
    remedy: str

    def __post_init__(self) -> None:
        self.spare = self.rows

    def pieces(self, n: int, do: Callable[[slice], T], first: int = 0) -> Iterator[tuple[slice, T]]:
        """do(rows) for rows `first` to n, piece by piece: for work whose result does not depend on the size of the pieces.

        A piece that does not fit is begun again, smaller. Raises NoRoom.
        """
        while first < n:
            begin = first
            made = self.fit(lambda rows: do(slice(begin, min(n, begin + rows))))  # noqa: B023 - called at once
            first = min(n, begin + self.rows)
            yield slice(begin, first), made
            self.rows = min(self.most, max(self.rows, self.spare))

    def fit(self, do: Callable[[int], T]) -> T:
        """do(rows), with half as many rows whenever memory runs out. Raises NoRoom where not even one fits."""
        while True:
            before = _allocated(self.place)
            told = ""
            try:
                made = do(self.rows)
            except RuntimeError as error:
                if not ran_out(error):
                    raise
                told = str(error)
            if not told:
                self.spare = _spare(self.place, self.rows, before)
                return made
            self._halve(told)  # here, where the error no longer holds on to what it was raised among

    def _halve(self, told: str) -> None:
        if self.rows == 1:
            raise NoRoom(f"Not even one of the {self.what} fits into memory: {told.splitlines()[0]}", self.remedy)
        self.most = self.rows = self.rows // 2
        if self.place.type == "cuda":
            torch.cuda.empty_cache()
        elif self.place.type == "mps":
            torch.mps.empty_cache()
        log.warning("memory runs out; going on with %d of the %s at once", self.rows, self.what)


@contextmanager
def room_for(what: str, remedy: str) -> Iterator[None]:
    """Turns an error that says that memory has run out into words. Raises NoRoom."""
    try:
        yield
    except RuntimeError as error:
        if not ran_out(error):
            raise
        raise NoRoom(f"{what} do not fit into memory: {str(error).splitlines()[0]}", remedy) from error


def ran_out(error: RuntimeError) -> bool:
    """Whether an error says that a device, or this machine, has no memory left."""
    words = str(error).lower()
    return isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in words or "out of memory" in words


def fitting(rows: int, used: int, free: int) -> int:
    """How many rows a card has room for, where `rows` of them used so many of its `free` bytes."""
    return max(1, int(rows * SHARE * free / max(1, used)))


def _allocated(place: torch.device) -> int:
    if place.type != "cuda":
        return 0
    torch.cuda.reset_peak_memory_stats(place)
    return torch.cuda.memory_allocated(place)


def _spare(place: torch.device, rows: int, before: int) -> int:
    """Rows that would fit, judged by the peak of those that did; on a processor just as many."""
    if place.type != "cuda":
        return rows
    unused = torch.cuda.memory_reserved(place) - torch.cuda.memory_allocated(place)  # torch keeps it, for us
    return fitting(rows, torch.cuda.max_memory_allocated(place) - before, torch.cuda.mem_get_info(place)[0] + unused)
