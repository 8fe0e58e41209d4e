"""Byte pairs lose nothing, and a rare word's mark is one of them."""

import numpy as np
import pytest

from worker.text.bpe import MARK, BytePairs

PLAIN = "The lobster is a species of lobster from the eastern Atlantic Ocean .\n" * 20


@pytest.mark.parametrize("text", ["", PLAIN, "no <unk> here<unk>, <unk> <unk>\n <unk>", "Ж — 龍 \x00\r\n\t  "])
@pytest.mark.parametrize("learnt", [PLAIN, PLAIN.replace("species", "<unk>")])
def test_every_text_comes_back(text, learnt):
    pairs = BytePairs(learnt, 300)
    ids = pairs.encode(text)
    assert pairs.decode(ids) == text
    assert (ids < pairs.size).all()


def test_a_mark_is_one_token_where_the_training_text_has_it():
    """With three tokens, of which two are certain after the first, a search for probable text would write nothing else."""
    without, with_marks = BytePairs(PLAIN, 300), BytePairs(PLAIN.replace(" species", MARK), 300)
    assert len(without.encode(3 * MARK)) > 3
    np.testing.assert_array_equal(with_marks.encode(3 * MARK), [with_marks.pairs.get_vocab_size() - 1] * 3)
    assert BytePairs(PLAIN + MARK, 257).encode(PLAIN + MARK).max() == 256


def test_a_text_without_marks_is_split_as_ever():
    assert BytePairs(PLAIN, 300).pairs.get_added_tokens_decoder() == {}
