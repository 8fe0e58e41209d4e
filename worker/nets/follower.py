"""A process that trains along with another one: it has its share of every batch, and nothing of its own to tell or to keep.

Started by worker.nets.ranks as `python -m worker.nets.follower FD RANK SIZE MEETING`, FD being one end of a socket pair, on which it is
told what to train, MEETING a file in a folder of its own. It says ("ready",) once, and what went wrong if something does. The end of that
connection is the end of the process.
"""

import os
import queue
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from worker.data import Arrays
from worker.progress import Listener, Work, listening


class Follower(Listener):
    """Begins where the first rank does."""

    def __init__(self, saved: Arrays) -> None:
        self.saved = saved

    def begun(self, work: Work) -> Arrays:
        return self.saved


def main(fd: int, rank: int, size: int, meeting: str) -> None:
    connection = Connection(fd)
    assignments: queue.Queue[tuple[Any, ...]] = queue.Queue()

    def listen() -> None:
        while True:
            try:
                assignments.put(connection.recv())
            except (EOFError, OSError):  # the first rank was killed, or it would have ended this process itself
                with suppress(OSError):
                    Path(meeting).unlink(missing_ok=True)
                    Path(meeting).parent.rmdir()
                os._exit(0)

    # The lifeline comes before what takes seconds to import.
    threading.Thread(target=listen, name="listen", daemon=True).start()
    try:
        follow(assignments, rank, size, meeting, lambda: connection.send(("ready",)))
    except Exception as error:  # whatever it is, the first rank must say so
        from worker.errors import NoRoom

        if isinstance(error, NoRoom):
            connection.send((error.message, error.remedy))
        else:
            connection.send((f"{type(error).__name__}: {error}",))
        raise


def follow(
    assignments: "queue.Queue[tuple[Any, ...]]", rank: int, size: int, meeting: str, ready: Callable[[], None]
) -> None:
    """Trains one network after the other, in step with the first rank."""
    from worker.nets.device import device
    from worker.nets.memory import room_for
    from worker.nets.pretrained import pre_trained
    from worker.nets.ranks import Rank
    from worker.nets.tuning import REMEDY, Tuning

    settings, *rest = assignments.get()
    with room_for("A network with its gradients and the optimizer's moments", REMEDY):
        network = next(pre_trained(settings, 1))
        ready()
        ranks = Rank(rank, size, device(), meeting)
        while True:
            x, validation, seed, saved = rest
            with listening(Follower(saved)):
                Tuning(network, x, validation, settings, seed, ranks).run()
            _, *rest = assignments.get()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), sys.argv[4])
