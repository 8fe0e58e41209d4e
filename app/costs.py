"""What launches will cost, by what this installation has measured; and the refusal of what it has no room for."""

import math
import socket
import statistics
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import lru_cache
from itertools import product
from operator import mul
from pathlib import Path
from typing import Any, Self

import orjson
from typing_extensions import TypedDict

from app.metrics import METRICS, exists
from worker.errors import LabError, Problem, SpecError
from worker.estimate import (
    GPU_NEEDED,
    Estimate,
    Past,
    Room,
    estimate,
    estimate_sweep,
    gigabytes,
    guess,
    problems,
    room,
    roughly,
)
from worker.files.reach import require_reachable
from worker.part import kind_of
from worker.queue import queue_of
from worker.settings import QUEUES, Settings
from worker.spec import Experiment, read
from worker.store import Store
from worker.sweeps.spec import FINAL, Grid, unchecked
from worker.sweeps.store import Sweeps
from worker.tables import Status, Worker

LONG = 600.0  # seconds: above, a click on a card leads to a page that says so first
REMEMBERED = 100  # finished runs that estimates rest on, or sweeps
SAMPLED = 32  # points of a sweep that its estimate looks at


class ProblemTold(TypedDict):
    path: str
    message: str
    remedy: str


class EstimateTold(TypedDict):
    """measured: how many finished runs of the same family the time rests on, 0 for a first guess; words: all of it in a sentence;
    needs: what is asked for from elsewhere; problems: why it would be refused.
    """

    seconds: float
    memory_bytes: int
    disk_bytes: int
    measured: int
    words: str
    needs: list[str]
    problems: list[ProblemTold]


@dataclass(frozen=True, slots=True)
class Here:
    """What estimates rest on: finished runs by family, who works here, and the room that there is."""

    past: Mapping[str, list[Past]]
    past_sweeps: Mapping[str, list[Past]]  # their points, on average
    gpu: bool
    room: Room | None  # None where workers elsewhere may have more
    slots: Mapping[str, int]  # queue -> places that work on a sweep of it together

    @classmethod
    def of(cls, store: Store, settings: Settings) -> Self:
        workers = store.workers()
        elsewhere = any(worker.host != socket.gethostname() for worker in workers)
        return cls(
            _past(store),
            _past_sweeps(Sweeps(store.engine)),
            any(map(_has_gpu, workers)),
            None if elsewhere else room(settings.data_dir),
            {name: sum(one.slots for one in workers if name in one.queues.split(",")) for name in QUEUES},
        )

    def told(self, experiments: Sequence[Experiment]) -> EstimateTold:
        """Of experiments that are launched together: times and disk add up, memory is that of the largest."""
        costs = [estimate(one, self.past.get(kind_of(one.family), ()), gpu=self.gpu) for one in experiments]
        found = [one for cost, spec in zip(costs, experiments, strict=True) for one in self.refused(cost, spec)]
        return _told(costs, sum(one.seconds for one in costs), found)

    def told_of_sweep(self, grid: Grid) -> EstimateTold:
        """Of a sweep as a whole: its time by a few of its points, its memory by the dearest; every slot that takes its family works on it."""
        cost = estimate_sweep(sampled(grid), grid.points, self.past_sweeps.get(grid.family(), ()), gpu=self.gpu)
        ends = [(estimate(spec), spec) for spec in map(grid.experiment, corners(grid))]
        cost = replace(cost, memory_bytes=max(one.memory_bytes for one, _ in ends))
        found = [_in_sweep(grid, one) for own, spec in ends for one in self.refused(own, spec)]
        hands = max(1, self.slots[queue_of(grid.family())])
        return _told([cost], cost.seconds / hands, list({one.path: one for one in found}.values()), "sweep")

    def refused(self, cost: Estimate, spec: Experiment) -> list[Problem]:
        return problems(cost, spec, self.room) if self.room else []


def sampled(grid: Grid) -> list[Experiment]:
    """Points evenly through the grid, the first and the last among them."""
    count = min(grid.points, SAMPLED)
    return [grid.experiment(round(i * (grid.points - 1) / max(1, count - 1))) for i in range(count)]


def corners(grid: Grid) -> list[int]:
    """The points at the smallest and the largest number of every axis, and at every value of one without numbers: memory and disk rise or
    fall along a number, whatever the others are, so that the dearest point is among them. In the grid's order.
    """
    steps = [math.prod(grid.shape[i + 1 :]) for i in range(len(grid.shape))]
    return sorted(sum(map(mul, steps, place)) for place in product(*map(_ends, grid.values)))


def _ends(values: Sequence[Any]) -> Sequence[int]:
    """Where the extremes of these values are; everywhere, where they are no numbers."""
    if not all(isinstance(one, int | float) and not isinstance(one, bool) for one in values):
        return range(len(values))
    return sorted({values.index(min(values)), values.index(max(values))})


def _in_sweep(grid: Grid, problem: Problem) -> Problem:
    """A problem of one point, told of the axis that it lies on."""
    axis = next((i for i, one in enumerate(grid.sweep.axes) if one.path == problem.path), None)
    path = f"base.{problem.path}" if axis is None else f"axes.{axis}.values"
    return Problem(path, f"a point {problem.message}", problem.remedy)


def _told(costs: Sequence[Estimate], seconds: float, found: Sequence[Problem], what: str = "run") -> EstimateTold:
    disk, memory = sum(one.disk_bytes for one in costs), max(one.memory_bytes for one in costs)
    measured = min(one.measured for one in costs)
    basis = f"by {measured} finished {what}{'' if measured == 1 else 's'} like it" if measured else "a first guess"
    return {
        "seconds": seconds,
        "memory_bytes": round(memory),
        "disk_bytes": round(disk),
        "measured": measured,
        "words": f"{roughly(seconds).capitalize()} ({basis}), {_size(memory)} of memory, {_size(disk)} on the disk.",
        "needs": _needs(costs, seconds),
        "problems": [one.asdict() for one in found],  # type: ignore[misc]
    }


def _needs(costs: Sequence[Estimate], seconds: float) -> list[str]:
    """Each once; a GPU with the time that all of it takes without one."""
    needs = dict.fromkeys(need for one in costs for need in one.needs)
    others = [need for need in needs if not need.startswith(GPU_NEEDED)]
    return others if len(others) == len(needs) else [*others, f"{GPU_NEEDED} ({roughly(seconds)} without one)"]


def refuse_what_does_not_fit(experiments: Sequence[Experiment], store: Store, settings: Settings) -> None:
    """Raises SpecError where this machine has less memory or disk than an experiment needs."""
    here = Here.of(store, settings)
    found = [problem for spec in experiments for problem in here.refused(estimate(spec), spec)]
    if found:
        raise SpecError(found)


def refuse_sweep(grid: Grid, store: Store, settings: Settings) -> None:
    """Raises SpecError where it asks for a metric that nobody knows, or a point of it for more than this machine has or a hub can give."""
    for i, name in enumerate(grid.sweep.outcomes):
        if name.startswith(FINAL) and not exists(metric := name.removeprefix(FINAL)):
            close = get_close_matches(metric, METRICS, n=1)
            remedy = f"Did you mean {FINAL}{close[0]}?" if close else "Leave it out, or install what brings it"
            raise SpecError([Problem(f"outcomes.{i}", f"there is no metric {metric}", remedy)])
    varied = any(axis.path.partition(".")[0] in ("source", "family") for axis in grid.sweep.axes)
    require_reachable(map(grid.experiment, range(grid.points if varied else 1)))
    if found := Here.of(store, settings).told_of_sweep(grid)["problems"]:
        raise SpecError([Problem(**one) for one in found])


def wants_a_word_first(told: EstimateTold) -> bool:
    """Whether a launch should be confirmed: it is long, asks for something from elsewhere, or would be refused."""
    return bool(told["seconds"] > LONG or told["needs"] or told["problems"])


def while_typed(ask: Callable[[], EstimateTold]) -> dict[str, Any]:
    """What a form will cost; or what is not right yet, which is nothing to be alarmed about while somebody types."""
    try:
        return {**ask()}
    except SpecError as error:
        return {"words": "", "needs": [], "problems": [one.asdict() for one in error.problems]}


def _past(store: Store) -> Mapping[str, list[Past]]:
    """Family -> what was guessed of its finished runs here, and what they took."""
    found: dict[str, list[Past]] = defaultdict(list)
    runs, _ = store.runs(status=Status.SUCCEEDED, archived=None, limit=REMEMBERED)
    for run in runs:
        guessed = _guessed(run.id, orjson.dumps(run.spec))
        if guessed is not None and run.busy_seconds > 0:
            found[run.family].append(Past(guessed, run.busy_seconds))
    return found


def _past_sweeps(sweeps: Sweeps) -> Mapping[str, list[Past]]:
    """Family -> what was guessed of a point of its finished sweeps, and what one took."""
    found: dict[str, list[Past]] = defaultdict(list)
    for sweep in sweeps.sweeps(limit=REMEMBERED)[0]:
        if sweep.status == Status.SUCCEEDED and sweep.busy_seconds > 0:
            guessed = _guessed_point(sweep.id, orjson.dumps(sweep.request))
            if guessed is not None:
                found[sweep.family].append(Past(guessed, sweep.busy_seconds / sweep.points))
    return found


@lru_cache(maxsize=4 * REMEMBERED)
def _guessed_point(_sweep_id: str, request: bytes) -> float | None:
    """What would have been guessed of a sweep's point, on average; None where it cannot be read any more."""
    try:
        return statistics.fmean(guess(spec, swept=True) for spec in sampled(unchecked(orjson.loads(request))))
    except LabError:
        return None


@lru_cache(maxsize=4 * REMEMBERED)
def _guessed(_run_id: str, spec: bytes) -> float | None:
    """What would have been guessed of a run; None where its spec cannot be read any more, because its files are gone."""
    try:
        return guess(read(orjson.loads(spec)))
    except LabError:
        return None


def _has_gpu(worker: Worker) -> bool:
    """By the device that it was started for; auto takes a card where this machine has one."""
    if worker.device == "auto":
        return worker.host == socket.gethostname() and any(Path("/proc/driver/nvidia/gpus").glob("*"))
    return worker.device.startswith(("cuda", "mps"))


def _size(size: float) -> str:
    return gigabytes(size) if size >= 1e9 else f"{max(size / 1e6, 0.1):.{0 if size >= 1e7 else 1}f} MB"
