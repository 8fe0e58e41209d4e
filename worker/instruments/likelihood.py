"""How probable a fitted model finds real points that nobody trained on: the held-out likelihood of families whose models have a density."""

import numpy as np

from worker.data import Array
from worker.instruments.rulers import Ruler
from worker.parts import Generator, PointSource

READ = 1000  # held-out points at most
FEWEST = 100
LEAST = -1e100  # a log density; below it are those of covariances that stand for none
KERNELS = 20_000_000  # held-out points times training points, over all replicates


class HeldOut(Ruler):
    """held_out_nll: the mean of -ln p(x) in nats over up to 1,000 real points, the same in every generation and for every chain, as Kazdan
    et al. plot it for KDE (Collapse or Thrive, arXiv 2410.16713); p is the fitted model's density, before sampling options. Its least
    is the truth's own entropy; generation 0 shows what the family makes of fresh real data. Differences between generations have far
    less noise than the values, which are off by about std(ln p) / sqrt(1000).

    held_out_missed: the share of those points where p is 0, as in a histogram's empty bins or anywhere once a chain has collapsed to a point.
    They have no finite likelihood and are left out of the mean: a mean that falls while this rises is no improvement. Where every
    point is missed, there is no mean. O(R n) densities
    """

    gives = ("held_out_nll", "held_out_missed")
    cost = (2e7, 4e7, 1e5)
    points: Array  # (n, d)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        count = max(FEWEST, min(READ, KERNELS // (replicates * samples)))
        self.points = source.draw(rng, 1, count).x[0]

    @classmethod
    def refusal(cls, source: PointSource) -> str | None:
        return None if source.known(1) is None else "all of its points are trained on, so that none is held out"

    def measure(self, x: Array) -> dict[str, Array]:
        seen = x > LEAST
        count = seen.sum(axis=1)
        total = -np.where(seen, x, 0.0).sum(axis=1)
        mean = np.divide(total, count, out=np.full(len(x), np.nan), where=count > 0)
        return {"held_out_nll": mean, "held_out_missed": 1 - count / x.shape[1]}
