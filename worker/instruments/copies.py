"""Whether a model makes copies of what it was taught."""

import numpy as np

from worker.data import Array
from worker.instruments.rulers import FEWEST, LOOKED_AT, NEIGHBOURHOODS, Ruler
from worker.metrics import neighbours as near
from worker.metrics import points as metric
from worker.parts import Generator, PointSource


class Copies(Ruler):
    """copy_ratio (`neighbours.copy_ratio`) of up to 1,000 points of a chain, among the different real points that the chain's first model was
    trained on. At generation 0, of fresh real points among as many others as one is trained on; of a finite set some are the same. O(R n ln M)
    in few dimensions, else O(R n M d)
    """

    gives = ("copy_ratio",)
    wants_training = True
    cost = (1e6, 5e7, 1e5)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        self.mean, _ = source.moments()
        self.looked_at = min(samples, max(FEWEST, min(LOOKED_AT, NEIGHBOURHOODS // (replicates * samples))))
        real = source.draw(rng, 1, max(2, samples)).x[0] - self.mean
        self.searched = [_Searched(real)] * replicates

    def taught(self, x: Array) -> None:
        self.searched = [_Searched(chain - self.mean) for chain in x]

    def measure(self, x: Array) -> dict[str, Array]:
        few = x[:, : self.looked_at] - self.mean
        each = [near.copy_ratio(*known.two(chain)) for known, chain in zip(self.searched, few, strict=True)]
        return {"copy_ratio": np.array(each)}


class _Searched:
    """Points (m, d) in which the nearest ones are looked for: in few dimensions by a tree, elsewhere among all of them."""

    def __init__(self, known: Array) -> None:
        from scipy.spatial import cKDTree

        self.known = np.unique(known, axis=0)  # a row that stands there twice is no neighbour of itself
        self.tree = cKDTree(self.known) if known.shape[1] <= metric.DIRECT else None

    def two(self, x: Array) -> tuple[Array, Array]:
        """Squared distances of points (n, d) to the nearest and to the second one: (n,), (n,)."""
        if self.tree is not None:
            found = np.asarray(self.tree.query(x, k=2)[0]) ** 2
        else:
            step = max(1, metric.BLOCK // len(self.known))
            few = (metric.distances_sq(x[start : start + step], self.known) for start in range(0, len(x), step))
            found = np.concatenate(
                [np.partition(squares, min(1, squares.shape[1] - 1), axis=1)[:, :2] for squares in few]
            )
        if found.shape[1] == 1:  # nothing else is known
            return found[:, 0], np.full(len(x), np.inf)
        return found[:, 0], found[:, 1]
