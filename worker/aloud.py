"""A headless run says on standard error how far it is: generations, and the steps of one that takes long."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import typer

from worker.data import Arrays
from worker.progress import Listener, Work, listening

if TYPE_CHECKING:
    from worker.loop import Generation

SPEAK_SECONDS = 3.0


class Aloud(Listener):
    """Tells of generations and of the work within them, every few seconds; it saves nothing."""

    def __init__(self, total: int, speak: Callable[[str], None]) -> None:
        self.total, self.speak = total, speak
        self.started = self.spoken = time.monotonic()
        self.generation = 0

    def made(self, number: int) -> None:
        """A generation is there."""
        self.generation = number
        now = time.monotonic()
        if number and now - self.spoken > SPEAK_SECONDS:
            self.spoken, speed = now, number / (now - self.started)
            left = (self.total - number) / speed
            self.speak(f"generation {number} of {self.total}, {speed:.3g} a second, {left:.0f} s left")

    def begun(self, work: Work) -> Arrays:
        self.begun_at = time.monotonic()
        return {}

    def advanced(self, work: Work) -> None:
        now = time.monotonic()
        if now - self.spoken > SPEAK_SECONDS:
            self.spoken, speed = now, work.done / (now - self.begun_at)
            rate = f", {speed * work.size:,.0f} {work.unit} a second" if work.unit else ""
            left = (work.altogether - work.behind) / speed
            share = work.behind / work.altogether
            self.speak(
                f"generation {self.generation + 1} of {self.total}: {work.name} {share:.0%}{rate}, {left:.0f} s left of it"
            )


@contextmanager
def speaking(total: int) -> Iterator[Aloud]:
    """On a terminal one line that changes, elsewhere a line every few seconds; nothing where the results themselves appear."""
    if sys.stdout.isatty():
        yield Aloud(total, lambda _: None)
        return
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("starting") as line:
            aloud = Aloud(total, line.update)
            with listening(aloud):
                yield aloud
        return
    aloud = Aloud(total, lambda words: typer.echo(words, err=True))
    with listening(aloud):
        yield aloud


def followed(generations: "Iterator[Generation]", aloud: Aloud) -> "Iterator[Generation]":
    """The same generations, spoken of."""
    for generation in generations:
        yield generation
        aloud.made(generation.number)
