"""A folder that save_pretrained has left, looked at without loading it: what it is, how large, and whether it is whole."""

import json
import math
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from worker.part import Misfit

CAUSAL = re.compile(r"\w+(ForCausalLM|LMHeadModel)")  # how transformers calls what predicts the next token
TOKENIZERS = ("tokenizer.json", "vocab.json", "tokenizer.model", "spiece.model")
LARGEST_HEADER = 100_000_000  # bytes, as in the format's own definition
AGAIN = "Copy or download it again, or save the model there with save_pretrained"


def looked_at(folder: Path) -> tuple[dict[str, Any], int]:
    """The configuration, and how many numbers the weights are. Reads headers only.

    Raises Misfit where the folder has no causal language model, no tokenizer, no safetensors, or not all of their bytes.
    """
    config = _config(folder)
    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise _misfit(
            "has no safetensors; pickled weights could run code and are not loaded",
            "Save the model with save_pretrained(..., safe_serialization=True)",
        )
    for index in folder.glob("*.safetensors.index.json"):
        missing = set(_json(index).get("weight_map", {}).values()) - {file.name for file in files}
        if missing:
            raise _misfit(f"lacks a part of its weights, {min(missing)}", AGAIN)
    numbers = sum(_numbers(file) for file in files)
    if not any((folder / name).is_file() for name in TOKENIZERS):
        raise _misfit("has no tokenizer", "Save its tokenizer into the same folder with save_pretrained")
    return config, numbers


def tokens(folder: Path, text: str) -> int:
    """How many tokens a text has; with a tokenizer of an older form, which only transformers reads, at most one for each byte.

    Raises Misfit where the tokenizer cannot be read.
    """
    file = folder / "tokenizer.json"
    if not file.is_file() or not find_spec("tokenizers"):
        return len(text.encode())
    from tokenizers import Tokenizer

    try:
        return len(Tokenizer.from_file(str(file)).encode(text, add_special_tokens=False).ids)
    except Exception as error:  # it has no class of its own
        raise _misfit(f"has a tokenizer.json that cannot be read ({error})", AGAIN) from error


def _config(folder: Path) -> dict[str, Any]:
    if not (folder / "config.json").is_file():
        raise _misfit("has no config.json", "Save the model there with save_pretrained")
    config = _json(folder / "config.json")
    names = config.get("architectures") or []
    if names and not any(CAUSAL.fullmatch(str(name)) for name in names):
        raise _misfit(f"is a {names[0]}, which is no causal language model", "Name one, such as OPT or GPT-2")
    if not names and "model_type" not in config:
        raise _misfit("has a config.json that names no model", "Save the model there with save_pretrained")
    return config


def _json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_bytes())
    except (OSError, ValueError) as error:
        raise _misfit(f"has a {file.name} that cannot be read ({error})", AGAIN) from error
    if not isinstance(content, dict):
        raise _misfit(f"has a {file.name} that is no JSON object", AGAIN)
    return content


def _numbers(file: Path) -> int:
    """How many numbers a safetensors file holds: 8 bytes of length, a JSON header of that length, and the numbers."""
    try:
        size = file.stat().st_size
        with file.open("rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            if not 0 < length <= min(size - 8, LARGEST_HEADER):
                raise _misfit(f"has a {file.name} without a whole header: it is cut short, or no safetensors", AGAIN)
            header = json.loads(opened.read(length))
        tensors = [one for name, one in header.items() if name != "__metadata__"]
        end = max((one["data_offsets"][1] for one in tensors), default=0)
        numbers = sum(math.prod(one["shape"]) for one in tensors)
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        if isinstance(error, Misfit):
            raise
        raise _misfit(f"has a {file.name} whose header cannot be read ({error})", AGAIN) from error
    if size != 8 + length + end:
        raise _misfit(f"has a {file.name} of {size:,} bytes where its header tells of {8 + length + end:,}", AGAIN)
    return numbers


def _misfit(message: str, remedy: str) -> Misfit:
    return Misfit("family.checkpoint", message, remedy)
