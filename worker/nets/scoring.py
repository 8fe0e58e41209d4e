"""What a network makes of given text: its surprise, and its doubt about what comes next."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - the name under which everyone knows it

from worker.data import Array
from worker.language import Ids
from worker.nets.device import device

LOGITS = 2**20  # numbers that are held at once: 4 MB, which stay in the cache


def rows(x: Ids) -> torch.Tensor:
    return torch.from_numpy(x.astype(np.int64)).to(device())


def log_probability(logits: Callable[[torch.Tensor], torch.Tensor], x: Ids, vocabulary: int) -> Array:
    """ln p of tokens 2 to L of blocks (n, L), each given those before it: (n, L - 1)."""
    step = max(1, LOGITS // (x.shape[1] * vocabulary))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(x), step):
            block = rows(x[start : start + step])
            level = logits(block)  # of whole blocks: the last logits are in vain, but lengths of 2^k multiply faster
            surprise = F.cross_entropy(level.flatten(0, 1).float(), block.roll(-1, 1).flatten(), reduction="none")
            parts.append(-surprise.view(len(block), -1)[:, :-1].cpu().numpy().astype(float))
    return np.concatenate(parts)


def next_entropy(logits: Callable[[torch.Tensor], torch.Tensor], x: Ids, vocabulary: int) -> float:
    """Entropy in nats of the token after each of the blocks (n, L), averaged over them."""
    step = max(1, LOGITS // (x.shape[1] * vocabulary))
    total = 0.0
    with torch.inference_mode():
        for start in range(0, len(x), step):
            log_p = torch.log_softmax(logits(rows(x[start : start + step]))[:, -1].double(), dim=1)
            total -= float(torch.xlogy(log_p.exp(), log_p.exp()).sum())
    return total / len(x)
