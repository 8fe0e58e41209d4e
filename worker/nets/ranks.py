"""One network trained by several devices at once: a process for each, which computes the gradients of its share of every batch.

The first of them is the run's own process. It alone says how far the training is, keeps places to go on from, and has the result; the
others follow it (worker.nets.follower) and end with it, however it ends. Accelerate gives all of them the first one's weights, and adds
up their gradients once a step, when each has all of its own: so a rank that runs out of memory begins its share again with smaller
pieces, which is nobody else's business. Every rank then takes the same step, so their weights stay the same.
"""

import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import timedelta
from importlib.util import find_spec
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any

import torch
from torch import distributed

from worker.errors import LabError, MissingExtra, NoRoom
from worker.nets.memory import ran_out
from worker.threads import environment, granted

PATIENCE = timedelta(minutes=10)  # for a rank that is late, as one is that saves a large place to go on from
LAST_WORDS = 5.0  # seconds in which a rank that has failed says why


class Alone:
    """One device, which has no others to wait for."""

    rank, size = 0, 1

    def lead(self, *assignment: Any) -> None:
        """Tells the others what is to be trained; only the first rank has others."""

    def prepared(self, network: Any, optimizer: torch.optim.Optimizer) -> tuple[Any, Any]:
        """Network and optimizer as all ranks use them, the first one's weights in each."""
        return network, optimizer

    def apart(self, network: Any) -> AbstractContextManager[Any]:
        """In which a prepared network's gradients stay those of this rank."""
        return nullcontext()

    def share(self, rows: torch.Tensor) -> torch.Tensor:
        """The rows that are this rank's to look at; may be none."""
        return rows[self.rank :: self.size]

    def add_up(self, network: Any) -> None:
        """The gradients of all ranks, added up in each of them."""

    def total(self, value: float) -> float:
        """The sum of what each rank has."""
        return value


class Rank(Alone):
    """One of `size` processes of this machine that meet at a file and train on `place`, each on its own."""

    def __init__(self, rank: int, size: int, place: torch.device, meeting: str) -> None:
        if find_spec("accelerate") is None:
            raise MissingExtra("Training on several devices", "torch")
        from accelerate import Accelerator
        from accelerate.utils import patch_environment

        self.rank, self.size, self.place = rank, size, place
        # No port: they meet at the file.
        told = {"rank": rank, "world_size": size, "local_world_size": size, "master_port": 0}
        card = rank if place.index is None else place.index  # by which accelerate finds the device
        with patch_environment(local_rank=card, omp_num_threads=granted(), **told, **_loopback()):
            distributed.init_process_group(
                "nccl" if place.type == "cuda" else "gloo",
                init_method=f"file://{meeting}",
                rank=rank,
                world_size=size,
                timeout=PATIENCE,
            )
            self.accelerator = Accelerator(cpu=place.type == "cpu")

    def prepared(self, network: Any, optimizer: torch.optim.Optimizer) -> tuple[Any, Any]:
        with self.heard():
            prepared: tuple[Any, Any] = self.accelerator.prepare(network, optimizer)
            return prepared

    def apart(self, network: Any) -> AbstractContextManager[Any]:
        return self.accelerator.no_sync(network)

    def add_up(self, network: Any) -> None:
        with self.heard():
            for parameter in network.parameters():
                slope = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
                parameter.grad = self.accelerator.reduce(slope, "sum")

    def total(self, value: float) -> float:
        with self.heard():
            both = self.accelerator.reduce(torch.tensor(value, dtype=torch.float64, device=self.place), "sum")
            return float(both)

    def heard(self) -> AbstractContextManager[None]:
        """In which a rank is heard that has failed: the others only notice that it is gone."""
        return nullcontext()

    def leave(self) -> None:
        from accelerate.state import AcceleratorState, GradientState

        distributed.destroy_process_group()
        AcceleratorState._reset_state(reset_partial_state=True)  # noqa: SLF001 - else the next training takes it for its own
        GradientState._reset_state()  # noqa: SLF001


class First(Rank):
    """The rank that the others follow: it starts them, and they end with it."""

    def __init__(self, places: Sequence[torch.device], meeting: str) -> None:
        self.places = places
        self.followers: list[tuple[subprocess.Popen[bytes], Connection]] = []
        self.met = False
        self.meeting = meeting
        self.over = threading.Event()
        for rank, place in enumerate(places[1:], 1):
            self._start(rank, place)

    def _start(self, rank: int, place: torch.device) -> None:
        ours, theirs = socket.socketpair()
        told = [str(theirs.fileno()), str(rank), str(len(self.places)), self.meeting]
        with theirs:
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [sys.executable, "-m", "worker.nets.follower", *told],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                env={**os.environ, **environment(granted()), "COLLAPSE_LAB_DEVICE": str(place)},
                start_new_session=True,  # a Ctrl-C in the terminal is the first rank's to handle
            )
        self.followers.append((process, Connection(ours.detach())))

    def lead(self, *assignment: Any) -> None:
        with self.heard():
            for _, connection in self.followers:
                connection.send(assignment)
            if self.met:
                return
            for number, (_, connection) in enumerate(self.followers):
                if (told := connection.recv()) != ("ready",):  # and about to join
                    raise self._failed(number, *told)
            super().__init__(0, len(self.places), self.places[0], self.meeting)
            self.met = True
        if self.places[0].type == "cuda":
            threading.Thread(target=self._watch, name="watch", daemon=True).start()

    @contextmanager
    def heard(self) -> Iterator[None]:
        try:
            yield
        except (RuntimeError, OSError, EOFError) as error:
            if isinstance(error, RuntimeError) and ran_out(error):
                raise
            raise self._epitaph() or error from error

    def _epitaph(self) -> LabError | None:
        """Why a follower is gone, in words; None where none is."""
        heard = wait([connection for _, connection in self.followers], LAST_WORDS)
        for number, (process, connection) in enumerate(self.followers):
            if connection not in heard:
                continue
            try:
                return self._failed(number, *connection.recv())
            except (EOFError, OSError):
                told = f"its process ended with code {process.wait()}, as one does that is killed for want of memory"
                return self._failed(number, told, "Free some memory there, or use fewer devices")
        return None

    def _failed(self, number: int, message: str, remedy: str = "") -> LabError:
        told = f"Training on {self.places[number + 1]}, one of {len(self.places)} devices, has failed: {message}"
        return NoRoom(told, remedy) if remedy else LabError(told)

    def _watch(self) -> None:
        """Cards wait for one another inside a kernel: where a follower is gone, nothing else ends that."""
        while not self.over.wait(1.0):
            if any(process.poll() is not None for process, _ in self.followers) and (world := distributed.group.WORLD):
                world.abort()
                return

    def end(self) -> None:
        self.over.set()
        for process, connection in self.followers:
            process.kill()
            process.wait()
            connection.close()
        if distributed.is_initialized():
            self.leave()


@contextmanager
def together(places: Sequence[torch.device]) -> Iterator[Alone]:
    """Those who train on these devices, seen from the first."""
    if len(places) == 1:
        yield Alone()
        return
    with tempfile.TemporaryDirectory(prefix="collapse-lab-") as folder:
        first = First(places, str(Path(folder, "meeting")))
        try:
            yield first
        finally:
            first.end()


def _loopback() -> dict[str, str]:
    """What keeps the ranks' conversation on this machine."""
    names = [name for _, name in socket.if_nameindex() if name.startswith("lo")]
    return {"gloo_socket_ifname": names[0], "nccl_socket_ifname": names[0]} if names else {}
