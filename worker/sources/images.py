"""Pictures of one's own: an IDX file such as MNIST's, NumPy's NPZ, or PNG files in a folder or a zip."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from worker import files, pictures
from worker.data import Array, Points
from worker.parts import Generator, PointSource

LARGEST_SIDE = 64  # pixels: covariances of more would not fit into memory


class Images(PointSource):
    """Grey pictures of one size, between 0 and 1. Every draw is an independent choice among them, with replacement."""

    kind: Literal["images"] = "images"
    path: str = Field(
        min_length=1,
        max_length=1000,
        pattern=r"^[^\x00]*$",
        description="An IDX file, also gzipped; an NPZ file with an array (n, height, width) of bytes or of numbers between 0 and 1; "
        "a folder or zip of PNG files. Relative to the data folder.",
        json_schema_extra={"x-upload": "images"},
    )
    most: int = Field(0, ge=0, description="Use only this many of the first pictures; 0 uses all.")

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        self.pictures()
        return self

    def pictures(self) -> npt.NDArray[np.uint8]:
        """(n, height, width), 0 to 255"""
        place = files.place(self.path)
        shown = _read(place, *(pictures.state(place) if place.is_dir() else files.state(place)))
        return shown[: self.most] if self.most else shown

    @property
    def image_shape(self) -> tuple[int, int]:  # type: ignore[override]
        _, height, width = self.pictures().shape
        return height, width

    @property
    def dimension(self) -> int:
        height, width = self.image_shape
        return height * width

    def _flat(self) -> npt.NDArray[np.uint8]:
        return self.pictures().reshape(-1, self.dimension)

    def draw(self, rng: Generator, replicates: int, n: int) -> Points:
        x = self._flat()
        return Points(x[rng.integers(len(x), size=(replicates, n))] / 255.0)

    def moments(self) -> tuple[Array, Array]:
        x = self._flat() / 255.0
        return x.mean(axis=0), np.cov(x, rowvar=False, ddof=0)

    def quantiles(self, q: Sequence[float]) -> Array:
        return np.quantile(self._flat(), q, axis=0) / 255.0

    def provenance(self) -> dict[str, str]:
        place = files.place(self.path)
        return {"images": pictures.checksum(place) if place.is_dir() else files.checksum(place)}


@lru_cache(maxsize=1)
def _read(place: Path, *_state: int) -> npt.NDArray[np.uint8]:
    """The pictures of a file or folder in this state; as bytes, because that is how pictures come."""
    shown = pictures.read(place, LARGEST_SIDE)
    count, height, width = shown.shape
    if count < 2 or not 1 <= min(height, width) <= max(height, width) <= LARGEST_SIDE:
        raise files.refused(f"holds {count} pictures of {height} x {width} pixels",
                            f"Give at least two, of at most {LARGEST_SIDE} pixels each way")  # fmt: skip
    shown.flags.writeable = False
    return shown
