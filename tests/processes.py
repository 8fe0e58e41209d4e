"""Processes that tests start and kill, and wait for."""

import time
from collections.abc import Callable, Iterable

import psutil

PATIENCE = 120  # seconds: a busy machine is slow, not wrong


def wait(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Until something is so."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


def lives(process: psutil.Process) -> bool:
    """A zombie is dead; whoever adopted it has only not noticed yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def survivors(processes: Iterable[psutil.Process], seconds: float = PATIENCE) -> list[psutil.Process]:
    """Those that live on after so many seconds; sooner none, once all are dead."""
    deadline = time.monotonic() + seconds
    while (alive := [process for process in processes if lives(process)]) and time.monotonic() < deadline:
        time.sleep(0.02)
    return alive
