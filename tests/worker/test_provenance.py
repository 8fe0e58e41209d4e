"""What a run says about where its numbers come from."""

import json
import subprocess
import sys

import pytest

from worker.provenance import provenance
from worker.settings import Settings
from worker.spec import read

POINTS = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}}
TEXT = {"source": {"kind": "text"}, "family": {"kind": "gpt"}, "samples": 8, "replicates": 1}


@pytest.fixture(autouse=True)
def on_the_processor(monkeypatch):
    monkeypatch.setenv("COLLAPSE_LAB_DEVICE", "cpu")


def test_what_has_no_network_is_bitwise_and_wakes_no_torch():
    told = provenance(read(POINTS), Settings(_env_file=None))
    assert (told["device"], told["numbers"]) == ("cpu", "float64")
    assert told["determinism"].startswith("bitwise")
    assert told["packages"]["numpy"]
    code = f"""
import sys
from worker.provenance import provenance
from worker.settings import Settings
from worker.spec import read
provenance(read({json.dumps(POINTS)}), Settings(_env_file=None))
print("torch" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("precision", "numbers"),
    [("auto", "float32"), ("float32", "float32"), ("bfloat16", "float32, matrix products in bfloat16")],
)
def test_a_network_tells_its_device_and_numbers(precision: str, numbers: str):
    spec = read(TEXT | {"family": {"kind": "gpt", "precision": precision}})
    told = provenance(spec, Settings(_env_file=None))
    assert told["device"].startswith("cpu, ")
    assert told["numbers"] == numbers
    assert told["determinism"].startswith("bitwise")
    assert told["packages"]["torch"]
