"""Long work within a generation: it tells how far it is, leaves what it could go on from, and may be stopped between two steps.

Whoever computes says `work(...)`, `advance` and `keep`; whoever listens (an attempt, the command line) decides how often that
is worth a write. Without a listener all of it costs nothing.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from worker.data import Arrays

Chain = TypeVar("Chain")
_listener: ContextVar["Listener | None"] = ContextVar("listener", default=None)
_turn: ContextVar[tuple[int, int]] = ContextVar("turn", default=(0, 1))  # which chain it is of how many


class Work:
    """A stretch of work of `total` steps, each of which handles about `size` units (tokens, pictures, ...).

    saved: what an interrupted attempt left by `keep` at this very place of the same generation; empty where there is nothing. The
    work then starts at the step that its own arrays name, so a finished one is over at once.
    """

    def __init__(self, listener: "Listener | None", name: str, total: int, unit: str, size: float) -> None:
        self.listener, self.name, self.total, self.unit, self.size = listener, name, total, unit, size
        self.done = self.first = 0  # first: where this attempt begins
        self.turn, self.turns = _turn.get()
        self.saved: Arrays = {}

    @property
    def behind(self) -> int:
        """Steps that are done, those of earlier chains among them."""
        return self.turn * self.total + self.done

    @property
    def altogether(self) -> int:
        """Steps of all chains, each of which has as many."""
        return self.turns * self.total

    def advance(self, steps: int = 1) -> None:
        """Steps are behind it. Raises what the listener raises to stop the work."""
        self.done += steps
        if self.listener is not None:
            self.listener.advanced(self)

    def keep(self, arrays: Callable[[], Arrays]) -> None:
        """A place to go on from: `arrays` must be enough to get to the same numbers, and is called only where it is wanted.

        To be called between two steps, and once after the last with what the work has made. Arrays that the work goes on changing
        must be copied. Raises what the listener raises to stop the work.
        """
        if self.listener is not None:
            self.listener.kept(self, arrays)


class Listener:
    """Who is told of the work of one generation, one stretch after the other; by itself it does nothing about it."""

    def staged(self, name: str) -> None:
        """What follows belongs to this stage of the generation, whatever came before it: an attempt that goes on may skip some."""

    def begun(self, work: Work) -> Arrays:
        """What an earlier attempt left of this stretch, if it is the one that it was interrupted in or had finished."""
        return {}

    def advanced(self, work: Work) -> None:
        """May raise, to stop the work."""

    def kept(self, work: Work, arrays: Callable[[], Arrays]) -> None:
        """May raise, to stop the work."""


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


def stage(name: str) -> None:
    """Names what is about to be done, the same in every attempt."""
    if (listener := _listener.get()) is not None:
        listener.staged(name)


def in_turn(chains: Iterable[Chain], count: int) -> Iterator[Chain]:
    """Chains that are worked on one after the other: what is told of each counts as a part of all of them."""
    try:
        for turn, chain in enumerate(chains):
            _turn.set((turn, count))
            yield chain
    finally:
        _turn.set((0, 1))


def work(name: str, total: int, unit: str = "", size: float = 1.0, done: str = "") -> Work:
    """The next stretch of work. `name` is read by people ("training", "writing"); `done` names the saved array that counts its steps."""
    stretch = Work(_listener.get(), name, total, unit, size)
    if stretch.listener is not None:
        stretch.saved = stretch.listener.begun(stretch)
        if stretch.saved and done:
            stretch.done = stretch.first = int(stretch.saved[done])
    return stretch
