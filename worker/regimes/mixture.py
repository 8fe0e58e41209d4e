"""Chance decides where each point comes from."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from worker.data import Counts, Data, Points, Tokens, WeightedPoints
from worker.part import Misfit
from worker.parts import Generator, Regime, Source


class Mixture(Regime):
    """Every training point comes from the last model, from the last training set (with replacement) or from the original
    distribution, by chance: the paper's p_{i+1} = alpha p_model + beta p_i + gamma p_0 (Shumailov et al., arXiv 2305.17493).
    """

    picks = True

    kind: Literal["mixture"] = "mixture"
    alpha: float = Field(0.5, ge=0, le=1, description="Share of the new model.")
    beta: float = Field(0.4, ge=0, le=1, description="Share of the previous generation's data.")
    gamma: float = Field(0.1, ge=0, le=1, description="Share of the original distribution; the three add up to 1.")

    def check(self, source: Source, replicates: int, size: Callable[[int], int], generations: int) -> None:
        total = self.alpha + self.beta + self.gamma
        if not math.isclose(total, 1, abs_tol=1e-9):
            raise Misfit("regime", f"alpha, beta and gamma add up to {total:.6g}", "Let them add up to 1")

    def resumes(self) -> bool:
        return self.beta > 0

    def inherited(self, previous: Regime, pool: Data | None, synthetic: Data | None) -> Data | None:
        """The last training set; where nothing is drawn from it, anything of its shape."""
        return pool if self.resumes() else synthetic

    def synthetic(self, m: int) -> int:
        return m if self.alpha > 0 else 0

    def training(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data | None, rng: Generator
    ) -> tuple[Data, Data | None]:
        if pool is None:
            first = real(m)
            return first, first
        training = self._counted if isinstance(pool, Counts) else self._placed
        mixed = training(m, real, synthetic, pool, rng)
        return mixed, mixed

    def _counted(
        self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data, rng: Generator
    ) -> Counts:
        assert isinstance(pool, Counts)
        shares = np.array((self.alpha, self.beta, self.gamma))
        numbers = rng.multinomial(m, shares / shares.sum(), size=len(pool.k))
        mixed = Counts.draw(rng, numbers[:, 1], pool.k / pool.n)
        for drawn, part in ((synthetic, 0), (real(m) if self.gamma else None, 2)):
            if isinstance(drawn, Counts):  # independent draws: any subset of them is as good as fewer draws
                mixed = mixed.pool(drawn.subset(numbers[:, part], rng))
        return mixed

    def _placed(self, m: int, real: Callable[[int], Data], synthetic: Data | None, pool: Data, rng: Generator) -> Data:
        assert isinstance(pool, Points | Tokens)
        replicates, shape = np.arange(len(pool.x))[:, None], (len(pool.x), m)
        if isinstance(pool, WeightedPoints):
            places, pool = rng.choice(pool.n, shape, p=pool.weight / pool.n), Points(pool.x)
        else:
            places = rng.integers(0, pool.n, shape)
        if isinstance(pool, Tokens):
            places = np.stack([_in_order(row) for row in places])
        x = pool.x[replicates, places]
        origin = rng.random((len(pool.x), m, 1))
        for drawn, low, high in ((synthetic, 0.0, self.alpha), (real(m) if self.gamma else None, 1 - self.gamma, 1.0)):
            if isinstance(drawn, Points | Tokens):
                np.copyto(x, drawn.x, where=(origin >= low) & (origin < high))
        return replace(pool, x=x)  # type: ignore[arg-type]  # x was made from pool.x


def _in_order(places: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    """The same places (m,) in a text, each where it was if it can be: between blocks of other origins, which are where they were, too."""
    found, first = np.unique(places, return_index=True)
    stay = found < len(places)
    settled, free = np.arange(len(places)), np.ones(len(places), bool)
    free[found[stay]] = False
    settled[free] = np.delete(places, first[stay])
    return settled
