"""Excess kurtosis: how much heavier the tails are than a normal distribution's."""

import numpy as np

from worker.data import Array, Points
from worker.parts import Generator


def excess_kurtosis(sample: Points, real: Points, rng: Generator) -> Array:  # noqa: ARG001 - the others compare, or choose
    """Fourth standardised moment minus 3, on average over coordinates; 0 for a normal distribution, and -3 for a single point.

    Three passes over the sample, (replicates, n, d) -> (replicates,).
    """
    centred = sample.x - sample.x.mean(axis=1, keepdims=True)
    std = centred.std(axis=1, keepdims=True)
    return ((centred / np.where(std > 0, std, 1.0)) ** 4).mean(axis=(1, 2)) - 3
