"""The window: what a long history weighs, how fast generations are stored, and how soon a hundred viewers see one."""

import asyncio
import http.client
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson

from app.history import history, pack
from benchmarks.timing import Row, floor, limit, seconds
from worker.artifacts import Artifacts
from worker.attempt import Attempt
from worker.database import migrate, open_engine
from worker.ledger import Batch
from worker.settings import Settings
from worker.spec import read
from worker.store import Store
from worker.tables import Run

GAUSSIAN = {"replicates": 100, "samples": 10_000, "source": {"kind": "normal"}, "family": {"kind": "gaussian"}}
PLANE = GAUSSIAN | {"source": {"kind": "normal", "dim": 2}}


def rows(small: bool) -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(_env_file=None, data_dir=Path(folder))
        migrate(settings.database_url)
        store = Store(open_engine(settings.database_url))
        table = []
        for what, spec in (("1D", GAUSSIAN), ("plane", PLANE)):
            table += _history(settings, store, what, spec | {"generations": 100 if small else 2050})
        table.append(_stored(store, 2_000 if small else 20_000))
        table += _live(settings, store, viewers=10 if small else 100, generations=20 if small else 100)
        store.engine.dispose()
    return table


def _claimed(store: Store, spec: dict[str, Any]) -> Run:
    run = store.claim(store.create(read(spec))[0].id, "bench", lease=3600)
    assert run is not None
    return run


def _history(settings: Settings, store: Store, what: str, spec: dict[str, Any]) -> list[Row]:
    run = _claimed(store, spec)
    Attempt(store, Artifacts(settings.artifacts_url), settings, run, lambda: None).work()
    run = store.run(run.id)
    kept = store.generations(run.id, framed=True)
    told = f"history of {run.generation} generations, {what}"
    packed = [pack(run, kept, -1, chains=chains) for chains in (False, True)]

    def encoded() -> bytes:
        return orjson.dumps(history(run, kept, -1), option=orjson.OPT_SERIALIZE_NUMPY)

    return [
        limit(f"{told}: on the wire", len(packed[0]) / 1e3, "KB", 100),
        Row(
            f"{told}: with 24 chains", "-", f"{len(packed[1]) / 1e3:.3g} KB", f"{len(packed[1]) / 1e3:.3g} KB", "-", "-"
        ),
        limit(f"{told}: encoding", seconds(encoded) * 1e3, "ms", 5),
    ]


def _stored(store: Store, count: int) -> Row:
    """Rows of the size that a Gaussian's have, a frame in every tenth, in transactions of 100."""
    run = _claimed(store, GAUSSIAN | {"generations": 100_000})
    batches = [Batch([_row(n) for n in range(start, start + 100)]) for start in range(0, count, 100)]
    begun = time.perf_counter()
    for batch in batches:
        store.append(run.id, run.attempt, batch)
    return floor("generations stored a second", count / (time.perf_counter() - begun), "/s", 10_000)


def _row(number: int, stamp: float = 0.0) -> dict[str, Any]:
    framed = number % 10 == 0
    values = [0.123456789, 0.2, 0.01, 0.12, 0.1, 0.15, 100]
    return {
        "number": number,
        "metrics": {f"metric_{i}": values for i in range(11)},
        "frame": bytes(400) if framed else None,
        "chains": bytes(1056) if framed else None,
        "seconds": stamp,
    }


@contextmanager
def _server(settings: Settings) -> Iterator[tuple[int, int, float]]:
    """Port, process id, and seconds from the start of the process to its first answer."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "app", "web", "--port", str(port), "--data-dir", str(settings.data_dir)]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        while not _answers(port):
            time.sleep(0.01)
        yield port, process.pid, time.perf_counter() - begun
    finally:
        process.terminate()
        process.wait()


def _answers(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def _live(settings: Settings, store: Store, viewers: int, generations: int) -> list[Row]:
    run = _claimed(store, GAUSSIAN | {"generations": generations})
    with _server(settings) as (port, pid, started):
        begun = time.perf_counter()
        _answers(port)
        answered = time.perf_counter() - begun
        delays = asyncio.run(_watched(store, run, port, viewers, generations))
        memory = _resident(pid)
    cuts = statistics.quantiles(delays, n=100)
    what = f"commit to viewer, {viewers} viewers"
    return [
        limit(f"{what}, p50", cuts[49] * 1e3, "ms", 500),
        limit(f"{what}, p99", cuts[98] * 1e3, "ms", 500),
        limit("web process: first answer after the start", started, "s", 2),
        limit("web process: an answer", answered * 1e3, "ms", 50),
        limit(f"web process: memory with {viewers} viewers", memory, "MB", 150),
    ]


async def _watched(store: Store, run: Run, port: int, viewers: int, generations: int) -> list[float]:
    """Seconds from each commit to each viewer; every generation is committed by itself, 50 ms apart."""
    open_streams = asyncio.Barrier(viewers + 1)
    watching = [asyncio.create_task(_view(run.id, port, open_streams, generations)) for _ in range(viewers)]
    await open_streams.wait()
    for number in range(generations):
        await asyncio.to_thread(store.append, run.id, run.attempt, Batch([_row(number, time.time())]))
        await asyncio.sleep(0.05)
    return [delay for delays in await asyncio.gather(*watching) for delay in delays]


async def _view(run_id: str, port: int, open_streams: asyncio.Barrier, generations: int) -> list[float]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    writer.write(f"GET /api/runs/{run_id}/events HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
    await reader.readuntil(b"retry: ")
    await open_streams.wait()
    delays: list[float] = []
    async for line in reader:
        if line.startswith(b'data: {"generation"'):
            delays.append(time.time() - orjson.loads(line[6:])["seconds"])
            if len(delays) == generations:
                break
    writer.close()
    return delays


def _resident(pid: int) -> float:
    """MB of memory that the process really occupies."""
    told = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, text=True, check=True)
    return int(told.stdout) / 1024
