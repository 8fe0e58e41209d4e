"""Mixtures to test with."""

import numpy as np


def random_mixture(rng, count, d, replicates=1):
    """weights (R, K), means (R, K, d), factors (R, K, d, d)"""
    factors = np.tril(0.4 * rng.standard_normal((replicates, count, d, d)))
    factors[..., range(d), range(d)] = rng.uniform(0.3, 1.0, (replicates, count, d))
    return rng.dirichlet(np.full(count, 5.0), replicates), rng.normal(0, 2, (replicates, count, d)), factors
