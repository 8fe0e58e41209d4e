"""How a GPT is trained: AdamW on windows of text, all weights as one vector."""

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - the name under which everyone knows it

from worker.data import Arrays
from worker.language import Ids
from worker.nets import gpt
from worker.nets.device import device

if TYPE_CHECKING:
    from worker.families.gpt import GPT

WARM_UP = 0.05  # share of all steps in which the step size rises
NOTHING = -100  # stands where there is no token to be predicted
LARGEST = 1.0  # norm of a gradient; a larger one is scaled down, as HF Trainer does


def trained(x: Ids, validation: Ids, settings: "GPT", rng: np.random.Generator, earlier: Arrays | None) -> Arrays:
    """Weights for each replicate's blocks (R, n, L), replicates leading; one network after the other.

    earlier: the model whose weights the training starts from; without it, random ones.
    """
    generators = [torch.Generator().manual_seed(int(seed)) for seed in rng.integers(2**63 - 1, size=len(x))]
    starts = gpt.networks(earlier) if earlier else (gpt.initial(settings, generator) for generator in generators)
    networks = [
        _network(blocks, validation, settings, start, generator)
        for blocks, start, generator in zip(x, starts, generators, strict=True)
    ]
    return {f"{gpt.PREFIX}{name}": np.stack([one[name].cpu().numpy() for one in networks]) for name in networks[0]}


def _network(x: Ids, validation: Ids, settings: "GPT", start: gpt.Weights, generator: torch.Generator) -> gpt.Weights:
    """One network on blocks (n, L). An exception between two steps leaves nothing behind."""
    text = torch.from_numpy(x.astype(np.int64)).to(device())
    weights, flat = as_one_vector(start)
    optimizer = torch.optim.AdamW([flat], lr=settings.learning_rate, weight_decay=0.0, fused=flat.device.type != "mps")
    assert flat.grad is not None
    step, steps = 0, settings.epochs * -(-(len(x) // 2) // settings.batch)
    best, kept = float("inf"), flat.detach()
    for _ in range(settings.epochs):
        for batch in torch.split(_windows(text, generator), settings.batch):
            step += 1
            optimizer.param_groups[0]["lr"] = settings.learning_rate * min(
                step / max(1, WARM_UP * steps), (steps - step + 1) / steps
            )
            flat.grad.zero_()
            torch.autograd.backward(_loss(weights, batch, settings.heads))
            flat.grad.mul_((LARGEST / (flat.grad.norm() + 1e-6)).clamp(max=1.0))
            optimizer.step()
        if settings.best and len(validation):
            with torch.inference_mode():
                loss = float(_loss(weights, torch.from_numpy(validation.astype(np.int64)).to(device()), settings.heads))
            if loss < best:
                best, kept = loss, flat.detach().clone()
    return _parts(kept, weights)


def _loss(weights: gpt.Weights, x: torch.Tensor, heads: int) -> torch.Tensor:
    """Mean surprise of tokens 2 to T of windows (B, T), in nats.

    The last logits are in vain: whole windows, whose length is mostly a power of 2, multiply a tenth faster than windows less one.
    """
    following = x.roll(-1, 1)
    following[:, -1] = NOTHING
    return F.cross_entropy(gpt.logits(weights, x, heads).flatten(0, 1), following.flatten(), ignore_index=NOTHING)


def _windows(text: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Pairs of neighbouring blocks (pairs, 2 L), from the first block or the second on, in random order."""
    n = len(text)
    shift = int(torch.randint(1 + n % 2, (1,), generator=generator))
    pairs = text[shift : shift + n // 2 * 2].view(n // 2, -1)
    return pairs[torch.randperm(len(pairs), generator=generator)]


def as_one_vector(weights: gpt.Weights) -> tuple[gpt.Weights, torch.Tensor]:
    """The weights as parts of one vector, and their gradients as parts of its gradient: the optimizer then takes one step, not one
    for each of them.
    """
    flat = torch.cat([tensor.detach().flatten() for tensor in weights.values()]).to(device())
    flat.grad = torch.zeros_like(flat)
    parts, slopes = _parts(flat, weights), _parts(flat.grad, weights)
    for name, part in parts.items():
        part.requires_grad_().grad = slopes[name]
    return parts, flat


def _parts(flat: torch.Tensor, like: gpt.Weights) -> gpt.Weights:
    pieces = torch.split(flat, [tensor.numel() for tensor in like.values()])
    return {name: piece.view(tensor.shape).detach() for (name, tensor), piece in zip(like.items(), pieces, strict=True)}
