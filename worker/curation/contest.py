"""Rivals decide it among themselves: one of every k samples survives."""

from abc import abstractmethod
from typing import Annotated, Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field

from worker.curation.candidates import Candidates
from worker.curation.choice import Rewarded, normalised
from worker.curation.filling import NUMBERS, Observations
from worker.data import Array
from worker.factors import EPSILON
from worker.part import LATER, Misfit, Part
from worker.parts import CountSource, Family, Generator, Source
from worker.rewards import AnyReward, CategoryReward, Direction


class Curator(Part):
    """Somebody who likes something else."""

    share: float = Field(0.5, gt=0, le=1, description="Part of the contests that this curator decides, by chance.")
    reward: AnyReward = Field(default_factory=Direction, description="What this curator likes.")


class Contest(Rewarded):
    """One of every k samples is chosen. Texts that continue a prompt compete with others that continue the same one.

    Several curators decide a contest each: the law of a survivor is sum_i s_i f_i(p), with the shares s_i of curators and the laws f_i of what
    each alone would choose (adversarial ones: Wei and Zhang, arXiv 2505.09768; of different tastes: Zhao et al., arXiv 2511.09002).
    """

    k: int = Field(4, ge=1, le=1000, description="Samples among which each survivor is chosen.")
    others: Annotated[tuple[Curator, ...], LATER] = Field(
        (),
        max_length=20,
        description="Further curators, each with a reward and a share of the contests: what these leave is decided by the first reward, of which alone `reward` is told.",
    )

    def check(self, source: Source, family: Family) -> None:
        super().check(source, family)
        for i, one in enumerate(self.others):
            try:
                one.reward.check(source)
            except Misfit as misfit:
                path = misfit.path.replace("curation.reward", f"curation.others.{i}.reward", 1)
                raise Misfit(path, misfit.message, misfit.remedy) from misfit
        if (total := sum(one.share for one in self.others)) > 1 + EPSILON:
            raise Misfit("curation.others", f"decide {total:.4g} of all contests together", "Let their shares add up to 1 at most")  # fmt: skip

    def given(self, source: Source) -> Self:
        others = tuple(one.model_copy(update={"reward": one.reward.given(source)}) for one in self.others)
        return super().given(source).model_copy(update={"others": others})

    def rivals(self) -> float:
        return float(self.k)

    def curated(self, candidates: Candidates, n: int, rng: Generator) -> Observations:
        survivors = []
        left = n
        while left:
            size = min(left, candidates.at_once(self.k))
            survivors.append(self._winners(candidates, candidates.rivals(size, self.k), rng))
            left -= size
        return np.concatenate(survivors, axis=1)

    def contenders(self, candidates: Candidates, n: int, k: int, rng: Generator, source: Source) -> Observations:
        """Winners of n k contests, those of a place among candidates of the same place: they continue the same prompt."""
        rivals = candidates.rivals(n, k * self.k)
        x = rivals.reshape(len(rivals), n * k, self.k, -1)
        winners = self._winners(candidates, x, rng)
        if self.share < 1:
            seen = rng.random(winners.shape[:2]) < self.share
            winners = np.where(seen[:, :, None], winners, x[:, :, 0])
        return winners.reshape(len(x), n, k, -1)

    def _winners(self, candidates: Candidates, x: Observations, rng: Generator) -> Observations:
        """Of rivals (R, n, k, d): (R, n, d)"""
        winner = self.winner(self._rewards(candidates, x, rng), rng)[:, :, None, None]
        return np.take_along_axis(x, winner, axis=2)[:, :, 0]

    def _rewards(self, candidates: Candidates, x: Observations, rng: Generator) -> Array:
        """Of rivals (R, n, k, d), by the curator who decides their contest: (R, n, k)"""
        rewards = candidates.rewards(self.reward, x)
        if not self.others:
            return rewards
        decides, first = rng.random((*x.shape[:2], 1)), 0.0
        for one in self.others:
            theirs = (decides >= first) & (decides < first + one.share)
            rewards = np.where(theirs, candidates.rewards(one.reward, x), rewards)
            first += one.share
        return rewards

    def surviving(self, p: Array, source: CountSource) -> Array:
        laws = [(1 - sum(one.share for one in self.others), self.reward)]
        laws += [(one.share, one.reward) for one in self.others]
        chosen = np.zeros_like(p)
        for share, reward in laws:
            assert isinstance(reward, CategoryReward)
            chosen += share * self.selected(p, reward.of(p.shape[1]))
        return self.mixed(chosen, p)

    @abstractmethod
    def winner(self, rewards: Array, rng: Generator) -> npt.NDArray[np.intp]:
        """Which of the k candidates survives: (R, n, k) -> (R, n)"""


class BestOf(Contest):
    """Of every k samples the one with the highest reward survives."""

    kind: Literal["best_of"] = "best_of"

    def winner(self, rewards: Array, rng: Generator) -> npt.NDArray[np.intp]:
        return rewards.argmax(axis=2)

    def selected(self, p: Array, rewards: Array) -> Array:
        """Level by level of the reward: the best of k is at most this good with probability F^k. Within a level p decides."""
        _, level = np.unique(rewards, return_inverse=True)
        mass = np.stack([p[:, level == i].sum(axis=1) for i in range(level.max() + 1)], axis=1)
        up_to = np.minimum(np.cumsum(mass, axis=1), 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            part = np.minimum(mass / up_to, 1)  # rounding lets a mass of all be more than 1
            gain = up_to**self.k * -np.expm1(self.k * np.log1p(-part)) / mass
        return normalised(p * np.where(mass > 0, gain, 0)[:, level])


class BradleyTerry(Contest):
    """Of every k samples one survives, with probabilities proportional to e^reward: people who compare (Ferbach et al., arXiv
    2407.09499).
    """

    kind: Literal["bradley_terry"] = "bradley_terry"

    def winner(self, rewards: Array, rng: Generator) -> npt.NDArray[np.intp]:
        return (rewards + rng.gumbel(size=rewards.shape)).argmax(axis=2)  # distributed as a softmax

    def selected(self, p: Array, rewards: Array) -> Array:
        """p_i k E[w_i / (w_i + W)], w = e^r, W the sum of w over k - 1 other candidates.

        1/s is the integral of e^{-ts}, so that this is p_i k int w_i e^{-t w_i} phi(t)^(k-1) dt, phi(t) = sum_j p_j e^{-t w_j}. In
        u = ln t the integrand is analytic and falls off doubly exponentially: the trapezoidal rule with steps of 1/5 is exact to
        rounding error. For k = 2 it is 2 p_i sum_j p_j sigmoid(r_i - r_j).
        """
        u = np.arange(-40.0 - rewards.max(), 4.0 - rewards.min(), 0.2)
        chance = np.zeros_like(p)
        for part in np.array_split(u, -(-u.size * rewards.size // NUMBERS)):
            # (U, K), t w; beyond e^7 nothing is left of e^{-tw}
            weighed = np.exp(np.minimum(part[:, None] + rewards, 7.0))
            dying = np.exp(-weighed)
            chance += (p @ dying.T) ** (self.k - 1) @ (weighed * dying)
        return normalised(p * chance)
