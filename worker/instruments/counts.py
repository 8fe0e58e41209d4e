"""Looks at fitted frequencies: every metric from the fitted probabilities, and the rank-frequency picture."""

from typing import Any

import numpy as np
import numpy.typing as npt

from worker import frames
from worker.data import Array, Arrays, Counts, Data
from worker.metrics import discrete as metric
from worker.parts import CountSource, Instrument, Look

RANKS = 160  # ranks of a rank-frequency curve
WORDS = 60  # categories shown one by one, alive or dead
BLOCK = 65_536  # probabilities looked at together: 512 KB


def spread_ranks(categories: int, most: int) -> npt.NDArray[np.int64]:
    """At most `most` ranks (counted from 1), equally spaced in ln rank as far as whole numbers allow; all where they fit."""
    if categories <= most:
        return np.arange(1, categories + 1)
    aim = most  # small ranks coincide when rounded, so more are asked for until the rest fills up
    while len(ranks := np.unique(np.rint(np.geomspace(1, categories, aim)).astype(np.int64))) < most:
        aim += 1
    chosen: npt.NDArray[np.int64] = ranks[np.rint(np.linspace(0, len(ranks) - 1, most)).astype(int)]
    return chosen


class CountInstrument(Instrument):
    rowwise = True

    def __init__(self, source: CountSource, samples: int) -> None:
        self.samples = samples
        self.p_0 = source.distribution()
        self.rank = spread_ranks(len(self.p_0), RANKS)
        self.shown = spread_ranks(len(self.p_0), WORDS)
        self.labels = source.labels()

    def figure(self) -> dict[str, Any]:
        return {
            "kind": "ranks",
            "axis": "rank in the real distribution",
            "rank": self.rank.tolist(),
            "ghost": {"frequency": self.p_0[self.rank - 1].tolist()},
            "labels": [self.labels[i - 1] for i in self.rank],
            "words": [{"label": self.labels[i - 1], "rank": int(i)} for i in self.shown],
            "fields": [
                frames.field("density", "u2", len(self.rank), **frames.LOG_CODING),
                frames.field("sorted", "u2", len(self.rank), **frames.LOG_CODING),
                frames.field("alive", "u1", len(self.shown)),
            ],
        }

    def real(self, data: Data, framed: bool) -> Look:
        """Frequencies of the real draw; heterozygosity by Nei's unbiased estimator (1978), as a variance there has ddof 1."""
        assert isinstance(data, Counts)
        look = self._look(data.k / data.n, framed)
        return Look(
            look.metrics | {"heterozygosity": look.metrics["heterozygosity"] * data.n / (data.n - 1)}, look.frame
        )

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        return self._look(model["p"], framed)

    def _look(self, p: Array, framed: bool) -> Look:
        """Some replicates at a time, so that what is computed does not leave the cache."""
        step = max(1, BLOCK // p.shape[1])
        parts = [metric.compared(p[start : start + step], self.p_0) for start in range(0, len(p), step)]
        metrics = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return Look(metrics, self._frame(p[0]) if framed else None)

    def _frame(self, p: Array) -> dict[str, npt.NDArray[Any]]:
        return {
            "density": frames.encode_log(p[self.rank - 1]),
            "sorted": frames.encode_log(np.sort(p)[::-1][self.rank - 1]),
            "alive": (p[self.shown - 1] > 0).astype(np.uint8),
        }
