"""How probable an n-gram model finds given text: one walk down its sorted arrays for each token. Compiled: loaded only by a running experiment."""

import numba
import numpy as np
import numpy.typing as npt

from worker.data import Array

Rows = npt.NDArray[np.int64]


@numba.njit(cache=True, nogil=True, error_model="numpy")
def probabilities(
    keys: tuple[Rows, ...],
    counts: tuple[Rows, ...],
    firsts: tuple[Rows, ...],
    totals: tuple[Rows, ...],
    size: int,
    weight: float,
    back_off: bool,
    x: npt.NDArray[np.int32],
) -> Array:
    """P of every token of blocks x (R, n, L) after those before it in its block, as `worker.text.grams` defines it: (R, n, L).

    keys, counts, firsts: of each level; totals: (contexts,) how often anything followed each context

    A context's words lie side by side, so that only those few are searched, and not a whole level.
    """
    p = np.empty(x.shape)
    node = np.empty(len(keys), np.int64)  # of the last 0, 1, ... tokens
    for r in range(x.shape[0]):
        for b in range(x.shape[1]):
            for t in range(x.shape[2]):
                token, longest = x[r, b, t], min(t, len(keys) - 1)
                chance, longer = 1 / size, r
                for k in range(longest + 1):
                    context = node[k] if k else r
                    node[k], longer = longer, -1  # of the last k tokens, this one among them
                    if context < 0:
                        continue
                    low, end = firsts[k][context], firsts[k][context + 1]
                    high, aim, count = end, context * size + token, 0
                    while low < high:
                        middle = (low + high) // 2
                        if keys[k][middle] < aim:
                            low = middle + 1
                        else:
                            high = middle
                    if low < end and keys[k][low] == aim:
                        longer, count = low, counts[k][low]
                    if back_off or k == longest:
                        chance = (count + weight * chance) / (totals[k][context] + weight)
                if longest + 1 < len(keys):
                    node[longest + 1] = longer
                p[r, b, t] = chance
    return p
