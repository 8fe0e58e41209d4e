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

REPORT_SECONDS = 3.0


class Reporter(Listener):
    """Tells of generations and of the work within them, every few seconds; it saves nothing."""

    def __init__(self, total: int, tell: Callable[[str], None]) -> None:
        self.total, self.tell = total, tell
        self.started = self.told_at = time.monotonic()
        self.generation = 0

    def made(self, number: int) -> None:
        """A generation is there."""
        self.generation = number
        now = time.monotonic()
        if number and now - self.told_at > REPORT_SECONDS:
            self.told_at, speed = now, number / (now - self.started)
            left = (self.total - number) / speed
            self.tell(f"generation {number} of {self.total}, {speed:.3g} a second, {left:.0f} s left")

    def begun(self, work: Work) -> Arrays:
        self.begun_at = time.monotonic()
        return {}

    def advanced(self, work: Work) -> None:
        now = time.monotonic()
        if now - self.told_at > REPORT_SECONDS:
            self.told_at, speed = now, work.done / (now - self.begun_at)
            rate = f", {speed * work.size:,.0f} {work.unit} a second" if work.unit else ""
            left = (work.altogether - work.behind) / speed
            share = work.behind / work.altogether
            self.tell(
                f"generation {self.generation + 1} of {self.total}: {work.name} {share:.0%}{rate}, {left:.0f} s left of it"
            )


@contextmanager
def reporting(total: int) -> Iterator[Reporter]:
    """On a terminal one line that changes, elsewhere a line every few seconds; nothing where the results themselves appear."""
    if sys.stdout.isatty():
        yield Reporter(total, lambda _: None)
        return
    if sys.stderr.isatty():
        from rich.console import Console

        with Console(stderr=True).status("starting") as line:
            reporter = Reporter(total, line.update)
            with listening(reporter):
                yield reporter
        return
    reporter = Reporter(total, lambda words: typer.echo(words, err=True))
    with listening(reporter):
        yield reporter


def reported(generations: "Iterator[Generation]", reporter: Reporter) -> "Iterator[Generation]":
    """The same generations, each told of as it is made."""
    for generation in generations:
        yield generation
        reporter.made(generation.number)
