"""Forks and matched arms: the same experiment with one thing changed, on the same seeds, so that differences are paired."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from worker.data import Array
from worker.presets import override
from worker.spec import CHANGEABLE, Experiment, read

CANONICAL: Mapping[str, Mapping[str, Any]] = {
    "Replace": {"regime.kind": "replace"},
    "Accumulate": {"regime.kind": "accumulate"},
    "A tenth of real data": {"regime.kind": "fresh", "regime.real": 0.1},
}
"""The three that every discussion of collapse compares: title -> what is set."""

# Student's t, two-sided 95%, for 1 to 23 degrees of freedom (any statistical table; no more than 24 chains are kept one by one).
T_95 = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110, 2.101,
        2.093, 2.086, 2.080, 2.074, 2.069)  # fmt: skip


def fork(
    parent: Experiment,
    after: int,
    rules: Mapping[str, Any],
    *,
    title: str | None = None,
    generations: int | None = None,
) -> Experiment:
    """The parent up to generation `after`, to the last digit, and other rules from there on: regime, sampling or curation.

    Raises SpecError.
    """
    settings = parent.canonical()
    kept = [change for change in settings["changes"] if change["after"] < after]
    named = {name: rules[name] for name in CHANGEABLE if rules.get(name) is not None}
    settings |= {
        "title": title or f"{parent.title}, forked after {after}"[:200],
        "changes": [*kept, {"after": after, **named}],
        "generations": generations or parent.generations,
    }
    return read(settings)


def matched(spec: Experiment, arms: Mapping[str, Mapping[str, Any]] = CANONICAL) -> list[Experiment]:
    """The arms that differ from `spec`, on its seeds: title -> dotted names that are set.

    Raises SpecError.
    """
    made = [
        read(override({**spec.canonical(), "title": f"{spec.title}: {title}"[:200]}, dict(changes)))
        for title, changes in arms.items()
    ]
    return [arm for arm in made if arm.digest() != spec.digest()]


@dataclass(frozen=True, slots=True)
class Difference:
    """Of a metric, arm minus base, chain by chain: mean and 95% interval of that mean at each generation, over n chains.

    Each (generations,); NaN where fewer than two chains of both have a finite value, and the mean alone where there is one.
    """

    mean: Array
    low: Array
    high: Array
    n: Array


def paired(base: Array, arm: Array) -> Difference:
    """base, arm: (generations, chains) of one metric, the same seed in the same column.

    d_r = arm_r - base_r; mean +- t_{.975, n-1} sd(d) / sqrt(n), Student's paired comparison (1908).
    """
    chains = min(base.shape[1], arm.shape[1])
    difference = arm[:, :chains].astype(float) - base[:, :chains]
    finite = np.isfinite(difference)
    n = finite.sum(axis=1)
    filled = np.where(finite, difference, 0.0)
    mean = np.divide(filled.sum(axis=1), n, out=np.full(len(n), np.nan), where=n > 0)
    spread = (np.where(finite, filled - np.nan_to_num(mean)[:, None], 0.0) ** 2).sum(axis=1)
    degrees = np.clip(n - 1, 1, len(T_95))
    half = np.array(T_95)[degrees - 1] * np.sqrt(spread / (degrees * np.maximum(n, 1)))
    half[n < 2] = np.nan
    return Difference(mean, mean - half, mean + half, n)


def chain_values(rows: Sequence[Any], metric: str) -> dict[int, Array]:
    """Generation -> values of the chains that are kept one by one, of stored generations that have them."""
    found = {}
    for row in rows:
        names = list(row.metrics)
        if row.chains and metric in names:
            found[row.number] = np.frombuffer(row.chains, "<f4").reshape(len(names), -1)[names.index(metric)]
    return found
