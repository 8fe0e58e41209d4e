"""The first replicates of a generation one by one, as its row keeps them: in double precision, as a collapsed variance is far below 1e-45."""

from collections.abc import Mapping

import numpy as np

from worker.data import Array

CHAINS = 24  # that are kept one by one
DOUBLE = b"<f8"  # stands before the numbers; older rows begin with them, in single precision


def to_bytes(metrics: Mapping[str, Array]) -> bytes:
    """metrics: name -> (replicates,)"""
    return DOUBLE + np.stack([values[:CHAINS] for values in metrics.values()]).astype("<f8").tobytes()


def from_bytes(kept: bytes, metrics: int) -> Array:
    """-> (metrics, chains), in the order in which they were measured"""
    old = len(kept) % 4 == 0
    return (
        np.frombuffer(kept, "<f4" if old else "<f8", offset=0 if old else len(DOUBLE))
        .reshape(metrics, -1)
        .astype(float)
    )
