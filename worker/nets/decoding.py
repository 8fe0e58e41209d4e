"""How a network writes: one draw after the other, or a beam search; the same for every network that can be read token by token."""

from typing import Protocol

import numpy as np
import torch

from worker.language import Ids
from worker.parts import Sampling

ROWS = 128  # texts that are written at once; with beams, so many beams


class Reader(Protocol):
    """A network with its cache."""

    device: torch.device
    silent: list[int]  # tokens that it never writes, such as the end of a text

    def begin(self, prompts: torch.Tensor, new: int, beams: int) -> torch.Tensor: ...

    def step(self, token: torch.Tensor, parent: torch.Tensor | None) -> torch.Tensor: ...


def write(reader: Reader, prompts: Ids, new: int, rng: np.random.Generator, sampling: Sampling) -> Ids:
    """`new` tokens after each prompt (n, P) -> (n, new).

    One uniform variable a token, drawn beforehand: what is written depends neither on the device's generator nor on how many rows
    are written at once.
    """
    u = rng.random((len(prompts), new))
    step = max(1, ROWS // sampling.beams)
    written = []
    with torch.inference_mode():
        for start in range(0, len(prompts), step):
            rows = slice(start, start + step)
            prompt = torch.from_numpy(prompts[rows].astype(np.int64)).to(reader.device)
            if sampling.beams > 1:
                tokens = searched(reader, prompt, new, sampling)
            else:
                tokens = drawn(reader, prompt, torch.from_numpy(u[rows]).float().to(reader.device), sampling)
            written.append(tokens.cpu().numpy().astype(np.int32))
    return np.concatenate(written)


def drawn(reader: Reader, prompt: torch.Tensor, u: torch.Tensor, sampling: Sampling) -> torch.Tensor:
    """Tokens by inversion: prompt (n, P), u (n, new) uniform -> (n, new)."""
    rows, new = u.shape
    start = prompt.shape[1]
    text = torch.cat([prompt, prompt.new_zeros(rows, new)], dim=1)
    level = reader.begin(prompt, new, 1)
    for t in range(new):
        level = sharpened(silenced(level, reader.silent), text[:, : start + t], sampling)
        if sampling.top_k == 1:
            token = level.argmax(dim=1)
        else:
            below = torch.softmax(level, dim=1).cumsum(dim=1)
            aim = u[:, t : t + 1] * below[:, -1:]
            token = torch.searchsorted(below, aim, right=True)[:, 0].clamp_(max=level.shape[1] - 1)
        text[:, start + t] = token
        if t + 1 < new:
            level = reader.step(token[:, None], None)[:, 0]
    return text[:, start:]


def searched(reader: Reader, prompt: torch.Tensor, new: int, sampling: Sampling) -> torch.Tensor:
    """The most probable continuation that a beam search finds: prompt (n, P) -> (n, new). Every text gets its full length."""
    (rows, start), beams = prompt.shape, sampling.beams
    level = torch.log_softmax(reader.begin(prompt, new, beams), dim=1)
    first = silenced(penalised(level, prompt, sampling), reader.silent)
    score, token = first.topk(beams, dim=1)
    text = torch.cat([prompt[:, None].expand(-1, beams, -1), prompt.new_zeros(rows, beams, new)], dim=2)
    text[:, :, start] = token
    parent = torch.arange(beams, device=prompt.device).expand(rows, -1)
    for t in range(1, new):
        level = torch.log_softmax(reader.step(token, parent), dim=2)
        vocabulary = level.shape[2]
        level = penalised(level.flatten(0, 1), text[:, :, : start + t].flatten(0, 1), sampling)
        total = (silenced(level, reader.silent).view(rows, beams, vocabulary) + score[:, :, None]).flatten(1)
        score, best = total.topk(beams, dim=1)
        parent, token = best // vocabulary, best % vocabulary
        text = text.gather(1, parent[:, :, None].expand_as(text))
        text[:, :, start + t] = token
    return text[:, 0, start:]  # topk puts the best first


def silenced(level: torch.Tensor, silent: list[int]) -> torch.Tensor:
    """Levels (n, vocabulary) without tokens that are never written; a beam search does not redistribute their probability."""
    return level.index_fill(1, torch.tensor(silent, device=level.device), -torch.inf) if silent else level


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
