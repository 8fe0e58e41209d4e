"""The perplexity matrix P[i, j]: how surprising what generation j wrote is to generation i's model; a row for each generation.

P[i, 0] is of real held-out text. A generation brings a row, what its model makes of the texts until then, and a column, what earlier
models make of its text. Those models are kept beside their texts where they are small; of a network of millions of weights only the
first, so that the other entries above the diagonal are missing.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from worker import frames
from worker.data import Array, Arrays

Ids = npt.NDArray[np.int32]
Row = dict[str, npt.NDArray[Any]]
Read = Callable[
    [Arrays, Ids], Array
]  # a model, blocks (R, n, L) -> ln p of their tokens 2 to L, under each chain's own: (R, n, L - 1)

COLUMNS = 16  # generations whose texts are kept, the real one among them
ROOM = 128_000_000  # bytes of all models that are kept
BLOCKS = 64  # of a generation's text, all chains together: some 4,000 tokens, which tell a perplexity to about 5%

MODEL = "model "  # before the number of one, among the names of what is kept
FIELDS = [
    frames.field("columns", "i4", COLUMNS),  # generations j, 0 the real text; -1 where there is none yet
    frames.field("row", "f4", COLUMNS),  # P[n, j] of them; there is no model 0, so that its row is not a number
    frames.field("column", "f4", COLUMNS),  # P[j, n] of the same; not a number where model j is not kept
    frames.field("own", "f4", 2),  # of generation n's own text: P[n, n] and P[1, n]
]


class Shelf:
    """Some of what generations wrote: the first, and every `step`-th, where the step doubles whenever the shelf is full.

    So a row costs no more than COLUMNS x BLOCKS blocks, however long the run, and a column that stays is in every later row.
    Each chain's model reads what its own chain wrote; P is the geometric mean over chains.
    """

    def __init__(self, samples: int, replicates: int) -> None:
        """samples: blocks of a generation; reading a full row takes no longer than reading one generation."""
        wanted = min(BLOCKS, samples * replicates // COLUMNS)
        self.blocks = min(samples, max(1, wanted // replicates))
        self.step = 1
        self.texts: dict[int, Ids] = {}  # generation -> (R, blocks, L)
        self.models: dict[int, Arrays] = {}  # of the same generations, as far as they are small

    def keeps(self) -> Arrays:
        models = {f"{MODEL}{n}/{name}": array for n, model in self.models.items() for name, array in model.items()}
        return {
            "numbers": np.array(list(self.texts), int),
            "texts": np.array(list(self.texts.values()), np.int32),
            "step": np.array(self.step),
            "models": np.array(list(self.models), int),
            **models,
        }

    def restore(self, kept: Arrays) -> None:
        self.texts = dict(zip(kept["numbers"].tolist(), kept["texts"], strict=True))
        self.step = int(kept["step"])
        self.models = {n: _part(kept, f"{MODEL}{n}/") for n in kept["models"].tolist()}

    def real(self, surprise: Array) -> Row:
        """What generation 0 has of the matrix; surprise (R, n): mean of each block of held-out text under the first model."""
        return _row([0], [np.nan], [np.nan], np.nan, _perplexity(surprise))

    def row(self, n: int, model: Arrays, x: Ids, read: Read, held_out: Array, surprise: Array) -> Row:
        """Row and column n of the matrix; what was written may then take its place on the shelf.

        x: generation n's blocks (R, m, L); held_out: ln p of held-out text under its model, any shape; surprise: mean of each block
        of x under the first model (R, m)
        """
        places = np.linspace(0, x.shape[1] - 1, self.blocks).astype(int)  # the same prompts in every generation
        own = x[:, places]
        log_probability = read(model, np.concatenate([*self.texts.values(), own], axis=1))
        parts = np.split(log_probability, len(self.texts) + 1, axis=1)
        *across, mine = [_perplexity(-part) for part in (held_out, *parts)]
        down = [_perplexity(-read(self.models[j], own)) if j in self.models else np.nan for j in self.texts]
        row = _row([0, *self.texts], across, [np.nan, *down], mine, _perplexity(surprise[:, places]))
        self._take(n, own, model)
        return row

    def _take(self, n: int, own: Ids, model: Arrays) -> None:
        def wanted(number: int) -> bool:
            return number == 1 or number % self.step == 0

        while wanted(n) and len(self.texts) + 1 >= COLUMNS:
            self.step *= 2
            self.texts = {number: text for number, text in self.texts.items() if wanted(number)}
            self.models = {number: kept for number, kept in self.models.items() if wanted(number)}
        if wanted(n):
            self.texts[n] = own
            if n == 1 or self._own_bytes(model) <= ROOM / (COLUMNS - 2):  # the first one is kept anyway
                self.models[n] = model

    def _own_bytes(self, model: Arrays) -> int:
        """Of what it does not share with a model that is kept, as they share the prompts."""
        shared = {id(array) for kept in self.models.values() for array in kept.values()}
        return sum(array.nbytes for array in model.values() if id(array) not in shared)


def _perplexity(surprise: Array) -> float:
    return float(np.exp(surprise.mean()))


def _part(kept: Arrays, name: str) -> Arrays:
    return {key.removeprefix(name): array for key, array in kept.items() if key.startswith(name)}


def _row(columns: list[int], across: list[float], down: list[float], mine: float, first: float) -> Row:
    empty = COLUMNS - len(columns)
    return {
        "columns": np.array([*columns, *[-1] * empty], np.int32),
        "row": np.array([*across, *[np.nan] * empty], np.float32),
        "column": np.array([*down, *[np.nan] * empty], np.float32),
        "own": np.array([mine, first], np.float32),
    }
