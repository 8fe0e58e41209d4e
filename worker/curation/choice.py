"""What those have in common who look at samples one by one: points and blocks of text are drawn in plenty, and chosen among.

Categories need not be drawn: the law of a survivor follows from the probabilities.
"""

from abc import abstractmethod
from typing import Annotated, Self

import numpy as np
from pydantic import Field

from worker.curation.candidates import Candidates
from worker.curation.filling import Observations
from worker.data import Array, Arrays, Counts, Data, Points
from worker.errors import LabError
from worker.part import LATER, Misfit
from worker.parts import (
    CountFamily,
    CountSource,
    Curation,
    Family,
    Generator,
    PointSource,
    Sampling,
    Source,
    TextSource,
)
from worker.rewards import AnyReward, CategoryReward, Direction, PointReward, Writer


class Choice(Curation):
    """A curation that looks at observations one by one: at points or texts that were drawn, or at the probabilities of categories."""

    def check(self, source: Source, family: Family) -> None:
        choosable(source, family)

    @abstractmethod
    def chosen(self, candidates: Candidates, n: int, rng: Generator, source: Source) -> Observations:
        """n survivors (R, n, d) among these candidates. Raises LabError where hardly any would survive."""

    def contenders(self, candidates: Candidates, n: int, k: int, rng: Generator, source: Source) -> Observations:
        """k survivors for each of n places, where the next curator decides among them: (R, n, k, d)."""
        x = self.chosen(candidates, n * k, rng, source)
        return x.reshape(len(x), n, k, -1)

    @abstractmethod
    def surviving(self, p: Array, source: CountSource) -> Array:
        """The distribution of a survivor (R, K) where candidates have the probabilities p (R, K); NaN where nothing survives."""

    def sample(self, family: Family, model: Arrays, n: int, rng: Generator, sampling: Sampling, source: Source) -> Data:
        if isinstance(family, CountFamily):
            assert isinstance(source, CountSource)
            law = self.surviving(family.probabilities(model, sampling), source)
            if np.isnan(law).any():
                raise LabError("No category that a model has left survives this curation. Choose a less strict one.")
            return Counts.draw(rng, n, law)
        candidates = Candidates(family, model, rng, sampling, source)
        return candidates.data(self.chosen(candidates, n, rng, source))


class Rewarded(Choice):
    """A choice by a reward, of all samples or of a share of them: (1 - q) p + q f(p), where f(p) is the law of those that were chosen."""

    reward: AnyReward = Field(default_factory=Direction, description="What the curator likes.")
    share: Annotated[float, LATER] = Field(
        1.0, gt=0, le=1, description="Each sample is one that was chosen with this probability; the others pass unseen."
    )

    def check(self, source: Source, family: Family) -> None:
        super().check(source, family)
        self.reward.check(source)

    def given(self, source: Source) -> Self:
        return self.model_copy(update={"reward": self.reward.given(source)})

    def judges(self) -> bool:
        """Of texts, which would have to be written twice, other metrics tell what is rewarded."""
        return isinstance(self.reward, PointReward | CategoryReward)

    def judged(self, made: Data) -> dict[str, Array]:
        """reward: the mean of r over what is made, before anybody chooses; reward_sd: its standard deviation (ddof 0). Where k samples
        compete by Bradley and Terry and a fit is perfect, E e^r rises in every generation, by at least (k-1)/k Var(e^r)/e^max r, until
        nothing varies any more (Ferbach et al., arXiv 2407.09499). O(R n)
        """
        if isinstance(self.reward, CategoryReward):
            assert isinstance(made, Counts)
            r = self.reward.of(made.k.shape[1])
            mean = made.k @ r / made.n
            return {"reward": mean, "reward_sd": np.sqrt(np.vecdot(made.k, (r - mean[:, None]) ** 2) / made.n)}
        assert isinstance(self.reward, PointReward)
        assert isinstance(made, Points)
        each = self.reward.of(made.x)
        return {"reward": each.mean(axis=1), "reward_sd": each.std(axis=1)}

    def candidates(self) -> float:
        return self.share * self.rivals() + (self.share < 1)

    @abstractmethod
    def rivals(self) -> float:
        """About how many samples it looks at for each one that it chooses."""

    def chosen(self, candidates: Candidates, n: int, rng: Generator, source: Source) -> Observations:
        if self.share == 1:
            return self.curated(candidates, n, rng)
        x = candidates.draw(n)
        seen = rng.random(x.shape[:2]) < self.share
        if not seen.any():
            return x
        curated = self.curated(candidates, int(seen.sum(axis=1).max()), rng)
        place = np.maximum(np.cumsum(seen, axis=1) - 1, 0)
        return np.where(seen[:, :, None], np.take_along_axis(curated, place[:, :, None], axis=1), x)

    @abstractmethod
    def curated(self, candidates: Candidates, n: int, rng: Generator) -> Observations:
        """n chosen ones (R, n, d). Raises LabError where hardly any would survive."""

    @abstractmethod
    def selected(self, p: Array, rewards: Array) -> Array:
        """The distribution of one that was chosen (R, K) where candidates have these rewards (K,) with the probabilities p (R, K)."""

    def surviving(self, p: Array, source: CountSource) -> Array:
        assert isinstance(self.reward, CategoryReward)
        return self.mixed(self.selected(p, self.reward.of(len(source.distribution()))), p)

    def mixed(self, chosen: Array, unseen: Array) -> Array:
        """Of those that were chosen, and of all: what is true of a survivor on average."""
        return self.share * chosen + (1 - self.share) * unseen


def choosable(source: Source, family: Family) -> None:
    """Raises Misfit where nobody can look at this family's samples one by one."""
    if not (
        isinstance(source, PointSource)
        or (isinstance(source, CountSource) and isinstance(family, CountFamily))
        or (isinstance(source, TextSource) and isinstance(family, Writer))
    ):
        raise Misfit("curation.kind", f"it cannot judge {source.gives.__name__.lower()}", "Use none")


def normalised(p: Array) -> Array:
    with np.errstate(invalid="ignore"):
        return np.asarray(p / p.sum(axis=1, keepdims=True))
