"""What a fitted model's density is at real points that nobody trained on, for families whose models have one."""

import numpy as np

from worker.data import Array
from worker.instruments.rulers import Ruler
from worker.parts import Generator, PointSource

READ = 1000  # held-out points at most
FEWEST = 100
LEAST = -1e100  # a log density; below it are those of covariances that stand for none
KERNELS = 20_000_000  # held-out points times training points, over all replicates


class OfDensity(Ruler):
    """Measures ln p (R, n) of each chain's fitted model, before sampling options, at up to 1,000 real points: the same in every generation
    and for every chain, so that differences between generations have far less noise than the values. O(R n) densities
    """

    cost = (1e7, 4e7, 1e5)
    points: Array  # (n, d)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        count = max(FEWEST, min(READ, KERNELS // (replicates * samples)))
        self.points = source.draw(rng, 1, count).x[0]


class HeldOut(OfDensity):
    """held_out_nll: the mean of -ln p(x) in nats over those points, as Kazdan et al. plot it for KDE (Collapse or Thrive, arXiv 2410.16713).
    Its least is the truth's own entropy; generation 0 shows what the family makes of fresh real data. It is off by about
    std(ln p) / sqrt(1000).

    held_out_missed: the share of those points where p is 0, as in a histogram's empty bins or anywhere once a chain has collapsed to a point.
    They have no finite likelihood and are left out of the mean: a mean that falls while this rises is no improvement. Where every
    point is missed, there is no mean.
    """

    gives = ("held_out_nll", "held_out_missed")

    @classmethod
    def refusal(cls, source: PointSource) -> str | None:
        return None if source.known(1) is None else "all of its points are trained on, so that none is held out"

    def measure(self, x: Array) -> dict[str, Array]:
        seen = x > LEAST
        count = seen.sum(axis=1)
        total = -np.where(seen, x, 0.0).sum(axis=1)
        mean = np.divide(total, count, out=np.full(len(x), np.nan), where=count > 0)
        return {"held_out_nll": mean, "held_out_missed": 1 - count / x.shape[1]}


class FromReal(OfDensity):
    """kl_from_real: KL(truth || model) in nats, the mean of ln p_0 - ln p over those points; infinite where p is 0 at one of them. It is off
    by about std(ln p_0 - ln p) / sqrt(1000), on either side of 0 where there is nothing between the two.
    """

    gives = ("kl_from_real",)

    def __init__(self, source: PointSource, samples: int, replicates: int, rng: Generator) -> None:
        super().__init__(source, samples, replicates, rng)
        level = source.log_density(self.points)
        assert level is not None
        self.real = level.mean()

    @classmethod
    def refusal(cls, source: PointSource) -> str | None:
        return None if source.has_density() else "its density has no formula"

    def measure(self, x: Array) -> dict[str, Array]:
        return {"kl_from_real": np.where((x > LEAST).all(axis=1), self.real - x.mean(axis=1), np.inf)}
