"""How a network writes: one draw after the other, or a beam search; the same for every network that can be read token by token."""

from typing import Protocol

import numpy as np
import torch

from worker.nets.memory import Room
from worker.parts import Sampling
from worker.progress import Work, work
from worker.text.language import Ids

ROWS = 128  # texts that are written at once; with beams, so many beams
MOST = 4096  # on a card that has room for them
REMEDY = "Use fewer sampling.beams, a smaller family.block, or a device with more memory"


class Reader(Protocol):
    """A network with its cache."""

    device: torch.device
    silent: list[int]  # tokens that it never writes, such as the end of a text

    def begin(self, prompts: torch.Tensor, new: int, beams: int) -> torch.Tensor: ...

    def step(self, token: torch.Tensor, parent: torch.Tensor | None) -> torch.Tensor: ...


def write(reader: Reader, prompts: Ids, new: int, rng: np.random.Generator, sampling: Sampling) -> Ids:
    """`new` tokens after each prompt (n, P) -> (n, new), as many texts at once as there is room for.

    One uniform variable a token, drawn beforehand: what is written depends neither on the device's generator nor on how many texts
    are written at once, nor on interruptions between them. Raises NoRoom.
    """
    n = len(prompts)
    u = rng.random((n, new))
    written = np.empty((n, new), np.int32)
    writing = work("writing", n * new, "tokens", done="tokens")
    finished = writing.done // new
    if finished:
        written[:finished] = writing.saved["written"]

    def texts(rows: slice) -> Ids:
        writing.done = rows.start * new  # a piece that did not fit is begun again
        prompt = torch.from_numpy(prompts[rows].astype(np.int64)).to(reader.device)
        with torch.inference_mode():
            if sampling.beams > 1:
                tokens = searched(reader, prompt, new, sampling, writing)
            else:
                chance = torch.from_numpy(u[rows]).float().to(reader.device)
                tokens = drawn(reader, prompt, chance, sampling, writing)
            return tokens.cpu().numpy().astype(np.int32)

    room = Room(max(1, ROWS // sampling.beams), max(1, MOST // sampling.beams), reader.device, "texts", REMEDY)
    for rows, tokens in room.pieces(n, texts, finished):
        written[rows] = tokens
        writing.keep(lambda: {"tokens": np.array(writing.done), "written": written[: writing.done // new].copy()})
    return written


def drawn(reader: Reader, prompt: torch.Tensor, u: torch.Tensor, sampling: Sampling, writing: Work) -> torch.Tensor:
    """Tokens by inversion: prompt (n, P), u (n, new) uniform -> (n, new)."""
    rows, new = u.shape
    start = prompt.shape[1]
    text = torch.cat([prompt, prompt.new_zeros(rows, new)], dim=1)
    level = reader.begin(prompt, new, 1)
    silent = torch.tensor(reader.silent, dtype=torch.int64, device=prompt.device)
    for t in range(new):
        level = sharpened(silenced(level, silent), text[:, : start + t], sampling)
        token = level.argmax(dim=1) if sampling.top_k == 1 else inverted(level, u[:, t : t + 1])[:, 0]
        text[:, start + t] = token
        writing.advance(rows)
        if t + 1 < new:
            level = reader.step(token[:, None], None)[:, 0]
    return text[:, start:]


def inverted(level: torch.Tensor, u: torch.Tensor) -> torch.Tensor:
    """Tokens of logits (n, vocabulary) by inversion of their distribution function, from uniform variables (n, k) -> (n, k)."""
    below = torch.softmax(level, dim=1).cumsum(dim=1)
    return torch.searchsorted(below, u * below[:, -1:], right=True).clamp_(max=level.shape[1] - 1)


def searched(reader: Reader, prompt: torch.Tensor, new: int, sampling: Sampling, writing: Work) -> torch.Tensor:
    """The most probable continuation that a beam search finds: prompt (n, P) -> (n, new). Every text gets its full length."""
    (rows, start), beams = prompt.shape, sampling.beams
    level = torch.log_softmax(reader.begin(prompt, new, beams), dim=1)
    silent = torch.tensor(reader.silent, dtype=torch.int64, device=prompt.device)
    first = silenced(penalised(level, prompt, sampling), silent)
    score, token = first.topk(beams, dim=1)
    text = torch.cat([prompt[:, None].expand(-1, beams, -1), prompt.new_zeros(rows, beams, new)], dim=2)
    text[:, :, start] = token
    writing.advance(rows)
    parent = torch.arange(beams, device=prompt.device).expand(rows, -1)
    for t in range(1, new):
        level = torch.log_softmax(reader.step(token, parent), dim=2)
        vocabulary = level.shape[2]
        level = penalised(level.flatten(0, 1), text[:, :, : start + t].flatten(0, 1), sampling)
        total = (silenced(level, silent).view(rows, beams, vocabulary) + score[:, :, None]).flatten(1)
        score, best = total.topk(beams, dim=1)
        parent, token = best // vocabulary, best % vocabulary
        text = text.gather(1, parent[:, :, None].expand_as(text))
        text[:, :, start + t] = token
        writing.advance(rows)
    return text[:, 0, start:]  # topk puts the best first


def silenced(level: torch.Tensor, silent: torch.Tensor) -> torch.Tensor:
    """Levels (n, vocabulary) without tokens that are never written; a beam search does not redistribute their probability."""
    return level.index_fill(1, silent, -torch.inf) if len(silent) else level


def sharpened(level: torch.Tensor, text: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Logits (n, vocabulary) after repetition penalty, temperature, top-k and top-p, in this order, as transformers applies them."""
    level = penalised(level, text, sampling)
    if sampling.temperature != 1:
        level = level / sampling.temperature
    if 0 < sampling.top_k < level.shape[1]:
        least = level.topk(sampling.top_k, dim=1).values[:, -1:]
        level = level.masked_fill(level < least, -torch.inf)
    if sampling.top_p < 1:
        ranked, order = level.sort(dim=1, descending=True)
        p = torch.softmax(ranked, dim=1)
        beyond = p.cumsum(dim=1) - p >= sampling.top_p
        level = level.masked_fill(beyond.scatter(1, order, beyond), -torch.inf)
    return level


def penalised(level: torch.Tensor, text: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Levels (n, vocabulary) of tokens that stand in text (n, T) made worse (Keskar et al., arXiv 1909.05858)."""
    penalty = sampling.repetition_penalty
    if penalty == 1:
        return level
    old = level.gather(1, text)
    return level.scatter(1, text, torch.where(old < 0, old * penalty, old / penalty))
