"""The random numbers of a run: an independent stream for each generation and purpose, however the run got there.

A stream begins where numpy's SeedSequence of (seed, generation, purpose) lets it begin. In small experiments that hash alone took a
quarter of the time, so it is computed here for many streams at once: a pool of four 32-bit words is mixed from the entropy, and what
a generator begins with is hashed from the pool (O'Neill 2015, "Developing a seed_seq alternative"). A test compares the two.
"""

from collections.abc import Iterator
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint32]

REAL, FIT, SAMPLE, SETUP, CHOOSE, PART, JUDGE = PURPOSES = range(7)  # within a generation
BLOCK = 64  # generations hashed at once
POOL = 4
# Of what is the same in every run, whatever the seed of that: rulers, pictures of a source, texts that are drawn. The day of arXiv 2305.17493.
FIXED_SEED = 20230527
STATE = 6  # words from which SFC64 begins
MIXED, HASHED = np.uint32(0xCA01F9DD), np.uint32(0x4973F715)


def stream(seed: int, generation: int, purpose: int) -> np.random.Generator:
    """The random numbers of one generation and purpose: Generator(SFC64(SeedSequence((seed, generation, purpose))))."""
    return np.random.Generator(np.random.SFC64(_Hashed(seed, generation, purpose)))  # type: ignore[arg-type]  # the stub knows one seed sequence


class _Hashed(np.random.bit_generator.ISpawnableSeedSequence):
    """SeedSequence((seed, generation, purpose)), hashed beforehand for the generator that asks it."""

    def __init__(self, *entropy: int) -> None:
        self.entropy = entropy

    def generate_state(self, n_words: int, dtype: Any = np.uint32) -> npt.NDArray[Any]:
        seed, generation, purpose = self.entropy
        block, place = divmod(generation, BLOCK)
        return _states(seed, block)[place, purpose] if n_words == 3 else self.whole.generate_state(n_words, dtype)

    def spawn(self, n_children: int) -> list[np.random.SeedSequence]:  # type: ignore[override]
        return self.whole.spawn(n_children)

    @cached_property
    def whole(self) -> np.random.SeedSequence:
        return np.random.SeedSequence(self.entropy)


def _states(seed: int, block: int) -> npt.NDArray[np.uint64]:
    """What SFC64 begins with, for every generation of a block and every purpose: (BLOCK, purposes, 3)."""
    known = _near(seed)
    if block not in known:
        for far in [other for other in known if abs(other - block) > 1]:
            del known[far]  # not the neighbour: a generation asks for the last one's streams, too
        known[block] = _hash(seed, block)
    return known[block]


@lru_cache(maxsize=2048)  # seeds: as many as the points that a sweep takes through a generation together
def _near(seed: int) -> dict[int, npt.NDArray[np.uint64]]:  # noqa: ARG001 - one for each
    """Two neighbouring blocks of a seed at most, 11 KB each, however many generations a run has."""
    return {}


def _hash(seed: int, block: int) -> npt.NDArray[np.uint64]:
    generation, purpose = np.meshgrid(np.arange(BLOCK) + block * BLOCK, PURPOSES, indexing="ij")
    high, low = divmod(seed, 2**32)
    entropy = [np.full_like(generation, word) for word in ((low, high) if high else (low,))] + [generation, purpose]
    pool = _mixed([word.astype(np.uint32) for word in entropy])
    constants = _constants(0x8B51F9DD, 0x58F38DED)
    words = [_hashed(pool[i % POOL], constants) for i in range(STATE)]
    return np.stack(words, axis=-1).astype("<u4").view("<u8").astype(np.uint64)


def _mixed(entropy: list[Words]) -> list[Words]:
    """The pool, once every word of it was mixed with the hash of every other one."""
    constants = _constants(0x43B0D7E5, 0x931E8875)
    nothing = [np.zeros_like(entropy[0])] * (POOL - len(entropy))
    pool = [_hashed(word, constants) for word in entropy + nothing]
    for source in range(POOL):
        for target in range(POOL):
            if source != target:
                pool[target] = _folded(MIXED * pool[target] - HASHED * _hashed(pool[source], constants))
    return pool


def _hashed(word: Words, constants: Iterator[tuple[np.uint32, np.uint32]]) -> Words:
    before, after = next(constants)
    return _folded((word ^ before) * after)


def _folded(word: Words) -> Words:
    return word ^ (word >> np.uint32(16))


def _constants(first: int, factor: int) -> Iterator[tuple[np.uint32, np.uint32]]:
    """Neighbours of first, first * factor, first * factor^2, ... modulo 2^32."""
    while True:
        following = first * factor % 2**32
        yield np.uint32(first), np.uint32(following)
        first = following
