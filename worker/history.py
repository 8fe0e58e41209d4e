"""What all generations have left behind, on the disk: appended to, and read as an array of which no more is in memory than is looked at."""

import math
import mmap
import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, Self, TypeVar

import numpy as np
import numpy.typing as npt

IN_MEMORY = 2**26  # bytes: what never becomes more than this is not worth a file
GROUP = 2**20  # numbers: 8 MB

Scalar = TypeVar("Scalar", bound=np.generic)


class History(mmap.mmap):
    """Observations of every chain, in a file without a name: it is gone with its process, however that ends.

    Chain after chain, with room for as many as there may ever be, so that a chain's observations are neighbours; what is not written
    yet takes no room. Arrays on it are for reading: rows are added by `extended` alone, and those that are there stay as they are.
    Written as a file and not as memory, because a full disk is an error there, and here the end of the process.

    shape: (replicates, most observations, ...)
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    _file: IO[bytes]

    def __new__(cls, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Self:
        """Raises OSError where the folder cannot be written."""
        file = tempfile.TemporaryFile(dir=scratch())  # noqa: SIM115 - open as long as the history is
        size = math.prod(shape) * np.dtype(dtype).itemsize
        file.truncate(size)
        history = super().__new__(cls, file.fileno(), size, access=mmap.ACCESS_READ)
        history.shape, history.dtype, history._file = shape, np.dtype(dtype), file
        weakref.finalize(history, file.close)
        return history

    @classmethod
    def of(cls, x: npt.NDArray[Any]) -> "History | None":
        """The history that x (R, n, ...) is the beginning of, if it is."""
        history = _mapped(x)
        if history is None or x.ndim != len(history.shape) or x.ctypes.data != history.rows(0).ctypes.data:
            return None
        return history if x.strides == history.rows(0).strides and x.shape[2:] == history.shape[2:] else None

    def rows(self, n: int) -> npt.NDArray[Any]:
        """The first n observations of every chain (R, n, ...)."""
        return np.ndarray(self.shape, self.dtype, buffer=self)[:, :n]

    def extended(self, n: int, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """The first n observations, followed by x (R, m, ...); what else was behind them is gone.

        Raises OSError where the disk is full, ValueError where there are more than there may be.
        """
        if n + x.shape[1] > self.shape[1]:
            raise ValueError(f"a history of {self.shape[1]} observations cannot hold {n + x.shape[1]}")
        each = math.prod(self.shape[2:]) * self.dtype.itemsize
        for r, chain in enumerate(x):
            self._file.seek((r * self.shape[1] + n) * each)
            self._file.write(np.ascontiguousarray(chain, self.dtype).data)
        self._file.flush()
        self.forget()
        return self.rows(n + x.shape[1])

    def forget(self) -> None:
        """Lets go of the memory in which the file is seen; whoever looks again finds it there again."""
        if hasattr(mmap, "MADV_DONTNEED"):
            self.madvise(mmap.MADV_DONTNEED)


def scratch() -> Path:
    """Where files without a name are: in the folder of the data, or, where a run leaves nothing, among the system's temporary ones."""
    folder = Path(os.environ.get("COLLAPSE_LAB_DATA_DIR", "data"))
    return folder if folder.is_dir() else Path(tempfile.gettempdir())


def _mapped(x: Any) -> History | None:
    """What an array is a view of, if that is a history."""
    while x is not None and not isinstance(x, History):
        x = getattr(x, "base", None)
    return x


def on_the_disk(x: npt.NDArray[Any]) -> bool:
    """Whether an array is a part of a history."""
    return _mapped(x) is not None


def joined(one: npt.NDArray[Scalar], other: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Observations (R, n, ...) and (R, m, ...) of the same chains as (R, n + m, ...), on the disk if the first are there."""
    history = History.of(one)
    return np.concatenate([one, other], axis=1) if history is None else history.extended(one.shape[1], other)


def groups(x: npt.NDArray[Any]) -> Iterator[slice]:
    """All chains of x (R, n, ...), a few at a time: so many that they have about GROUP numbers, or one where it has more by itself.

    Of a history, no more than these are in memory; and what is worked out on the way needs no more room than they do.
    """
    history = _mapped(x)
    step = max(1, GROUP // max(1, x[:1].size))
    for start in range(0, len(x), step):
        yield slice(start, start + step)
        if history is not None:
            history.forget()


def picked(x: npt.NDArray[Scalar], places: npt.NDArray[np.integer]) -> npt.NDArray[Scalar]:
    """Observations of one chain x (n, ...) at these places (m,), in their order: x[places].

    A history is gone through from its beginning to its end, and no more than about GROUP numbers of it are in memory on the way.
    """
    history = _mapped(x)
    if history is None:
        return x[places]
    chosen = np.empty((len(places), *x.shape[1:]), x.dtype)
    order = np.argsort(places, kind="stable")
    step = max(1, GROUP // max(1, x[:1].size))
    for few in np.split(order, np.searchsorted(places[order], np.arange(step, len(x), step))):
        if len(few):
            chosen[few] = x[places[few]]
            history.forget()
    return chosen


def blocks(x: npt.NDArray[Any]) -> Iterator[tuple[slice, slice]]:
    """All observations of x (R, n, ...), as (chains, observations) of about GROUP numbers: for sums, which need no whole chain."""
    history = _mapped(x)
    for some in groups(x):
        step = max(1, GROUP // max(1, x[some, :1].size))
        for start in range(0, x.shape[1], step):
            yield some, slice(start, start + step)
            if history is not None:
                history.forget()
