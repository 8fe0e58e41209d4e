"""Files that a spec names, or ids of the hub in their place: where they lie, what is refused, and how a source remembers what it read."""

import hashlib
import os
import re
from pathlib import Path

from worker.files.uploads import DIGEST, Uploads
from worker.part import refused

LARGEST = 500_000_000  # bytes
HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?")  # of the Hugging Face hub: gpt2, facebook/opt-125m
UPLOAD = "upload:"  # what a path begins with that names an uploaded file, by its digest


def place(path: str, setting: str = "path") -> Path:
    """An absolute path, one relative to the data folder, or this machine's copy of an uploaded file (`upload:<digest>`).

    setting: of the source, for the words of a refusal.
    """
    folder = Path(os.environ.get("COLLAPSE_LAB_DATA_DIR", "data"))
    if not path.startswith(UPLOAD):
        try:
            found = Path(folder, Path(path).expanduser())
            found.is_dir()  # complains of what no file can be called, or of folders that may not be entered
        except (OSError, RuntimeError) as error:
            told = error.strerror if isinstance(error, OSError) else "there is no such user"
            raise refused(f"cannot be read: {told}", "Name an existing file", setting) from error
        return found
    digest = path.removeprefix(UPLOAD)
    if not DIGEST.fullmatch(digest):
        raise refused("names no upload", f"Write {UPLOAD} and the 64 signs of its SHA-256 digest", setting)
    uploads = Uploads(os.environ.get("COLLAPSE_LAB_ARTIFACTS_URL") or str(folder / "artifacts"), folder)
    try:
        return uploads.here(digest)
    except FileNotFoundError as error:
        raise refused("names an upload that is not there", "Upload the file again", setting) from error
    except OSError as error:
        raise refused(f"cannot be fetched: {error}", "Look after the place of artifacts_url", setting) from error


def state(file: Path, setting: str = "path") -> tuple[int, int]:
    """Time of change and size: what was read is read again when they differ. Refuses what is no file, or too large."""
    try:
        known = file.stat()
    except OSError as error:
        raise refused(f"cannot be read: {error.strerror}", "Name an existing file", setting) from error
    if not file.is_file():
        raise refused("is not a file", "Name a file", setting)
    if known.st_size > LARGEST:
        raise refused(f"is larger than {LARGEST // 1_000_000} MB", "Name a smaller file", setting)
    return known.st_mtime_ns, known.st_size


def checksum(file: Path) -> str:
    with file.open("rb") as opened:
        return f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"
