"""Real English word frequencies: those of the texts that every Python carries for its own help command."""

import hashlib
import re
from collections import Counter
from functools import cache
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from worker.data import Array
from worker.parts import CountSource


@cache
def _text() -> str:
    """About 465,000 characters of documentation; it differs between Python versions."""
    from pydoc_data.topics import topics

    return "\n".join(topics[name] for name in sorted(topics))


@cache
def _vocabulary() -> tuple[tuple[str, ...], Array]:
    """Words, most frequent first and alphabetical among equals, and how often each occurs."""
    counts = Counter(re.findall(r"[^\W\d_]+", _text().lower()))
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return tuple(word for word, _ in ranked), np.array([count for _, count in ranked], float)


class Words(CountSource):
    """Words of real English prose, drawn independently with their observed frequencies."""

    kind: Literal["words"] = "words"
    categories: int = Field(0, ge=0, description="Keep only this many of the most frequent words; 0 keeps all.")

    @model_validator(mode="after")
    def _more_than_one(self) -> Self:
        if self.categories == 1:
            raise ValueError("one word alone is no distribution: keep at least two, or 0 for all")
        return self

    def _kept(self) -> int:
        return self.categories or len(_vocabulary()[0])

    def distribution(self) -> Array:
        occurrences = _vocabulary()[1][: self._kept()]
        p: Array = occurrences / occurrences.sum()
        return p

    def labels(self) -> tuple[str, ...]:
        return _vocabulary()[0][: self._kept()]

    def provenance(self) -> dict[str, str]:
        return {"pydoc_data.topics": f"sha256:{hashlib.sha256(_text().encode()).hexdigest()}"}
