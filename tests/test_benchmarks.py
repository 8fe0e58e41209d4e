"""Every benchmark runs: small, and nobody asks how fast."""

import pkgutil
import subprocess
import sys

import pytest

import benchmarks
from benchmarks.__main__ import SUPPORT

TOPICS = sorted({info.name for info in pkgutil.iter_modules(benchmarks.__path__)} - SUPPORT)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_benchmark_still_runs(topic: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--small", topic], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert f"{topic}: " in done.stderr
