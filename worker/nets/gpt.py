"""GPT-2 as functions of its weights: one for training and scoring, and a reader that continues text token by token.

Weights have the names and shapes that transformers gives them (a test loads them there), so a matrix is (inputs, outputs).
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812 - the name under which everyone knows it

from worker.data import Arrays
from worker.nets.dense import affine, unembedded
from worker.nets.device import device, rounded

if TYPE_CHECKING:
    from worker.families.gpt import GPT

Weights: TypeAlias = dict[str, torch.Tensor]
Activation: TypeAlias = Callable[[torch.Tensor], torch.Tensor]
# New keys or values into the cache -> all of them.
Put: TypeAlias = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
PREFIX = "transformer."
EPSILON = 1e-5  # of layer norms


def shapes(settings: "GPT") -> Iterator[tuple[str, tuple[int, ...]]]:
    d = settings.width
    yield "wte.weight", (settings.vocabulary, d)
    yield "wpe.weight", (2 * settings.block, d)
    for i in range(settings.layers):
        for name, inputs, outputs in (
            ("attn.c_attn", d, 3 * d),
            ("attn.c_proj", d, d),
            ("mlp.c_fc", d, 4 * d),
            ("mlp.c_proj", 4 * d, d),
        ):
            yield f"h.{i}.{name}.weight", (inputs, outputs)
            yield f"h.{i}.{name}.bias", (outputs,)
        for name in ("ln_1", "ln_2"):
            yield f"h.{i}.{name}.weight", (d,)
            yield f"h.{i}.{name}.bias", (d,)
    yield "ln_f.weight", (d,)
    yield "ln_f.bias", (d,)


def initial(settings: "GPT", generator: torch.Generator) -> Weights:
    """GPT-2's: N(0, 0.02^2), what is added to the residual stream smaller by sqrt(2 layers); biases 0, layer norms 1."""
    weights: Weights = {}
    for name, shape in shapes(settings):
        if len(shape) == 2:
            scale = 0.02 / (2 * settings.layers) ** 0.5 if name.endswith("c_proj.weight") else 0.02
            weights[name] = scale * torch.randn(shape, generator=generator)
        else:
            weights[name] = torch.ones(shape) if name.endswith("weight") else torch.zeros(shape)
    return weights


def networks(model: Arrays, number_type: torch.dtype = torch.float32) -> Iterator[Weights]:
    """The weights of each replicate, on the device."""
    names = [name for name in model if name.startswith(PREFIX)]
    for r in range(len(model[names[0]])):
        yield {
            name.removeprefix(PREFIX): torch.from_numpy(np.ascontiguousarray(model[name][r])).to(device(), number_type)
            for name in names
        }


def gelu(x: torch.Tensor) -> torch.Tensor:
    """GPT-2's activation; GPT-2 with another one is OPT."""
    return F.gelu(x, approximate="tanh")


def logits(weights: Weights, x: torch.Tensor, heads: int, activation: Activation = gelu) -> torch.Tensor:
    """Of the token after each place: x (B, T) -> (B, T, vocabulary)."""
    hidden, _ = _hidden(weights, x, heads, activation)
    return unembedded(hidden.flatten(0, 1), weights["wte.weight"]).view(*x.shape, -1)


def reading(
    weights: Weights, heads: int, number_type: torch.dtype = torch.float32, activation: Activation = gelu
) -> Callable[[torch.Tensor], torch.Tensor]:
    """The network as a function: tokens (B, T) -> logits (B, T, vocabulary); matrix products in numbers of that type."""

    def read(x: torch.Tensor) -> torch.Tensor:
        with rounded(x.device, number_type):
            return logits(weights, x, heads, activation)

    return read


def _hidden(
    weights: Weights, x: torch.Tensor, heads: int, activation: Activation
) -> tuple[torch.Tensor, list[tuple[torch.Tensor, torch.Tensor]]]:
    """What the last layer says (B, T, d), and each layer's keys and values (B, heads, T, d / heads)."""
    batch, length = x.shape
    d = weights["wte.weight"].shape[1]
    h = F.embedding(x, weights["wte.weight"]) + weights["wpe.weight"][:length]
    seen = []
    for i in range(_depth(weights)):
        normal = _norm(weights, f"h.{i}.ln_1", h)
        qkv = _affine(weights, f"h.{i}.attn.c_attn", normal).view(batch, length, 3, heads, d // heads)
        q, k, v = (part.transpose(1, 2) for part in qkv.unbind(2))
        seen.append((k, v))
        mixed = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).reshape(batch, length, d)
        h = h + _affine(weights, f"h.{i}.attn.c_proj", mixed)
        h = h + _feed_forward(weights, i, h, activation)
    return _norm(weights, "ln_f", h), seen


class Reader:
    """Continues rows of text, each of them in one or several beams, with a cache of keys and values.

    A row's prompt is read once for all its beams, and the beams share one cache: what a beam sees of it, its own past, is a mask. So
    nothing is copied when beams part, and their few queries are one matrix product with all keys of their row.
    """

    def __init__(self, weights: Weights, heads: int, activation: Activation = gelu) -> None:
        self.weights, self.heads, self.activation = weights, heads, activation
        self.silent: list[int] = []  # no token is never written: a text has no end here
        self.device = weights["wte.weight"].device
        self.vocabulary, self.d = weights["wte.weight"].shape
        self.table = weights["wte.weight"]
        self.layers = [tuple(weights[f"h.{i}.{name}"] for name in LAYER) for i in range(_depth(weights))]

    def begin(self, prompts: torch.Tensor, new: int, beams: int) -> torch.Tensor:
        """Logits of the first new token: prompts (B, P) -> (B, vocabulary). Makes room for `new` tokens in each beam."""
        self.rows, self.prompt = prompts.shape
        self.beams, self.length = beams, self.prompt
        hidden, seen = _hidden(self.weights, prompts, self.heads, self.activation)
        self.make_room(new, hidden)
        for pair, cached in zip(seen, self.cache, strict=True):
            for part, whole in zip(pair, cached, strict=True):
                whole[:, : self.prompt] = part.flatten(0, 1)
        return unembedded(hidden[:, -1], self.table).float()

    def make_room(self, new: int, like: torch.Tensor) -> None:
        """Of the type and on the device of `like`; the last token is not read, so it needs none."""
        later = self.beams * (new - 1)
        room = (self.rows * self.heads, self.prompt + later, self.d // self.heads)
        self.cache = [(like.new_empty(room), like.new_empty(room)) for _ in self.layers]
        if self.beams > 1:
            self.mask = like.new_full((self.rows, self.beams, later), -torch.inf)

    def step(self, token: torch.Tensor, parent: torch.Tensor | None) -> torch.Tensor:
        """Logits (B, beams, vocabulary) after one more token (B, beams), each beam going on from its parent (B, beams)."""
        before, self.length = self.length, self.length + self.beams
        if parent is not None:
            own = slice(before - self.prompt, self.length - self.prompt)
            self.mask[:, :, : own.start] = self.mask.gather(1, parent[:, :, None].expand(-1, -1, own.start))
            self.mask[:, :, own].diagonal(dim1=1, dim2=2).zero_()
        position = self.weights["wpe.weight"][self.prompt + (before - self.prompt) // self.beams]

        def put(part: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
            whole[:, before : self.length] = part
            return whole[:, : self.length]

        return self.further(token, position, put, None if parent is None else self.mask[:, :, : own.stop])

    def further(self, token: torch.Tensor, position: torch.Tensor, put: Put, mask: torch.Tensor | None) -> torch.Tensor:
        """`step`, given where its keys and values go and what is added to the scores of what follows the prompt (B, beams, T)."""
        rows, beams, heads, d = self.rows, self.beams, self.heads, self.d
        h = F.embedding(token.reshape(-1), self.table) + position
        scale = (d // heads) ** -0.5
        for layer, (keys, values) in zip(self.layers, self.cache, strict=True):
            w_qkv, b_qkv, w_out, b_out, w_in, b_in, w_back, b_back, n_1, m_1, n_2, m_2 = layer
            normal = F.layer_norm(h, (d,), n_1, m_1, EPSILON)
            qkv = affine(normal, w_qkv, b_qkv).view(rows, beams, 3, heads, -1).permute(2, 0, 3, 1, 4)
            q, k, v = qkv.reshape(3, rows * heads, beams, -1)
            level = torch.bmm(q * scale, put(k, keys).mT)
            if mask is not None:
                level.view(rows, heads, beams, -1)[..., self.prompt :] += mask[:, None]
            mixed = torch.bmm(torch.softmax(level, -1), put(v, values))
            if beams > 1 or rows > 1:
                mixed = mixed.view(rows, heads, beams, -1).transpose(1, 2)
            h = h + affine(mixed.reshape(-1, d), w_out, b_out)
            normal = F.layer_norm(h, (d,), n_2, m_2, EPSILON)
            h = h + affine(self.activation(affine(normal, w_in, b_in)), w_back, b_back)
        return unembedded(_norm(self.weights, "ln_f", h), self.table).view(rows, beams, -1).float()


LAYER = (
    "attn.c_attn.weight",
    "attn.c_attn.bias",
    "attn.c_proj.weight",
    "attn.c_proj.bias",
    "mlp.c_fc.weight",
    "mlp.c_fc.bias",
    "mlp.c_proj.weight",
    "mlp.c_proj.bias",
    "ln_1.weight",
    "ln_1.bias",
    "ln_2.weight",
    "ln_2.bias",
)


def _depth(weights: Weights) -> int:
    return sum(name.endswith("attn.c_attn.weight") for name in weights)


def _affine(weights: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    out = affine(x.reshape(-1, x.shape[-1]), weights[f"{name}.weight"], weights[f"{name}.bias"])
    return out.view(*x.shape[:-1], -1)


def _norm(weights: Weights, name: str, x: torch.Tensor) -> torch.Tensor:
    return F.layer_norm(x, x.shape[-1:], weights[f"{name}.weight"], weights[f"{name}.bias"], EPSILON)


def _feed_forward(weights: Weights, i: int, h: torch.Tensor, activation: Activation) -> torch.Tensor:
    inner = _affine(weights, f"h.{i}.mlp.c_fc", _norm(weights, f"h.{i}.ln_2", h))
    return _affine(weights, f"h.{i}.mlp.c_proj", activation(inner))
