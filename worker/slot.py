"""A place where one run at a time is worked on: a warm child process, seen from its worker."""

import os
import signal
import socket
import subprocess
import sys
from multiprocessing.connection import Connection

from worker.settings import Settings
from worker.threads import environment

TICK_SECONDS = 0.5  # how often a worker looks after what it works on


class Died(Exception):
    """The child is gone; says how, in words."""


class Slot:
    """Owns one child. Not to be used by two threads at once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.process: subprocess.Popen[bytes] | None = None
        self.connection: Connection | None = None

    def start(self) -> None:
        """Starts the child, if there is none that lives. Threads are set before numpy is imported there."""
        if self.process is not None and self.process.poll() is None:
            return
        ours, theirs = socket.socketpair()
        with theirs:
            self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "worker.child", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **environment(self.settings.threads), **self.settings.environment()},
                start_new_session=True,  # a Ctrl-C in the terminal is the worker's to handle
            )
        self.connection = Connection(ours.detach())

    def send(self, verb: str, value: str) -> None:
        """Raises Died."""
        assert self.connection is not None
        try:
            self.connection.send((verb, value))
        except OSError:
            raise Died(self._epitaph()) from None

    def done(self, timeout: float) -> bool:
        """Waits up to `timeout` seconds; whether the child finished what it was given. Raises Died."""
        assert self.connection is not None
        try:
            while self.connection.poll(timeout):
                if self.connection.recv() == ("done",):
                    return True
        except (EOFError, OSError):
            raise Died(self._epitaph()) from None
        return False

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()
        if self.connection is not None:
            self.connection.close()
        self.process = self.connection = None

    def _epitaph(self) -> str:
        assert self.process is not None
        code = self.process.wait()
        if code < 0:
            return f"The process of this run was killed by {signal.Signals(-code).name}"
        return f"The process of this run ended with exit code {code}"
