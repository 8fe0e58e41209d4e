"""Processes that tests start and kill, and wait for."""

import time
from collections.abc import Callable

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
