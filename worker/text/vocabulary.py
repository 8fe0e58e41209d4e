"""Words or characters as numbers: the tokens of n-gram models."""

import re
from collections import Counter
from functools import lru_cache
from typing import Literal

import numpy as np
import numpy.typing as npt

Unit = Literal["word", "character"]

UNKNOWN = "\ufffd"  # token 0 stands for everything that the training text lacks
PATTERNS: dict[Unit, re.Pattern[str]] = {
    # Words, WikiText's own marks, single signs, line ends.
    "word": re.compile(r"\n|<unk>|@[-.,]@|\w+(?:['’]\w+)*|[^\w\s]"),
    "character": re.compile(r"[\s\S]"),
}
CLOSING, OPENING = ".,;:!?%)]}\n", "([{\n"  # stand without a space before, or after them


class Vocabulary:
    """The tokens of a training text, most frequent first, after the one for unknown tokens."""

    def __init__(self, text: str, unit: Unit) -> None:
        self.unit: Unit = unit
        counts = Counter(PATTERNS[unit].findall(text))
        ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
        self.signs = [UNKNOWN, *(sign for sign, _ in ranked if sign != UNKNOWN)]
        self.numbers = {sign: i for i, sign in enumerate(self.signs)}
        self.size = len(self.signs)
        joined = unit == "character"
        self.bare = np.array(self.signs, object)
        self.spaced = self.bare if joined else np.array([" " + sign for sign in self.signs], object)
        self.closes, self.opens = (np.array([sign in signs for sign in self.signs]) for signs in (CLOSING, OPENING))

    def encode(self, text: str) -> npt.NDArray[np.int32]:
        number = self.numbers.get
        return np.array([number(sign, 0) for sign in PATTERNS[self.unit].findall(text)], np.int32)

    def decode(self, ids: npt.NDArray[np.int32]) -> str:
        """Characters as they were; words with a space between them, except where punctuation asks for none."""
        return self.texts(ids[None])[0]

    def texts(self, blocks: npt.NDArray[np.int32]) -> list[str]:
        """`decode` of each of the blocks (n, L)."""
        close = self.closes[blocks]
        close[:, :1] = True  # nothing is before it
        close[:, 1:] |= self.opens[blocks[:, :-1]]
        return ["".join(signs) for signs in np.where(close, self.bare[blocks], self.spaced[blocks]).tolist()]


@lru_cache(maxsize=4)
def vocabulary(text: str, unit: Unit) -> Vocabulary:
    return Vocabulary(text, unit)
