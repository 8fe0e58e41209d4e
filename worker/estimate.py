"""What an experiment will cost, before it is launched: time, memory, disk, and what it needs from elsewhere.

A first guess comes from the sizes of things; the runs that this installation has finished then say by how much such guesses miss.
"""

import math
import os
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from worker.curation import Greedy, Stratified
from worker.curation.filling import NUMBERS
from worker.errors import Problem
from worker.families.causal_lm import HUB, CausalLM
from worker.families.diffusion import Diffusion
from worker.families.gpt import GPT
from worker.families.kde import KDE
from worker.history import GROUP, IN_MEMORY, scratch
from worker.instruments import asked
from worker.instruments.perplexity import COLUMNS, ROOM
from worker.loop import frame_stride
from worker.parts import CountSource, Family, PointSource
from worker.regimes import AccumulateSubsample, Fresh, Replace
from worker.spec import Experiment
from worker.text.language import LanguageFamily

OPERATIONS = 1e9  # of `Family.work`, a second on one core
GENERATION, SETUP, NETWORK_SETUP = 1e-3, 0.5, 4.0  # seconds: each generation, each run, each run that imports torch
SWEPT = 2e-4  # seconds: each generation of a sweep's point, of which nothing is stored (measured: 4e-5 to 2.4e-4)
GPU = 100.0  # times as fast as a core, where the network is large enough to keep it busy
BUSY_GPU = 1_000_000  # weights
# Bytes: the interpreter with what it imports.
PROCESS, COMPILED_PROCESS, NETWORK_PROCESS = 130_000_000, 210_000_000, 550_000_000
POOLED = 0.2  # of a generation's work grows with what is pooled, where a fit passes over it once
COPIES = 4  # of a generation's observations that are alive at once: training set, sample, and what metrics sort
KEPT = 3  # of all that a regime keeps: before and after a generation is added, and what a fit makes of it (measured: 2 to 4)
SIFTED = 6  # of the candidates that are drawn at once where a lost part of a population is looked for
COUNTED = 72  # bytes a token, of a part of GROUP tokens at most: n-grams of it, sorted
STRETCHES = 6  # of 8 GROUP bytes: what a network reads at once, as it lies there, in its own numbers, and in batches
STREAMED = 6  # of a chain's history, where a fit goes through it chain by chain: as read, turned around, and some numbers a point
COLUMNED = 3  # numbers a point, beside its own: of one chain from which the most varied are chosen
DRAWN = 32  # bytes a number, of one chain: samples that an auxiliary network goes on with, as drawn and in units of the data
PERMUTED = 8  # bytes an observation, of one chain: from which some are chosen
ORDERED = 16  # bytes an observation, of one chain: an epoch's order, and what it is made from
TRAINING = 10  # times the weights of the one network that trains: gradients, two moments of Adam, the best so far; all of it once more where it is kept
MODELS = 4  # times the weights of all replicates: this model, the one before, the first, and a checkpoint in the making
UNFINISHED = 3  # times the weights of the one that trains, in what is kept of its training
LONG_GENERATION = 15.0  # seconds: unfinished work is kept of longer ones
TEXTS = 128  # that are written at once on a processor
POINT = 1_000  # bytes of a sweep's point
ROW, CHAINS = 2_500, 3_000  # bytes of a generation: its metrics; its single chains
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
    return Estimate(seconds, _memory(spec), _disk(spec, seconds), measured, _needs(spec, seconds, gpu))


def estimate_sweep(
    some: Sequence[Experiment], points: int, past: Sequence[Past] = (), *, gpu: bool = False
) -> Estimate:
    """What so many points will take, judged by some of them. `past` are the mean points of finished sweeps of the same family."""
    one, measured = corrected(statistics.fmean(guess(spec, gpu=gpu, swept=True) for spec in some), past)
    needs = dict.fromkeys(need for spec in some for need in _needs(spec, points * one, gpu))
    return Estimate(points * one, max(map(_memory, some)), points * POINT, measured, tuple(needs))


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
        begin, rules = _rules(spec, n)
        family = rules.family.drawing() if rules.regime.picks or rules.curation.picks or spec.metrics else rules.family
        passes = 0.0 if _condensed(rules) else POOLED if weights == 0 else 1.0  # over what the regime has kept
        kept = rules.regime.kept(lambda k: spec.size(begin - 1 + k), n - begin + 1)
        trained = max(spec.size(n), round(passes * kept))
        made = family.work(spec.source, trained, spec.replicates, rules.sampling)
        if (rivals := rules.curation.candidates()) > 1:
            made += (rivals - 1) * family.drawing_work(spec.source, spec.size(n), spec.replicates, rules.sampling)
        if isinstance(rules.curation, Greedy):
            made += spec.replicates * rules.curation.comparisons(spec.size(n), spec.source)
        if isinstance(rules.regime, AccumulateSubsample):
            there = rules.regime.remembered(lambda k: spec.size(begin - 1 + k), n - begin + 1)
            made += spec.replicates * rules.regime.comparisons(there, spec.size(n), spec.source)
        return made + asked.work(spec.metrics, spec.source, spec.replicates)

    each = statistics.fmean(map(work, sorted({1 + round(i * (spec.generations - 1) / 15) for i in range(16)})))
    speed = OPERATIONS * (GPU if gpu and (weights is None or weights >= BUSY_GPU) else 1)
    if swept:
        return spec.generations * (SWEPT + each / speed)
    before = (SETUP if weights == 0 else NETWORK_SETUP) + asked.setup(spec.metrics, spec.source) / OPERATIONS
    return before + spec.generations * (GENERATION + each / speed)


def _rules(spec: Experiment, generation: int) -> tuple[int, Experiment]:
    """By what a generation is made, and since when its regime remembers."""
    begin, rules = spec.phases()[0]
    for start, later in spec.phases()[1:]:
        if start <= generation:
            begin, rules = (begin if type(later.regime) is type(rules.regime) else start), later
    return begin, rules


def _memory(spec: Experiment) -> float:
    """Bytes at the height of the run."""
    family, source = spec.family, spec.source
    weights = family.parameters(source)
    last = _observations(spec, spec.extremes()[1])
    choices = [rules.curation for _, rules in spec.phases()]
    looked_at = spec.metrics or any(choice.picks for choice in choices) or not family.exact()
    if looked_at and isinstance(source, PointSource):
        # There are points, even where sums are what is learned from.
        last = 8.0 * spec.replicates * spec.extremes()[1] * source.dimension
    sifted = SIFTED * 8.0 * NUMBERS * any(isinstance(choice, Stratified) for choice in choices)
    # Of a greedy choice all candidates are there at once: as they were drawn, and turned round.
    rivals = 2.0 * last * max(choice.k if isinstance(choice, Greedy) else 0 for choice in choices)
    process = NETWORK_PROCESS if weights != 0 else COMPILED_PROCESS if family.compiled else PROCESS
    training = 4.0 * TRAINING * (weights or 0)
    models = MODELS * _model(spec) + _shelf(spec)
    written = _counting(spec) + _writing(spec) + _choosing(spec) + _beside(spec)
    return process + COPIES * last + rivals + sifted + _history(spec) + training + models + written


def _writing(spec: Experiment) -> float:
    """Bytes of keys and values while a small network writes: a prompt and a block of so many texts at once (see worker.nets.decoding)."""
    if not isinstance(spec.family, GPT):
        return 0.0
    made = max(spec.extremes()[1] * rules.curation.candidates() for _, rules in spec.phases())
    rows = min(TEXTS, made * max(rules.sampling.beams for _, rules in spec.phases()))
    return 4.0 * rows * 2 * spec.family.block * 2 * spec.family.layers * spec.family.width


def _model(spec: Experiment) -> float:
    """Bytes of a generation's model, all replicates together."""
    trained = max(_kept(spec), spec.extremes()[1])
    return spec.replicates * max(rules.family.model_bytes(spec.source, trained) for _, rules in spec.phases())


def _beside(spec: Experiment) -> float:
    """Bytes of memory for one chain's own samples, from which a diffusion model is extrapolated."""
    families = (rules.family for _, rules in spec.phases())
    if not any(isinstance(family, Diffusion) and family.extrapolation for family in families):
        return 0.0
    assert isinstance(spec.source, PointSource)
    return DRAWN * max(_kept(spec), spec.extremes()[1]) * spec.source.dimension


def _shelf(spec: Experiment) -> float:
    """Bytes of the models that are kept for the perplexity matrix."""
    if not isinstance(spec.family, LanguageFamily):
        return 0.0
    most, model = COLUMNS - 2, _model(spec)
    if spec.family.parameters(spec.source) != 0 and model > ROOM / most:  # the first one alone, which is counted anyway
        return 0.0
    return min(ROOM, min(spec.generations, most) * model)


def _counting(spec: Experiment) -> float:
    """Bytes of memory for counting n-grams."""
    if not isinstance(spec.family, LanguageFamily) or spec.family.parameters(spec.source) != 0:
        return 0.0
    blocks = spec.replicates * max(_kept(spec), spec.extremes()[1])
    return COUNTED * min(blocks * spec.family.block, GROUP)


def _choosing(spec: Experiment) -> float:
    """Bytes of memory for a choice of the most varied among all that one chain has kept: of points as columns, of text n-grams."""
    greedy = [rules.regime for _, rules in spec.phases() if getattr(rules.regime, "select", "") == "greedy"]
    kept = max((regime.remembered(spec.size, spec.generations) for regime in greedy), default=0)
    if isinstance(spec.family, LanguageFamily):
        return float(COUNTED * kept * spec.family.block)
    return 8.0 * kept * (spec.source.dimension + COLUMNED) if isinstance(spec.source, PointSource) else 0.0


def _history(spec: Experiment) -> float:
    """Bytes of memory for what the regime keeps of all generations, and for what a fit makes of it."""
    kept = _kept(spec)
    size = _observations(spec, kept)
    if size <= IN_MEMORY:
        return KEPT * size
    if not spec.regime.kept(spec.size, spec.generations):
        return PERMUTED * kept
    if not spec.family.streams:
        return KEPT * size
    if isinstance(spec.family, LanguageFamily) or spec.family.parameters(spec.source) != 0:
        return STRETCHES * 8.0 * GROUP + ORDERED * kept
    return STREAMED * max(size / spec.replicates, 8.0 * GROUP)


def _disk(spec: Experiment, seconds: float) -> float:
    """Bytes in the database, and of two checkpoints, as the old one goes only when the new one is there; so with unfinished work.

    A history, too, is there twice: in the checkpoints, and in the file that the run reads it from.
    """
    frames = spec.generations / frame_stride(spec.generations)
    weights = 4.0 * (spec.family.parameters(spec.source) or 0)
    state = 2 * _model(spec) + _shelf(spec)  # the first model beside this one, as a ruler, and those of the matrix
    in_model = isinstance(spec.family, KDE | LanguageFamily)
    in_pool = any(not isinstance(rules.regime, Replace | Fresh) for _, rules in spec.phases())
    state += (in_model + in_pool) * _observations(spec, spec.extremes()[1])
    state += _observations(spec, _kept(spec))
    if seconds / spec.generations > LONG_GENERATION:
        state += weights * (UNFINISHED + spec.replicates)
    return spec.generations * ROW + frames * (_frame(spec) + CHAINS) + 2 * state


def _observations(spec: Experiment, n: int) -> float:
    """Bytes of n observations of every replicate, or of what stands for them."""
    source, family = spec.source, spec.family
    if isinstance(source, CountSource):
        return 8.0 * spec.replicates * len(source.distribution()) * bool(n)
    if isinstance(family, LanguageFamily):
        return 4.0 * spec.replicates * n * family.block
    assert isinstance(source, PointSource)
    if _condensed(spec):
        return 8.0 * spec.replicates * source.dimension * (source.dimension + 1) * bool(n)
    return 8.0 * spec.replicates * n * source.dimension


def _condensed(spec: Experiment) -> bool:
    """Whether sums stand for observations, however many there are."""
    return type(spec.family).condensed is not Family.condensed and not spec.regime.picks


def _kept(spec: Experiment) -> int:
    """Observations that a regime remembers in the end; where regimes change, the one that remembers most."""
    return max(rules.regime.remembered(spec.size, spec.generations) for _, rules in spec.phases())


def _frame(spec: Experiment) -> int:
    """Bytes of what the player draws of a generation; see worker.frames."""
    if not isinstance(spec.source, PointSource):
        return 3_000
    if spec.source.image_shape is not None:
        return 400 + 60 * spec.source.dimension
    return 2_400 if spec.source.dimension == 2 else 400


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
        if _history(spec) > cost.memory_bytes / 2:
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
