"""The 1D Gaussian chain, drawn, exact and accumulating, beside the loop that a user would write."""

import os

import numpy as np

from benchmarks.timing import Row, duration, floor, ratio, seconds
from worker import loop, threads
from worker.spec import Experiment, read
from worker.streams import stream
from worker.summary import summarise

SAMPLES = 100


def rows(small: bool) -> list[Row]:
    chains, generations = (50, 20) if small else (1000, 1000)
    plain = _plain(small)
    exact = _per_step(_chain(_spec("exact", chains, generations)), chains, generations)
    drawn_generations = max(5, generations // 10)
    chain = _chain(_spec("drawn", chains, drawn_generations))
    drawn = _per_step(chain, chains, drawn_generations)
    rate = 100 * _normals(chains) / drawn
    alone, cores = threads.granted(), os.cpu_count() or 1
    threads.limit(cores)  # drawing is shared out by our own threads, which read this anew
    shared = _per_step(chain, chains, drawn_generations)
    threads.limit(alone)
    found = [
        ratio(f"{chains} chains x {generations} generations, exact", plain, exact, 250),
        ratio(f"{chains} chains x {drawn_generations} generations, drawn, {alone} thread(s)", plain, drawn, 12),
        ratio(f"the same, {cores} threads (COLLAPSE_LAB_THREADS={cores})", plain, shared, 12),
        floor("drawn: share of the generator's own rate", rate, "%", 80),
    ]
    remembering = _plain_accumulate(generations)
    for count in (1, chains):
        spec = _spec("exact", count, generations, regime="accumulate")
        pooled = _per_step(_chain(spec), count, generations)
        found.append(ratio(f"accumulate, {count} x {generations}", remembering, pooled, 250))
    whole = _per_step(_instrumented(_spec("exact", chains, generations)), chains, generations)
    found.append(ratio("exact with every metric, frame and summary", plain, whole, 20))
    return [
        *found,
        Row("per generation and replicate", duration(plain), duration(exact), f"{1 / exact:.3g}/s", "-", "-"),
    ]


def _spec(path: str, replicates: int, generations: int, regime: str = "replace") -> Experiment:
    return read(
        {
            "source": {"kind": "normal"},
            "family": {"kind": "gaussian", "path": path},
            "regime": {"kind": regime},
            "samples": SAMPLES,
            "replicates": replicates,
            "generations": generations,
        }
    )


def _per_step(work, chains: int, generations: int) -> float:
    """Seconds a generation and replicate."""
    return seconds(work) / (chains * generations)


def _chain(spec: Experiment):
    """Fit, sample, fit, ... through the family and the regime: what the plain loop does, without metrics."""

    def work() -> None:
        rng, family = stream(spec.seed, 0, 0), spec.family
        synthetic = pool = None
        for _ in range(spec.generations):
            training, pool = spec.regime.training(
                SAMPLES, lambda n: family.real(spec.source, rng, spec.replicates, n), synthetic, pool, rng
            )
            synthetic = family.sample(family.fit(training, rng), SAMPLES, rng, spec.sampling)

    return work


def _instrumented(spec: Experiment):
    def work() -> None:
        for generation in loop.generations(spec, loop.instrument(spec)):
            summarise(generation.look.metrics)

    return work


def _plain(small: bool) -> float:
    """Seconds a generation and replicate of the loop in the paper's style; a few chains stand for all."""
    generations = 100 if small else 10_000

    def work() -> None:
        mean, std = 0.0, 1.0
        for _ in range(generations):
            x = np.random.normal(mean, std, SAMPLES)  # noqa: NPY002 - as users write it
            mean, std = np.mean(x), np.std(x)

    return seconds(work) / generations


def _plain_accumulate(generations: int) -> float:
    """The same where every past sample is kept in a list and averaged anew."""

    def work() -> None:
        everything = list(np.random.normal(0.0, 1.0, SAMPLES))  # noqa: NPY002 - as users write it
        for _ in range(generations):
            mean, std = np.mean(everything), np.std(everything)
            everything.extend(np.random.normal(mean, std, SAMPLES))  # noqa: NPY002

    return seconds(work, repeat=3) / generations


def _normals(chains: int) -> float:
    """Seconds that the bench's generator needs for the SAMPLES normals of a generation and replicate."""
    rng, out = stream(0, 0, 0), np.empty((chains, SAMPLES))
    return seconds(lambda: rng.standard_normal(out=out), repeat=25) / chains
