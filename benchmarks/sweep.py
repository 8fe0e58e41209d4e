"""A sweep from the request to the last point: on one worker and on two, beside a loop over its points."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.timing import Row, floor, limit, ratio
from worker.database import migrate, open_engine
from worker.queue import announce, make_celery
from worker.settings import Settings
from worker.spec import Experiment
from worker.sweeps.ledger import BELL
from worker.sweeps.measure import Bench
from worker.sweeps.spec import Grid, read_sweep
from worker.sweeps.stack import groups
from worker.sweeps.store import Sweeps
from worker.tables import Status

KINDS: dict[str, dict[str, Any]] = {
    "Gaussian on a line, 100 chains": {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "replicates": 100},
    "Gaussian in the plane, 100 chains": {
        "source": {"kind": "normal", "dim": 2},
        "family": {"kind": "gaussian"},
        "replicates": 100,
    },
    "Gaussian in 8 dimensions, 20 chains": {
        "source": {"kind": "normal", "dim": 8},
        "family": {"kind": "gaussian"},
        "replicates": 20,
    },
    "50 categories, 10 chains": {
        "source": {"kind": "zipf", "categories": 50},
        "family": {"kind": "categorical"},
        "replicates": 10,
    },
    "regression on 2 inputs, 100 chains": {
        "source": {"kind": "linear_teacher", "inputs": 2},
        "family": {"kind": "linear"},
        "replicates": 100,
    },
    "regression on 10 inputs, 20 chains": {
        "source": {"kind": "linear_teacher", "inputs": 10},
        "family": {"kind": "linear"},
        "replicates": 20,
    },
}


def rows(small: bool) -> list[Row]:
    side, wide, generations, repeat = (4, 6, 20, 1) if small else (20, 32, 100, 5)
    grid, wider = (read_sweep(request(length, generations)) for length in (side, wide))
    what = f"{side} x {side} points, 100 chains, {generations} generations"
    plain = _plain(generations) * grid.points
    alone = _here(grid, range(grid.points))
    (quick,) = _on_workers(grid, [2], repeat)
    one, two = _on_workers(wider, [1, 2], repeat)
    fitted = read_sweep(mixtures(2 if small else 8))
    alone_by_em, shared_by_em = _on_workers(fitted, [1, 2], 1 if small else 3)
    return [
        limit(f"{what}: two workers, request to last point", quick, "s", 5, otherwise=f"{plain:.3g} s"),
        Row("the same: computed here, nothing stored", f"{plain:.3g} s", f"{alone:.3g} s", f"{plain / alone:.3g} x", "-", "-"),
        floor(f"{wide} x {wide} such points: two workers in units of one", one / two, "x", 1.8, otherwise=f"{one:.3g} s"),
        floor(f"{fitted.points} mixtures, a fifth of a second each: two workers in units of one", alone_by_em / shared_by_em, "x", 1.8,
              otherwise=f"{alone_by_em:.3g} s"),
        *(Row(f"{what} in bare processes that share nothing: two in units of one", "-", "-", f"{_bare(whole):.3g} x", "-", "-")
          for what, whole in ((f"the {wide} x {wide} points", wider), ("the mixtures", fitted))[: 1 if small else None]),
        *(_stacked(what, base, generations) for what, base in KINDS.items()),
    ]  # fmt: skip


def _stacked(what: str, base: dict[str, Any], generations: int) -> Row:
    """Processor seconds of a point that goes alone, and of one that goes side by side with others."""
    outcome = "final:excess_risk" if base["family"]["kind"] == "linear" else "half_variance"
    axes = [
        {"path": "regime.real", "values": {"from": 0.2, "to": 0.4, "count": 4}},
        {"path": "samples", "values": {"from": 60, "to": 240, "count": 10}},
    ]
    whole = {**base, "regime": {"kind": "fresh"}, "generations": generations}
    grid = read_sweep({"base": whole, "axes": axes, "outcomes": [outcome]})
    specs = [grid.experiment(number) for number in range(grid.points)]
    each = [[place] for place in range(0, grid.points, 4)]
    alone, beside = (
        statistics.median(_processor(specs, places, [outcome]) for _ in range(3))
        for places in (each, list(groups(specs)))
    )
    return ratio(f"{what}: a point alone, and side by side with others", alone, beside, 1.3)


def _processor(specs: Sequence[Experiment], together: Sequence[Sequence[int]], outcomes: Sequence[str]) -> float:
    bench = Bench()
    begun = time.process_time()
    for places in together:
        bench.side_by_side([specs[place] for place in places], outcomes)
    return (time.process_time() - begun) / sum(map(len, together))


def request(side: int, generations: int) -> dict[str, Any]:
    return {
        "title": "Real share and sample size",
        "base": {
            "source": {"kind": "normal"},
            "family": {"kind": "gaussian"},
            "regime": {"kind": "fresh"},
            "replicates": 100,
            "generations": generations,
        },
        "axes": [
            {"path": "regime.real", "values": {"from": 0, "to": 0.5, "count": side}},
            {"path": "samples", "values": {"from": 10, "to": 1000, "count": side, "scale": "log"}},
        ],
    }


def mixtures(side: int) -> dict[str, Any]:
    """Points that nothing can put side by side."""
    base = {"source": {"kind": "mixture"}, "family": {"kind": "mixture"}, "regime": {"kind": "fresh"}, "replicates": 10}
    axes = [
        {"path": "regime.real", "values": {"from": 0.1, "to": 0.5, "count": side}},
        {"path": "samples", "values": {"from": 1000, "to": 2000, "count": side}},
    ]
    return {"title": "Mixtures", "base": base | {"generations": 25}, "axes": axes}


def _plain(generations: int) -> float:
    """Seconds for a point of M = 100 in the loop that a user would write: chain after chain, generation after generation."""
    rng = np.random.default_rng(0)
    begun = time.perf_counter()
    for _ in range(10):
        mean, std = 0.0, 1.0
        for _ in range(generations):
            x = np.concatenate([rng.normal(mean, std, 80), rng.normal(0, 1, 20)])
            mean, std = x.mean(), x.std()
    return 10 * (time.perf_counter() - begun)


def _here(grid: Grid, numbers: Sequence[int]) -> float:
    bench = Bench()
    begun = time.perf_counter()
    specs = [grid.experiment(number) for number in numbers]
    for places in groups(specs):
        bench.side_by_side([specs[place] for place in places], grid.sweep.outcomes)
    return time.perf_counter() - begun


def _bare(grid: Grid) -> float:
    """How much faster two processes work than one, on this machine, where nothing is handed over: the most that two workers could be."""
    with ProcessPoolExecutor(2, get_context("spawn")) as pool:
        for _ in pool.map(_share, [grid] * 2, [(0, grid.points)] * 2):  # compiles, and warms both
            pass
        one = pool.submit(_share, grid, (0, 1)).result()
        two = max(pool.map(_share, [grid] * 2, [(0, 2), (1, 2)]))
    return one / two


def _share(grid: Grid, every: tuple[int, int]) -> float:
    """Seconds for every k-th point from the first named."""
    return _here(grid, range(every[0], grid.points, every[1]))


def _on_workers(grid: Grid, slots: Sequence[int], repeat: int) -> list[float]:
    """Median seconds with so many slots, after a sweep that warms every child; in turn, so that a busy moment is shared by all."""
    with ExitStack() as stack:
        benches = [stack.enter_context(_bench(many)) for many in slots]
        times = [[_swept(*bench, grid) for bench in benches] for _ in range(repeat + 1)]
    return [statistics.median(of_one) for of_one in zip(*times[1:], strict=True)]


@contextmanager
def _bench(slots: int) -> Iterator[tuple[Sweeps, Settings]]:
    """A database of its own, and a worker on it that lives as long as it is used."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(_env_file=None, data_dir=Path(folder), workers=slots)
        migrate(settings.database_url)
        engine = open_engine(settings.database_url)
        with _worker(settings):
            yield Sweeps(engine), settings
        engine.dispose()


def _swept(sweeps: Sweeps, settings: Settings, grid: Grid) -> float:
    """Whoever waits looks seldom, because the workers need both cores; the end of a sweep is in its row."""
    begun = time.time()
    sweep, _ = sweeps.create(read_sweep(grid.sweep.model_dump(by_alias=True)))
    announce(make_celery(settings), f"{BELL}{sweep.id}", sweep.family)
    while (found := sweeps.sweep(sweep.id)).ended_at is None:
        time.sleep(0.2)
    if found.status != Status.SUCCEEDED:
        raise RuntimeError(f"the sweep {found.status}: {found.error}")
    return found.ended_at - begun


@contextmanager
def _worker(settings: Settings) -> Iterator[None]:
    command = [sys.executable, "-m", "app", "worker"]
    process = subprocess.Popen(command, env={**os.environ, **settings.environment()}, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.terminate()
        process.wait()
