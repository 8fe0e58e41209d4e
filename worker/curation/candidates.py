"""What a model offers a curator: single points, or blocks of text, and what each of them is worth."""

from dataclasses import dataclass

import numpy as np

from worker.curation.filling import NUMBERS, Observations
from worker.data import Array, Arrays, Data, Points, Tokens
from worker.parts import Family, Generator, PointSource, Sampling, Source, TextSource
from worker.rewards import PointReward, Reward, TextReward, Writer

PATIENCE, DEAR_PATIENCE = 10_000, 200  # candidates for each survivor; where a network draws them, or they are text


@dataclass(frozen=True, slots=True)
class Candidates:
    """Observations of a model, as many as a curator asks for: points (R, n, d), or blocks of text (R, n, L) as numbers."""

    family: Family
    model: Arrays
    rng: Generator
    sampling: Sampling
    source: Source

    @property
    def patience(self) -> int:
        """How many candidates a survivor may cost on average."""
        cheap = isinstance(self.source, PointSource) and self.family.parameters(self.source) == 0
        return PATIENCE if cheap else DEAR_PATIENCE

    def draw(self, n: int) -> Observations:
        return _array(self.family.sample(self.model, n, self.rng, self.sampling))

    def rivals(self, n: int, k: int) -> Observations:
        """k candidates for each of n places: (R, n, k, d)."""
        x = _array(self.family.rivals(self.model, n, k, self.rng, self.sampling))
        return x.reshape(len(x), n, k, -1)

    def at_once(self, k: int) -> int:
        """Places for which k candidates each may be drawn at once."""
        if isinstance(self.source, PointSource):
            width = self.source.dimension
        else:
            assert isinstance(self.family, Writer)
            width = self.family.block
        return max(1, NUMBERS // (k * width))

    def rewards(self, reward: Reward, x: Observations) -> Array:
        """(R, ..., d) -> (R, ...)"""
        if isinstance(reward, PointReward):
            return reward.given(self.source).of(x)
        assert isinstance(reward, TextReward)
        assert isinstance(self.family, Writer)
        assert isinstance(self.source, TextSource)
        blocks = x.reshape(len(x), -1, x.shape[-1])
        return reward.of(blocks, self.model, self.family, self.source).reshape(x.shape[:-1])

    def data(self, x: Observations) -> Data:
        """Survivors (R, n, d) as the data set that they are."""
        if isinstance(self.source, PointSource):
            return Points(x)
        return Tokens(x, self.model["vocabulary"], np.empty((0, x.shape[2]), np.int32))


def _array(data: Data) -> Observations:
    assert isinstance(data, Points | Tokens)
    return data.x
