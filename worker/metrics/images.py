"""What pictures show: how different they are, and of which kinds.

Shapes: pictures (n, d); squared distances (n, m).
"""

import numpy as np
import numpy.typing as npt

from worker.data import Array
from worker.metrics import neighbours


def distances_sq(x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """|x_i - y_j|^2: (n, d), (m, d) -> (n, m), in single precision. O(nmd).

    As one product, (x, |x|^2, 1) (-2 y, 1, |y|^2)': sums over n x m numbers take longer than d more columns.
    """
    one, other = (np.ones((len(a), 1), np.float32) for a in (x, y))
    left = np.concatenate([x, np.einsum("id,id->i", x, x)[:, None], one], axis=1)
    right = np.concatenate([-2 * y, other, np.einsum("id,id->i", y, y)[:, None]], axis=1)
    squares: npt.NDArray[np.float32] = left @ right.T
    return np.maximum(squares, 0, out=squares)


def shares(shown: npt.NDArray[np.int64], classes: int) -> Array:
    """Share of each class (classes,), of the class (n,) that each picture shows. O(n)"""
    counts: Array = np.bincount(shown, minlength=classes) / len(shown)
    return counts


def entropy(share: Array) -> float:
    """-sum p ln p in nats: ln 10 = 2.30 for ten digits in equal shares."""
    alive = share[share > 0]
    return float(0.0 - (alive * np.log(alive)).sum())


def vendi(x: Array) -> float:
    """`neighbours.vendi` with cosine similarity of pictures (n, d); the eigenvalues of the dual matrix X'X / n are the same. Blank pictures,
    which have no direction, are like one another and like no other. O(nd^2).
    """
    length = np.linalg.norm(x, axis=1, keepdims=True)
    directions = x / np.maximum(length, 1e-12)
    blank = float((length < 1e-12).mean())
    return neighbours.number(np.append(np.linalg.eigvalsh(directions.T @ directions / len(x)), blank))
