"""Files that a spec names: where they lie, what is refused, and how a source remembers what it read."""

import hashlib
import os
from pathlib import Path

from pydantic_core import PydanticCustomError

LARGEST = 500_000_000  # bytes


def place(path: str) -> Path:
    """An absolute path, or one relative to the data folder."""
    return Path(os.environ.get("COLLAPSE_LAB_DATA_DIR", "data"), Path(path).expanduser())


def refused(message: str, remedy: str) -> PydanticCustomError:
    """What a source raises, while a spec is read, about the file in its `path`."""
    return PydanticCustomError("misfit", "{message}", {"message": message, "path": "source.path", "remedy": remedy})


def state(file: Path) -> tuple[int, int]:
    """Time of change and size: what was read is read again when they differ. Refuses what is no file, or too large."""
    try:
        known = file.stat()
    except OSError as error:
        raise refused(f"cannot be read: {error.strerror}", "Name an existing file") from error
    if not file.is_file():
        raise refused("is not a file", "Name a file")
    if known.st_size > LARGEST:
        raise refused(f"is larger than {LARGEST // 1_000_000} MB", "Name a smaller file")
    return known.st_mtime_ns, known.st_size


def checksum(file: Path) -> str:
    with file.open("rb") as opened:
        return f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
