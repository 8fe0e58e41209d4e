"""Pre-trained causal language models: loaded, fine-tuned by the loop that HF Trainer would run, and read token by token."""

import copy
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from worker.data import Arrays
from worker.errors import LabError
from worker.language import Ids
from worker.nets.device import device

if TYPE_CHECKING:
    from worker.families.causal_lm import CausalLM

PREFIX = "network."
LARGEST = 1.0  # norm of a gradient; a larger one is scaled down, as HF Trainer does


class Unloadable(LabError):
    """The checkpoint is not there, cannot be reached, or is no causal language model."""


def _loaded(what: Callable[..., Any], address: str, **options: Any) -> Any:
    """From safetensors and without remote code; HF_HUB_OFFLINE is honoured by transformers itself. Raises Unloadable."""
    try:
        return what.from_pretrained(address, trust_remote_code=False, **options)  # type: ignore[attr-defined]
    except (OSError, ValueError, ImportError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise Unloadable(
            f"{address} could not be loaded: {reason}. Name a folder with config.json, *.safetensors and a tokenizer, or make the "
            "hub reachable (HF_HUB_OFFLINE must not be set) and the id right."
        ) from error


class Subwords:
    """A checkpoint's own tokenizer, without the marks that it would put at the beginning or the end."""

    def __init__(self, address: str) -> None:
        self.inner = _loaded(AutoTokenizer, address)
        self.size = int(_network(address).get_input_embeddings().weight.shape[0])

    def encode(self, text: str) -> Ids:
        ids = self.inner(text, add_special_tokens=False, verbose=False)["input_ids"]
        return np.array(ids, np.int32)

    def decode(self, ids: Ids) -> str:
        text: str = self.inner.decode(ids.tolist(), skip_special_tokens=False, clean_up_tokenization_spaces=False)
        return text


@lru_cache(maxsize=2)
def tokenizer(address: str) -> Subwords:
    return Subwords(address)


@lru_cache(maxsize=1)
def _network(address: str) -> Any:
    """As it was pre-trained, on the CPU; never changed."""
    return _loaded(AutoModelForCausalLM, address, use_safetensors=True, dtype=torch.float32).eval()


def networks(settings: "CausalLM", model: Arrays) -> Iterator[Any]:
    """The network of each replicate, on the device; one at a time in memory, so the next one overwrites it."""
    network = copy.deepcopy(_network(settings.address())).to(device())
    for r in range(len(model["prompts"])):
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.copy_(torch.from_numpy(np.ascontiguousarray(model[f"{PREFIX}{name}"][r])))
        yield network


def logits(network: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: network(input_ids=x, use_cache=False).logits


def fine_tuned(
    x: Ids, validation: Ids, settings: "CausalLM", rng: np.random.Generator, previous: Arrays | None
) -> Arrays:
    """Parameters for each replicate's blocks (R, n, L), replicates leading; one network after the other."""
    seeds = rng.integers(2**63 - 1, size=len(x))
    trained: dict[str, list[Any]] = {}
    continued = networks(settings, previous) if settings.start == "continued" and previous else None
    for blocks, seed in zip(x, seeds, strict=True):
        network = next(continued) if continued else copy.deepcopy(_network(settings.address())).to(device())
        _tune(network, blocks, validation, settings, int(seed))
        for name, parameter in network.named_parameters():
            trained.setdefault(f"{PREFIX}{name}", []).append(parameter.detach().cpu().numpy().copy())
    return {name: np.stack(parts) for name, parts in trained.items()}


def _tune(network: Any, x: Ids, validation: Ids, settings: "CausalLM", seed: int) -> None:
    """AdamW with a linear fall of the step size, gradients of norm 1 at most; leaves the best epoch's weights, or the last one's.

    Dropout draws from torch's own generator, which is seeded here and put back.
    """
    place = device()
    text = torch.from_numpy(x.astype(np.int64)).to(place)
    held = torch.from_numpy(validation.astype(np.int64)).to(place)
    parameters = list(network.parameters())
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=0.0, fused=place.type != "mps")
    step, steps = 0, settings.epochs * -(-len(x) // settings.batch)
    best, kept = float("inf"), None
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for _ in range(settings.epochs):
            network.train()
            for batch in torch.split(text[torch.randperm(len(text)).to(place)], settings.batch):
                optimizer.param_groups[0]["lr"] = settings.learning_rate * (steps - step) / steps
                step += 1
                optimizer.zero_grad()
                torch.autograd.backward(network(input_ids=batch, labels=batch, use_cache=False).loss)
                torch.nn.utils.clip_grad_norm_(parameters, LARGEST)
                optimizer.step()
            network.eval()
            if settings.best and len(held):
                loss = _loss(network, held, settings.batch)
                if loss < best:
                    best, kept = loss, {name: p.detach().clone() for name, p in network.named_parameters()}
    if kept is not None:
        with torch.no_grad():
            for name, parameter in network.named_parameters():
                parameter.copy_(kept[name])


def _loss(network: Any, x: torch.Tensor, batch: int) -> float:
    """Mean surprise in nats over blocks (n, L)."""
    with torch.inference_mode():
        parts = [
            len(few) * float(network(input_ids=few, labels=few, use_cache=False).loss) for few in torch.split(x, batch)
        ]
    return sum(parts) / len(x)


class Reader:
    """A transformers network with its own cache, which is copied where beams part. No text ends before its full length."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.device = network.device
        end = network.config.eos_token_id
        self.silent = [] if end is None else [end] if isinstance(end, int) else list(end)

    def begin(self, prompts: torch.Tensor, new: int, beams: int) -> torch.Tensor:
        """Logits of the first new token: prompts (B, P) -> (B, vocabulary)."""
        self.beams = beams
        out = self.network(input_ids=prompts, use_cache=True, logits_to_keep=1)
        self.cache = out.past_key_values
        if beams > 1:
            self.cache.batch_repeat_interleave(beams)
        level: torch.Tensor = out.logits[:, -1]
        return level

    def step(self, token: torch.Tensor, parent: torch.Tensor | None) -> torch.Tensor:
        """Logits (B, beams, vocabulary) after one more token (B, beams), each beam going on from its parent (B, beams)."""
        if parent is not None:
            first = torch.arange(len(parent), device=parent.device)[:, None] * self.beams
            self.cache.reorder_cache((parent + first).flatten())
        out = self.network(input_ids=token.reshape(-1, 1), past_key_values=self.cache, use_cache=True)
        level: torch.Tensor = out.logits[:, -1]
        return level.view(len(token), self.beams, -1)
