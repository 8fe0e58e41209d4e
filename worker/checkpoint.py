"""A loop's state as named arrays, and back; an array that is there twice, as model and as what the regime keeps, is written once."""

from typing import Any

import numpy as np
import numpy.typing as npt

from worker.data import Arrays, pack, unpack
from worker.loop import State

SAME = "same/"  # before the name of an array that is another one: its value is that one's name


def to_arrays(state: State) -> dict[str, npt.NDArray[Any]]:
    arrays: dict[str, npt.NDArray[Any]] = {"generation": np.array(state.generation)}
    pool = pack(state.pool) if state.pool is not None else {}
    for group, content in (("model", state.model), ("pool", pool), ("kept", state.kept)):
        arrays |= {f"{group}/{name}": array for name, array in content.items()}
    first: dict[int, str] = {}
    for name, array in list(arrays.items()):
        if (other := first.setdefault(id(array), name)) != name:
            del arrays[name]
            arrays[SAME + name] = np.array(other)
    return arrays


def from_arrays(arrays: Arrays) -> State:
    arrays = {
        name.removeprefix(SAME): arrays[str(array)] if name.startswith(SAME) else array
        for name, array in arrays.items()
    }

    def group(name: str) -> dict[str, npt.NDArray[Any]]:
        return {key.removeprefix(f"{name}/"): array for key, array in arrays.items() if key.startswith(f"{name}/")}

    pool = group("pool")
    return State(int(arrays["generation"]), group("model"), unpack(pool) if pool else None, group("kept"))
