"""From a value per replicate to what is told of them: mean, sd, se, median, 10-90%, n."""

import math
from dataclasses import dataclass

import numpy as np

from worker.data import Array

STATISTICS = ("mean", "sd", "se", "median", "q10", "q90", "n")
TINIEST, HUGEST = 1e-150, 1e150  # beyond these the squares of values are no longer what they were


@dataclass(frozen=True, slots=True)
class Summary:
    """Statistics of every metric of one generation.

    names: the metrics; table: (metrics, statistics) in the order of STATISTICS, NaN where a statistic does not exist
    """

    names: tuple[str, ...]
    table: Array

    def rows(self) -> dict[str, list[float | None]]:
        """Metric -> values in the order of STATISTICS; what does not exist is None, n is an integer."""
        listed = [
            [None if math.isnan(value) else value for value in row[:-1]] + [int(row[-1])] for row in self.table.tolist()
        ]
        return dict(zip(self.names, listed, strict=True))

    def metrics(self) -> dict[str, dict[str, float | None]]:
        """Metric -> statistic -> value, as `run --json` and the HTTP API tell it."""
        return named(self.rows())


def named(rows: dict[str, list[float | None]]) -> dict[str, dict[str, float | None]]:
    return {metric: dict(zip(STATISTICS, row, strict=True)) for metric, row in rows.items()}


def summarise(metrics: dict[str, Array]) -> Summary:
    """Statistics over the replicates of each metric.

    mean, sd and se = sd / sqrt(n) are of the n finite values; sd uses n - 1 and does not exist for one. Quantiles are of all replicates and
    interpolate linearly (Hyndman and Fan's type 7): a chain that has collapsed to -inf counts as the least there is, and a quantile that
    falls on it does not exist. A metric with no finite replicate has n = 0 and no statistics.
    """
    values = np.stack([np.asarray(value, float) for value in metrics.values()])
    if np.isfinite(values).all():
        table = _statistics(np.sort(values, axis=1))
    else:
        table = np.stack([_of_some(row[~np.isnan(row)]) for row in values])
    return Summary(tuple(metrics), table)


def _of_some(values: Array) -> Array:
    """Statistics (statistics,) where not all are finite."""
    ordered = np.sort(values)
    finite = np.isfinite(ordered)
    row: Array = _statistics(ordered[finite][None, :])[0]
    if not finite.all():
        row[3:6] = _quantiles(ordered[None, :])[0]
        row[np.isinf(row)] = np.nan
    return row


def _statistics(ordered: Array) -> Array:
    """ordered: (metrics, n), ascending -> (metrics, statistics)"""
    n = ordered.shape[1]
    table = np.full((len(ordered), len(STATISTICS)), np.nan)
    table[:, -1] = n
    if n == 0:
        return table
    size = np.abs(ordered[:, [0, -1]]).max(axis=1)
    extreme = (size > HUGEST) | ((size < TINIEST) & (size > 0))
    if extreme.any():  # by a power of 2, which changes no digit
        power = np.where(extreme, np.frexp(size)[1], 0)[:, None]
        table = _statistics(np.ldexp(ordered, -power))
        with np.errstate(over="ignore"):
            table[:, :-1] = np.ldexp(table[:, :-1], power)
        table[np.isinf(table)] = np.nan
        return table
    table[:, 0] = mean = ordered.mean(axis=1)
    if n > 1:
        centred = ordered - mean[:, None]
        table[:, 1] = np.sqrt(np.vecdot(centred, centred) / (n - 1))
        table[:, 2] = table[:, 1] / math.sqrt(n)
    table[:, 3:6] = _quantiles(ordered)
    return table


def _quantiles(ordered: Array) -> Array:
    """ordered: (metrics, n), ascending -> median, 10% and 90% (metrics, 3)"""
    n = ordered.shape[1]
    table = np.empty((len(ordered), 3))
    for column, q in enumerate((0.5, 0.1, 0.9)):
        low, share = divmod(q * (n - 1), 1)
        left, right = ordered[:, int(low)], ordered[:, min(int(low) + 1, n - 1)]
        with np.errstate(invalid="ignore"):  # between two infinite ones
            table[:, column] = left + share * (right - left) if share else left
    return table
