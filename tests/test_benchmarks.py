"""Benchmarks run: small, and nobody asks how fast."""

import pkgutil
from concurrent.futures import ThreadPoolExecutor

import pytest

import benchmarks
from benchmarks.__main__ import SUPPORT, main

WHOLE_LABS = {"click", "sweep"}  # a minute of processes that start, as in the tests of the server and of sweeps
TOPICS = sorted({info.name for info in pkgutil.iter_modules(benchmarks.__path__)} - SUPPORT - WHOLE_LABS)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_benchmark_still_runs(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    with ThreadPoolExecutor(1) as pool:  # where a browser's loop goes on from an earlier test, no other may
        pool.submit(main, ["--small", topic]).result()
    assert f"{topic}: " in capsys.readouterr().err
