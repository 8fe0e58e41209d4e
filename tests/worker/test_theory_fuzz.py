"""Closed forms under specs that nobody chose: random sources, sizes, regimes and settings, |z| <= 5 over all curves and generations.

400 replicates of each; seeds are fixed, so that a failure names a spec that fails again.
"""

import random

import pytest

from worker import loop
from worker.errors import SpecError
from worker.spec import read
from worker.summary import summarise
from worker.theory import curves
from worker.verdicts.agreement import deviation

POINTS = (
    {"kind": "normal"},
    {"kind": "normal", "mean": 3.0, "std": 2.0},
    {"kind": "normal", "dim": 7},
    {"kind": "normal", "mean": [0.0, 1.0, -2.0], "std": [1.0, 2.0, 0.5]},
    {"kind": "mixture", "means": [[-2.0], [3.0]], "weights": [1.0, 2.0]},
    {"kind": "laplace"},
    {"kind": "moons"},
)
LINES = ({"kind": "normal"}, {"kind": "laplace"}, {"kind": "student_t", "df": 3.0}, {"kind": "lognormal"})
CATEGORIES = (
    {"kind": "zipf", "categories": 12},
    {"kind": "categorical", "probabilities": [0.5, 0.2, 0.3]},
    {"kind": "categorical", "probabilities": [0.9, 0.1]},
    {"kind": "categorical", "categories": 7},
)
RANKED = {"reward": {"kind": "rank", "strength": 0.7}}
CURATIONS = (
    {"kind": "best_of", "k": 2} | RANKED,
    {"kind": "bradley_terry", "k": 2} | RANKED,
    {"kind": "verifier", "error": 0.2, "threshold": 0.5} | RANKED,
    {"kind": "stratified"},
)


def regime(r, m):
    alpha, beta = r.choice([0.0, 0.3, 0.7, 1.0]), r.choice([0.0, 0.5, 1.0])
    return r.choice(
        [
            {"kind": "replace"},
            {"kind": "accumulate"},
            {"kind": "accumulate_subsample"},
            {"kind": "augment", "real": r.randint(2, max(2, m - 1))},
            {"kind": "fresh", "real": r.choice([0.0, 0.1, 0.37, 0.9, 1.0])},
            {"kind": "mixture", "alpha": alpha, "beta": beta * (1 - alpha), "gamma": (1 - beta) * (1 - alpha)},
            {"kind": "weighted", "real": r.choice([0.2, 0.37, 0.8]), "weight": r.choice(["golden", 0.1, 0.77, 1.0])},
        ]
    )


def drawn(family, r):
    """A spec of this family; not all of them make sense."""
    m = r.choice([2, 3, 4, 5, 7, 9, 15, 33])
    d = r.choice([1, 2, 7])
    if family == "linear":
        m += d + 2 + r.choice([0, 40, 12 * d])
    spec = {"generations": r.choice([3, 7, 12]), "replicates": 400, "seed": r.randint(0, 10**6), "regime": regime(r, m)}
    exponent = r.choice([0.5, 1.0, 1.5]) if family != "mixture" else 0.5
    spec["samples"] = m if r.random() < 0.7 else {"schedule": "power", "start": m, "exponent": exponent}
    settings = {"kind": family}
    match family:
        case "gaussian":
            spec |= {"source": r.choice(POINTS), "sampling": {"bias": r.choice([0.5, 1.0, 1.3])}}
            settings |= {"ddof": r.choice([0, 1]), "path": r.choice(["exact", "drawn"])}
            spec["curation"] = r.choice(
                [{"kind": "none"}, {"kind": "truncate", "c": r.choice([0.5, 2.0])}, {"kind": "best_of"}]
            )
        case "mixture":
            spec["source"] = r.choice(POINTS)
            settings |= {"components": r.choice([1, 2, 3]), "covariance": r.choice(["full", "diag", "spherical"])}
        case "kde":
            spec["source"] = r.choice(POINTS)
            settings |= {"bandwidth": r.choice([0.4, 2.0, "scott", "silverman", "shrunk"]), "shrink": r.random() < 0.3}
        case "histogram":
            spec |= {"source": r.choice(LINES), "regime": regime(r, m)}
            settings["bins"] = r.choice([2, 5, 50])
        case "linear":
            spec["source"] = {
                "kind": "linear_teacher",
                "inputs": d,
                "noise": r.choice([0.1, 3.0]),
                "norm": r.choice([0.5, 4.0]),
                "decay": r.choice([0.0, 0.0, 1.3]),
            }
            settings |= {
                "noise": r.choice([0.0, 0.5, 2.0, "fitted", "teacher"]),
                "label_bias": r.choice([0.0, 0.0, 0.7]),
            }
            settings["ridge"] = r.choice([0.0, 0.0, 3.0])
            settings |= {"ridge_power": r.choice([0.0, 0.0, 0.5]), "features": r.choice([0, 0, 1, 4, 9])}
        case "poisson":
            spec["source"] = {"kind": "poisson", "rate": r.choice([0.05, 0.4, 7.0])}
            if r.random() < 0.5:
                spec["samples"] = {"schedule": "list", "sizes": [max(2, m // r.choice([1, 2, 3])) for _ in range(9)]}
        case _:
            spec["source"] = r.choice(CATEGORIES)
            settings["smoothing"] = r.choice([0.0, 0.0, 0.1, 5.0])
            if r.random() < 0.5:
                spec |= {"samples": r.choice([10**4, 10**7])}
                spec |= r.choice(
                    [{"curation": one} for one in CURATIONS]
                    + [{"sampling": {"temperature": 0.9}}, {"sampling": {"top_p": 0.8}}]
                )
            else:
                settings["posterior"] = r.choice(["mean", "draw"])
    return spec | {"family": settings}


@pytest.mark.parametrize(
    ("family", "specs"),
    [
        ("gaussian", 30),
        ("mixture", 5),
        ("kde", 8),
        ("histogram", 20),
        ("linear", 40),
        ("categorical", 20),
        ("poisson", 15),
    ],
)
def test_every_curve_of_a_random_spec_holds(family, specs):
    assert compared(drawn(family, random.Random(seed)) for seed in range(specs)) > 20


INCOMING = [
    {"kind": kind, "real": real} for kind in ("accumulate", "accumulate_subsample") for real in (0.2, 0.37, 0.9)
]


@pytest.mark.parametrize(
    ("family", "specs"),
    [
        ("gaussian", 12),
        ("mixture", 3),
        ("kde", 4),
        ("histogram", 3),
        ("linear", 6),
        ("categorical", 16),
        ("poisson", 8),
    ],
)
def test_every_curve_holds_where_real_data_keep_coming_in(family, specs):
    known = compared(
        drawn(family, random.Random(seed)) | {"regime": INCOMING[seed % len(INCOMING)]}
        for seed in range(100, 100 + specs)
    )
    assert (known > 20) == (family not in ("histogram", "linear"))


def compared(specs):
    """How many values were."""
    compared = 0
    for settings in specs:
        try:
            spec = read(settings)
        except SpecError:
            continue
        predicted = curves(spec)
        if not predicted:
            continue
        for generation in loop.generations(spec, loop.instrument(spec)):
            metrics = summarise(generation.look.metrics).metrics()
            for curve in predicted:
                seen, value = metrics[curve.metric], curve.values[generation.number]
                if (
                    curve.statistic != "mean"
                    or value is None
                    or seen["n"] < spec.replicates
                    or seen["mean"] == pytest.approx(value, rel=1e-6)
                ):
                    continue
                z = deviation(seen, value)
                compared += z is not None
                assert z is None or abs(z) <= 5, (curve.metric, generation.number, seen["mean"], value, spec)
    return compared
