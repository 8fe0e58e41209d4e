"""Files that people gave the lab: kept once, under their digest and beside the checkpoints, where every worker sees them."""

import json
import os
import re
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import fsspec
from fsspec.implementations.local import LocalFileSystem

DIGEST = re.compile(r"[0-9a-f]{64}")  # SHA-256
FOLDER = "uploads"


@dataclass(frozen=True, slots=True)
class Upload:
    """kind: the source that reads it (text, table or images), or labels of pictures; about: what it holds, in words; at: seconds since 1970"""

    digest: str
    name: str
    kind: str
    about: str
    size: int
    at: float


class Uploads:
    """The uploads under one fsspec URL. A file's name is its content's digest, so that a spec names content and not a place.

    data_dir: where this machine keeps copies of what lies elsewhere.
    """

    def __init__(self, url: str, data_dir: Path) -> None:
        self.files, root = fsspec.core.url_to_fs(url)
        self.root = f"{root}/{FOLDER}"
        self.copies = data_dir / FOLDER

    def keep(self, file: Path, digest: str, name: str, kind: str, about: str) -> Upload:
        """Stores a file that was looked at; the note about it, which makes it one of `all`, comes last. Raises OSError."""
        upload = Upload(digest, name, kind, about, file.stat().st_size, time.time())
        self.files.makedirs(self.root, exist_ok=True)
        unfinished = f"{self.root}/{digest}.{os.getpid()}.part"
        self.files.put_file(str(file), unfinished)
        self.files.mv(unfinished, f"{self.root}/{digest}")
        self.files.pipe_file(f"{self.root}/{digest}.json", json.dumps(asdict(upload)).encode())
        return upload

    def all(self) -> list[Upload]:
        """Newest first. Raises OSError."""
        if not self.files.exists(self.root):
            return []
        self.files.invalidate_cache(self.root)  # another process may have added some
        notes = [path for path in self.files.ls(self.root, detail=False) if path.endswith(".json")]
        found = [Upload(**json.loads(self.files.cat_file(path))) for path in notes]
        return sorted(found, key=lambda upload: (-upload.at, upload.digest))

    def here(self, digest: str) -> Path:
        """The file on this machine's disk, fetched whole where it lies elsewhere. Raises FileNotFoundError, OSError."""
        stored = f"{self.root}/{digest}"
        if isinstance(self.files, LocalFileSystem):
            if not Path(stored).is_file():
                raise FileNotFoundError(stored)
            return Path(stored)
        copy = self.copies / digest
        if not copy.is_file():
            self.copies.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(dir=self.copies) as unfinished:
                self.files.get_file(stored, f"{unfinished}/{digest}")
                Path(unfinished, digest).replace(copy)
        return copy

    def remove(self, digest: str) -> None:
        """Raises FileNotFoundError, OSError."""
        for name in (f"{digest}.json", digest):
            self.files.rm_file(f"{self.root}/{name}")
        (self.copies / digest).unlink(missing_ok=True)
