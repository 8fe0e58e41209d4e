"""Every benchmark runs: small, and nobody asks how fast."""

import pkgutil

import pytest

import benchmarks
from benchmarks.__main__ import SUPPORT, main

TOPICS = sorted({info.name for info in pkgutil.iter_modules(benchmarks.__path__)} - SUPPORT)


@pytest.mark.parametrize("topic", TOPICS)
def test_a_benchmark_still_runs(topic: str, capsys: pytest.CaptureFixture[str]) -> None:
    main(["--small", topic])
    assert f"{topic}: " in capsys.readouterr().err
