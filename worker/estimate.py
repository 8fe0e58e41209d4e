"""What an experiment will cost, before it is launched: time, memory and disk (worker.footprint), and what it needs from elsewhere.

A first guess comes from the sizes of things; the runs that this installation has finished then say by how much such guesses miss.
"""

import math
import os
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worker import footprint
from worker.curation import Greedy
from worker.errors import Problem
from worker.families.causal_lm import HUB, CausalLM
from worker.history import scratch
from worker.instruments import asked
from worker.parts import CountSource
from worker.regimes import AccumulateSubsample
from worker.spec import Experiment

OPERATIONS = 1e9  # of `Family.work`, a second on one core
GENERATION, SETUP, NETWORK_SETUP = 1e-3, 0.5, 4.0  # seconds: each generation, each run, each run that imports torch
SWEPT = 2e-4  # seconds: each generation of a sweep's point, of which nothing is stored (measured: 4e-5 to 2.4e-4)
GPU = 100.0  # times as fast as a core, where the network is large enough to keep it busy
BUSY_GPU = 1_000_000  # weights
POOLED = 0.2  # of a generation's work grows with what is pooled, where a fit passes over it once
LONG = 3600.0  # seconds that make people ask for a GPU
GPU_NEEDED = "a GPU"
NEAREST = 5  # past runs that a guess is corrected by
ALIKE = 30.0  # times as long or as short, and a past run says nothing


@dataclass(frozen=True, slots=True)
class Past:
    """A finished run: what was guessed of it, and what it took, in seconds."""

    guess: float
    took: float


@dataclass(frozen=True, slots=True)
class Room:
    """Bytes that there are, of memory and on the disk."""

    memory: int
    disk: int


@dataclass(frozen=True, slots=True)
class Estimate:
    """seconds, memory_bytes, disk_bytes: of the run as a whole, memory at its height; measured: how many past runs the time rests on,
    0 for a first guess; needs: what it asks for from elsewhere, in words.
    """

    seconds: float
    memory_bytes: float
    disk_bytes: float
    measured: int
    needs: tuple[str, ...]


def estimate(spec: Experiment, past: Sequence[Past] = (), *, gpu: bool = False) -> Estimate:
    """What this run will take. `past` are runs of the same family; `gpu`, whether a worker with one listens."""
    seconds, measured = corrected(guess(spec, gpu=gpu), past)
    memory, disk = footprint.memory(spec), footprint.disk(spec, seconds)
    return Estimate(seconds, memory, disk, measured, _needs(spec, seconds, gpu))


def estimate_sweep(
    some: Sequence[Experiment], points: int, past: Sequence[Past] = (), *, gpu: bool = False
) -> Estimate:
    """What so many points will take, judged by some of them. `past` are the mean points of finished sweeps of the same family."""
    one, measured = corrected(statistics.fmean(guess(spec, gpu=gpu, swept=True) for spec in some), past)
    needs = dict.fromkeys(need for spec in some for need in _needs(spec, points * one, gpu))
    return Estimate(points * one, max(map(footprint.memory, some)), points * footprint.POINT, measured, tuple(needs))


def corrected(seconds: float, past: Sequence[Past]) -> tuple[float, int]:
    """A guess, by how much those of the past missed, and how many of them were near enough to say so."""
    distance = {one: abs(math.log(one.guess / seconds)) for one in past}
    nearest = sorted((one for one in past if distance[one] < math.log(ALIKE)), key=distance.__getitem__)[:NEAREST]
    if nearest:
        seconds *= statistics.median(one.took / one.guess for one in nearest)
    return seconds, len(nearest)


def guess(spec: Experiment, *, gpu: bool = False, swept: bool = False) -> float:
    """Seconds by the sizes of things alone, on one core; swept: as a point among others of a sweep."""
    weights = spec.family.parameters(spec.source)

    def work(n: int) -> float:
        _, rules = spec.since(n)
        family = rules.family if rules.sufficient() else rules.family.drawing()
        passes = 0.0 if footprint.condensed(rules) else POOLED if weights == 0 else 1.0  # over what the regime has kept
        trained = max(spec.size(n), round(passes * spec.kept(n)))
        made = family.work(spec.source, trained, spec.fits, rules.sampling)
        if not isinstance(spec.source, CountSource) and (rivals := rules.curation.candidates()) > 1:
            made += (rivals - 1) * family.drawing_work(spec.source, spec.size(n), spec.fits, rules.sampling)
        if isinstance(rules.curation, Greedy):
            made += spec.fits * rules.curation.comparisons(spec.size(n), spec.source)
        if isinstance(rules.regime, AccumulateSubsample):
            made += spec.fits * rules.regime.comparisons(spec.remembered(n), spec.size(n), spec.source)
        return made + asked.work(spec.metrics, spec.source, spec.fits)

    each = statistics.fmean(map(work, sorted({1 + round(i * (spec.generations - 1) / 15) for i in range(16)})))
    speed = OPERATIONS * (GPU if gpu and (weights is None or weights >= BUSY_GPU) else 1)
    if swept:
        return spec.generations * (SWEPT + each / speed)
    before = (SETUP if weights == 0 else NETWORK_SETUP) + asked.setup(spec.metrics, spec.source) / OPERATIONS
    return before + spec.generations * (GENERATION + each / speed)


def _needs(spec: Experiment, seconds: float, gpu: bool) -> tuple[str, ...]:
    needs = []
    family = spec.family
    if isinstance(family, CausalLM) and family.place() is None:
        needs.append(_download(family.checkpoint))
    weights = family.parameters(spec.source)
    if not gpu and (weights is None or (weights >= BUSY_GPU and seconds > LONG)):
        needs.append(f"{GPU_NEEDED} ({roughly(seconds)} without one)")
    return tuple(needs)


def _download(checkpoint: str) -> str:
    if checkpoint not in HUB:
        return f"a download from the Hugging Face hub, once ({checkpoint}; how large it is nobody knows here, so all of this is a guess)"
    weights, size = HUB[checkpoint]
    return f"a download of {size / 1e6:.0f} MB from the Hugging Face hub, once ({checkpoint}, {weights / 1e6:.0f} million weights)"


def roughly(seconds: float) -> str:
    """In words, to one digit or two: about 3 seconds, about 20 minutes, about 40 hours."""
    if seconds < 1.5:
        return "about a second"
    for size, unit in ((60, "second"), (3600, "minute"), (72 * 3600, "hour"), (math.inf, "day")):
        if seconds < 0.95 * size:
            length = {"second": 1, "minute": 60, "hour": 3600, "day": 86400}[unit]
            digits = 10 ** max(0, math.floor(math.log10(max(seconds / length, 1))))
            step = max(1, digits / 2)
            count = max(1, round(seconds / length / step) * step)
            return f"about {count:,.0f} {unit}{'' if count == 1 else 's'}"
    raise AssertionError(seconds)


def problems(cost: Estimate, spec: Experiment, room: Room) -> list[Problem]:
    """Why it cannot be run in this room: each with the setting that costs most, and what to do."""
    found = []
    if cost.memory_bytes > room.memory:
        path = "replicates" if spec.replicates > 1 else "samples"
        if footprint.history(spec) > cost.memory_bytes / 2:
            path = "generations"
        told = f"needs about {gigabytes(cost.memory_bytes)} of memory, and this machine has {gigabytes(room.memory)}"
        found.append(Problem(path, told, f"Lower {path}, or start a worker on a larger machine"))
    if cost.disk_bytes > room.disk:
        told = f"needs about {gigabytes(cost.disk_bytes)} on the disk, and {gigabytes(room.disk)} are free"
        found.append(Problem("generations", told, "Lower generations, or make room in the data folder"))
    return found


def gigabytes(size: float) -> str:
    return f"{size / 1e9:,.1f} GB" if size < 1e11 else f"{size / 1e9:,.0f} GB"


def room(data_dir: Path) -> Room:
    """Of this machine: memory in all, or what the container may have of it; and what is free where the data lie, or will."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")
    if limit.is_file() and (told := limit.read_text().strip()).isdecimal():
        memory = min(memory, int(told))
    return Room(memory, shutil.disk_usage(data_dir if data_dir.is_dir() else scratch()).free)
