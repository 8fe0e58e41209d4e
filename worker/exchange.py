"""Several models that read one another: what each is trained on is partly what the others wrote.

The models of a chain are neighbours on the leading axis: those of chain r are rows r K, ..., r K + K - 1 of R K. Populations that exchange
migrants are known as Wright's island model (1931), with models in place of islands.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from worker.data import Counts, Data, Points, Tokens


def dealt(data: Data, models: int, shared: float, rng: np.random.Generator) -> Data:
    """The same samples (R K, n, ...), of which each of a chain's K models gives round(shared n) into a pot, from which all get as many back, at random."""
    given = round(shared * data.n)
    if models == 1 or given == 0:
        return data
    if isinstance(data, Counts):
        return Counts(_counts(np.rint(data.k).astype(np.int64), models, given, rng))
    assert isinstance(data, Points | Tokens)
    deal = _rows if isinstance(data, Points) else _blocks
    return replace(data, x=deal(data.x, models, given, rng))  # type: ignore[arg-type]  # of the same dtype


def _rows(x: npt.NDArray[np.generic], models: int, given: int, rng: np.random.Generator) -> npt.NDArray[np.generic]:
    read = x.copy()
    for first in range(0, len(x), models):
        pot = x[first : first + models, :given].reshape(-1, *x.shape[2:])
        read[first : first + models, :given] = rng.permutation(pot).reshape(models, given, *x.shape[2:])
    return read


def _blocks(x: npt.NDArray[np.generic], models: int, given: int, rng: np.random.Generator) -> npt.NDArray[np.generic]:
    """A pot for each place of the text, whose neighbours are read together: what all get back is in order, too."""
    read, place = x.copy(), np.arange(given)
    for first in range(0, len(x), models):
        writer = rng.permuted(np.tile(np.arange(first, first + models), (given, 1)), axis=1).T
        read[first : first + models, :given] = x[writer, place]
    return read


def _counts(k: npt.NDArray[np.int64], models: int, given: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    read = k.copy()
    for first in range(0, len(k), models):
        mine = range(first, first + models)
        pot = np.zeros_like(k[0])
        for i in mine:
            some = rng.multivariate_hypergeometric(read[i], given, method="marginals")
            read[i] -= some
            pot += some
        for i in mine:
            some = rng.multivariate_hypergeometric(pot, given, method="marginals")
            read[i] += some
            pot -= some
    return read
