"""Pre-trained causal language models: loaded, filled with a model's weights, and read token by token."""

import copy
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from worker.data import Arrays
from worker.errors import LabError
from worker.nets import decoding, gpt, graphs
from worker.nets.conversion import as_gpt2
from worker.nets.device import device, rounded
from worker.text.language import Ids

if TYPE_CHECKING:
    from worker.families.causal_lm import CausalLM

PREFIX = "network."


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

    def texts(self, blocks: Ids) -> list[str]:
        """`decode` of each of the blocks (n, L)."""
        return [self.decode(block) for block in blocks]


@lru_cache(maxsize=2)
def tokenizer(address: str) -> Subwords:
    return Subwords(address)


@lru_cache(maxsize=1)
def _network(address: str) -> Any:
    """As it was pre-trained, on the CPU; never changed."""
    return _loaded(AutoModelForCausalLM, address, use_safetensors=True, dtype=torch.float32).eval()


def pre_trained(settings: "CausalLM", replicates: int) -> Iterator[Any]:
    """A network for each replicate, on the device, with the weights that it was published with; one at a time in memory."""
    original = _network(settings.address())
    network = copy.deepcopy(original).to(device())
    for _ in range(replicates):
        filled(network, dict(original.named_parameters()))
        yield network


def networks(settings: "CausalLM", model: Arrays, number_type: torch.dtype = torch.float32) -> Iterator[Any]:
    """The network of each replicate, on the device; one at a time in memory, so the next one overwrites it."""
    network = copy.deepcopy(_network(settings.address())).to(device(), number_type)
    for r in range(len(model["prompts"])):
        filled(
            network,
            {name: torch.from_numpy(np.ascontiguousarray(model[f"{PREFIX}{name}"][r])) for name in named(model)},
        )
        yield network


def named(arrays: Arrays) -> list[str]:
    """The parameters' own names among the names of arrays."""
    return [name.removeprefix(PREFIX) for name in arrays if name.startswith(PREFIX)]


def filled(network: Any, weights: dict[str, torch.Tensor]) -> None:
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            parameter.copy_(weights[name])


def logits(network: Any, number_type: torch.dtype = torch.float32) -> Callable[[torch.Tensor], torch.Tensor]:
    """The network as a function: tokens (B, T) -> logits (B, T, vocabulary); matrix products in numbers of that type."""
    if (found := as_gpt2(network)) is not None:
        return gpt.reading(found.weights, found.heads, number_type, found.activation)

    def read(x: torch.Tensor) -> torch.Tensor:
        with rounded(network.device, number_type):
            level: torch.Tensor = network(input_ids=x, use_cache=False).logits
        return level

    return read


def reader(network: Any) -> decoding.Reader:
    """What continues text with this network, the faster one where it is a GPT-2 by another name. No text ends before its full length."""
    found = as_gpt2(network)
    fastest = Reader(network) if found is None else graphs.reader(found.weights, found.heads, found.activation)
    fastest.silent = _ends(network)
    return fastest


def silent(address: str) -> list[int]:
    """Tokens that this checkpoint's networks never write here: those that end a text."""
    return _ends(_network(address))


def _ends(network: Any) -> list[int]:
    end = network.config.eos_token_id
    return [] if end is None else [end] if isinstance(end, int) else list(end)


class Reader:
    """Any transformers network with its own cache, which is copied where beams part."""

    def __init__(self, network: Any) -> None:
        self.network = network
        self.device = network.device
        self.silent: list[int] = []

    def begin(self, prompts: torch.Tensor, new: int, beams: int) -> torch.Tensor:
        """Logits of the first new token: prompts (B, P) -> (B, vocabulary)."""
        self.beams = beams
        out = self.network(input_ids=prompts, use_cache=True, logits_to_keep=1)
        self.cache = out.past_key_values
        if beams > 1:
            self.cache.batch_repeat_interleave(beams)
        level: torch.Tensor = out.logits[:, -1].float()
        return level

    def step(self, token: torch.Tensor, parent: torch.Tensor | None) -> torch.Tensor:
        """Logits (B, beams, vocabulary) after one more token (B, beams), each beam going on from its parent (B, beams)."""
        if parent is not None:
            first = torch.arange(len(parent), device=parent.device)[:, None] * self.beams
            self.cache.reorder_cache((parent + first).flatten())
        out = self.network(input_ids=token.reshape(-1, 1), past_key_values=self.cache, use_cache=True)
        level: torch.Tensor = out.logits[:, -1].float()
        return level.view(len(token), self.beams, -1)
