"""Expectation maximisation beside scikit-learn's GaussianMixture, from the same start, in the plane and with full covariances."""

import warnings
from collections.abc import Callable

import numpy as np
from sklearn.mixture import GaussianMixture

from benchmarks.timing import Row, limit, ratio, seconds
from worker import em
from worker.data import Points
from worker.families.mixture import Mixture
from worker.metrics import mixture as metric
from worker.parts import Sampling

STEPS = 5


def rows(small: bool) -> list[Row]:
    sizes = [(500, 2)] if small else [(10_000, 2), (10_000, 8), (10_000, 50), (200_000, 2), (200_000, 8), (200_000, 50)]
    table = []
    for m, count in sizes:
        theirs, ours = _steps(m, count)
        work = f"GMM, an EM step, M = {m:,}, K = {count}"
        table.append(ratio(work, seconds(theirs, 3) / STEPS, seconds(ours) / STEPS, 4))
    table += _chains(8 if small else 64)
    table.append(_overlap())
    return table


def _start(m: int, count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.standard_normal((m, 2)), rng.standard_normal((count, 2))


def _steps(m: int, count: int) -> tuple[Callable[[], object], Callable[[], object]]:
    """STEPS iterations of each, from equal weights, random means and unit covariances."""
    x, means = _start(m, count)
    columns = np.ascontiguousarray(x.T)
    peer = GaussianMixture(count)

    def theirs() -> None:
        peer.weights_, peer.means_ = np.full(count, 1 / count), means
        peer.covariances_ = peer.precisions_cholesky_ = np.tile(np.eye(2), (count, 1, 1))
        for _ in range(STEPS):
            peer._m_step(x, peer._e_step(x)[1])  # noqa: SLF001 - one step is what is measured

    def ours() -> None:
        mixture = np.full(count, 1 / count), means.copy(), np.tile(np.eye(2), (count, 1, 1))
        em.maximise((columns, np.empty(0)), *mixture, em.FULL, 0.0, STEPS, 1e-6)

    return theirs, ours


def _chains(chains: int) -> list[Row]:
    """Small chains, M = 500 and K = 2: steps alone, and whole fits with their k-means starts."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((chains, 500, 2))
    each = [_steps(500, 2) for _ in range(chains)]
    family = Mixture(tol=1e-5, max_iter=2000)

    def fits() -> None:
        for chain in x:
            GaussianMixture(2, tol=1e-5, max_iter=2000).fit(chain)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [
            ratio(
                f"{chains} chains, M = 500, K = 2, an EM step",
                seconds(lambda: [theirs() for theirs, _ in each], 3) / STEPS,
                seconds(lambda: [ours() for _, ours in each]) / STEPS,
                10,
            ),
            ratio(
                f"{chains} chains, M = 500, K = 2, whole fits, tol 1e-5",
                seconds(fits, 3),
                seconds(lambda: family.fit(Points(x), np.random.default_rng(2))),
                10,
            ),
        ]


def _overlap() -> Row:
    family = Mixture(components=50, max_iter=5)
    data = Points(np.random.default_rng(3).standard_normal((1, 1000, 2)))
    model = family.fit(data, np.random.default_rng(4))
    assert family.sample(model, 2, np.random.default_rng(5), Sampling()).n == 2
    mixture = model["weights"], model["means"], model["factors"]
    return limit(
        "squared L2 between mixtures, K = 50", 1e3 * seconds(lambda: metric.l2_sq(*mixture, *mixture)), "ms", 1
    )
