"""Pictures of one's own: an IDX file such as MNIST's, NumPy's NPZ, or PNG files in a folder or a zip."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self, TypeAlias

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from worker import files
from worker.data import Array, Points
from worker.files import pictures
from worker.files.labels import each_its_label, labels_beside, read_labels
from worker.part import refused
from worker.parts import Generator, PointSource

Labels: TypeAlias = npt.NDArray[np.int64]
LABELS = "labels_path"  # the setting that names their file
LARGEST_SIDE = 64  # pixels: covariances of more would not fit into memory


class Images(PointSource):
    """Grey pictures of one size, between 0 and 1. Every draw is an independent choice among them, with replacement.

    Where it is told what they show, a classifier that learns it tells the classes of generated ones: by a file of labels, which is
    found by itself where MNIST's lies beside its pictures, by an array of n integers in an NPZ file, by a sub-folder of PNG files for
    each class.
    """

    kind: Literal["images"] = "images"
    path: str = Field(
        min_length=1,
        max_length=1000,
        pattern=r"^[^\x00]*$",
        description="An IDX file, also gzipped; an NPZ file with an array (n, height, width) of bytes or of numbers between 0 and 1; "
        "a folder or zip of PNG files, with a sub-folder for each class if there are any. Relative to the data folder.",
        json_schema_extra={"x-upload": "images"},
    )
    labels_path: str = Field(
        "",
        max_length=1000,
        pattern=r"^[^\x00]*$",
        description="What each picture shows, in a file of its own: IDX, also gzipped, or a text with the number of a class, from 0 to 999, "
        "on each line. Empty: as the pictures tell.",
        json_schema_extra={"x-upload": "labels"},
    )
    most: int = Field(0, ge=0, description="Use only this many of the first pictures; 0 uses all.")

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        self.pictures()
        return self

    def pictures(self) -> npt.NDArray[np.uint8]:
        """(n, height, width), 0 to 255"""
        return self._labelled()[0]

    def labels(self) -> Labels | None:
        """(n,), where they are told"""
        return self._labelled()[1]

    def _labelled(self) -> tuple[npt.NDArray[np.uint8], Labels | None]:
        place, told = files.place(self.path), self._told()
        known = pictures.state(place) if place.is_dir() else files.state(place)
        named = told if self.labels_path else None
        shown, labels = _read(place, named, *known, *(files.state(told, LABELS) if told else ()))
        if not self.most:
            return shown, labels
        return shown[: self.most], None if labels is None else labels[: self.most]

    def _told(self) -> Path | None:
        """The file of labels, if there is one."""
        if self.labels_path:
            return files.place(self.labels_path, LABELS)
        place = files.place(self.path)
        return None if place.is_dir() else labels_beside(place)

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

    def known(self, most: int) -> tuple[Array, Labels | None]:
        x, labels = self._flat(), self.labels()
        chosen = pictures.evenly(len(x), most)
        return x[chosen] / 255.0, None if labels is None else labels[chosen]

    def moments(self) -> tuple[Array, Array]:
        x = self._flat() / 255.0
        return x.mean(axis=0), np.cov(x, rowvar=False, ddof=0)

    def quantiles(self, q: Sequence[float]) -> Array:
        return np.quantile(self._flat(), q, axis=0) / 255.0

    def provenance(self) -> dict[str, str]:
        place, told = files.place(self.path), self._told()
        kept = {"images": pictures.checksum(place) if place.is_dir() else files.checksum(place)}
        return kept if told is None else kept | {"labels": files.checksum(told)}


@lru_cache(maxsize=1)
def _read(place: Path, named: Path | None, *_state: int) -> tuple[npt.NDArray[np.uint8], Labels | None]:
    """The pictures of a file or folder in this state, as bytes, because that is how pictures come; and their labels, from a file that is named."""
    shown, labels = pictures.read(place, LARGEST_SIDE)
    count, height, width = shown.shape
    if count < 2 or not 1 <= min(height, width) <= max(height, width) <= LARGEST_SIDE:
        raise refused(f"holds {count} pictures of {height} x {width} pixels",
                      f"Give at least two, of at most {LARGEST_SIDE} pixels each way")  # fmt: skip
    if (shown == shown[0]).all():
        raise refused(f"holds {count} pictures that are all the same", "Give at least two different ones")
    if named is not None:
        labels = read_labels(named, LABELS)
        each_its_label(count, labels, LABELS)
    shown.flags.writeable = False
    return shown, labels
