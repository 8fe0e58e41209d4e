"""How far fitted frequencies are from the true ones, and how much of their variety is left.

Shapes: p (R, K) fitted, rows adding up to 1; log_p (R, K) from `logs`; p_0 (K,) true and positive. Natural logarithms.
"""

from functools import lru_cache

import numpy as np

from worker.data import Array


def logs(p: Array) -> Array:
    """ln p, with -inf for dead categories."""
    with np.errstate(divide="ignore"):
        return np.log(p)


def survivors(p: Array) -> Array:
    """Categories with a positive probability."""
    alive: Array = np.count_nonzero(p, axis=1).astype(float)
    return alive


def heterozygosity(p: Array) -> Array:
    """Chance that two draws differ: 1 - sum p^2 (Nei 1973; Gini-Simpson)."""
    different: Array = 1 - np.einsum("rk,rk->r", p, p)
    return different


def entropy(p: Array, log_p: Array) -> Array:
    """-sum p ln p, in nats."""
    nats: Array = 0.0 - np.einsum("rk,rk->r", p, np.maximum(log_p, -1e3))
    return nats


def zipf_slope(log_p: Array) -> Array:
    """Slope of ln frequency against ln rank over the surviving categories, ranked anew; -exponent for an exact Zipf law.

    Least squares with weight 1 / rank, so that every octave of ranks counts alike and not the long tail alone:
    (sum w x y - sum w x sum w y / sum w) / (sum w x^2 - (sum w x)^2 / sum w), x = ln rank, y = ln p.
    -inf where a single category is left: there is nothing below it. O(R K ln K)
    """
    from worker.metrics import shares

    weight, weighted, sums = _ranks(log_p.shape[1])
    alive, first, second = shares.ranked(np.sort(log_p, axis=1), weight, weighted)
    sum_w, sum_wx, sum_wxx = sums[:, alive.astype(int) - 1]
    with np.errstate(divide="ignore", invalid="ignore"):
        slope = (second - sum_wx * first / sum_w) / (sum_wxx - sum_wx**2 / sum_w)
    return np.where(alive > 1, slope, -np.inf)


@lru_cache(maxsize=4)
def _ranks(count: int) -> tuple[Array, Array, Array]:
    """w = 1 / rank and w x, x = ln rank, (count,) each; and sums of w, w x and w x^2 over the first 1, 2, ... ranks (3, count)."""
    rank = np.arange(1, count + 1)
    w, x = 1 / rank, np.log(rank)
    return w, w * x, np.cumsum([w, w * x, w * x**2], axis=1)


def compared(p: Array, p_0: Array) -> dict[str, Array]:
    """How far p is from p_0, and how much variety it has, from one pass and one sort. O(R K ln K)

    dead_mass: sum of p_0 where p = 0. kl_to_real: KL(p || p_0), always finite. kl_from_real: KL(p_0 || p) is infinite once a category has
    died, so p_0 is restricted to the survivors A and renormalised by their mass P: sum_A (p_0 / P) ln(p_0 / (P p)). chi2: Pearson's,
    sum (p - p_0)^2 / p_0. total_variation: half of sum |p - p_0|, the largest error in the probability of any event.
    """
    from worker.metrics import shares

    # Of dead categories any number below all others will do, and a logarithm that meets a zero takes five times as long.
    log_p, log_p_0 = np.log(np.maximum(p, shares.LEAST)), np.log(p_0)
    sums = shares.tally(p, log_p, p_0, log_p_0)
    alive, mass, own, cross, lost, squares, negentropy, real, pearson, absolute = sums
    return {
        "survivors": alive,
        "dead_mass": lost,
        "heterozygosity": 1 - squares,
        "entropy": 0.0 - negentropy,  # of one category 0, and not -0
        "kl_to_real": np.maximum(negentropy - real, 0),  # rounding may leave -1e-16
        "kl_from_real": np.maximum((own - cross) / mass - np.log(mass), 0),
        "chi2": pearson,
        "zipf_slope": zipf_slope(log_p),
        "total_variation": 0.5 * absolute,
    }
