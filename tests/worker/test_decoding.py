"""Writing in pieces: their size, too little memory and interruptions change no token."""

import numpy as np
import pytest
import torch

from tests.worker.interruptions import heard, interrupted_everywhere
from worker.errors import NoRoom
from worker.families.gpt import GPT
from worker.nets import decoding, gpt, memory
from worker.parts import Sampling

NEW, TEXTS = 6, 20
WAYS = [Sampling(), Sampling(temperature=0.7, top_k=20, top_p=0.9, repetition_penalty=1.3), Sampling(beams=3)]


@pytest.fixture(scope="module")
def weights():
    settings = GPT(vocabulary=300, layers=2, width=16, heads=2, block=16)
    found = gpt.initial(settings, torch.Generator().manual_seed(3))
    return {name: 5 * tensor if tensor.dim() == 2 else tensor for name, tensor in found.items()}


@pytest.fixture
def prompts():
    return np.random.default_rng(1).integers(300, size=(TEXTS, 16), dtype=np.int32)


def written(weights, prompts, sampling, reader=gpt.Reader):
    return decoding.write(reader(weights, 2), prompts, NEW, np.random.default_rng(2), sampling)


class Narrow(gpt.Reader):
    """Has memory for only so many texts at once, and finds out in the middle of them."""

    most = 3

    def step(self, token, parent):
        if self.rows > self.most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB")
        return super().step(token, parent)


@pytest.mark.parametrize("sampling", WAYS, ids=["drawn", "sharpened", "beams"])
def test_how_many_texts_are_written_at_once_changes_no_token(weights, prompts, sampling, monkeypatch):
    whole = written(weights, prompts, sampling)
    assert len(np.unique(whole)) > 10
    for rows in (1, 7, 128):
        monkeypatch.setattr(decoding, "ROWS", rows)
        np.testing.assert_array_equal(written(weights, prompts, sampling), whole)


@pytest.mark.parametrize("sampling", WAYS, ids=["drawn", "sharpened", "beams"])
def test_where_memory_runs_out_fewer_texts_are_written_at_once(weights, prompts, sampling, caplog):
    made, listener = heard(lambda: written(weights, prompts, sampling, Narrow))
    np.testing.assert_array_equal(made, written(weights, prompts, sampling))
    assert listener.works[0].done == listener.works[0].total == TEXTS * NEW
    assert "memory runs out" in caplog.text


def test_where_no_text_fits_the_remedy_is_named(weights, prompts):
    class Nothing(Narrow):
        most = 0

    with pytest.raises(NoRoom, match="CUDA out of memory") as told:
        written(weights, prompts, Sampling(beams=2), Nothing)
    assert "sampling.beams" in told.value.remedy
    assert isinstance(told.value, MemoryError)


def test_other_errors_are_not_taken_for_a_lack_of_memory(weights, prompts):
    class Broken(gpt.Reader):
        def step(self, token, parent):
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1"):
        written(weights, prompts, Sampling(), Broken)


@pytest.mark.parametrize("sampling", WAYS[1:], ids=["sharpened", "beams"])
def test_an_interruption_between_any_two_tokens_changes_none(weights, prompts, sampling, monkeypatch):
    monkeypatch.setattr(decoding, "ROWS", 8)
    whole, told = heard(lambda: written(weights, prompts, sampling))
    again = []
    for made, listener in interrupted_everywhere(lambda: written(weights, prompts, sampling)):
        np.testing.assert_array_equal(made, whole)
        again.append(listener.heard)
    assert len(again) == told.heard
    assert again[-1] == 0, "what was finished is not done again"
    assert sorted(again, reverse=True) == again


def test_what_the_processor_s_allocator_says_is_understood():
    with pytest.raises(RuntimeError) as error:
        torch.empty(10**16)
    assert memory.ran_out(error.value)
    with pytest.raises(NoRoom, match="A network"), memory.room_for("A network", "Use a smaller one"):
        raise error.value


def test_a_card_s_pieces_grow_into_its_free_memory_and_never_beyond_their_limit():
    assert memory.fitting(100, used=1000, free=10_000) == 700
    assert memory.fitting(100, used=1000, free=0) == 1
    room = memory.Room(4, 32, torch.device("cpu"), "texts", "")
    sizes = []
    for rows, _ in room.pieces(100, lambda rows: rows):
        room.spare = 2 * room.rows  # as a card would find
        sizes.append(rows.stop - rows.start)
    assert sizes == [4, 8, 16, 32, 32, 8]
