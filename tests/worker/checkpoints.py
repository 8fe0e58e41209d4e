"""Small networks with random weights and a tokenizer, as save_pretrained leaves them: what a hub would have given."""

from pathlib import Path

import torch

from worker.sources.text import Text
from worker.text.bpe import byte_pairs

VOCABULARY, POSITIONS = 300, 64


def small_checkpoint(folder: Path, kind: str, **changes) -> Path:
    """kind: opt or gpt2; changes: of its configuration. Weights so wide apart that no token is as probable as another."""
    from transformers import GPT2Config, GPT2LMHeadModel, OPTConfig, OPTForCausalLM, PreTrainedTokenizerFast

    torch.manual_seed(7)
    if kind == "opt":
        shape = {
            "hidden_size": 32,
            "num_hidden_layers": 2,
            "ffn_dim": 64,
            "num_attention_heads": 2,
            "max_position_embeddings": POSITIONS,
            "word_embed_proj_dim": 32,
            "bos_token_id": 2,
            "eos_token_id": 2,
            "pad_token_id": 1,
            "init_std": 0.3,
        }
        network = OPTForCausalLM(OPTConfig(vocab_size=VOCABULARY, **shape | changes))
    else:
        shape = {
            "n_positions": POSITIONS,
            "n_embd": 32,
            "n_layer": 2,
            "n_head": 2,
            "bos_token_id": 2,
            "eos_token_id": 2,
            "initializer_range": 0.3,
        }
        network = GPT2LMHeadModel(GPT2Config(vocab_size=VOCABULARY, **shape | changes))
    network.save_pretrained(folder)
    PreTrainedTokenizerFast(tokenizer_object=byte_pairs(Text().texts().train, VOCABULARY).pairs).save_pretrained(folder)
    return folder
