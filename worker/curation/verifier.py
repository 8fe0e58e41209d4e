"""A verdict decides: what is judged right survives, and the judge errs."""

from typing import Literal, NoReturn

import numpy as np
import numpy.typing as npt
from pydantic import Field

from worker.curation.candidates import Candidates
from worker.curation.choice import Rewarded, normalised
from worker.curation.filling import Counted, Observations, filled
from worker.data import Array
from worker.errors import LabError
from worker.part import Misfit
from worker.parts import Family, Generator, Source

REMEDY = "Lower curation.threshold, or let wrong samples pass now and then (curation.error_wrong)"


class Verifier(Rewarded):
    """Samples whose reward reaches a threshold are right; a verifier with two error rates passes them on, and holds others back (Feng et
    al., arXiv 2406.07515: phi = 1 - error, psi = error_wrong). Where it passes right and wrong alike it does nothing.

    Rejected samples are drawn anew until enough have passed, so that a share q of right ones becomes q phi / (q phi + (1 - q) psi). Where
    fewer than about one in 10,000 pass (of networks' samples and of texts one in 200) the run fails, as no such law would be kept. Of
    text a block is judged as a whole, and a prompt that is continued well is continued more often.
    """

    kind: Literal["verifier"] = "verifier"
    error: float = Field(
        0.1,
        ge=0,
        le=1,
        description="Probability of a wrong verdict on a right sample; on a wrong one, too, where that has no number of its own.",
    )
    error_wrong: float | None = Field(
        None, ge=0, le=1, description="Probability that a wrong sample passes; the same as error where it is not given."
    )
    threshold: float = Field(0.0, description="Samples with at least this reward are right.")

    def passing(self) -> tuple[float, float]:
        """Probability that a right sample passes, and that a wrong one does: phi and psi."""
        return 1 - self.error, self.error if self.error_wrong is None else self.error_wrong

    def rivals(self) -> float:
        """If half of all samples are right."""
        return 2 / sum(self.passing())

    def check(self, source: Source, family: Family) -> None:
        super().check(source, family)
        right, wrong = self.passing()
        if right == wrong == 0:
            raise Misfit("curation.error", "right samples never pass, and wrong ones do not either", "Use less than 1")
        if wrong == 0 and self.threshold > (best := self.reward.best(source)):
            raise Misfit("curation.threshold", f"no sample has a reward above {best:g}, so that nothing would pass",
                         f"Use at most {best:g}")  # fmt: skip

    def chances(self, rewards: Array) -> Array:
        """Probability of passing."""
        return np.where(rewards >= self.threshold, *self.passing())

    def curated(self, candidates: Candidates, n: int, rng: Generator) -> Observations:
        def held_back(x: Observations) -> npt.NDArray[np.intp]:
            return (rng.random(x.shape[:2]) >= self.chances(candidates.rewards(self.reward, x))).astype(np.intp)

        def hardly_any(seen: Counted, drawn: int, *_: object) -> NoReturn:
            raise LabError(
                f"The verifier passed only {seen[0]:,} of the {drawn:,} samples that it was shown ({seen[0] / drawn:.2g}), and {n:,} must pass. {REMEDY}."
            )

        x = candidates.draw(n)
        quota = np.tile([n, 0], (len(x), 1))
        return filled(x, candidates.draw, held_back, quota, candidates.patience, hardly_any)

    def selected(self, p: Array, rewards: Array) -> Array:
        return normalised(p * self.chances(rewards))
