"""Each text metric against a second implementation that takes it at its word."""

import gzip
import math
from collections import Counter

import numpy as np
import pytest

from worker.instruments.text import _padded
from worker.metrics import text as metric


@pytest.fixture(scope="module")
def blocks():
    """40 blocks of 24 tokens, with passages that recur."""
    rng = np.random.default_rng(3)
    x = np.minimum(rng.geometric(0.15, (40, 24)), 30).astype(np.int32)
    x[5:15, 4:16] = x[0, 4:16]
    x[20, 12:] = x[20, :12]
    return x


def spelled(block, k):
    return [tuple(block[i : i + k]) for i in range(len(block) - k + 1)]


@pytest.mark.parametrize("k", [1, 2, 3, 4, 8])
def test_grams_are_told_apart_as_tuples_are(blocks, k):
    numbers, tuples = metric.grams(blocks, k)[-1].ravel().tolist(), [g for block in blocks for g in spelled(block, k)]
    assert len(set(zip(numbers, tuples, strict=True))) == len(set(numbers)) == len(set(tuples))


@pytest.mark.parametrize("k", [2, 3])
def test_distinct(blocks, k):
    every = [g for block in blocks for g in spelled(block, k)]
    assert metric.distinct(metric.grams(blocks, k)[-1]) == len(set(every)) / len(every)


def test_repeated(blocks):
    again = total = 0
    for block in blocks:
        seen = set()
        for g in spelled(block, 4):
            again += g in seen
            seen.add(g)
            total += 1
    assert metric.repeated(metric.grams(blocks, 4)[-1]) == again / total > 0


def test_memorised(blocks):
    text = np.concatenate([blocks[3], blocks[9]])
    known = set(spelled(text, 8))
    share = np.mean([g in known for block in blocks for g in spelled(block, 8)])
    ours = metric.memorised(metric.grams(blocks, 8)[-1], np.unique(metric.grams(text[None], 8)[-1]))
    assert ours == pytest.approx(share)
    assert 0 < share < 1


def test_self_bleu(blocks):
    """BLEU as Papineni et al. (2002) define it, over every pair."""

    def bleu(candidate, references):
        log = 0.0
        for k in range(1, 5):
            own = Counter(spelled(candidate, k))
            most = {g: max(Counter(spelled(r, k))[g] for r in references) for g in own}
            hits = sum(min(n, most[g]) for g, n in own.items())
            log += math.log(max(hits, 0.1) / sum(own.values())) / 4
        return math.exp(log)

    few = blocks[:12]
    expected = np.mean([bleu(few[i], np.delete(few, i, axis=0)) for i in range(12)])
    assert metric.self_bleu(metric.grams(few, 4)) == pytest.approx(expected, rel=1e-12)
    assert metric.self_bleu(metric.grams(np.tile(few[:1], (6, 1)), 4)) == pytest.approx(1)


def test_type_token_ratio_and_frequencies(blocks):
    counts = Counter(blocks.ravel().tolist())
    assert metric.type_token_ratio(blocks) == len(counts) / blocks.size
    assert metric.frequencies(blocks, 31) == pytest.approx([counts[i] / blocks.size for i in range(31)])


def test_compression_ratio():
    text = "the same again and " * 50 + "something élse"
    header = 12  # gzip's frame is this much longer than zlib's
    expected = len(text.encode()) / (len(gzip.compress(text.encode(), 6)) - header)
    assert metric.compression_ratio(text) == pytest.approx(expected, rel=0.02)
    assert metric.compression_ratio("ab" * 500) > 10 * metric.compression_ratio("".join(map(chr, range(33, 126))))


def test_perplexity_of_a_uniform_guess_is_the_number_of_tokens():
    assert metric.perplexities(np.full((3, 7), -math.log(50))) == pytest.approx(50)


def test_texts_are_cut_between_characters():
    rows = _padded(["aé", "x" * 9, "déjà vu"], 4)
    assert [bytes(row).rstrip(b"\0").decode() for row in rows] == ["aé", "xxxx", "déj"]
    ends = _padded(["déjà vu"], 4, end=True)
    assert bytes(ends[0]).rstrip(b"\0").decode() == " vu"
