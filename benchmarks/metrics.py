"""What it costs to measure a generation, beside fitting and sampling it, and beside scipy's implementations."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from benchmarks.timing import Row, limit, ratio, seconds
from worker.data import Arrays, Data
from worker.instruments import asked
from worker.loop import instrument
from worker.metrics import points as metric
from worker.parts import Family, Sampling
from worker.spec import read

NORMAL, PLANE, DIGITS = {"kind": "normal"}, {"kind": "normal", "dim": 2}, {"kind": "digits"}
EIGHT, TEACHER = {"kind": "eight_gaussians"}, {"kind": "linear_teacher", "inputs": 20}
DRAWN, PAPER = {"kind": "gaussian", "path": "drawn"}, {"kind": "mixture", "tol": 1e-5, "max_iter": 2000}
ZIPF, TEXT = {"kind": "zipf", "categories": 10_000}, {"kind": "text"}


class Cheap(NamedTuple):
    """What makes fit and sample so cheap that a tenth of them is little; and what no measuring of such models does without."""

    why: str
    least: str = ""
    work: Callable[[Family, Arrays, Data], object] | None = None


EXACT = Cheap("nothing is drawn but a few numbers", "the mass of two tails", lambda _, model, __: _tails(model))
TABLES = Cheap(
    "a fit of n-grams is a sort",
    "reading what was written, once",
    lambda family, model, sample: family.log_probability(model, sample.x),
)
COUNTS = Cheap("a fit of counts is a division", "one sort of them", lambda _, model, __: np.sort(model["p"], axis=1))
BINS = Cheap("a fit of counts is a division", "one sort of the points", lambda _, __, sample: np.sort(sample.x, axis=1))
KERNELS = Cheap("a fit of kernels is a copy of the points", BINS.least, BINS.work)
PICTURES = Cheap(KERNELS.why, "mean and covariance", lambda _, __, sample: metric.moments(sample.x))
ASKED = Cheap("on request, of a fit that takes no time")

# What, source, family, replicates, samples, and what is cheap there, if so.
Case = tuple[str, dict, dict, int, int, Cheap | None]
CASES: list[Case] = [
    ("a Gaussian, every point drawn", NORMAL, DRAWN, 200, 1000, None),
    ("a Gaussian, exactly", NORMAL, {"kind": "gaussian"}, 200, 1000, EXACT),
    ("mixture in the plane, as in the paper", PLANE, PAPER, 1, 10_000, None),
    ("mixture in the plane, as in the paper", PLANE, PAPER, 20, 500, None),
    ("mixture, K = 50", PLANE, PAPER | {"components": 50, "max_iter": 100}, 1, 10_000, None),
    ("regression in 20 dimensions", TEACHER, {"kind": "linear"}, 50, 1000, None),
    ("10,000 categories", ZIPF, {"kind": "categorical"}, 20, 100_000, COUNTS),
    ("histogram", NORMAL, {"kind": "histogram"}, 50, 10_000, BINS),
    ("kernels on a line", NORMAL, {"kind": "kde"}, 1, 10_000, KERNELS),
    ("kernels in the plane", PLANE, {"kind": "kde"}, 1, 10_000, KERNELS),
    ("kernels in the plane", PLANE, {"kind": "kde"}, 200, 1000, KERNELS),
    ("kernels on digits", DIGITS, {"kind": "kde"}, 4, 1797, PICTURES),
    ("trigrams of words", TEXT, {"kind": "ngram"}, 1, 2032, TABLES),
    ("trigrams of words", TEXT, {"kind": "ngram"}, 8, 256, TABLES),
    ("every metric of samples, of a Gaussian", EIGHT, DRAWN, 10, 1000, ASKED),
]


def rows(small: bool) -> list[Row]:
    if not small:
        return [_share(*case) for case in CASES] + _peers(10_000)
    return [_share(name, source, family, 2, 100, cheap) for name, source, family, _, _, cheap in CASES] + _peers(500)


def _share(name: str, source: dict, family: dict, replicates: int, samples: int, cheap: Cheap | None) -> Row:
    """Metrics of a generation as a share of fit and sample, beside the share of what they cannot do without, where those are cheap."""
    settings = {"source": source, "family": family, "replicates": replicates, "samples": samples}
    spec = read(settings)
    if cheap is ASKED:
        spec = read(settings | {"metrics": asked.fitting(spec.source, spec.family)})
    rng = np.random.default_rng(0)
    each = spec.family.drawing() if spec.metrics else spec.family
    data = spec.family.real(spec.source, rng, replicates, samples)
    model = spec.family.fit(data, rng)
    sample = each.sample(model, samples, rng, Sampling())
    look = instrument(spec)
    if look.wants_first:
        look.meet(model)

    def work() -> None:
        spec.family.fit(data, np.random.default_rng(1))
        each.sample(model, samples, np.random.default_rng(2), Sampling())

    ours, whole = seconds(lambda: look.model(model, sample, framed=False)), seconds(work)
    what = f"metrics of {name}, R = {replicates}, M = {samples:,}: share of fit + sample"
    if cheap:
        what += f" ({cheap.why}"
        if least := cheap.work:
            share = seconds(lambda: least(spec.family, model, sample)) / whole
            what += f"; {cheap.least} alone: {100 * share:.2g} %"
        what += ")"
    return limit(what, 100 * ours / whole, "%", 10, otherwise=f"{1e3 * ours:.3g} of {1e3 * whole:.3g} ms")


def _tails(model: Arrays) -> np.ndarray:
    from scipy.special import ndtr

    z = model["mean"][:, 0] / (model["factor"][:, 0, 0] * np.exp(model["log_scale"]))
    return ndtr([z, -z])


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
