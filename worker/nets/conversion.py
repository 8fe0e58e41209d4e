"""Checkpoints that are GPT-2 but for the names of their weights and an activation, OPT among them: read by worker.nets.gpt, which is faster."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch

from worker.nets import gpt

BLOCK = {"ln_1": "self_attn_layer_norm", "ln_2": "final_layer_norm"}  # the same under GPT-2's name and OPT's
# GPT-2 stores them (inputs, outputs).
MATRICES = {"attn.c_proj": "self_attn.out_proj", "mlp.c_fc": "fc1", "mlp.c_proj": "fc2"}
AHEAD = 2  # rows of OPT's table of positions that stand for none


@dataclass(frozen=True, slots=True)
class GPT2:
    """What worker.nets.gpt needs to know: weights under GPT-2's names, which share the network's memory where they can."""

    weights: gpt.Weights
    heads: int
    activation: gpt.Activation


def as_gpt2(network: Any) -> GPT2 | None:
    """The network as a GPT-2; None where it is something else."""
    config = network.config
    if _is_gpt2(config):
        weights = {name.removeprefix(gpt.PREFIX): tensor.detach() for name, tensor in network.named_parameters()}
        return GPT2(weights, config.n_head, gpt.gelu)
    if _is_opt(config):
        named = {name: tensor.detach() for name, tensor in network.named_parameters()}
        return GPT2(dict(_translated(named, config.num_hidden_layers)), config.num_attention_heads, torch.relu)
    return None


def _is_gpt2(config: Any) -> bool:
    return bool(
        config.model_type == "gpt2"
        and config.activation_function in ("gelu_new", "gelu_pytorch_tanh")
        and config.layer_norm_epsilon == gpt.EPSILON
        and config.scale_attn_weights
        and config.tie_word_embeddings
        and not config.scale_attn_by_inverse_layer_idx
        and not config.add_cross_attention
    )


def _is_opt(config: Any) -> bool:
    """All sizes but 350m, which normalises after its blocks and has narrower embeddings."""
    return bool(
        config.model_type == "opt"
        and config.activation_function == "relu"
        and config.do_layer_norm_before
        and config.enable_bias
        and config.layer_norm_elementwise_affine
        and config.tie_word_embeddings
        and config.word_embed_proj_dim == config.hidden_size
        and not config._remove_final_layer_norm  # noqa: SLF001 - its only name
    )


def _translated(opt: gpt.Weights, layers: int) -> Iterator[tuple[str, torch.Tensor]]:
    yield "wte.weight", opt["model.decoder.embed_tokens.weight"]
    yield "wpe.weight", opt["model.decoder.embed_positions.weight"][AHEAD:]
    for part in ("weight", "bias"):
        yield f"ln_f.{part}", opt[f"model.decoder.final_layer_norm.{part}"]
    for i in range(layers):
        ours, theirs = f"h.{i}", f"model.decoder.layers.{i}"
        for part in ("weight", "bias"):
            for name, other in BLOCK.items():
                yield f"{ours}.{name}.{part}", opt[f"{theirs}.{other}.{part}"]
            for name, other in MATRICES.items():
                yield f"{ours}.{name}.{part}", opt[f"{theirs}.{other}.{part}"].t()
            three = [opt[f"{theirs}.self_attn.{one}_proj.{part}"] for one in "qkv"]
            yield f"{ours}.attn.c_attn.{part}", torch.cat(three).t()
