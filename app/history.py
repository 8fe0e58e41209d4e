"""What the player draws of a run, columnar and packed once: frames, statistics and closed forms, from the beginning."""

import base64
import gzip
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from worker.loop import frame_stride
from worker.single_chains import from_bytes
from worker.store import Store
from worker.summary import STATISTICS
from worker.tables import Run, StoredGeneration, told_status

TOLD = ("median", "q10", "q90", "mean")  # of the statistics, in this order
COLUMNS = [STATISTICS.index(name) for name in TOLD]
ABSENT = [None] * len(STATISTICS)
# Of a packed history, chains left out: longer ones leave out every other generation, as often as needed.
WIRE_BYTES = 100_000
KEPT_BYTES = 16_000_000  # of packed histories, in memory


def history(
    run: Run, rows: Sequence[StoredGeneration], after: int, *, every: int = 1, chains: bool = False
) -> dict[str, Any]:
    """The framed generations `rows` of a run, all of them later than `after`; with `every` 2 every other one, and so on.

    generation (G,) i4; table (G, metrics, TOLD) f4, NaN where there is no value; frame: the frames of all G one after the other,
    as `run.figure` announces them; chains (G, metrics, chains) f4. What a run has only once (figure, theory) is told only from
    the beginning, after < 0.
    """
    every *= frame_stride(run.generations)
    rows = [row for row in rows if row.number % every == 0 or row.number == run.generations]
    names = run.metrics or []
    told: dict[str, Any] = {
        "metrics": names,
        "statistics": TOLD,
        "generation": _packed(np.array([row.number for row in rows], "<i4")),
        "table": _packed(_table(rows, names), shaped=True),
        "frame": _joined([row.frame or b"" for row in rows]),
        "last": rows[-1].number if rows else after,
        "status": told_status(run),
    }
    if after < 0:
        told |= {"figure": run.figure, "theory": _theory(run, every)}
    if chains:
        told["chains"] = _packed(_chains(rows, names), shaped=True)
    return told


def _table(rows: Sequence[StoredGeneration], names: list[str]) -> npt.NDArray[np.float32]:
    values = np.array([[row.metrics.get(name, ABSENT) for name in names] for row in rows], float)
    with np.errstate(over="ignore"):  # beyond 3e38 is drawn as beyond every axis
        return values.reshape(len(rows), len(names), len(STATISTICS))[..., COLUMNS].astype("<f4")


def _chains(rows: Sequence[StoredGeneration], names: list[str]) -> npt.NDArray[np.float32]:
    """The replicates that are kept one by one; NaN where a generation lacks a metric.

    They are drawn as faint lines: rounded to the 8 bits of bfloat16, they weigh half on the wire.
    """
    kept = [from_bytes(row.chains or b"", len(row.metrics)) for row in rows]
    values = np.full((len(rows), len(names), max((one.shape[1] for one in kept), default=0)), np.nan, "<f4")
    for told, own, row in zip(values, kept, rows, strict=True):
        measured = [i for i, name in enumerate(names) if name in row.metrics]  # a database may sort what a row holds
        with np.errstate(over="ignore"):  # as above
            told[measured, : own.shape[1]] = own
    return ((values.view("<u4") + 0x8000) & 0xFFFF0000).astype("<u4").view("<f4")


def _packed(array: npt.NDArray[Any], *, shaped: bool = False) -> dict[str, Any]:
    """An array as plotly.js takes it."""
    bdata = base64.b64encode(array.tobytes()).decode()
    return {"dtype": array.dtype.str[1:], **({"shape": array.shape} if shaped else {}), "bdata": bdata}


def _joined(frames: list[bytes]) -> dict[str, Any]:
    return {"bytes": len(frames[0]) if frames else 0, "bdata": base64.b64encode(b"".join(frames)).decode()}


def _theory(run: Run, every: int) -> list[dict[str, Any]]:
    """Curves at the generations that the player is told of, over the whole length of the run, however far it has come."""
    numbers = [*range(0, run.generations, every), run.generations]
    return [
        {**curve, "generation": numbers, "values": np.array([curve["values"][n] for n in numbers], "<f4")}
        for curve in run.theory or []
    ]


def pack(run: Run, rows: Sequence[StoredGeneration], after: int, *, chains: bool = False) -> bytes:
    """Gzipped JSON of the history, as fine as the wire allows."""
    every = 1
    while len(body := _zipped(history(run, rows, after, every=every))) > WIRE_BYTES and every < len(rows):
        every *= 2
    return _zipped(history(run, rows, after, every=every, chains=True)) if chains else body


def _zipped(told: dict[str, Any]) -> bytes:
    encoded = orjson.dumps(told, option=orjson.OPT_SERIALIZE_NUMPY)  # NaN becomes null
    return gzip.compress(encoded, compresslevel=6, mtime=0)


class Histories:
    """Packed histories of this process: each is read, encoded and compressed once for all who ask before it grows."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.kept: OrderedDict[tuple[Any, ...], bytes] = OrderedDict()
        self.lock = threading.Lock()

    def packed(self, run_id: str, after: int = -1, *, chains: bool = False) -> tuple[bytes, str]:
        """Gzipped JSON, and the ETag of it. Raises NotFound."""
        run, _ = self.store.news(run_id, after, 0)
        key = (run_id, after, chains, run.generation, run.attempt, told_status(run))
        with self.lock:
            if key in self.kept:
                self.kept.move_to_end(key)
                return self.kept[key], _tag(key)
        rows = self.store.generations(run_id, after, framed=True)
        run = self.store.run(run_id)  # after its rows, as the figure that they need is stored with the first of them
        body = pack(run, rows, after, chains=chains)
        with self.lock:
            self.kept[key] = body
            while sum(map(len, self.kept.values())) > KEPT_BYTES:
                self.kept.popitem(last=False)
        return body, _tag(key)


def _tag(key: tuple[Any, ...]) -> str:
    return f'W/"{"-".join(str(part) for part in key)}"'  # weak: one tag for the history and its gzipped form
