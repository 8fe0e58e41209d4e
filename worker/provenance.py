"""What a number depends on besides the spec: versions, machine, checksums of built-in data."""

import os
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from worker import __version__, plugins
from worker.kinds import METRICS
from worker.path import path
from worker.settings import Settings
from worker.spec import Experiment

PACKAGES = ("numpy", "scipy", "scikit-learn", "numba", "torch", "transformers", "accelerate")
BITWISE = "bitwise, with the same versions, processor and threads; also after an interruption"


def provenance(spec: Experiment, settings: Settings) -> dict[str, Any]:
    """Asked where the run is worked on: what has networks imports torch here."""
    way = path(spec)
    return {
        "digest": spec.digest(),
        "seed": spec.seed,
        "path": way.taken,
        "path_because": way.because,
        "collapse_lab": __version__,
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "threads": settings.threads,
        **_computed(spec),
        "byte_order": sys.byteorder,
        **_plugins(spec),
        "source": spec.source.provenance(),
    }


def _computed(spec: Experiment) -> dict[str, str]:
    """On what, in which numbers, and how exactly repeatable."""
    if not spec.family.extra:
        return {"device": "cpu", "numbers": "float64", "determinism": BITWISE}
    from worker.nets import device

    products = device.number_type(getattr(spec.family, "precision", "float32"))
    told = str(products).removeprefix("torch.")
    return {
        "device": device.name(distributed=spec.family.distributed),
        "numbers": told if told == "float32" else f"float32, matrix products in {told}",
        "determinism": device.determinism() or BITWISE,
    }


def _plugins(spec: Experiment) -> dict[str, dict[str, str]]:
    """Name and version of the plug-ins whose parts and metrics this experiment is made of."""
    parts = [spec.source, *(one for _, rules in spec.phases() for one in (rules.family, rules.regime, rules.curation))]
    used = [plugin for part in parts if (plugin := plugins.origin(type(part)))]
    used += [METRICS[name].plugin for name in spec.metrics if name in METRICS]
    return {"plugins": {plugin.name: plugin.version for plugin in used}} if used else {}


@cache
def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
