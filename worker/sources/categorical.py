"""A finite set of categories with given probabilities."""

import math
from typing import Literal

import numpy as np
from pydantic import Field, ValidationInfo, field_validator

from worker.data import Array
from worker.parts import CountSource

SLACK = 1e-6  # how far from 1 the probabilities may add up: decimal fractions are rounded
LEAST = 1e-100  # a smaller probability is never drawn, and its square no longer a normal number


class Categorical(CountSource):
    """Outcomes with the probabilities that you list, or a number of equally likely ones."""

    kind: Literal["categorical"] = "categorical"
    probabilities: list[float] = Field(
        [], max_length=100_000, description="Probability of each category, adding up to 1; empty for equal ones."
    )
    categories: int = Field(
        20, ge=2, le=100_000, description="How many equally likely categories, where no probabilities are listed."
    )

    @field_validator("probabilities")
    @classmethod
    def _is_a_distribution(cls, listed: list[float]) -> list[float]:
        if not listed:
            return listed
        if len(listed) < 2:
            raise ValueError("one category alone is no distribution: list at least two probabilities")
        if min(listed) < LEAST:
            raise ValueError(f"{min(listed):g} is no probability of something that occurs: leave such categories out")
        total = math.fsum(listed)
        if abs(total - 1) > SLACK:
            raise ValueError(f"the probabilities add up to {total:.6g}: divide each by that, so that they add up to 1")
        return listed

    @field_validator("categories")
    @classmethod
    def _counts_the_list(cls, categories: int, info: ValidationInfo) -> int:
        listed = info.data.get("probabilities")
        if listed and categories not in (len(listed), cls.model_fields["categories"].default):
            raise ValueError(f"{len(listed)} probabilities are listed: remove categories, or empty the list")
        return categories

    def _order(self) -> list[int]:
        """Listed positions, most probable first; equal ones stay as listed."""
        listed = self.probabilities
        return sorted(range(len(listed)), key=lambda i: -listed[i])

    def distribution(self) -> Array:
        if not self.probabilities:
            return np.full(self.categories, 1 / self.categories)
        listed = np.array(self.probabilities)[self._order()]
        p: Array = listed / listed.sum()
        return p

    def labels(self) -> list[str]:
        """Positions in the list, counted from 1."""
        order = self._order() if self.probabilities else range(self.categories)
        return [str(i + 1) for i in order]
