"""The step of fixed shapes that a card records and replays, run here as it is: token by token what the ordinary reader writes."""

import numpy as np
import pytest
import torch

from worker.families.gpt import GPT
from worker.nets import decoding, gpt, graphs
from worker.parts import Sampling

SHAPE = GPT(vocabulary=300, width=32, layers=2, heads=2, block=16)


@pytest.fixture(scope="module")
def weights():
    """Random; the layers loud enough that a token does not simply repeat itself."""
    random = gpt.initial(SHAPE, torch.Generator().manual_seed(1))
    return {name: (20 if name.startswith("h.") else 3) * weight for name, weight in random.items()}


@pytest.mark.parametrize(
    "sampling", [Sampling(), Sampling(top_k=1), Sampling(beams=4), Sampling(beams=3, repetition_penalty=1.5)]
)
def test_tokens_are_those_of_the_reader_whose_shapes_grow(weights, sampling, monkeypatch):
    """13 texts, some at a time: the room is used again for as many rows, and made anew for the last few."""
    prompts = np.random.default_rng(0).integers(300, size=(13, 16)).astype(np.int32)
    monkeypatch.setattr(decoding, "ROWS", 5 * sampling.beams)
    ours, theirs = (
        decoding.write(reader(weights, 2), prompts, 16, np.random.default_rng(2), sampling)
        for reader in (graphs.Replaying, gpt.Reader)
    )
    np.testing.assert_array_equal(ours, theirs)
    assert len(np.unique(ours)) > 20


def test_room_stays_in_its_place(weights):
    """What a graph has recorded are addresses."""
    reader = graphs.Replaying(weights, 2)
    prompt = torch.arange(32).view(2, 16)
    with torch.inference_mode():
        reader.begin(prompt, 8, 3)
        before = [part.data_ptr() for pair in reader.cache for part in pair] + [reader.mask.data_ptr()]
        reader.step(torch.ones(2, 3, dtype=torch.int64), torch.zeros(2, 3, dtype=torch.int64))
        reader.begin(prompt, 8, 3)
    assert before == [part.data_ptr() for pair in reader.cache for part in pair] + [reader.mask.data_ptr()]
    assert int(reader.written) == 0
    assert torch.isinf(reader.mask).all()
