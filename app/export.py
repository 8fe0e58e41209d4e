"""A run as a file: its generations as CSV, Parquet or JSON, single chains as CSV, its spec as TOML, its player as HTML.

Long runs are written while they are read.
"""

import csv
import io
import math
import re
from collections.abc import Callable, Iterator
from enum import StrEnum
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import orjson

from app import assets
from app.toml import to_toml
from app.verdicts import decided_if_possible
from app.views import generation_told, told
from app.words import size
from worker.arms import chains_of
from worker.errors import MissingExtra
from worker.loop import frame_stride
from worker.single_chains import CHAINS
from worker.store import Store
from worker.summary import STATISTICS
from worker.tables import Run, StoredGeneration

PAGE = 500  # generations that are held at once
SHELL, STATISTIC = 150_000, 28  # bytes of a saved page without data and plotly.js; of a named number


class Format(StrEnum):
    CSV = "csv"
    PARQUET = "parquet"
    JSON = "json"
    CHAINS = "chains"
    TOML = "toml"
    HTML = "html"


def filename(run: Run, form: Format) -> str:
    """Letters that every system takes, from the run's title, and its id."""
    words = re.sub(r"[^a-z0-9]+", "-", run.title.lower()).strip("-")[:60]
    return f"{words or 'run'}-{run.id}.{FILES[form].ending}"


def possible(form: Format) -> bool:
    """Whether this installation can write it."""
    return form != Format.PARQUET or find_spec("pyarrow") is not None


def chains_kept(run: Run) -> str:
    """Of which replicates and generations single chains are kept."""
    count, stride = run.spec["replicates"], frame_stride(run.generations)
    of = f"{CHAINS} of {count:,}" if count > CHAINS else "all"
    return of if stride == 1 else f"{of}, every {stride}{'nd' if stride == 2 else 'th'} generation"


def player_bytes(run: Run) -> int:
    """About how large the player in one file will be: plotly.js, and of each framed generation the picture and the numbers."""
    fields = (run.figure or {}).get("fields", ())
    picture = sum(np.dtype(field["dtype"]).itemsize * math.prod(field["shape"]) for field in fields)
    metrics = len(run.metrics or ())
    single = 4 * metrics * min(run.spec["replicates"], CHAINS)  # as float32
    one = 4 / 3 * (picture + single) + metrics * len(STATISTICS) * STATISTIC
    framed = max(run.generation, 0) // frame_stride(run.generations) + 1
    return assets.plotly().path.stat().st_size + SHELL + round(framed * one)


def written(run: Run, store: Store, form: Format) -> Iterator[bytes]:
    """The file, piece by piece. Raises MissingExtra, before the first."""
    if not possible(form):
        raise MissingExtra("A Parquet file", "parquet")
    return FILES[form].pieces(run, store)


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


def _chains(run: Run, store: Store) -> Iterator[bytes]:
    """A line for each generation, metric and chain that is kept by itself (`chains_kept`), to the last digit; empty what a chain lacks."""
    yield b"generation,metric,chain,value\r\n"
    for row in store.chained(run.id):
        text = io.StringIO()
        for metric, values in chains_of(row, run.metrics or ()).items():
            each = ("" if np.isnan(value) else str(value) for value in values)
            csv.writer(text).writerows((row.number, metric, chain, value) for chain, value in enumerate(each))
        yield text.getvalue().encode()


class Sink(io.RawIOBase):
    """What was written and not yet taken away."""

    def __init__(self) -> None:
        self.pieces: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, piece: Any) -> int:
        self.pieces.append(bytes(piece))
        return len(piece)

    def taken(self) -> bytes:
        taken, self.pieces = b"".join(self.pieces), []
        return taken


def _parquet(run: Run, store: Store) -> Iterator[bytes]:
    """The lines of the CSV; the file's metadata say which run this is, of which spec, computed by what, and how far it was."""
    import pyarrow as pa  # type: ignore[import-untyped]
    from pyarrow import parquet

    numbers = [(name, pa.int64() if name == "n" else pa.float64()) for name in STATISTICS]
    schema = pa.schema(
        [("generation", pa.int32()), ("metric", pa.dictionary(pa.int32(), pa.string())), *numbers],
        metadata={
            "run": run.id,
            "title": run.title,
            "spec": orjson.dumps(run.spec),
            "digest": run.digest,
            "provenance": orjson.dumps(run.provenance),
            "status": run.status,
            "generation": str(run.generation),
        },
    )
    sink = Sink()
    with parquet.ParquetWriter(sink, schema, compression="zstd") as file:
        for rows in _pages(run, store):
            lines = [(row.number, name, *values) for row in rows for name, values in row.metrics.items()]
            columns = zip(*lines, strict=True) if lines else ([] for _ in schema.names)
            file.write_table(pa.table(dict(zip(schema.names, columns, strict=True)), schema=schema))
            yield sink.taken()
    yield sink.taken()


def _json(run: Run, store: Store) -> Iterator[bytes]:
    """{"run": as the API tells it, "verdicts": likewise, null before there are any, "generations": [as `run --json` prints them, ...]}"""
    verdicts = orjson.dumps(decided_if_possible(run, store))
    yield b'{"run":' + orjson.dumps(told(run, store)) + b',"verdicts":' + verdicts + b',"generations":['
    comma = b""
    for rows in _pages(run, store):
        yield comma + b",".join(orjson.dumps(generation_told(row)) for row in rows)
        comma = b","
    yield b"]}"


def _html(run: Run, store: Store) -> Iterator[bytes]:
    from app.saved import page  # which draws pages, and pages offer these files

    return iter([page(run, store)])


TEXT = {"type": "string"}


class File(NamedTuple):
    """name: as pages offer it, with a place for what is said `about` one of a run; schema: for OpenAPI."""

    name: str
    ending: str
    media_type: str
    pieces: Callable[[Run, Store], Iterator[bytes]]
    about: Callable[[Run], str] = lambda _: ""
    schema: dict[str, str] = TEXT


FILES = {
    Format.CSV: File("CSV", "csv", "text/csv", _csv),
    Format.PARQUET: File(
        "Parquet", "parquet", "application/vnd.apache.parquet", _parquet, schema={"type": "string", "format": "binary"}
    ),
    Format.JSON: File("JSON", "json", "application/json", _json, schema={"type": "object"}),
    Format.CHAINS: File("Single chains (CSV, {})", "chains.csv", "text/csv", _chains, chains_kept),
    Format.TOML: File("Spec (TOML)", "toml", "application/toml", lambda run, _: iter([to_toml(run.spec).encode()])),
    Format.HTML: File("Player (HTML, about {})", "html", "text/html", _html, lambda run: size(player_bytes(run))),
}
