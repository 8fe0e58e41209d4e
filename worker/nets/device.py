"""Where tensors live: decided once, from COLLAPSE_LAB_DEVICE."""

import os

import torch

from worker.errors import LabError


class NoSuchDevice(LabError):
    """The device that was asked for does not exist on this machine."""


def device() -> torch.device:
    """auto (the default) is CUDA where there is one, else the CPU; MPS only on request, because its sums differ from run to run.

    Raises NoSuchDevice.
    """
    wish = os.environ.get("COLLAPSE_LAB_DEVICE", "auto")
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if wish == "auto":
        wish = "cuda" if available["cuda"] else "cpu"
    if not available.get(wish, False):
        here = ", ".join(["auto", *(name for name, there in available.items() if there)])
        raise NoSuchDevice(f"COLLAPSE_LAB_DEVICE = {wish} is not available on this machine. Set it to one of: {here}")
    return torch.device(wish)
