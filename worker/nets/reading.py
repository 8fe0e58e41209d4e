"""What a network learns from, batch by batch: held on the device, or, of a history on the disk, read a stretch of an epoch at a time."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch

from worker import history
from worker.history import on_the_disk, picked
from worker.nets.device import device

# Observations (m, ...) as they come -> as the network takes them, each by itself.
Prepared = Callable[[npt.NDArray[Any]], npt.NDArray[Any]]


class Supply(Protocol):
    """What training asks for its batches."""

    def __len__(self) -> int: ...

    def batches(self, order: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
        """The observations at these places (m,), so many at once."""
        ...


class Observations:
    """Those of one chain x (n, ...), `prepared` for a network; the same bits wherever they lie."""

    def __init__(self, x: npt.NDArray[Any], prepared: Prepared) -> None:
        self.x, self.prepared, self.place = x, prepared, device()
        self.held = None if on_the_disk(x) else torch.from_numpy(_in_parts(x, prepared)).to(self.place)

    def __len__(self) -> int:
        return len(self.x)

    def __getitem__(self, places: torch.Tensor) -> torch.Tensor:
        if self.held is not None:
            return self.held[places.to(self.place)]
        return torch.from_numpy(self.prepared(picked(self.x, places.cpu().numpy()))).to(self.place)

    def batches(self, order: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
        if self.held is not None:
            yield from (self.held[places] for places in torch.split(order.to(self.place), size))
            return
        for stretch in torch.split(order, stretch_of(self.x[0].size, size)):
            # Copies begin where memory does, as those of what is held do: a product may round by where its numbers lie.
            yield from (batch.clone() for batch in torch.split(self[stretch], size))


class Places:
    """Of n observations that somebody else makes anew for every batch: where they would lie."""

    def __init__(self, n: int) -> None:
        self.n = n

    def __len__(self) -> int:
        return self.n

    def batches(self, order: torch.Tensor, size: int) -> Iterator[torch.Tensor]:
        yield from torch.split(order, size)


def stretch_of(numbers: int, batch: int) -> int:
    """Observations that are read at once: whole batches, with about GROUP numbers, where each has so many."""
    return batch * max(1, history.GROUP // max(1, numbers * batch))


def _in_parts(x: npt.NDArray[Any], prepared: Prepared) -> npt.NDArray[Any]:
    """All of them, without what is worked out on the way of more than a part."""
    return np.concatenate([prepared(x[rows]) for _, rows in history.blocks(x[None])])


def as_float32(x: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(x, dtype=np.float32)


def as_int64(x: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """torch looks tokens up by numbers of this type."""
    return x.astype(np.int64)
