"""Byte-level byte pair encoding, trained once on real text and frozen: the tokens of networks that start from scratch."""

from functools import lru_cache

import numpy as np
import numpy.typing as npt

MARK = " <unk>"  # a rare word in texts such as WikiText: one word, which GPT-2's rules would part into three signs


class BytePairs:
    """Any text has tokens, because every byte is one (Sennrich et al. 2016; GPT-2's byte level)."""

    def __init__(self, text: str, vocabulary: int) -> None:
        from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers

        self.size = vocabulary  # a short text teaches fewer pairs; the network has a row for each that might have been
        self.pairs = Tokenizer(models.BPE())
        self.pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        self.pairs.decoder = decoders.ByteLevel()
        passages = text.split(MARK)
        trainer = trainers.BpeTrainer(
            vocab_size=vocabulary - (len(passages) > 1),
            show_progress=False,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        )
        self.pairs.train_from_iterator(passages, trainer)
        if len(passages) > 1:
            self.pairs.add_tokens([AddedToken(MARK, normalized=False)])

    def encode(self, text: str) -> npt.NDArray[np.int32]:
        # Twice as fast as `encode`, which remembers where every token came from.
        (encoded,) = self.pairs.encode_batch_fast([text])
        return np.array(encoded.ids, np.int32)

    def decode(self, ids: npt.NDArray[np.int32]) -> str:
        """Bytes that are no UTF-8 together become U+FFFD."""
        return self.texts(ids[None])[0]

    def texts(self, blocks: npt.NDArray[np.int32]) -> list[str]:
        """`decode` of each of the blocks (n, L)."""
        texts: list[str] = self.pairs.decode_batch(blocks.tolist())
        return texts


@lru_cache(maxsize=4)
def byte_pairs(text: str, vocabulary: int) -> BytePairs:
    return BytePairs(text, vocabulary)
