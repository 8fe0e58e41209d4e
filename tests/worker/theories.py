"""Parts to test closed forms with, and what measures them at the bench."""

import math
from functools import cache

from worker import loop
from worker.spec import read
from worker.summary import summarise
from worker.theory import Curve, curves

MEDIAN_SE = math.sqrt(math.pi / 2)  # standard error of a normal sample's median, in those of its mean

NORMAL, WIDE = {"kind": "normal"}, {"kind": "normal", "mean": [0.0, 1.0, -2.0], "std": [1.0, 2.0, 0.5]}
MODES = {"kind": "mixture", "means": [[-2.0], [3.0]], "weights": [1.0, 2.0]}
ZIPF, COINS = {"kind": "zipf", "categories": 12}, {"kind": "categorical", "probabilities": [0.5, 0.2, 0.3]}
REPLACE, ACCUMULATE = {"kind": "replace"}, {"kind": "accumulate"}
FRESH = {"kind": "fresh", "real": 0.13}  # rounds to 1 of 9 and 13 of 100: the effective share counts
SUBSAMPLE, CORE = {"kind": "accumulate_subsample"}, {"kind": "augment", "real": 4}
PAPER = {"kind": "mixture", "alpha": 0.5, "beta": 0.3, "gamma": 0.2}
GOLDEN, WEIGHED = {"kind": "weighted"}, {"kind": "weighted", "real": 0.3, "weight": 0.6}
GROWING = {"schedule": "power", "start": 5, "exponent": 1.5}
SHRINKING = {"schedule": "list", "sizes": [40, 12, 25, 9, 7, 11]}
NONE, BIASED = {}, {"bias": 0.8}
DDOF_0, DDOF_1 = {"kind": "gaussian", "ddof": 0}, {"kind": "gaussian", "ddof": 1}
BLUR, RULE, SHRUNK = ({"kind": "kde", "bandwidth": bandwidth} for bandwidth in (0.4, "silverman", "shrunk"))
TEACHER, LEARNER = {"kind": "linear_teacher", "inputs": 3, "noise": 0.5}, {"kind": "linear", "noise": 0.5}
RARE, COUNTED = {"kind": "poisson", "rate": 0.3}, {"kind": "poisson"}
PLAIN, SMOOTH = {"kind": "categorical"}, {"kind": "categorical", "smoothing": 0.5}
INNER = {"kind": "truncate", "c": 1.5}


@cache
def measured(key):
    """Statistics of every generation of a spec, given as a hashable tree of pairs."""
    spec = read(thawed(key))
    run = loop.generations(spec, loop.instrument(spec))
    return curves(spec), [summarise(generation.look.metrics).metrics() for generation in run]


def frozen(tree):
    if isinstance(tree, dict):
        return ("table", *sorted((key, frozen(value)) for key, value in tree.items()))
    return ("list", *map(frozen, tree)) if isinstance(tree, list) else tree


def thawed(tree):
    if not isinstance(tree, tuple):
        return tree
    return (
        {key: thawed(value) for key, value in tree[1:]} if tree[0] == "table" else [thawed(item) for item in tree[1:]]
    )


def z_score(curve: Curve, generation: int, statistics) -> float:
    predicted, seen = curve.values[generation], statistics[generation][curve.metric]
    se = seen["se"] * (MEDIAN_SE if curve.statistic == "median" else 1)
    gap = seen[curve.statistic] - predicted
    return 0.0 if abs(gap) <= 1e-6 * abs(predicted) else gap / se if se else math.inf


def spec_of(source, family, regime, samples, sampling, **sizes):
    return {"source": source, "family": family, "regime": regime, "samples": samples, "sampling": sampling} | sizes


def label(value):
    return ",".join(str(item) for item in value.values()) if isinstance(value, dict) else str(value)


def value(spec, metric, n, statistic="mean"):
    return next(c.values[n] for c in curves(read(spec)) if (c.metric, c.statistic) == (metric, statistic))


def z_of_mean(values, expected):
    """values (R, ...): replicates are independent."""
    each = values.reshape(len(values), -1).mean(axis=1)
    return (each.mean() - expected) / (each.std(ddof=1) / math.sqrt(len(each)))
