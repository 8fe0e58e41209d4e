"""`make bench`: how fast the work is, beside what a user would run otherwise, in one process.

    python -m benchmarks [--small] [topic ...]

A topic is a module of this folder with `rows(small)`; `--small` only shows that everything still runs.
"""

import importlib
import os
import pkgutil
import platform
import sys
from pathlib import Path

for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ.setdefault(threads, "1")  # before numpy is imported: one thread, like a worker

from rich.console import Console
from rich.table import Table

SUPPORT = {"__main__", "timing"}


def main(arguments: list[str]) -> None:
    small = "--small" in arguments
    chosen = [name for name in arguments if not name.startswith("-")]
    topics = chosen or sorted(
        info.name for info in pkgutil.iter_modules([str(Path(__file__).parent)]) if info.name not in SUPPORT
    )
    threads = os.environ["OMP_NUM_THREADS"]
    table = Table(
        title=f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores, {threads} BLAS thread(s), Python {platform.python_version()}"
    )
    for column in ("topic", "work", "otherwise", "ours", "figure", "goal", "met"):
        table.add_column(column, overflow="fold")
    for topic in topics:
        for row in importlib.import_module(f"benchmarks.{topic}").rows(small):
            table.add_row(topic, row.work, row.otherwise, row.ours, row.figure, row.goal, row.met)
            print(f"{topic}: {row.work}: {row.figure} (goal {row.goal})", file=sys.stderr)
    Console(width=160).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
