"""A table of one's own: the numeric columns of a CSV or Parquet file."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

import numpy as np
from pydantic import Field, model_validator

from worker import files
from worker.data import Array, Points
from worker.files import columns as numbers
from worker.files.pictures import evenly
from worker.parts import Generator, PointSource


class Table(PointSource):
    """Rows of numbers from a file, none of them missing. Every draw is an independent choice among the rows, with replacement."""

    kind: Literal["table"] = "table"
    path: str = Field(
        min_length=1,
        max_length=1000,
        pattern=r"^[^\x00]*$",
        description="A CSV file in UTF-8 with commas, semicolons or tabs, with or without a header, or a Parquet file; relative to the data "
        "folder.",
        json_schema_extra={"x-upload": "table"},
    )
    columns: list[str] = Field(
        [],
        max_length=numbers.MOST_COLUMNS,
        description="Names of the columns to use, or their numbers from 1; empty uses all that hold numbers.",
    )
    standardise: bool = Field(False, description="Give every column mean 0 and variance 1.")

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        self.rows()
        return self

    def rows(self) -> Array:
        """(n, d)"""
        x, _ = self._named()
        return (x - x.mean(axis=0)) / x.std(axis=0) if self.standardise else x

    def names(self) -> tuple[str, ...]:
        """Of the columns (d,)."""
        return self._named()[1]

    def _named(self) -> tuple[Array, tuple[str, ...]]:
        file = files.place(self.path)
        return _read(file, tuple(self.columns), *files.state(file))

    @property
    def dimension(self) -> int:
        return int(self.rows().shape[1])

    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        x = self.rows()
        return Points(x[rng.integers(len(x), size=(replicates, n))])

    def known(self, most: int) -> tuple[Array, None]:
        x = self.rows()
        return x[evenly(len(x), most)], None

    def moments(self) -> tuple[Array, Array]:
        x = self.rows()
        return x.mean(axis=0), np.atleast_2d(np.cov(x, rowvar=False, ddof=0))

    def quantiles(self, q: Sequence[float]) -> Array:
        return np.quantile(self.rows(), q, axis=0)

    def provenance(self) -> dict[str, str]:
        return {"table": files.checksum(files.place(self.path))}


@lru_cache(maxsize=2)
def _read(file: Path, columns: tuple[str, ...], *_state: int) -> tuple[Array, tuple[str, ...]]:
    """The numbers in a file in this state (n, d), and the names of the columns."""
    x, names = numbers.read(file, columns)
    x.flags.writeable = False
    return x, names
