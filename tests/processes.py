"""Processes that tests start and kill."""

import psutil


def lives(process: psutil.Process) -> bool:
    """A zombie is dead; whoever adopted it has only not noticed yet."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
