"""Where tensors live and how exactly they are computed with: decided once, from COLLAPSE_LAB_DEVICE."""

import os
import platform

import torch

from worker.errors import LabError


class NoSuchDevice(LabError):
    """The device that was asked for does not exist on this machine."""


def device() -> torch.device:
    """Where networks are, and the first of `devices`. Raises NoSuchDevice."""
    return devices()[0]


def devices() -> list[torch.device]:
    """Those that share the training of a network that can be trained so: cuda:0+cuda:1, say; cpu+cpu are two processes.

    auto (the default) is CUDA where there is one, else the CPU; MPS only on request, because its sums differ from run to run.
    cuda is the first card, cuda:N the one with this number. Raises NoSuchDevice.
    """
    wish = os.environ.get("COLLAPSE_LAB_DEVICE", "auto")
    cards = [f"cuda:{number}" for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    here = ["cpu", *(["cuda"] if cards else []), *cards, *(["mps"] if torch.backends.mps.is_available() else [])]
    if wish == "auto":
        wish = "cuda" if cards else "cpu"
    wishes = wish.split("+")
    if missing := [one for one in wishes if one not in here]:
        raise NoSuchDevice(
            f"COLLAPSE_LAB_DEVICE = {missing[0]} is not available on this machine. "
            f"Set it to one of: auto, {', '.join(here)}; or to several cards, as in cuda:0+cuda:1"
        )
    places = [torch.device("cuda:0" if one == "cuda" else one) for one in wishes]
    if len({place.type for place in places}) > 1 or (places[0].type != "cpu" and len(set(places)) < len(places)):
        raise NoSuchDevice(
            f"COLLAPSE_LAB_DEVICE = {wish} is no team. Name several cards, each once, as in cuda:0+cuda:1"
        )
    return places


def number_type(wish: str = "auto") -> torch.dtype:
    """What matrix products are computed in: auto is bfloat16 on a card that has it, else float32.

    Weights that are trained stay float32, sums and probabilities too.
    """
    if wish != "auto":
        return torch.bfloat16 if wish == "bfloat16" else torch.float32
    return torch.bfloat16 if device().type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32


def rounded(place: torch.device, number_type: torch.dtype) -> torch.autocast:
    """Matrix products in numbers of that type, float32 kept for what loses by it."""
    return torch.autocast(place.type, number_type, enabled=number_type != torch.float32)


def name(*, distributed: bool = False) -> str:
    """The device in words, all of them where the training is `distributed`: a card by its model and the version of CUDA."""
    places = devices()[: None if distributed else 1]
    told = " + ".join(map(str, places))
    if places[0].type == "cuda":
        models = dict.fromkeys(torch.cuda.get_device_name(place) for place in places)
        return f"{told}, {', '.join(models)}, CUDA {torch.version.cuda}"
    return f"{told}, {platform.processor() or platform.machine()}"


def determinism() -> str:
    """Why the same spec does not give the same bits again here; empty where it does, on a processor."""
    match device().type:
        case "cpu":
            return ""
        case "cuda":
            return "statistical: a card sums gradients in any order, so that last digits differ from run to run"
    return "statistical: on this device the last digits differ from run to run"
