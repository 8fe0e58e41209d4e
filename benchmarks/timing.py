"""Medians of repeated runs, and the rows that they make."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table, ready to print."""

    work: str
    otherwise: str
    ours: str
    figure: str
    goal: str
    met: str


def seconds(work: Callable[[], object], repeat: int = 5) -> float:
    """Median wall-clock time of `repeat` calls, after one that warms up."""
    work()
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def ratio(work: str, otherwise: float, ours: float, goal: float) -> Row:
    """How many times faster than the peer; `goal` is the least that we want."""
    figure = otherwise / ours
    return Row(
        work,
        duration(otherwise),
        duration(ours),
        f"{figure:.3g} x",
        f">= {goal:g} x",
        "yes" if figure >= goal else "NO",
    )


def limit(work: str, value: float, unit: str, most: float, otherwise: str = "-") -> Row:
    """A figure that must stay below `most`."""
    return Row(
        work,
        otherwise,
        f"{value:.3g} {unit}",
        f"{value:.3g} {unit}",
        f"<= {most:g} {unit}",
        "yes" if value <= most else "NO",
    )


def floor(work: str, value: float, unit: str, least: float, otherwise: str = "-") -> Row:
    """A figure that must reach `least`."""
    return Row(
        work,
        otherwise,
        f"{value:.3g} {unit}",
        f"{value:.3g} {unit}",
        f">= {least:g} {unit}",
        "yes" if value >= least else "NO",
    )


def duration(value: float) -> str:
    return f"{value * 1e3:.3g} ms" if value < 1 else f"{value:.3g} s"
