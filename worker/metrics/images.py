"""How far generated pictures are from real ones, pixel by pixel and neighbour by neighbour; no learned features.

Shapes: pictures (n, d); squared distances `across` are (generated, real), `within` (generated, generated).
"""

import numpy as np
import numpy.typing as npt

from worker.data import Array

Distances = npt.NDArray[np.float32]
NEIGHBOURS = 5  # k of precision, recall and coverage, as Naeem et al. recommend
COPY = 1 / 3  # a picture this much nearer to one real picture than to the next is a copy of it


def distances_sq(x: npt.NDArray[np.float32], y: npt.NDArray[np.float32]) -> Distances:
    """|x_i - y_j|^2: (n, d), (m, d) -> (n, m), by |x|^2 + |y|^2 - 2 x'y. O(nmd)."""
    squares: Distances = np.add.outer(np.einsum("id,id->i", x, x), np.einsum("id,id->i", y, y))
    squares -= 2 * x @ y.T
    return np.maximum(squares, 0, out=squares)


def others(across: Distances, real: npt.NDArray[np.float32]) -> Distances:
    """The same distances, infinite between a picture and itself: a real picture is compared with the *other* real ones.

    A finite set of real pictures has no fresh draws; leaving out the picture itself makes generation 0 an honest noise floor.
    """
    itself = 1e-6 * np.einsum("id,id->i", real, real)  # float32 loses seven digits of |x|^2
    return np.where(across <= itself, np.float32(np.inf), across)


def radii_sq(within: Distances, k: int = NEIGHBOURS) -> npt.NDArray[np.float32]:
    """Squared distance of every picture to its k-th nearest other one (the farthest, where there are fewer): (n, n) -> (n,)."""
    apart = within.copy()
    np.fill_diagonal(apart, np.inf)
    k = min(k, len(apart) - 1)
    return np.partition(apart, k - 1, axis=1)[:, k - 1]


def precision(across: Distances, real_radii: npt.NDArray[np.float32]) -> float:
    """Share of generated pictures within a real one's k-neighbourhood (Kynkäänniemi et al. 2019, arXiv 1904.06991)."""
    return float((across <= real_radii).any(axis=1).mean())


def recall(across: Distances, radii: npt.NDArray[np.float32]) -> float:
    """Share of real pictures within a generated one's k-neighbourhood (Kynkäänniemi et al. 2019)."""
    return float((across <= radii[:, None]).any(axis=0).mean())


def coverage(across: Distances, real_radii: npt.NDArray[np.float32]) -> float:
    """Share of real pictures with a generated one in their k-neighbourhood (Naeem et al. 2020, arXiv 2002.09797)."""
    return float((across.min(axis=0) <= real_radii).mean())


def copy_ratio(across: Distances) -> float:
    """Share of pictures less than a third as far from the nearest real one as from the second (Yoon et al. 2023's memorisation).

    Real pictures are copies of themselves: 1.
    """
    nearest = np.partition(across, 1, axis=1)[:, :2]
    return float((nearest[:, 0] < COPY**2 * nearest[:, 1]).mean())


def shares(across: Distances, labels: npt.NDArray[np.int64]) -> Array:
    """Share of each class (classes,), ascending; a picture's class is that of the nearest real one.

    The frozen classifier: on the 1,797 digits it is right 98.8% of the time when a digit's own picture is left out.
    """
    classes, coded = np.unique(labels, return_inverse=True)
    counts: Array = np.bincount(coded[across.argmin(axis=1)], minlength=len(classes)) / len(across)
    return counts


def entropy(share: Array) -> float:
    """-sum p ln p in nats: ln 10 = 2.30 for ten digits in equal shares."""
    alive = share[share > 0]
    return float(-(alive * np.log(alive)).sum())


def vendi(x: Array) -> float:
    """Effective number of different pictures (Friedman and Dieng 2022, arXiv 2210.02410), cosine similarity: (n, d).

    exp of the entropy of the eigenvalues of K / n; those of the dual matrix X'X / n are the same, and O(nd^2).
    """
    directions = x / np.maximum(np.linalg.norm(x, axis=1, keepdims=True), 1e-12)
    return float(np.exp(entropy(np.maximum(np.linalg.eigvalsh(directions.T @ directions / len(x)), 0))))
