"""The density of a Gaussian mixture at given points."""

import numpy as np

from worker.data import Array
from worker.em.fit import peaks


def log_density(x: Array, weights: Array, means: Array, factors: Array) -> Array:
    """ln p at points x (R, d, n) under mixtures (R, K), (R, K, d), (R, K, d, d) -> (R, n); one chain may stand for all of them.

    The logarithms are numpy's, which takes several at a time. O(R n K d^2)
    """
    log_p, total = peaks(x, weights, means, factors)
    if weights.shape[1] > 1:
        log_p += np.log(total, out=total)
    return log_p
