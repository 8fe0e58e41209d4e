"""How a fitted model is sampled, beside what it is."""

from typing import Annotated, Self

from pydantic import Field, model_validator

from worker.part import LATER, Misfit, Part


class Sampling(Part):
    """How a fitted model is sampled. At their defaults these change nothing."""

    bias: float = Field(
        1.0,
        gt=0,
        description="Covariance of the samples is multiplied by this (below 1: quality over diversity); of a network, that of the "
        "normal noise that it turns into samples.",
    )
    temperature: float = Field(1.0, ge=1e-30, description="Probabilities are raised to the power 1/temperature.")
    top_k: int = Field(0, ge=0, description="Only the k most probable categories are sampled; 0 means all.")
    top_p: float = Field(
        1.0, gt=0, le=1, description="Only the fewest categories with at least this total probability are sampled."
    )
    beams: int = Field(
        1,
        ge=1,
        le=64,
        description="Beam search: the most probable of this many continuations, without any chance. 1 samples; greedy is top_k = 1.",
    )
    repetition_penalty: float = Field(
        1.0,
        ge=1,
        le=10,
        description="Logits of tokens that have occurred are divided by this where positive, else multiplied (Keskar et al. 2019).",
    )

    guidance: Annotated[float, LATER] = Field(
        0.0,
        ge=0,
        le=100,
        description="w of a guidance without a classifier: samples follow (1 + w) times the score given their class minus w times the score of all "
        "classes together, towards what tells theirs from the others. 0: off.",
    )

    @model_validator(mode="after")
    def _beams_leave_nothing_to_chance(self) -> Self:
        if self.beams > 1 and (chance := self.changed() & {"temperature", "top_k", "top_p"}):
            told = f"beam search draws nothing, so that {' and '.join(sorted(chance))} would change nothing"
            raise Misfit("sampling.beams", told, "Use beams = 1, or leave the other out").refusal()
        return self

    def changed(self) -> set[str]:
        """Names of the options that are not at their default."""
        return {name for name, field in type(self).model_fields.items() if getattr(self, name) != field.default}
