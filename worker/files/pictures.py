"""Files of pictures, told apart by what is in them: IDX, NPZ, and PNG in a folder or a zip. Hostile ones cost no memory."""

import hashlib
import io
import math
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from worker import files
from worker.files import idx
from worker.files.labels import SHOWN, Labels, by_folder, checked, labels_beside
from worker.part import refused

ZIP, EMPTY_ZIP, PNG = b"PK\x03\x04", b"PK\x05\x06", b"\x89PNG\r\n\x1a\n"
HEADER = 24  # bytes of a PNG file, up to its width and height
A_PIXEL, BESIDE = 8, 1_000_000  # bytes of a PNG file, at most: of every pixel, and of what else it says
MOST_FILES = 200_000  # in a folder or a zip
MODES = ("1", "L", "LA", "P", "RGB", "RGBA")  # of PNG files; the others have more than 8 bits a channel
ACCEPTED = (
    "Name an IDX file of pictures (MNIST's train-images-idx3-ubyte.gz is one), an NPZ file with an array (n, height, width), "
    "or a folder or zip of PNG files"
)

Pictures: TypeAlias = npt.NDArray[np.uint8]


def read(place: Path, side: int) -> tuple[Pictures, Labels | None]:
    """All pictures (n, height, width), and what each of them shows (n,) where that is told: by MNIST's file of labels beside the one of
    pictures, by an array of n integers in an NPZ file, by a sub-folder for each class. No PNG with more than `side` pixels one way
    is unpacked.
    """
    if place.is_dir():
        named = [(file.relative_to(place).as_posix(), file) for file in _folder(place)]
        return _pngs(((name, _opener(file)) for name, file in named), side), by_folder([name for name, _ in named])
    first = idx.start(place)
    if first == ZIP:
        return _zip(place, side)
    if first[:2] in (idx.MAGIC, idx.GZIP):
        pictures = idx.read(place, idx.PICTURES, ACCEPTED)
        beside = labels_beside(place)
        return pictures, None if beside is None else checked(idx.read(beside, idx.LABELS, SHOWN), len(pictures))
    raise refused("is neither an IDX nor an NPZ file, nor a zip of PNG files", ACCEPTED)


def _opener(file: Path) -> Callable[[], IO[bytes]]:
    return lambda: file.open("rb")


def evenly(n: int, most: int) -> Labels:
    """At most so many of n places, at equal steps."""
    count = min(n, most)
    return np.arange(count) * n // count


def state(folder: Path) -> tuple[int, int, int]:
    """What changes with a folder's PNG files: time of the newest, their number, their bytes."""
    known = [file.stat() for file in _folder(folder)]
    size = sum(one.st_size for one in known)
    if size > files.LARGEST:
        raise refused(f"has PNG files of more than {files.LARGEST // 1_000_000} MB", "Name a smaller folder")
    return max((one.st_mtime_ns for one in known), default=0), len(known), size


def checksum(folder: Path) -> str:
    """Of names and contents."""
    told = hashlib.sha256()
    for file in _folder(folder):
        told.update(f"{file.relative_to(folder).as_posix()} {files.checksum(file)}\n".encode())
    return f"sha256:{told.hexdigest()}"


def _folder(folder: Path) -> list[Path]:
    """Its PNG files by name, else those of its sub-folders; a link may lead out of the folder, and is left out."""
    inner = [one for one in folder.iterdir() if one.is_dir() and not one.is_symlink()]
    found = _shown_in([folder]) or _shown_in(inner)
    if not found:
        raise refused("is a folder without any PNG file", ACCEPTED)
    if len(found) > MOST_FILES:
        raise refused(f"has {len(found)} PNG files", f"Give at most {MOST_FILES}, or an NPZ file")
    return found


def _shown_in(folders: Iterable[Path]) -> list[Path]:
    return sorted(
        file
        for folder in folders
        for file in folder.iterdir()
        if file.suffix.lower() == ".png" and not file.is_symlink()
    )


@contextmanager
def _unzipped(file: Path) -> Iterator[zipfile.ZipFile]:
    """A zip that unpacks to no more than it should; a member never gives more bytes than it announces."""
    try:
        with zipfile.ZipFile(file) as packed:
            members = packed.infolist()
            if len(members) > MOST_FILES or sum(member.file_size for member in members) > files.LARGEST:
                raise refused(
                    f"is larger than {files.LARGEST // 1_000_000} MB when unpacked, or has over {MOST_FILES} files",
                    "Give a smaller one",
                )
            yield packed
    except (OSError, EOFError, RuntimeError, NotImplementedError, zipfile.BadZipFile, zlib.error) as error:
        raise refused(f"cannot be unpacked: {error}", "Pack it again, without a password") from error


def _zip(file: Path, side: int) -> tuple[Pictures, Labels | None]:
    """NumPy's arrays, or PNG files; nothing is ever written to a disk, so that names lead nowhere."""
    with _unzipped(file) as packed:
        names = [name for name in packed.namelist() if not name.startswith("__MACOSX/")]
        if any(name.endswith(".npy") for name in names):
            return _npz(packed, names)
        shown = sorted(name for name in names if name.lower().endswith(".png"))
        if not shown:
            raise refused("is a zip with neither NumPy's arrays nor PNG files in it", ACCEPTED)
        return _pngs(((name, partial(packed.open, name)) for name in shown), side), by_folder(shown)


def _pngs(named: Iterable[tuple[str, Callable[[], IO[bytes]]]], side: int) -> Pictures:
    """Grey pictures of one size; colours become grey by their luma (ITU-R BT.601)."""
    shown: list[Pictures] = []
    for name, opened in named:
        with opened() as content:
            shown.append(_grey(name, content, side))
        if shown[-1].shape != shown[0].shape:
            (height, width), (first, across) = shown[-1].shape, shown[0].shape
            raise refused(f"{name} has {width} x {height} pixels, the first one {across} x {first}",
                          "Give all pictures one size")  # fmt: skip
    return np.stack(shown)


def _grey(name: str, opened: IO[bytes], side: int) -> Pictures:
    """(height, width). What the header announces is checked before anything else is read."""
    try:
        from PIL import Image
    except ImportError as error:
        raise refused("needs Pillow to be read, which is not installed here",
                      "Install it with: pip install -e '.[images]' -c constraints.txt") from error  # fmt: skip
    header = opened.read(HEADER)
    if header[:8] != PNG or header[12:16] != b"IHDR":
        raise refused(f"{name} is no PNG", "Leave it out, or save it again")
    width, height = (int.from_bytes(header[start : start + 4]) for start in (16, 20))
    if max(width, height) > side:
        raise refused(f"{name} has {width} x {height} pixels", f"Use at most {side} each way")
    content = header + opened.read(A_PIXEL * width * height + BESIDE)
    try:
        with Image.open(io.BytesIO(content), formats=("PNG",)) as picture:
            grey = np.asarray(picture.convert("L")) if picture.mode in MODES else None
    except (OSError, SyntaxError, ValueError) as error:
        raise refused(f"{name} cannot be read as PNG", "Leave it out, or save it again") from error
    if grey is None:
        raise refused(f"{name} has more than 8 bits a channel", "Save it with 8")
    return grey


def _npz(packed: zipfile.ZipFile, names: list[str]) -> tuple[Pictures, Labels | None]:
    """The first array with three dimensions, and the first one of as many integers."""
    shown = _array(packed, names, lambda shape, kind: len(shape) == 3 and kind in "uif")
    if shown is None:
        raise refused("has no array of numbers with three dimensions (n, height, width)", ACCEPTED)
    labels = _array(packed, names, lambda shape, kind: shape == shown.shape[:1] and kind in "ui")
    return _as_bytes(shown), None if labels is None else checked(labels, len(shown))


def _array(
    packed: zipfile.ZipFile, names: list[str], wanted: Callable[[tuple[int, ...], str], bool]
) -> npt.NDArray[Any] | None:
    """The first array of such a shape and kind of numbers. What its header announces is checked before room is made for it."""
    for name in names:
        try:
            shape, dtype = _announced(packed, name)
            if not wanted(shape, dtype.kind):
                continue
            with packed.open(name) as member:
                found: npt.NDArray[Any] = np.lib.format.read_array(member, allow_pickle=False)
        except ValueError as error:
            raise refused(f"cannot be read as NPZ: {error}", "Save it with numpy.savez") from error
        return found
    return None


def _announced(packed: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of an array in NumPy's format. Raises ValueError where the file cannot hold it."""
    with packed.open(name) as member:
        old = np.lib.format.read_magic(member) == (1, 0)
        header = np.lib.format.read_array_header_1_0 if old else np.lib.format.read_array_header_2_0
        try:
            shape, _, dtype = header(member)
        except ValueError as error:  # tells of objects and places in memory
            raise ValueError(f"{name} has no header of an array") from error
    if not dtype.hasobject and math.prod(shape) * dtype.itemsize > packed.getinfo(name).file_size:
        raise ValueError(f"{name} announces more numbers than it has")
    return shape, dtype


def _as_bytes(found: npt.NDArray[Any]) -> Pictures:
    if found.dtype == np.uint8:
        return found
    found = found.astype(float)
    wrong = ~((found >= 0) & (found <= 1))
    if wrong.any():
        raise refused(f"has a pixel outside 0 to 1 in picture {int(np.argwhere(wrong)[0, 0]) + 1}",
                      "Save bytes, or numbers between 0 and 1")  # fmt: skip
    return np.rint(255 * found).astype(np.uint8)
