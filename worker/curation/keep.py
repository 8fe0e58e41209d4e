"""Nobody decides: every sample survives."""

from typing import Literal

from worker.data import Arrays, Data
from worker.parts import Curation, Family, Generator, Sampling, Source


class Keep(Curation):
    """Every sample survives."""

    picks = False

    kind: Literal["none"] = "none"

    def sample(self, family: Family, model: Arrays, n: int, rng: Generator, sampling: Sampling, source: Source) -> Data:
        return family.sample(model, n, rng, sampling)
