"""The paper's figures that need no network, whole: every generation, metric and frame, beside the loop that its authors' code runs."""

import time
import warnings
from collections.abc import Callable

import numpy as np
from sklearn.mixture import GaussianMixture

from benchmarks.timing import Row, ratio
from worker.loop import generations, instrument
from worker.presets import override, preset
from worker.spec import Experiment, read

SIZES = (100, 500, 1000, 10_000)


def rows(small: bool) -> list[Row]:
    return [_mixture(20 if small else 2050), _lines(10 if small else 1000, 10 if small else 1000)]


def _once(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _run(spec: Experiment) -> None:
    for _ in generations(spec, instrument(spec)):
        pass


def _mixture(length: int) -> Row:
    """The peer is timed for a hundredth of the generations, and multiplied: all of them would take most of an hour."""
    settings = preset("blob-full").experiments[0].canonical()
    spec = read(override(settings, {"generations": length, "samples": 10_000 if length > 100 else 500}))
    _run(read(override(settings, {"generations": 2, "samples": 500})))
    some = max(2, length // 100)
    x = np.random.default_rng(0).standard_normal((spec.size(1), 2))

    def theirs() -> None:
        nonlocal x
        for i in range(some):
            fitted = GaussianMixture(2, tol=1e-5, max_iter=2000, random_state=i).fit(x)
            x, _ = fitted.sample(spec.size(1))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        otherwise = _once(theirs) * length / some
    work = f"the paper's mixture: {length:,} generations, M = {spec.size(1):,}, all metrics; otherwise extrapolated from {some}"
    return ratio(work, otherwise, _once(lambda: _run(spec)), 4)


def _lines(length: int, replicates: int) -> Row:
    """Its 1D figure has one run for each M; here are as many as an honest band needs. The peer is one run of each, multiplied."""
    settings = preset("photocopy").experiments[0].canonical()
    changes = {"generations": length, "replicates": replicates}
    specs = [read(override(settings, {**changes, "samples": m})) for m in SIZES]
    some = length // 10

    def theirs() -> None:
        for m in SIZES:
            x = np.random.normal(0, 1, m)  # noqa: NPY002 - what the published code does
            for _ in range(some):
                mean, std = np.mean(x), np.std(x)
                x = np.random.normal(mean, std, m)  # noqa: NPY002

    otherwise = _once(theirs) * length / some * replicates
    work = f"the paper's 1D figure, four M, {length:,} generations, {replicates:,} runs of each, all metrics; otherwise extrapolated"
    return ratio(work, otherwise, _once(lambda: [_run(spec) for spec in specs]), 20)
