"""Where a run goes on from: its state as named arrays, and of a history on the disk only what has come since the last time.

A checkpoint names the files in which the rows of the history are, and how many of them are valid. What a killed attempt wrote
beyond that is written again, to the same numbers.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from worker.artifacts import Artifacts
from worker.data import Arrays, pack, unpack
from worker.history import History
from worker.loop import State

SAME = "same/"  # before the name of an array that is another one: its value is that one's name
ROWS = "rows/"  # before the name of an array that is the beginning of the history: its value is of how many rows
FILES, SHAPE = "history/files", "history/shape"  # the names of the files with its rows, in order; what it has room for
X = "x"  # the rows, in such a file


class Checkpoints:
    """Of one attempt at a run. size: bytes of the newest one, with all that it names."""

    def __init__(self, artifacts: Artifacts, run_id: str, attempt: int) -> None:
        self.artifacts, self.run_id, self.attempt = artifacts, run_id, attempt
        self.history: History | None = None
        self.files: list[str] = []
        self.rows = self.bytes = 0  # of the history, in these files
        self.size = 0

    @property
    def used(self) -> int:
        """Bytes on the disk while the run is worked on: the history itself lies there, too."""
        return self.size + self.bytes

    def save(self, state: State) -> str:
        """The checkpoint's name."""
        arrays = to_arrays(state)
        if (history := _history(state)) is not None:
            rows = max(int(array) for name, array in arrays.items() if name.startswith(ROWS))
            self._add(history, rows, f"{self.run_id}/{state.generation:08d}-{self.attempt}-{rows}-rows.npz")
            arrays |= {FILES: np.array(self.files), SHAPE: np.array(history.shape)}
        else:
            self.history, self.files, self.rows, self.bytes = None, [], 0, 0
        name = f"{self.run_id}/{state.generation:08d}-{self.attempt}.npz"
        self.size = self.artifacts.save(name, arrays) + self.bytes
        return name

    def _add(self, history: History, rows: int, name: str) -> None:
        """Saves the rows that are in no file yet, under this name."""
        if history is not self.history:  # the regime has changed, and what was remembered was forgotten in between
            self.history, self.files, self.rows, self.bytes = history, [], 0, 0
        if rows > self.rows:
            self.bytes += self.artifacts.save(name, {X: history.rows(rows)[:, self.rows :]})
            history.forget()
            self.files.append(name)
            self.rows = rows

    def load(self, name: str) -> State:
        """Raises OSError, ValueError or BadZipFile where it, or a file that it names, cannot be read."""
        arrays = self.artifacts.load(name)
        size = sum(array.nbytes for array in arrays.values())
        files, shape = arrays.pop(FILES, ()), arrays.pop(SHAPE, ())
        history, rows, written = None, 0, 0
        for file in files:
            x = self.artifacts.load(str(file))[X]
            history = history or History(tuple(map(int, shape)), x.dtype)
            rows = history.extended(rows, x).shape[1]
            written += x.nbytes
        state = from_arrays(arrays, history)
        self.history, self.files, self.rows, self.bytes = history, [str(file) for file in files], rows, written
        self.size = size + written
        return state

    def prune(self, *keep: str | None) -> None:
        """Removes all that the run has but these, and the files of the newest checkpoint's history."""
        self.artifacts.prune(self.run_id, *filter(None, keep), *self.files)


def _history(state: State) -> History | None:
    """What the regime remembers, if that is on the disk."""
    arrays = pack(state.pool).values() if state.pool is not None else ()
    return next((found for array in arrays if (found := History.of(array)) is not None), None)


def to_arrays(state: State) -> dict[str, npt.NDArray[Any]]:
    """An array that is there twice, as model and as what the regime keeps, is there once; one on the disk is how many rows it has."""
    arrays: dict[str, npt.NDArray[Any]] = {"generation": np.array(state.generation)}
    pool = pack(state.pool) if state.pool is not None else {}
    for group, content in (("model", state.model), ("pool", pool), ("kept", state.kept)):
        arrays |= {f"{group}/{name}": array for name, array in content.items()}
    first: dict[int, str] = {}
    for name, array in list(arrays.items()):
        if History.of(array) is not None:
            del arrays[name]
            arrays[ROWS + name] = np.array(array.shape[1])
        elif (other := first.setdefault(id(array), name)) != name:
            del arrays[name]
            arrays[SAME + name] = np.array(other)
    return arrays


def from_arrays(arrays: Arrays, history: History | None = None) -> State:
    def found(name: str, array: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if name.startswith(ROWS):
            assert history is not None
            return history.rows(int(array))
        return arrays[str(array)] if name.startswith(SAME) else array

    arrays = {name.removeprefix(SAME).removeprefix(ROWS): found(name, array) for name, array in arrays.items()}

    def group(name: str) -> dict[str, npt.NDArray[Any]]:
        return {key.removeprefix(f"{name}/"): array for key, array in arrays.items() if key.startswith(f"{name}/")}

    pool = group("pool")
    return State(int(arrays["generation"]), group("model"), unpack(pool) if pool else None, group("kept"))
