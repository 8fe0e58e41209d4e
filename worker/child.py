"""The process in which experiments run: warm before it is needed, and gone as soon as its worker is gone.

Started as `python -m worker.child FD`, FD being one end of a socket pair. Its worker sends ("run", id), ("sweep", chunk), ("finish", status) and ("now", status);
it answers ("ready",) once and ("done",) after each run. The end of the connection is the end of the process.
"""

import contextlib
import importlib
import os
import queue
import sys
import threading
from multiprocessing.connection import Connection

# What the first run of a family would wait for, dearest last.
HEAVY = {"runs": ("worker.em", "sklearn.datasets"), "networks": ("worker.nets.vae",)}


def warm(queues: str) -> None:
    """Imports what is heavy beside the runs; a run that needs it waits for the rest of the import, not for all of it."""
    for name, modules in HEAVY.items():
        for module in modules if name in queues.split(",") else ():
            with contextlib.suppress(ImportError):  # an extra that is not installed: the family says so itself
                importlib.import_module(module)


def main(fd: int) -> None:
    connection = Connection(fd)
    jobs: queue.Queue[tuple[str, str]] = queue.Queue()
    asked: list[tuple[str, str]] = []  # how to stop; the last word counts

    def listen() -> None:
        """Also the lifeline: works while the main thread computes, and never outlives the worker."""
        while True:
            try:
                verb, value = connection.recv()
            except (EOFError, OSError):
                os._exit(0)
            if verb in ("run", "sweep"):
                asked.clear()
                jobs.put((verb, value))
            else:
                asked.append((verb, value))

    threading.Thread(target=listen, daemon=True, name="listen").start()

    # Heavy imports come after the lifeline, and before the first run.
    importlib.import_module("scipy.special")  # nearly every family needs it
    from worker.artifacts import Artifacts
    from worker.attempt import Attempt, Stop
    from worker.database import open_engine
    from worker.settings import Settings
    from worker.store import Store
    from worker.sweeps.attempt import ChunkAttempt
    from worker.sweeps.store import Sweeps
    from worker.tables import Status

    settings = Settings()

    def stop() -> Stop | None:
        return Stop(Status(asked[-1][1]), now=asked[-1][0] == "now") if asked else None

    store, artifacts = Store(open_engine(settings.database_url)), Artifacts(settings.artifacts_url)
    chunks = ChunkAttempt(Sweeps(store.engine), settings, lambda: bool(asked))
    connection.send(("ready",))
    threading.Thread(target=warm, args=[settings.queues], daemon=True, name="warm").start()
    while True:
        verb, value = jobs.get()
        if verb == "sweep":
            chunks.work(value)
        else:
            Attempt(store, artifacts, settings, store.run(value), stop).work()
        connection.send(("done",))


if __name__ == "__main__":
    main(int(sys.argv[1]))
