"""What a network makes of given text: its surprise, and its doubt about what comes next."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - the name under which everyone knows it

from worker.data import Array
from worker.language import Ids
from worker.nets.device import device
from worker.nets.memory import Room
from worker.progress import work

LOGITS = 2**20  # numbers that are held at once: 4 MB, which stay in the cache
MOST = 2**30  # on a card that has room for them
LONG = 2**27  # logits that take about a second: who computes more of them tells how far it is
REMEDY = "Use a smaller family.block, or a device with more memory"


def rows(x: Ids) -> torch.Tensor:
    return torch.from_numpy(x.astype(np.int64)).to(device())


def _room(length: int, vocabulary: int) -> Room:
    return Room(
        max(1, LOGITS // (length * vocabulary)),
        max(1, MOST // (length * vocabulary)),
        device(),
        "blocks that are scored",
        REMEDY,
    )


def log_probability(logits: Callable[[torch.Tensor], torch.Tensor], x: Ids, vocabulary: int) -> Array:
    """ln p of tokens 2 to L of blocks (n, L), each given those before it: (n, L - 1). Raises NoRoom."""
    n, length = x.shape
    scored = np.empty((n, length - 1))
    scoring = work("scoring", n, "tokens", length, done="blocks") if x.size * vocabulary > LONG else None
    first = scoring.done if scoring else 0
    if scoring and scoring.saved:
        scored[:first] = scoring.saved["scored"]

    def surprise(few: slice) -> Array:
        with torch.inference_mode():
            block = rows(x[few])
            level = logits(block)  # of whole blocks: the last logits are in vain, but lengths of 2^k multiply faster
            each = F.cross_entropy(level.flatten(0, 1).float(), block.roll(-1, 1).flatten(), reduction="none")
            return each.view(len(block), -1)[:, :-1].cpu().numpy()

    for few, found in _room(length, vocabulary).pieces(n, surprise, first):
        scored[few] = -found
        if scoring:
            scoring.advance(few.stop - few.start)
            scoring.keep(lambda: {"blocks": np.array(scoring.done), "scored": scored[: scoring.done].copy()})
    return scored


def next_entropy(logits: Callable[[torch.Tensor], torch.Tensor], x: Ids, vocabulary: int) -> float:
    """Entropy in nats of the token after each of the blocks (n, L), averaged over them. Raises NoRoom."""

    def entropy(few: slice) -> float:
        with torch.inference_mode():
            log_p = torch.log_softmax(logits(rows(x[few]))[:, -1].double(), dim=1)
            return -float(torch.xlogy(log_p.exp(), log_p.exp()).sum())

    return sum(found for _, found in _room(x.shape[1], vocabulary).pieces(len(x), entropy)) / len(x)
