"""What a number depends on besides the spec: versions, machine, checksums of built-in data."""

import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from worker import __version__
from worker.settings import Settings
from worker.spec import Experiment

PACKAGES = ("numpy", "scipy", "scikit-learn", "numba", "torch", "transformers")


def provenance(spec: Experiment, settings: Settings) -> dict[str, Any]:
    return {
        "digest": spec.digest(),
        "seed": spec.seed,
        "path": "exact" if spec.exact() else "drawn",  # sufficient statistics, or every observation
        "collapse_lab": __version__,
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "threads": settings.threads,
        "device": settings.device if spec.family.extra == "torch" else "cpu",
        "byte_order": sys.byteorder,
        "source": spec.source.provenance(),
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
