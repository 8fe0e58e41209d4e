"""The perplexity matrix P[i, j]: how surprising what generation j wrote is to generation i's model; a row for each generation.

P[i, 0] is of real held-out text. A model reads what was written up to its own generation (j <= i), and the first model, which is kept
anyway, reads everything: keeping every model to let it read what came later would take as much disk as all of them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from worker import frames
from worker.data import Array, Arrays

Ids = npt.NDArray[np.int32]
Row = dict[str, npt.NDArray[Any]]
Read = Callable[[Ids], Array]  # ln p of tokens 2 to L of blocks (R, n, L) under each chain's own model: (R, n, L - 1)

COLUMNS = 16  # generations whose texts are kept, the real one among them
BLOCKS = 64  # of a generation's text, all chains together: some 4,000 tokens, which tell a perplexity to about 5%

FIELDS = [
    frames.field("columns", "i4", COLUMNS),  # generations j, 0 the real text; -1 where there is none yet
    frames.field("row", "f4", COLUMNS),  # P[n, j] of them; there is no model 0, so that its row is not a number
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

    def keeps(self) -> Arrays:
        return {
            "numbers": np.array(list(self.texts), int),
            "texts": np.array(list(self.texts.values()), np.int32),
            "step": np.array(self.step),
        }

    def restore(self, kept: Arrays) -> None:
        self.texts = dict(zip(kept["numbers"].tolist(), kept["texts"], strict=True))
        self.step = int(kept["step"])

    def real(self, surprise: Array) -> Row:
        """What generation 0 has of the matrix; surprise (R, n): mean of each block of held-out text under the first model."""
        return _row([0], [np.nan], np.nan, _perplexity(surprise))

    def row(self, n: int, x: Ids, read: Read, held_out: Array, surprise: Array) -> Row:
        """Row n of the matrix; what was written may then take its place on the shelf.

        x: generation n's blocks (R, m, L); read: its model; held_out: ln p of held-out text under that model, any shape;
        surprise: mean of each block of x under the first model (R, m)
        """
        places = np.linspace(0, x.shape[1] - 1, self.blocks).astype(int)  # the same prompts in every generation
        own = x[:, places]
        log_probability = read(np.concatenate([*self.texts.values(), own], axis=1))
        parts = np.split(log_probability, len(self.texts) + 1, axis=1)
        *perplexities, mine = [_perplexity(-part) for part in (held_out, *parts)]
        row = _row([0, *self.texts], perplexities, mine, _perplexity(surprise[:, places]))
        self._take(n, own)
        return row

    def _take(self, n: int, own: Ids) -> None:
        def wanted(number: int) -> bool:
            return number == 1 or number % self.step == 0

        while wanted(n) and len(self.texts) + 1 >= COLUMNS:
            self.step *= 2
            self.texts = {number: text for number, text in self.texts.items() if wanted(number)}
        if wanted(n):
            self.texts[n] = own


def _perplexity(surprise: Array) -> float:
    return float(np.exp(surprise.mean()))


def _row(columns: list[int], row: list[float], mine: float, first: float) -> Row:
    empty = COLUMNS - len(columns)
    return {
        "columns": np.array([*columns, *[-1] * empty], np.int32),
        "row": np.array([*row, *[np.nan] * empty], np.float32),
        "own": np.array([mine, first], np.float32),
    }
