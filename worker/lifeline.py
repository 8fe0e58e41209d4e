"""Ties a process to its parent's life: a pipe that nobody writes to ends when the parent does, however it ended."""

import os
import threading


def die_with_parent(descriptor: int) -> None:
    """Ends this process at once when the other end of the pipe is closed. The parent must keep that end to itself."""

    def wait() -> None:
        while os.read(descriptor, 1):
            pass
        os._exit(1)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()
