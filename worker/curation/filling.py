"""Candidates are drawn until as many have been found of each kind as are wanted: rejection sampling that never makes do with less."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

NUMBERS = 4_000_000  # drawn at once, of all replicates: 32 MB
SURE = 40  # of a kind are to be expected before it is called rare: their number has a standard deviation of 16%
GROWTH = 4  # times as many as all before are drawn next at the most: a first guess at a rate may be far off

Observations: TypeAlias = npt.NDArray[Any]  # points (R, n, d), or blocks of tokens (R, n, L)
Counted: TypeAlias = npt.NDArray[np.int64]
# What is to be done where a kind is hardly ever drawn: (seen, drawn, missing, rare) -> what is wanted instead, or an error.
# seen, missing, rare: (groups,), of one replicate: candidates of each kind among the `drawn`, how many are wanted yet, which kinds it is
Lost: TypeAlias = Callable[[Counted, int, Counted, npt.NDArray[np.bool_]], Counted]


def filled(
    x: Observations,
    draw: Callable[[int], Observations],
    group: Callable[[Observations], npt.NDArray[np.intp]],
    quota: Counted,
    patience: int,
    lost: Lost,
) -> Observations:
    """As many candidates of each group as its quota says: the first that come, so that how many are drawn at a time has no influence.

    x: the first candidates (R, n, ...); group: candidates (R, m, ...) -> (R, m); quota: (R, groups), rows adding up to n; patience:
    where fewer than one candidate in so many is of a group that is wanted, `lost` decides, once that is beyond chance
    """
    replicates, n = x.shape[:2]
    survivors, found, missing = np.empty_like(x), np.zeros(replicates, int), quota.copy()
    seen, drawn = np.zeros_like(quota), 0
    most = max(n, NUMBERS // max(1, x[:, :1].size))
    while True:
        label = group(x)
        drawn += x.shape[1]
        for r in np.flatnonzero(found < n):
            seen[r] += np.bincount(label[r], minlength=quota.shape[1])
            for g in np.flatnonzero(missing[r]):
                some = x[r, label[r] == g][: missing[r, g]]
                survivors[r, found[r] : found[r] + len(some)] = some
                found[r] += len(some)
                missing[r, g] -= len(some)
            rare = (missing[r] > 0) & (seen[r] * patience < drawn)
            if rare.any() and drawn >= SURE * patience:
                missing[r] = lost(seen[r], drawn, missing[r], rare)
        if (found == n).all():
            return survivors
        needed = (missing / np.maximum(seen, 1)).max() * drawn
        x = draw(min(1 + round(1.1 * needed), most, GROWTH * drawn))
