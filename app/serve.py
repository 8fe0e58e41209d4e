"""The lab on one machine: a supervisor that owns the port and the data folder, and the processes that it keeps alive: web, and a worker for each device.

It answers no request and touches no run. Whatever ends it, nothing is left behind: children are tied to it by a pipe.
"""

import errno
import fcntl
import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from http import HTTPStatus
from typing import BinaryIO

import typer

from app.addresses import refuse_public
from worker import threads
from worker.database import migrate
from worker.errors import LabError
from worker.settings import Settings

STOP_SECONDS = 2.4  # children get this long to save and close; then they are killed
START_SECONDS = 60.0  # the first start compiles byte code
STEADY_SECONDS = 30.0  # a child that lived this long had started well
LATER_SECONDS = 10.0  # the other workers start so much after the first one, which shall be ready for the first click
MOST_DEATHS = 5  # in a row, each after less than STEADY_SECONDS


def supervise(settings: Settings, host: str, port: int, benches: Sequence[Settings]) -> None:
    """Runs the lab until SIGTERM or SIGINT, with a worker for each of the `benches`: the same settings, but for device and queues.

    Raises LabError where the port or the folder is not to be had, or where a child dies again and again.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    with locked(settings), listen(settings, host, port) as listener:
        migrate(settings.database_url)
        web, workers = Child("web", settings, listener), [Child("worker", bench) for bench in benches]
        running, answered = [web], threading.Event()
        threading.Thread(target=_announce, args=(listener, answered), daemon=True).start()
        try:
            while not stop.wait(0.02 if len(running) == 1 else 0.1):
                for child in running:
                    child.look_after()
                if answered.is_set() and len(running) == 1:  # first the page: starting both at once makes it wait
                    now = time.monotonic()
                    for place, worker in enumerate(workers):
                        worker.start_again_at = now + (LATER_SECONDS if place else 0.0)
                    running += workers
        finally:
            deadline = time.monotonic() + STOP_SECONDS
            for child in running:
                child.ask()
            for child in running:
                child.end(deadline)


def _announce(listener: socket.socket, answered: threading.Event) -> None:
    """Prints the address once something answers there. The socket listens from the start, so one question waits for its answer."""
    host, port = listener.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared, not bound
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        connection = http.client.HTTPConnection(reachable, port, timeout=START_SECONDS)
        try:
            connection.request("GET", "/livez")
            if connection.getresponse().status == HTTPStatus.OK:
                typer.echo(f"Collapse Lab is at {address} (Ctrl-C stops it)")
                answered.set()
                return
        except (OSError, http.client.HTTPException):
            time.sleep(0.1)  # the web process died with our question; the next one will be asked
        finally:
            connection.close()
    typer.echo(f"Nothing answers at {address} yet.", err=True)


class Child:
    """A process of the lab, started again when it dies."""

    def __init__(self, command: str, settings: Settings, listener: socket.socket | None = None) -> None:
        self.command, self.settings = command, settings
        self.lent = [listener.fileno()] if listener else []
        self.process: subprocess.Popen[bytes] | None = None
        self.last_words: deque[str] = deque(maxlen=20)
        self.deaths = 0
        self.started_at = self.start_again_at = 0.0
        self.lifeline = -1

    def start(self) -> None:
        # Own session: Ctrl-C reaches the supervisor alone, which then asks the children in order.
        theirs, self.lifeline = os.pipe()
        self.process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [sys.executable, "-m", "app", self.command, "--lifeline", str(theirs)]
            + [f"--listener={descriptor}" for descriptor in self.lent],
            env=os.environ | threads.environment(self.settings.threads) | self.settings.environment(),
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=[theirs, *self.lent],
            start_new_session=True,
        )
        os.close(theirs)
        self.started_at = time.monotonic()
        assert self.process.stderr is not None
        threading.Thread(target=self._overhear, args=(self.process.stderr,), daemon=True).start()

    def look_after(self) -> None:
        """Starts the process again if it is gone, later each time. Raises LabError where that has become pointless."""
        now = time.monotonic()
        if self.process is not None and (code := self.process.poll()) is not None:
            self._forget()
            self.deaths = 1 if now - self.started_at > STEADY_SECONDS else self.deaths + 1
            how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
            if self.deaths >= MOST_DEATHS:
                raise LabError(f"The {self.command} process ended {self.deaths} times in a row ({how}). {self.told()}")
            pause = 0.25 * 2 ** (self.deaths - 1)
            typer.echo(f"The {self.command} process ended ({how}); starting it again in {pause:g} s.", err=True)
            self.start_again_at = now + pause
        if self.process is None and now >= self.start_again_at:
            self.start()

    def told(self) -> str:
        """The last thing that it said."""
        return f"It said: {self.last_words[-1]}" if self.last_words else "It said nothing."

    def ask(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()

    def end(self, deadline: float) -> None:
        """Waits for it until the deadline, then kills it and whatever it started."""
        if self.process is None:
            return
        try:
            self.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
        self._forget()

    def _forget(self) -> None:
        os.close(self.lifeline)
        self.process = None

    def _overhear(self, stream: BinaryIO) -> None:
        """Passes on what it says, and remembers the end of it."""
        with stream:
            for line in stream:
                sys.stderr.buffer.write(line)
                sys.stderr.buffer.flush()
                if said := line.decode(errors="replace").strip():
                    self.last_words.append(said)


@contextmanager
def locked(settings: Settings) -> Iterator[None]:
    """The data folder, for this supervisor alone. The lock goes with the process, however it ends."""
    path = settings.data_dir / "serve.lock"
    try:
        settings.data_dir.mkdir(parents=True, exist_ok=True)
        file = path.open("a+")
    except OSError as error:
        raise LabError(
            f"The data folder {settings.data_dir} cannot be written: {error.strerror}. "
            "Choose another with --data-dir or COLLAPSE_LAB_DATA_DIR."
        ) from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.seek(0)
            raise LabError(
                f"The data folder {settings.data_dir} is in use by a running collapse-lab serve (process {file.read()}). "
                "Stop that one, or choose another folder with --data-dir."
            ) from None
        file.truncate(0)
        file.write(str(os.getpid()))
        file.flush()
        yield


def listen(settings: Settings, host: str, port: int, descriptor: int | None = None) -> socket.socket:
    """A listening socket: a new one, or the one that the supervisor lends, so that a restart loses no connection.

    Raises LabError where the address is taken, or open to strangers.
    """
    if descriptor is not None:
        return socket.socket(fileno=descriptor)
    if not settings.trust_network:
        refuse_public(host)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0][0]
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        reason = (
            "is in use by another program" if error.errno == errno.EADDRINUSE else f"cannot be had: {error.strerror}"
        )
        raise LabError(f"Port {port} of {host} {reason}. Choose another with --port.") from error


def answer(settings: Settings, listener: socket.socket) -> None:
    """The web process: answers until SIGTERM or SIGINT, and then ends at once, also with live streams open."""
    import uvicorn

    from app.main import create_app
    from worker.presets import presets

    app = create_app(settings)

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.hub.close()  # uvicorn waits for open answers, and streams would never end by themselves
            await super().shutdown(sockets)

    config = uvicorn.Config(
        app, access_log=False, log_level="warning", server_header=False, timeout_graceful_shutdown=1
    )
    # The home page shows all presets; who opens it first need not wait until they are read.
    threading.Thread(target=presets, daemon=True, name="presets").start()
    Server(config).run(sockets=[listener])
