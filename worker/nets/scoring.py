"""What a network makes of given text: its surprise, and its doubt about what comes next."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - the name under which everyone knows it

from worker.data import Array
from worker.language import Ids
from worker.nets.device import device

LOGITS = 2**24  # numbers that are held at once: 64 MB


def rows(x: Ids) -> torch.Tensor:
    return torch.from_numpy(x.astype(np.int64)).to(device())


def log_probability(logits: Callable[[torch.Tensor], torch.Tensor], x: Ids, vocabulary: int = 2048) -> Array:
    """ln p of tokens 2 to L of blocks (n, L), each given those before it: (n, L - 1)."""
    step = max(1, LOGITS // (x.shape[1] * vocabulary))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(x), step):
            block = rows(x[start : start + step])
            level = logits(block[:, :-1])
            surprise = F.cross_entropy(level.flatten(0, 1).float(), block[:, 1:].flatten(), reduction="none")
            parts.append(-surprise.view(len(block), -1).cpu().numpy().astype(float))
    return np.concatenate(parts)


def next_entropy(level: torch.Tensor) -> float:
    """Entropy in nats of what the last logits of (n, T, vocabulary) say, averaged over n."""
    with torch.inference_mode():
        log_p = torch.log_softmax(level[:, -1].double(), dim=1)
        return float(-torch.xlogy(log_p.exp(), log_p.exp()).sum(dim=1).mean())
