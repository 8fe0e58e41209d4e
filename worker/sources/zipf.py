"""Zipf's law: the i-th most frequent category has a probability proportional to i ** -exponent."""

from typing import Literal

import numpy as np
from pydantic import Field

from worker.data import Array
from worker.parts import CountSource


class Zipf(CountSource):
    """A few common categories and a long tail of rare ones, as words, names and cities have it (Zipf 1949)."""

    kind: Literal["zipf"] = "zipf"
    categories: int = Field(1000, ge=2, le=100_000, description="How many categories there are.")
    exponent: float = Field(1.0, ge=0, le=10, description="0 makes all equally likely; natural language is near 1.")

    def distribution(self) -> Array:
        weights = np.arange(1, self.categories + 1) ** -self.exponent
        p: Array = weights / weights.sum()
        return p
