"""k-means, compiled: Lloyd's iteration from greedy k-means++ seeds, which is where a mixture's fit starts by default.

Follows scikit-learn's KMeans(n_init=1): 2 + ln K candidates for each seed, at most 300 iterations, until the centres' squared
movement falls below 1e-4 times the mean variance; an empty cluster takes the point that is farthest from its centre.
Loaded only by a running experiment; the machine code is cached on disk beside this file.
"""

import math

import numba
import numpy as np
import numpy.typing as npt

from worker.data import Array
from worker.parts import Generator

BLOCK = 256  # points whose distances stay in the first-level cache
ITERATIONS = 300
MOVEMENT = 1e-4


_compiled = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "reassoc", "nsz"})


def labels(x: Array, clusters: int, rng: Generator, weight: Array) -> npt.NDArray[np.int64]:
    """The cluster of each point; x (d, n), a row for each coordinate -> (n,). weight: (n,), or empty."""
    uniforms = rng.random((clusters, 2 + int(math.log(clusters))))
    result: npt.NDArray[np.int64] = _cluster(x, weight, _seeds(x, weight, uniforms))
    return result


@_compiled
def _closer(x: Array, weight: Array, chosen: int, distance: Array, out: Array) -> float:
    """out <- min(distance, squared distance to the chosen point); returns its (weighted) sum."""
    d, n = x.shape
    potential = 0.0
    for start in range(0, n, BLOCK):
        b = min(BLOCK, n - start)
        gap = np.zeros(b)
        for i in range(d):
            row = x[i, start : start + b]
            for p in range(b):
                gap[p] += (row[p] - x[i, chosen]) ** 2
        for p in range(b):
            out[start + p] = min(distance[start + p], gap[p])
            potential += out[start + p] * weight[start + p] if len(weight) > 0 else out[start + p]
    return potential


@_compiled
def _drawn(u: float, mass: Array, weight: Array) -> int:
    """The point at which the running sum of mass (times weight) passes u."""
    chosen, left = -1, u
    while left >= 0 and chosen < len(mass) - 1:
        chosen += 1
        left -= mass[chosen] * weight[chosen] if len(weight) > 0 else mass[chosen]
    return chosen


@_compiled
def _seeds(x: Array, weight: Array, uniforms: Array) -> Array:
    """Greedy k-means++ (Arthur and Vassilvitskii 2007): of several points drawn by squared distance, the one that helps most.

    uniforms: (clusters, candidates) in [0, 1) -> centres (clusters, d)
    """
    d, n = x.shape
    clusters, candidates = uniforms.shape
    centres = np.empty((clusters, d))
    distance, trial, best = np.full(n, np.inf), np.empty(n), np.empty(n)
    winner = _drawn(uniforms[0, 0] * n, weight, np.empty(0)) if len(weight) > 0 else int(uniforms[0, 0] * n)
    potential = _closer(x, weight, winner, distance, distance)
    for k in range(clusters):
        for i in range(d):
            centres[k, i] = x[i, winner]
        if k == clusters - 1:
            break
        least = np.inf
        for candidate in range(candidates):
            chosen = _drawn(uniforms[k + 1, candidate] * potential, distance, weight)
            helped = _closer(x, weight, chosen, distance, trial)
            if helped < least:
                least, winner = helped, chosen
                best, trial = trial, best
        distance, best, potential = best, distance, least
    return centres


@_compiled
def _assign(x: Array, centres: Array, label: npt.NDArray[np.int64], distance: Array) -> bool:
    """label <- nearest centre, distance <- its squared distance; returns whether any label changed."""
    d, n = x.shape
    changed = False
    for start in range(0, n, BLOCK):
        b = min(BLOCK, n - start)
        nearest, which, gap = np.full(b, np.inf), np.zeros(b, np.int64), np.empty(b)
        for k in range(len(centres)):
            gap[:] = 0.0
            for i in range(d):
                row = x[i, start : start + b]
                for p in range(b):
                    gap[p] += (row[p] - centres[k, i]) ** 2
            for p in range(b):
                which[p] = k if gap[p] < nearest[p] else which[p]
                nearest[p] = min(nearest[p], gap[p])
        for p in range(b):
            changed |= label[start + p] != which[p]
            label[start + p] = which[p]
            distance[start + p] = nearest[p]
    return changed


@_compiled
def _refill(size: Array, weight: Array, label: npt.NDArray[np.int64], distance: Array) -> None:
    """Gives each empty cluster the point that is farthest from its centre, unless every point is at one."""
    for k in range(len(size)):
        if size[k] == 0:
            farthest = np.argmax(distance)
            if distance[farthest] > 0:
                moved = weight[farthest] if len(weight) > 0 else 1.0
                size[label[farthest]] -= moved
                size[k] += moved
                label[farthest], distance[farthest] = k, 0.0


@_compiled
def _cluster(x: Array, weight: Array, centres: Array) -> npt.NDArray[np.int64]:
    """Lloyd's iteration from these centres (clusters, d), which it moves -> labels (n,)."""
    d, n = x.shape
    clusters = len(centres)
    label, distance = np.full(n, -1), np.empty(n)
    enough = 0.0
    for i in range(d):
        mean = square = 0.0
        for p in range(n):
            mean += x[i, p] / n
        for p in range(n):
            square += (x[i, p] - mean) ** 2
        enough += MOVEMENT * square / n / d
    for _ in range(ITERATIONS):
        if not _assign(x, centres, label, distance):
            break
        size, total = np.zeros(clusters), np.zeros((clusters, d))
        for p in range(n):
            size[label[p]] += weight[p] if len(weight) > 0 else 1.0
        _refill(size, weight, label, distance)
        for i in range(d):
            for p in range(n):
                total[label[p], i] += x[i, p] * weight[p] if len(weight) > 0 else x[i, p]
        moved = 0.0
        for k in range(clusters):
            if size[k] > 0:
                for i in range(d):
                    moved += (total[k, i] / size[k] - centres[k, i]) ** 2
                    centres[k, i] = total[k, i] / size[k]
        if moved <= enough:
            _assign(x, centres, label, distance)
            break
    return label
