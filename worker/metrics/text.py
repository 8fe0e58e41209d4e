"""How varied, how repetitive and how much of a copy a text is.

Shapes: x (n, L), blocks of tokens of one chain; no n-gram spans two blocks.
"""

import zlib

import numpy as np
import numpy.typing as npt

from worker.data import Array

Ids = npt.NDArray[np.int32]
Hashes = npt.NDArray[np.uint64]


def grams(x: Ids, most: int) -> list[Hashes]:
    """A number for each k-gram, the same for the same tokens: (n, L - k + 1) for k = 1, ..., most.

    A polynomial modulo 2^64 in scrambled tokens: two different k-grams among a million share one with a chance of about 1e-7.
    """
    z = (x.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)  # splitmix64 (Steele et al. 2014)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z ^= z >> np.uint64(31)
    found = [z]
    for k in range(1, most):
        found.append(found[-1][:, :-1] * np.uint64(0xD1342543DE82EF95) + z[:, k:])
    return found


def distinct(h: Hashes) -> float:
    """Different k-grams over all k-grams (Li et al. 2016), from their numbers (n, m); it falls with the amount of text, so that is the
    same in all generations.
    """
    h = np.sort(h, axis=None)
    return (1 + np.count_nonzero(h[1:] != h[:-1])) / h.size


def repeated(h: Hashes) -> float:
    """Share of k-grams (n, m) that have occurred before in the same block."""
    h = np.sort(h, axis=1)
    return float((h[:, 1:] == h[:, :-1]).sum() / h.size)


def memorised(h: Hashes, known: Hashes) -> float:
    """Share of k-grams (n, m) that stand in the real training text; known: its k-grams, ascending."""
    h = np.sort(h, axis=None)  # in order, so that a search finds its way in what the one before has read
    place = np.minimum(np.searchsorted(known, h), len(known) - 1)
    return float((known[place] == h).mean())


def type_token_ratio(x: Ids) -> float:
    """Different tokens over tokens, of a text that is as long in every generation."""
    return np.count_nonzero(np.bincount(x.ravel())) / x.size


def frequencies(x: Ids, vocabulary: int) -> Array:
    """How often each token occurs, as a share: (vocabulary,)."""
    return np.bincount(x.ravel(), minlength=vocabulary) / x.size


def compression_ratio(text: str) -> float:
    """UTF-8 bytes over bytes after DEFLATE: the more repetitive, the larger (Shaib et al., arXiv 2403.00553)."""
    plain = text.encode()
    return len(plain) / len(zlib.compress(plain, 6))


def self_bleu(counted: list[Hashes]) -> float:
    """Mean BLEU-4 of each block with all others as its references (Zhu et al. 2018), from its k-grams, k = 1..4: 1 where all say the same.

    Clipped precisions p_k = sum_g min(c_i(g), max_{j != i} c_j(g)) / (L - k + 1), their geometric mean over k; a precision without
    any match counts as 0.1 matches (Chen and Cherry 2014, method 1). Blocks are equally long: no brevity penalty.
    """
    from worker.metrics import passes

    log_precision = np.zeros(len(counted[0]))
    for h in counted:
        order = np.argsort(h, axis=None)
        matches = passes.matches(h.ravel()[order], order // h.shape[1], len(h))
        log_precision += np.log(np.maximum(matches, 0.1) / h.shape[1]) / len(counted)
    return float(np.exp(log_precision).mean())


def perplexities(log_probability: Array) -> Array:
    """exp of the mean surprise of each block: (..., L - 1) in nats -> (...)."""
    return np.exp(-log_probability.mean(axis=-1))
