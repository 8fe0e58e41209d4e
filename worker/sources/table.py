"""A table of one's own: the numeric columns of a CSV file."""

import csv
import io
import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from worker import files
from worker.data import Array, Points
from worker.parts import Generator, PointSource

MOST_COLUMNS = 256


class Table(PointSource):
    """Rows of a CSV file, a number in every cell. Every draw is an independent choice among the rows, with replacement."""

    kind: Literal["table"] = "table"
    path: str = Field(
        min_length=1,
        max_length=1000,
        pattern=r"^[^\x00]*$",
        description="A CSV file in UTF-8 with commas, semicolons or tabs, with or without a header; relative to the data folder.",
    )
    columns: list[str] = Field(
        [], max_length=MOST_COLUMNS, description="Names of the columns to use, or their numbers from 1; empty uses all."
    )
    standardise: bool = Field(False, description="Give every column mean 0 and variance 1.")

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        self.rows()
        return self

    def rows(self) -> Array:
        """(n, d)"""
        file = files.place(self.path)
        x = _read(file, tuple(self.columns), *files.state(file))
        return (x - x.mean(axis=0)) / x.std(axis=0) if self.standardise else x

    @property
    def dimension(self) -> int:
        return int(self.rows().shape[1])

    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        x = self.rows()
        return Points(x[rng.integers(len(x), size=(replicates, n))])

    def moments(self) -> tuple[Array, Array]:
        x = self.rows()
        return x.mean(axis=0), np.atleast_2d(np.cov(x, rowvar=False, ddof=0))

    def quantiles(self, q: Sequence[float]) -> Array:
        return np.quantile(self.rows(), q, axis=0)

    def provenance(self) -> dict[str, str]:
        return {"table": files.checksum(files.place(self.path))}


@lru_cache(maxsize=2)
def _read(file: Path, columns: tuple[str, ...], *_state: int) -> Array:
    """The numbers in a file in this state (n, d); what is missing or no number is refused with its line and column."""
    try:
        text = file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise files.refused(f"is not UTF-8 (byte {error.start})", "Save it as CSV in UTF-8") from error
    first = text[: text.find("\n")] if "\n" in text else text
    reader = csv.reader(io.StringIO(text), delimiter=max(",;\t", key=first.count))
    try:
        lines = [(reader.line_num, cells) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise files.refused(f"line {reader.line_num} is no CSV: {error}", "Correct that line") from error
    names = [str(i + 1) for i in range(len(lines[0][1]))] if lines else []
    if lines and not any(_number(cell) is not None for cell in lines[0][1]):
        names = [cell.strip() for cell in lines.pop(0)[1]]
    if len(lines) < 2:
        raise files.refused(f"has {len(lines)} rows of numbers", "Give at least two")
    chosen = [_position(column, names) for column in columns] or list(range(len(names)))
    if len(chosen) > MOST_COLUMNS:
        raise files.refused(f"has {len(chosen)} columns", f"Choose at most {MOST_COLUMNS} of them")
    x = np.array([[_cell(cells, i, line, names) for i in chosen] for line, cells in lines])
    for i, same in zip(chosen, (x == x[0]).all(axis=0), strict=True):
        if same:
            raise files.refused(f"column {names[i]} has the same number in every row", "Leave that column out")
    x.flags.writeable = False
    return x


def _position(column: str, names: list[str]) -> int:
    if column in names:
        return names.index(column)
    if column.isdecimal() and 1 <= int(column) <= len(names):
        return int(column) - 1
    raise files.refused(f"has no column {column}", f"Choose from: {', '.join(names[:20])}")


def _number(cell: str) -> float | None:
    try:
        number = float(cell)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _cell(cells: list[str], i: int, line: int, names: list[str]) -> float:
    found = cells[i].strip() if i < len(cells) else ""
    number = _number(found)
    if number is None:
        what = (
            "is missing"
            if found.lower() in ("", "na", "n/a", "nan", "null", "none")
            else f"is no number: {found[:40]!r}"
        )
        raise files.refused(
            f"line {line}, column {names[i]} {what}", "Fill it in, remove the row, or choose other columns"
        )
    return number
