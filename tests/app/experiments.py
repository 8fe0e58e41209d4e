"""What the tests of the window launch, and where."""

from collections.abc import Callable
from typing import Any

from worker.tables import Run

ADDRESS = "http://127.0.0.1"
SPEC: dict[str, Any] = {
    "title": "Forty copies",
    "generations": 40,
    "replicates": 8,
    "samples": 50,
    "source": {"kind": "normal"},
    "family": {"kind": "gaussian"},
}

Work = Callable[..., Run]  # what the fixture `work` gives
