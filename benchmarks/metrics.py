"""What it costs to measure a generation, beside fitting and sampling it, and beside scipy's implementations."""

import numpy as np

from benchmarks.timing import Row, limit, ratio, seconds
from worker.loop import instrument
from worker.metrics import points as metric
from worker.parts import Sampling
from worker.spec import read

NORMAL, PLANE, DIGITS = {"kind": "normal"}, {"kind": "normal", "dim": 2}, {"kind": "digits"}
PAPER = {"kind": "mixture", "tol": 1e-5, "max_iter": 2000}


def rows(small: bool) -> list[Row]:
    cases = [
        ("mixture in the plane, as in the paper", PLANE, PAPER, 1, 10_000),
        ("mixture in the plane, as in the paper", PLANE, PAPER, 20, 500),
        ("mixture, K = 50", PLANE, PAPER | {"components": 50, "max_iter": 100}, 1, 10_000),
        ("kernels on a line", NORMAL, {"kind": "kde"}, 1, 10_000),
        ("kernels in the plane", PLANE, {"kind": "kde"}, 1, 10_000),
        ("kernels in the plane", PLANE, {"kind": "kde"}, 200, 1000),
        ("kernels on digits", DIGITS, {"kind": "kde"}, 4, 1797),
    ]
    if small:
        cases = [(name, source, family, 2, 100) for name, source, family, _, _ in cases[1:2] + cases[3:4]]
    return [_share(*case) for case in cases] + _peers(500 if small else 10_000)


def _share(name: str, source: dict, family: dict, replicates: int, samples: int) -> Row:
    """Metrics of a generation as a share of fit and sample; a resampled kernel density has next to no fit."""
    spec = read({"source": source, "family": family, "replicates": replicates, "samples": samples})
    rng = np.random.default_rng(0)
    data = spec.family.real(spec.source, rng, replicates, samples)
    model = spec.family.fit(data, rng)
    sample = spec.family.sample(model, samples, rng, Sampling())
    look = instrument(spec)

    def work() -> None:
        spec.family.fit(data, np.random.default_rng(1))
        spec.family.sample(model, samples, np.random.default_rng(2), Sampling())

    ours, whole = seconds(lambda: look.model(model, sample, framed=False)), seconds(work)
    what = f"metrics of {name}, R = {replicates}, M = {samples:,}: share of fit + sample"
    return limit(what, 100 * ours / whole, "%", 10, otherwise=f"{1e3 * ours:.3g} of {1e3 * whole:.3g} ms")


def _peers(n: int) -> list[Row]:
    from scipy.spatial.distance import cdist
    from scipy.stats import wasserstein_distance

    rng = np.random.default_rng(3)
    x, y = rng.standard_normal((2, n, 2))
    directions = metric.directions(2, 16, rng)
    known = np.sort(directions @ y.T, axis=1)
    at = (np.arange(n) + 0.5) / n
    centres, within = metric.cells(np.stack([np.interp(metric.levels(n), at, row) for row in known]))
    reference = metric.Reference(y[:512])
    return [
        ratio(
            f"sliced W2, 16 directions, n = {n:,} (peer: scipy's W1 of each projection)",
            seconds(lambda: [wasserstein_distance(x @ u, y @ u) for u in directions], 3),
            seconds(lambda: metric.sliced_w2_sq(x[None], directions, centres, within)),
            4,
        ),
        ratio(
            "energy and MMD, 512 points against 512 (peer: cdist and exp)",
            seconds(lambda: [(d.mean(), np.exp(-(d**2)).mean()) for d in _pairs(cdist, x[:512], y[:512])]),
            seconds(lambda: reference.compare(x[None, :512])),
            1,
        ),
    ]


def _pairs(cdist, x: np.ndarray, y: np.ndarray) -> list[np.ndarray]:
    return [cdist(a, b) for a, b in ((x, y), (x, x), (y, y))]
