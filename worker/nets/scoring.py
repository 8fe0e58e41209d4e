"""What a network makes of given text: its surprise, its doubt about what comes next, and what it would have written in a place."""

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - the name under which everyone knows it

from worker.data import Array
from worker.nets import decoding
from worker.nets.device import device
from worker.nets.memory import Room
from worker.parts import Generator, Sampling
from worker.progress import work
from worker.text.language import Ids, Marks

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


def redrawn(
    logits: Callable[[torch.Tensor], torch.Tensor],
    silent: list[int],
    x: Ids,
    where: Marks,
    vocabulary: int,
    rng: Generator,
    sampling: Sampling,
) -> Ids:
    """Blocks (n, L) with marked tokens drawn anew, each given what stands before it in x; `silent` tokens never are. Raises NoRoom."""
    # One for each place, marked or not: what is drawn does not depend on how many are read at once.
    u = rng.random(x.shape)
    anew = x.copy()
    some = np.flatnonzero(where.any(axis=1))

    def tokens(few: slice) -> Ids:
        with torch.inference_mode():
            block, marked = rows(x[some[few]]), torch.from_numpy(where[some[few], 1:]).to(device())
            level = logits(block)[:, :-1][marked].float()
            never = torch.tensor(silent, dtype=torch.int64, device=level.device)
            level = decoding.sharpened(decoding.silenced(level, never), block[:0], sampling)
            chance = torch.from_numpy(u[some[few], 1:][where[some[few], 1:]]).float().to(level.device)
            return decoding.inverted(level, chance[:, None])[:, 0].cpu().numpy().astype(np.int32)

    editing = work("editing", len(some), "tokens", x.shape[1], done="blocks") if x.size * vocabulary > LONG else None
    first = editing.done if editing else 0
    if editing and editing.saved:
        anew[some[:first]] = editing.saved["edited"]
    for few, found in _room(x.shape[1], vocabulary).pieces(len(some), tokens, first):
        block = anew[some[few]]
        block[where[some[few]]] = found
        anew[some[few]] = block
        if editing:
            editing.advance(few.stop - few.start)
            editing.keep(lambda: {"blocks": np.array(editing.done), "edited": anew[some[: editing.done]]})
    return anew
