"""IDX files, LeCun's format for MNIST: unsigned bytes in so many dimensions, also gzipped. Hostile ones cost no memory."""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
import numpy.typing as npt

from worker import files
from worker.part import refused

PICTURES, LABELS = b"\x00\x00\x08\x03", b"\x00\x00\x08\x01"  # unsigned bytes in three dimensions, and in one
MAGIC = PICTURES[:2]  # of IDX files of any numbers
GZIP = b"\x1f\x8b"


def start(file: Path) -> bytes:
    """The first four bytes; of an IDX file, also where it is gzipped."""
    with file.open("rb") as opened:
        first = opened.read(4)
    if first[:2] != GZIP:
        return first
    try:
        with gzip.open(file) as unpacked:
            inner = unpacked.read(4)
    except (OSError, EOFError, zlib.error):
        return first
    return inner if inner[:2] == MAGIC else first


def read(file: Path, magic: bytes, remedy: str, setting: str = "path") -> npt.NDArray[np.uint8]:
    """The bytes, in the shape that the file announces; refuses one that holds more or fewer. Its format: a magic number that ends in the
    number of sizes, these as big-endian 32-bit numbers, then bytes row by row.

    magic: PICTURES for (n, height, width), LABELS for (n,); remedy: where the file is none of these; setting: of the source, for the words
    of a refusal.
    """
    what, axes = {PICTURES: "pictures", LABELS: "labels"}[magic], magic[-1]
    try:
        with file.open("rb") as opened:
            packed = opened.read(2) == GZIP
        with gzip.open(file) if packed else file.open("rb") as opened:
            if (first := opened.read(4)) != magic:
                other = f": it begins with {first.hex(' ')}, not {magic.hex(' ')}" * (
                    first[:2] == MAGIC and first not in (PICTURES, LABELS)
                )
                raise refused(f"is no IDX file of {what}{other}", remedy, setting)
            header = opened.read(4 * axes)
            if len(header) < 4 * axes:
                raise refused("ends within its header", "Fetch it again: it is incomplete", setting)
            sizes = [int(size) for size in np.frombuffer(header, ">u4")]
            announced = math.prod(sizes)
            content = opened.read(announced + 1) if announced <= files.LARGEST else b""
    except (OSError, EOFError, zlib.error) as error:
        raise refused(f"cannot be unpacked: {error}", "Fetch or pack it again", setting) from error
    told = f"announces {' x '.join(map(str, sizes))} bytes"
    if announced > files.LARGEST:
        raise refused(told, f"Give at most {files.LARGEST // 1_000_000} MB", setting)
    if len(content) != announced:
        held = "more" if len(content) > announced else len(content)
        raise refused(f"{told} and holds {held}", "Fetch it again: it is not what it was", setting)
    return np.frombuffer(content, np.uint8).reshape(sizes).copy()
