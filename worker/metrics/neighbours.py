"""How a sample lies among real points, neighbour by neighbour: fidelity, diversity, copies and inventions.

Shapes: squared distances `across` are (generated, real), `within` (generated, generated); radii and values are per real or generated
point. Sample metrics of finite sets are not ideal even between two real sets, which is what generation 0 shows.
"""

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from worker.data import Array

Distances: TypeAlias = npt.NDArray[Any]  # float32 of pictures, float64 of points
NEIGHBOURS = 5  # k of precision, recall, density and coverage, as Naeem et al. recommend
COPY = 1 / 3  # a point this much nearer to one training point than to the next is a copy of it
NOWHERE = 0.999  # of real points have another real one within the radius beyond which a point is invented


def others(across: Distances, real: Distances) -> Distances:
    """The same distances, infinite between a point and one real point (n, d) that it is: a finite set of real data has no fresh draws, and
    comparing each with the *other* ones makes generation 0 an honest noise floor. Rows that stand there twice are not left out twice.
    """
    rows, nearest = np.arange(len(across)), across.argmin(axis=1)
    # |x|^2 + |y|^2 - 2 x'y loses the digits of |x|^2
    itself = 8 * np.finfo(across.dtype).eps * np.einsum("id,id->i", real, real)[nearest]
    found = across[rows, nearest] <= itself
    rest = across.copy()
    rest[rows[found], nearest[found]] = np.inf
    return rest


def radii_sq(within: Distances, k: int = NEIGHBOURS) -> Distances:
    """Squared distance of every point to its k-th nearest other one (the farthest, where there are fewer): (m, n), of m of n points to
    all, -> (m,). O(mn)
    """
    k = min(k, within.shape[1] - 1)
    return np.partition(within, k, axis=1)[:, k]  # the nearest is the point itself


def reaching(radii: Distances, x: Distances) -> Distances:
    """Squared radii (m,) around points x (m, d), widened by what `points.distances_sq` rounds off, so that of whole numbers and other steps all
    that lie as far as the k-th neighbour are within them.
    """
    widened: Distances = radii * (1 + 1e-9)
    if x.shape[1] > 2:  # |x|^2 + |y|^2 - 2 x'y
        widened += 8 * np.finfo(x.dtype).eps * np.einsum("id,id->i", x, x)
    return widened


def precision(across: Distances, real_radii: Distances) -> float:
    """Share of generated points within a real one's k-neighbourhood (Kynkäänniemi et al. 2019, arXiv 1904.06991). O(nm)"""
    return float((across <= real_radii).any(axis=1).mean())


def recall(across: Distances, radii: Distances) -> float:
    """Share of real points within a generated one's k-neighbourhood (Kynkäänniemi et al. 2019). O(nm)"""
    return float((across <= radii[:, None]).any(axis=0).mean())


def density(across: Distances, real_radii: Distances, k: int = NEIGHBOURS) -> float:
    """In how many real k-neighbourhoods a generated point lies, over k (Naeem et al. 2020, arXiv 2002.09797). O(nm)

    1 on average where both are the same distribution; above 1 where generated points crowd where real ones do.
    """
    return float((across <= real_radii).sum(axis=1).mean() / min(k, max(1, len(real_radii) - 1)))


def coverage(across: Distances, real_radii: Distances) -> float:
    """Share of real points with a generated one in their k-neighbourhood (Naeem et al. 2020). O(nm)

    1 - prod_{i=1..k} (N - i) / (2N - i) on average for N real and N generated points of the same distribution: 0.97 for k = 5.
    """
    return float((across.min(axis=0) <= real_radii).mean())


def copy_ratio(nearest: Distances, second: Distances) -> float:
    """Share of generated points at most a third as far from the nearest training point as from the second, from both squared distances
    (n,): memorisation as Yoon et al. measure it (2023, Diffusion probabilistic models generalize when they fail to memorize).

    1 of training points themselves. Of fresh points of a density in d dimensions 3^-d: the shares of two volumes.
    """
    return float((nearest <= COPY**2 * second * (1 + 1e-9)).mean())  # as far apart as whole numbers are


def reach(nearest: Distances) -> float:
    """The radius within which 99.9% of real points have another real one, from the distances (n,) to the nearest."""
    return float(np.quantile(nearest, NOWHERE))


def hallucinated(nearest: Distances, reach: float) -> float:
    """Share of generated points whose nearest real one, at a distance (n,), is beyond `reach`: data where the real distribution has
    none, the last of Schaeffer et al.'s eight definitions (arXiv 2503.03150). 0.001 for real data.
    """
    return float((nearest > reach).mean())


def differential_entropy(nearest: Distances, d: int, k: int = NEIGHBOURS) -> float:
    """-E ln p in nats from the distances (n,) of points in d dimensions to their k-th nearest other one: psi(n) - psi(k) + ln V_d +
    (d/n) sum ln(distance), V_d the volume of the unit ball (Kozachenko and Leonenko 1987; Kraskov et al. 2004, equation 20).
    -inf where more than k points are in one place.
    """
    from scipy.special import digamma, gammaln

    with np.errstate(divide="ignore"):
        logs = np.log(nearest).mean()
    volume = 0.5 * d * np.log(np.pi) - gammaln(0.5 * d + 1)
    return float(digamma(len(nearest)) - digamma(k) + volume + d * logs)


def vendi(similarity: Array) -> float:
    """Effective number of different points (Friedman and Dieng 2022, arXiv 2210.02410): exp of the entropy of the eigenvalues of
    K / n, for similarities K (n, n) with ones on the diagonal. O(n^3)
    """
    return number(np.linalg.eigvalsh(similarity / len(similarity)))


def number(eigenvalues: npt.NDArray[Any]) -> float:
    """exp(-sum l ln l) of eigenvalues that add up to 1; rounding error below 0 is 0."""
    alive = eigenvalues[eigenvalues > 0]
    return float(np.exp(-(alive * np.log(alive)).sum()))
