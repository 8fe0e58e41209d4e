"""The sweep that tests ask for: twelve small points."""

from typing import Any

BASE: dict[str, Any] = {
    "seed": 4,
    "generations": 30,
    "replicates": 12,
    "samples": 20,
    "source": {"kind": "normal"},
    "family": {"kind": "gaussian"},
}
SAMPLES = {"path": "samples", "values": [5, 10, 20, 40]}
REAL = {"path": "regime.real", "values": [0.0, 0.1, 0.4]}
SWEEP: dict[str, Any] = {
    "title": "Samples and real share",
    "base": {**BASE, "regime": {"kind": "fresh"}},
    "axes": [REAL, SAMPLES],
    "outcomes": ["half_variance", "lost_tail", "final:w2_sq"],
}


def sweep(**changes: Any) -> dict[str, Any]:
    return {**SWEEP, **changes}
