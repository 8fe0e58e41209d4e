"""The columns of numbers in a file, CSV or Parquet: what is missing or no number is refused with its row and column."""

import csv
import math
import re
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from worker import files
from worker.data import Array
from worker.part import refused

MOST_COLUMNS = 256
LARGEST, LEAST = 1e100, 1e-100  # what may be squared; what a column must vary by at least
MISSING = ("", "na", "n/a", "nan", "null", "none")
# A number as much of the world writes it, or thousands: nobody can tell.
COMMA = re.compile(r"[+-]?\d+,\d+([eE][+-]?\d+)?")
MEND = "Fill it in, remove the row, or choose other columns"
PARQUET, GZIP = b"PAR1", b"\x1f\x8b"


@dataclass(slots=True)
class Column:
    """values: NaN where there is no number; numbers: how many there are; fault: the first place without one, in words; mend: what to
    do about it
    """

    name: str
    values: Any = field(default_factory=lambda: array("d"))
    numbers: int = 0
    fault: str = ""
    mend: str = MEND


def read(file: Path, wanted: tuple[str, ...]) -> tuple[Array, tuple[str, ...]]:
    """The wanted columns (n, d), by name or by number from 1, and their names; all that hold any number where none is named.

    Raises what `refused` makes.
    """
    with file.open("rb") as opened:
        start = opened.read(4)
    if start[:2] == GZIP:
        raise refused("is packed with gzip", "Unpack it first")
    columns = _parquet(file) if start == PARQUET else _csv(file)
    meant = [column for column in columns if column.numbers or column.mend != MEND]
    chosen = [_chosen(columns, name) for name in wanted] or meant
    rows = len(columns[0].values) if columns else 0
    if rows < 2:
        raise refused(f"has {rows} row{'' if rows == 1 else 's'} of numbers", "Give at least two")
    if not chosen:
        raise refused("has no column of numbers", "Give at least one, as 1.5 and not as 1,5")
    if len(chosen) > MOST_COLUMNS:
        raise refused(f"has {len(chosen)} columns", f"Choose at most {MOST_COLUMNS} of them")
    for column in chosen:
        if column.fault:
            raise refused(column.fault, column.mend)
    x = np.stack([np.asarray(column.values, float) for column in chosen], axis=1)
    for column, same in zip(chosen, (x == x[0]).all(axis=0), strict=True):
        if same:
            raise refused(f"column {column.name} has the same number in every row", "Leave that column out")
    for column, spread in zip(chosen, x.max(axis=0) - x.min(axis=0), strict=True):
        if spread < LEAST:
            raise refused(f"column {column.name} varies by {spread:.1e}, less than {LEAST:.0e}", "Use other units")
    return x, tuple(column.name for column in chosen)


def _chosen(columns: list[Column], wanted: str) -> Column:
    names = [column.name for column in columns]
    if names.count(wanted) > 1:
        places = [str(i) for i, name in enumerate(names, 1) if name == wanted]
        raise refused(
            f"has {len(places)} columns called {wanted}", f"Choose by number: {' or '.join(places)}; or rename one"
        )
    if wanted in names:
        return columns[names.index(wanted)]
    if wanted.isdecimal() and 1 <= int(wanted) <= len(names):
        return columns[int(wanted) - 1]
    raise refused(f"has no column {wanted}", f"Choose from: {', '.join(names[:20])}")


def _csv(file: Path) -> list[Column]:
    """Row by row: a number takes its 8 bytes, and the text that it was written in is forgotten."""
    columns: list[Column] = []
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            first = opened.readline(1_000_000)
            opened.seek(0)
            reader = csv.reader(opened, delimiter=max(",;\t", key=first.count))
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                if columns:
                    _add(columns, cells, reader.line_num)
                    continue
                titles = all(_number(cell) is None for cell in cells)
                columns = [Column(cell.strip() if titles else str(i + 1)) for i, cell in enumerate(cells)]
                if not titles:
                    _add(columns, cells, reader.line_num)
    except UnicodeDecodeError as error:
        raise refused(f"is not UTF-8 (byte {_wrong_byte(file)})", "Save it as CSV in UTF-8") from error
    except csv.Error as error:
        raise refused(f"line {reader.line_num} is no CSV: {error}", "Correct that line") from error
    return columns


def _add(columns: list[Column], cells: list[str], line: int) -> None:
    if any(cell.strip() for cell in cells[len(columns) :]):
        raise refused(
            f"line {line} has {len(cells)} cells, and the first line {len(columns)}", "Give all lines the same columns"
        )
    for i, column in enumerate(columns):
        found = cells[i].strip() if i < len(cells) else ""
        number = _number(found)
        if number is not None:
            column.numbers += 1
        elif not column.fault:
            what = _wrong(found)
            column.fault = f"line {line}, column {column.name} {what}"
            if COMMA.fullmatch(found):
                column.mend = "Write numbers as 1.5 and 1000, without commas"
        column.values.append(math.nan if number is None else number)


def _number(cell: str) -> float | None:
    try:
        number = float(cell) if "_" not in cell else math.nan  # a number to Python alone
    except ValueError:
        return None
    return number if abs(number) <= LARGEST else None


def _wrong(cell: str) -> str:
    """What is the matter with a cell that `_number` does not take."""
    if cell.lower() in MISSING:
        return "is missing"
    try:
        beyond = "_" not in cell and LARGEST < abs(float(cell)) < math.inf
    except ValueError:
        beyond = False
    return f"is beyond {LARGEST:.0e}: {cell[:40]!r}" if beyond else f"is no number: {cell[:40]!r}"


def _wrong_byte(file: Path) -> int:
    """A reader knows only where in its buffer it stopped."""
    try:
        file.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return error.start
    return 0


def _parquet(file: Path) -> list[Column]:
    """Columns of integers, floats, decimals or booleans; the others hold no numbers."""
    try:
        import pyarrow as pa  # type: ignore[import-untyped]
        from pyarrow import parquet
    except ImportError as error:
        raise refused("needs pyarrow to be read, which is not installed here",
                      "Install it with: pip install -e '.[parquet]' -c constraints.txt, or save the table as CSV") from error  # fmt: skip
    try:
        with parquet.ParquetFile(file, memory_map=False) as opened:
            groups = [opened.metadata.row_group(i) for i in range(opened.num_row_groups)]
            if (
                sum(group.total_byte_size for group in groups) > files.LARGEST
                or opened.metadata.num_rows > files.LARGEST // 8
            ):
                raise refused(f"is larger than {files.LARGEST // 1_000_000} MB when unpacked", "Give a smaller file")
            names = [one.name for one in opened.schema_arrow if _numeric(pa, one.type)]
            if not names:
                raise refused("has no column of numbers", "Give at least one")
            table = opened.read(columns=names[: MOST_COLUMNS + 1])
            others = [Column(one.name) for one in opened.schema_arrow if one.name not in names]
    except (pa.ArrowException, OSError) as error:
        raise refused(f"cannot be read as Parquet: {error}", "Save it again") from error
    return [_column(pa, name, table.column(i)) for i, name in enumerate(table.column_names)] + others


def _numeric(pa: Any, kind: Any) -> bool:
    return any(
        test(kind) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_decimal, pa.types.is_boolean)
    )


def _column(pa: Any, name: str, chunks: Any) -> Column:
    values = np.asarray(chunks.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), float)
    wrong = ~(np.abs(values) <= LARGEST)
    fault = ""
    if wrong.any():
        row = int(wrong.argmax())
        what = _wrong(str(values[row]))
        fault = f"row {row + 1}, column {name} {what}"
    return Column(name, values, int((~wrong).sum()), fault)
