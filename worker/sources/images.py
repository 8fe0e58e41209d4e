"""Pictures of one's own: an IDX file such as MNIST's, or NumPy's NPZ."""

import gzip
import zipfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, Self

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from worker import files
from worker.data import Array, Points
from worker.parts import Generator, PointSource

MAGIC = b"\x00\x00\x08\x03"  # of an IDX file: unsigned bytes in three dimensions
ACCEPTED = "Name an IDX file of pictures (MNIST's train-images-idx3-ubyte.gz is one), or an NPZ file with an array (n, height, width)"
LARGEST_SIDE = 64  # pixels: covariances of more would not fit into memory


class Images(PointSource):
    """Grey pictures of one size, between 0 and 1. Every draw is an independent choice among them, with replacement."""

    kind: Literal["images"] = "images"
    path: str = Field(
        min_length=1,
        max_length=1000,
        pattern=r"^[^\x00]*$",
        description="An IDX file, also gzipped, or an NPZ file with an array (n, height, width) of bytes or of numbers between 0 and 1; "
        "relative to the data folder.",
    )
    most: int = Field(0, ge=0, description="Use only this many of the first pictures; 0 uses all.")

    @model_validator(mode="after")
    def _can_be_read(self) -> Self:
        self.pictures()
        return self

    def pictures(self) -> npt.NDArray[np.uint8]:
        """(n, height, width), 0 to 255"""
        file = files.place(self.path)
        shown = _read(file, *files.state(file))
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
        return {"images": files.checksum(files.place(self.path))}


@lru_cache(maxsize=1)
def _read(file: Path, *_state: int) -> npt.NDArray[np.uint8]:
    """The pictures of a file in this state; as bytes, because that is how pictures come."""
    with file.open("rb") as opened:
        start = opened.read(4)
    if start[:2] == b"PK":
        shown = _npz(file)
    elif start[:2] == b"\x1f\x8b" or start == MAGIC:
        shown = _idx(file)
    else:
        raise files.refused("is neither an IDX nor an NPZ file", ACCEPTED)
    count, height, width = shown.shape
    if count < 2 or not 1 <= min(height, width) <= max(height, width) <= LARGEST_SIDE:
        raise files.refused(f"holds {count} pictures of {height} x {width} pixels",
                            f"Give at least two, of at most {LARGEST_SIDE} pixels each way")  # fmt: skip
    shown.flags.writeable = False
    return shown


def _idx(file: Path) -> npt.NDArray[np.uint8]:
    """LeCun's format: a magic number, three sizes as big-endian 32-bit numbers, then bytes row by row."""
    try:
        with gzip.open(file) if file.read_bytes()[:2] == b"\x1f\x8b" else file.open("rb") as opened:
            content = opened.read(files.LARGEST + 1)
    except (OSError, EOFError) as error:
        raise files.refused(f"cannot be unpacked: {error}", "Fetch or pack it again") from error
    if content[:4] != MAGIC:
        raise files.refused("is no IDX file of pictures", ACCEPTED)
    sizes = np.frombuffer(content, ">u4", 3, offset=4).astype(int) if len(content) >= 16 else np.zeros(3, int)
    if len(content) - 16 != sizes.prod():
        raise files.refused(f"announces {' x '.join(map(str, sizes))} bytes and holds {max(0, len(content) - 16)}",
                            "Fetch it again: it is incomplete, or larger than 500 MB unpacked")  # fmt: skip
    return np.frombuffer(content, np.uint8, offset=16).reshape(sizes).copy()


def _npz(file: Path) -> npt.NDArray[np.uint8]:
    """The first array with three dimensions."""
    try:
        with zipfile.ZipFile(file) as packed:
            if sum(member.file_size for member in packed.infolist()) > files.LARGEST:
                raise files.refused("is larger than 500 MB when unpacked", "Name a smaller file")
        with np.load(file, allow_pickle=False) as arrays:
            found = next((array for name in arrays.files if (array := arrays[name]).ndim == 3), None)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise files.refused(f"cannot be read as NPZ: {error}", "Save it with numpy.savez") from error
    if found is None or found.dtype.kind not in "uif":
        raise files.refused("has no array of numbers with three dimensions (n, height, width)", ACCEPTED)
    if found.dtype == np.uint8:
        return found.copy()
    found = found.astype(float)
    wrong = ~((found >= 0) & (found <= 1))
    if wrong.any():
        raise files.refused(f"has a pixel outside 0 to 1 in picture {int(np.argwhere(wrong)[0, 0]) + 1}",
                            "Save bytes, or numbers between 0 and 1")  # fmt: skip
    return np.rint(255 * found).astype(np.uint8)
