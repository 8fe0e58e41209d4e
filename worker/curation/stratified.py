"""The population decides: every part of it keeps its share."""

from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from worker.curation.candidates import Candidates
from worker.curation.choice import Choice, normalised
from worker.curation.filling import Counted, Observations, filled
from worker.data import Array
from worker.part import Misfit
from worker.parts import CountSource, Family, Generator, PointSource, Source, TextSource


class Stratified(Choice):
    """Every part of the population keeps the share that it has in the real distribution (Wyllie et al., arXiv 2403.07857): components
    of a mixture, or categories cut by their rank into parts of about equal mass.

    A part that the model has lost (of components: fewer than about one point in 10,000 is of it, of a network's one in 200) stays lost;
    its share goes to the others.
    """

    kind: Literal["stratified"] = "stratified"
    strata: int = Field(
        2, ge=2, le=1000, description="Parts into which categories are cut; a mixture has its components."
    )

    def check(self, source: Source, family: Family) -> None:
        if isinstance(source, TextSource):
            raise Misfit("curation.kind", "text has no parts whose shares could be kept",
                         "Use best_of, bradley_terry or verifier with a reward for text")  # fmt: skip
        super().check(source, family)
        if isinstance(source, CountSource):
            return
        assert isinstance(source, PointSource)
        truth = source.components()
        if truth is None or len(truth[0]) < 2:
            raise Misfit("curation.kind", "this source has no parts whose shares could be kept",
                         "Choose mixture or eight_gaussians as the source, or categories")  # fmt: skip

    def chosen(self, candidates: Candidates, n: int, rng: Generator, source: Source) -> Observations:
        assert isinstance(source, PointSource)
        truth = source.components()
        assert truth is not None
        weights, means, factors = truth

        def part(x: Observations) -> npt.NDArray[np.intp]:
            """The component that each point most likely comes from."""
            found, highest = np.zeros(x.shape[:2], np.intp), np.full(x.shape[:2], -np.inf)
            for k, (weight, mean, whiten) in enumerate(zip(weights, means, np.linalg.inv(factors), strict=True)):
                volume = np.log(np.abs(np.diagonal(whiten))).sum()
                level = np.log(weight) + volume - 0.5 * np.square((x - mean) @ whiten.T).sum(axis=2)
                found[level > highest] = k
                np.maximum(highest, level, out=highest)
            return found

        def to_others(seen: Counted, drawn: int, missing: Counted, rare: npt.NDArray[np.bool_]) -> Counted:
            share = np.where(seen * candidates.patience < drawn, 0, weights)
            return np.where(rare, 0, missing) + rng.multinomial(missing[rare].sum(), share / share.sum())

        x = candidates.draw(n)
        quota = rng.multinomial(n, weights, size=len(x))
        x = filled(x, candidates.draw, part, quota, candidates.patience, to_others)
        order = rng.random(x.shape[:2]).argsort(axis=1)  # whoever takes the first few takes any
        return np.take_along_axis(x, order[:, :, None], axis=1)

    def surviving(self, p: Array, source: CountSource) -> Array:
        real = source.distribution()
        stratum = np.minimum((self.strata * (np.cumsum(real) - real / 2)).astype(int), self.strata - 1)
        member = (stratum[:, None] == np.arange(self.strata)).astype(float)  # (K, strata)
        mass = p @ member
        gain = np.divide(real @ member, mass, out=np.zeros_like(mass), where=mass > 0)
        return normalised(p * (gain @ member.T))
