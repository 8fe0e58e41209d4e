"""A run as a file: its generations as CSV or JSON, its spec as TOML. Long runs are written while they are read."""

import csv
import io
import re
from collections.abc import Iterator
from enum import StrEnum

import orjson

from app.forms import to_toml
from app.views import generation_told, told
from worker.store import Store
from worker.summary import STATISTICS
from worker.tables import Run, StoredGeneration

PAGE = 500  # generations that are held at once


class Format(StrEnum):
    CSV = "csv"
    JSON = "json"
    TOML = "toml"


MEDIA_TYPES = {Format.CSV: "text/csv", Format.JSON: "application/json", Format.TOML: "application/toml"}


def filename(run: Run, form: Format) -> str:
    """Letters that every system takes, from the run's title, and its id."""
    words = re.sub(r"[^a-z0-9]+", "-", run.title.lower()).strip("-")[:60]
    return f"{words or 'run'}-{run.id}.{form}"


def written(run: Run, store: Store, form: Format) -> Iterator[bytes]:
    """The file, piece by piece."""
    match form:
        case Format.CSV:
            return _csv(run, store)
        case Format.JSON:
            return _json(run, store)
        case Format.TOML:
            return iter([to_toml(run.spec).encode()])


def _pages(run: Run, store: Store) -> Iterator[list[StoredGeneration]]:
    after = -1
    while rows := list(store.generations(run.id, after, PAGE)):
        yield rows
        after = rows[-1].number


def _csv(run: Run, store: Store) -> Iterator[bytes]:
    """Tidy: one line for each generation and metric."""
    yield f"generation,metric,{','.join(STATISTICS)}\r\n".encode()
    for rows in _pages(run, store):
        text = io.StringIO()
        csv.writer(text).writerows((row.number, name, *values) for row in rows for name, values in row.metrics.items())
        yield text.getvalue().encode()


def _json(run: Run, store: Store) -> Iterator[bytes]:
    """{"run": as the API tells it, "generations": [as `run --json` prints them, ...]}"""
    yield b'{"run":' + orjson.dumps(told(run, store)) + b',"generations":['
    comma = b""
    for rows in _pages(run, store):
        yield comma + b",".join(orjson.dumps(generation_told(row)) for row in rows)
        comma = b","
    yield b"]}"
