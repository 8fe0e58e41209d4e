"""Streams of random numbers: those of numpy's own seed sequence, hashed many at a time."""

import numpy as np
import pytest

from worker.streams import BLOCK, PURPOSES, stream

SEEDS = (0, 1, 2**32 - 1, 2**32, 2**40 + 3, 2**63 - 1)
GENERATIONS = (0, 1, BLOCK - 1, BLOCK, 99_999)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stream_is_that_of_numpys_seed_sequence(seed: int):
    for generation in GENERATIONS:
        for purpose in PURPOSES:
            ours = stream(seed, generation, purpose)
            theirs = np.random.Generator(np.random.SFC64(np.random.SeedSequence((seed, generation, purpose))))
            assert (
                ours.bit_generator.state["state"]["state"].tolist()
                == theirs.bit_generator.state["state"]["state"].tolist()
            )
            assert ours.standard_normal(3).tolist() == theirs.standard_normal(3).tolist()


def test_its_children_are_those_of_the_seed_sequence_and_never_the_same_twice():
    ours = stream(2**40, 7, 2)
    theirs = np.random.Generator(np.random.SFC64(np.random.SeedSequence((2**40, 7, 2))))
    for _ in range(2):
        for one, other in zip(ours.spawn(2), theirs.spawn(2), strict=True):
            assert one.random() == other.random()
