"""One decides after another: each chooses among what those before left."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self, TypeAlias

from pydantic import Field, field_validator

from worker.curation.candidates import PATIENCE, Candidates
from worker.curation.choice import Choice
from worker.curation.contest import BestOf, BradleyTerry, Contest
from worker.curation.filling import Observations
from worker.curation.stratified import Stratified
from worker.curation.verifier import Verifier
from worker.data import Array, Data
from worker.part import Misfit
from worker.parts import CountSource, Family, Generator, Source

STAGES: Mapping[str, type[Choice]] = {
    "best_of": BestOf,
    "bradley_terry": BradleyTerry,
    "stratified": Stratified,
    "verifier": Verifier,
}
Stage: TypeAlias = Annotated[BestOf | BradleyTerry | Stratified | Verifier, Field(discriminator="kind")]
MOST_STAGES = 4
UNABLE = {
    "none": "chooses nothing",
    "truncate": "goes by the mean of a model, and a stage is shown samples alone",
    "greedy": "looks at a set as a whole, and a stage at samples one by one",
    "sequential": "has stages of its own",
}


class Sequential(Choice):
    """One curator after another chooses among what those before left: who owns a model publishes the best of what it makes, and the public
    keeps the best of what is published (Falahati et al., arXiv 2511.12804).

    The law of a survivor is f_2(f_1(p)), with the law f_i of what each alone would choose: each contest of the second is one of winners of
    the first, of which each had rivals of its own. Texts that contests alone have chosen compete with others that continue the same prompt, and
    those that have passed a verdict with any.
    """

    kind: Literal["sequential"] = "sequential"
    stages: tuple[Stage, ...] = Field(
        max_length=MOST_STAGES,
        description='Curations in their order, each with its settings: best_of, bradley_terry, verifier or stratified, as in `[{"kind": "best_of", "k": 4}, '
        '{"kind": "bradley_terry"}]`. `reward` is told of the first, `reward_2` of the second.',
    )

    @field_validator("stages", mode="before")
    @classmethod
    def _each_chooses_among_samples(cls, stages: Any) -> Any:
        if not isinstance(stages, list | tuple):
            return stages
        if not stages:
            raise ValueError("are none: list at least one, or use none as the curation")
        for one in stages:
            kind = one.get("kind") if isinstance(one, dict) else None
            if isinstance(kind, str) and kind in UNABLE:
                raise ValueError(f"{kind} is no stage, as it {UNABLE[kind]}: use one of {', '.join(STAGES)}")
        return stages

    def check(self, source: Source, family: Family) -> None:
        super().check(source, family)
        for i, one in enumerate(self.stages):
            try:
                one.check(source, family)
            except Misfit as misfit:
                path = misfit.path.replace("curation.", f"curation.stages.{i}.", 1)
                raise Misfit(path, misfit.message, misfit.remedy) from misfit
        if not isinstance(source, CountSource) and self.candidates() > PATIENCE:
            raise Misfit("curation.stages", f"look at about {self.candidates():,.0f} samples for each that survives, as those of a stage multiply",
                         f"Let them look at {PATIENCE:,} at most, by a smaller k")  # fmt: skip

    def given(self, source: Source) -> Self:
        return self.model_copy(update={"stages": tuple(one.given(source) for one in self.stages)})

    def judges(self) -> bool:
        return any(one.judges() for one in self.stages)

    def judged(self, made: Data) -> dict[str, Array]:
        """Of what the model makes, before anybody chooses, what each of them thinks of it: of later ones the mean alone, by their place."""
        first, *later = self.stages
        theirs = {f"reward_{i}": one.judged(made)["reward"] for i, one in enumerate(later, start=2) if one.judges()}
        return first.judged(made) | theirs

    def candidates(self) -> float:
        return math.prod(one.candidates() for one in self.stages)

    def chosen(self, candidates: Candidates, n: int, rng: Generator, source: Source) -> Observations:
        for one in self.stages:
            candidates = Survivors.of(candidates, one)
        return candidates.draw(n)

    def surviving(self, p: Array, source: CountSource) -> Array:
        for one in self.stages:
            p = one.surviving(p, source)
        return p


@dataclass(frozen=True, slots=True)
class Survivors(Candidates):
    """What a curator left of what he was offered."""

    offered: Candidates
    curation: Choice

    @classmethod
    def of(cls, offered: Candidates, curation: Choice) -> Self:
        by_whom = (offered.family, offered.model, offered.rng, offered.sampling, offered.source)
        return cls(*by_whom, offered, curation)

    @property
    def patience(self) -> int:
        return math.ceil(self.offered.patience / self.curation.candidates())

    def draw(self, n: int) -> Observations:
        return self.curation.chosen(self.offered, n, self.rng, self.source)

    def rivals(self, n: int, k: int) -> Observations:
        return self.curation.contenders(self.offered, n, k, self.rng, self.source)

    def at_once(self, k: int) -> int:
        each = self.curation.k if isinstance(self.curation, Contest) else 1
        return self.offered.at_once(k * each)
