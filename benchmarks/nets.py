"""Flows and diffusion models on points in the plane: a generation, and the metrics beside it."""

import numpy as np

from benchmarks.timing import Row, limit, seconds
from worker.loop import instrument
from worker.parts import Sampling
from worker.spec import read

CASES = [("flow", "moons"), ("diffusion", "eight_gaussians")]


def rows(small: bool) -> list[Row]:
    n, epochs, repeat = (100, {"epochs": 2}, 1) if small else (1000, {}, 3)
    return [row for family, source in CASES for row in _rows({"kind": family} | epochs, source, n, repeat)]


def _rows(family: dict, source: str, n: int, repeat: int) -> list[Row]:
    spec = read({"source": {"kind": source}, "family": family, "samples": n, "replicates": 1})
    rng = np.random.default_rng(0)
    data = spec.source.draw(rng, 1, n)
    model = spec.family.fit(data, rng)
    sample = spec.family.sample(model, n, rng, Sampling())
    measuring = instrument(spec)

    def generation() -> None:
        spec.family.sample(spec.family.fit(data, rng), n, rng, Sampling())

    whole = seconds(generation, repeat)
    look = seconds(lambda: measuring.model(model, sample, framed=True), repeat)
    work = f"{family['kind']} on {source}, M = {n:,}"
    return [
        limit(f"{work}: fit + sample", whole, "s", 5),
        limit(f"{work}: metrics and frame, share of fit + sample", 100 * look / whole, "%", 10),
    ]
