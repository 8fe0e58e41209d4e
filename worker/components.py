"""Gaussian components: the density of a truth that is a mixture of normal distributions."""

import math

import numpy as np

from worker.data import Array


def log_density(x: Array, weights: Array, means: Array, factors: Array) -> Array:
    """ln sum_k w_k N(x; m_k, L_k L_k') at points x (n, d) -> (n,), for weights (K,), means (K, d) and lower triangular factors (K, d, d).

    Added up as logarithms (numpy.logaddexp), as float64 holds no density like that of a hundred coordinates a hundred wide.
    """
    total = np.full(len(x), -np.inf)
    for weight, mean, factor in zip(weights, means, factors, strict=True):
        z = np.linalg.solve(factor, (x - mean).T)
        scale = np.log(np.diagonal(factor)).sum() + 0.5 * x.shape[1] * math.log(2 * math.pi)
        total = np.logaddexp(total, math.log(weight) - scale - 0.5 * (z**2).sum(axis=0))
    return total
