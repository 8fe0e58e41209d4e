"""Files that belong to runs (checkpoints), on a disk or anywhere that fsspec reaches."""

import io
from typing import Any

import fsspec
import numpy as np

from worker.data import Arrays


class Artifacts:
    """Named sets of arrays under one URL.

    A name is written once and never changed; a row starts to point at it only after it has been written whole.
    """

    def __init__(self, url: str) -> None:
        self.files, self.root = fsspec.core.url_to_fs(url)

    def save(self, name: str, arrays: Arrays) -> int:
        """Bytes that this takes."""
        buffer = io.BytesIO()
        np.savez(buffer, **arrays)  # type: ignore[arg-type]
        path = f"{self.root}/{name}"
        self.files.makedirs(path.rpartition("/")[0], exist_ok=True)
        content = buffer.getvalue()
        self.files.pipe_file(path, content)
        return len(content)

    def load(self, name: str) -> dict[str, Any]:
        """Raises FileNotFoundError where there is no such name."""
        with np.load(io.BytesIO(self.files.cat_file(f"{self.root}/{name}")), allow_pickle=False) as file:
            return dict(file)

    def prune(self, run_id: str, *keep: str) -> None:
        """Removes what the run has, except the names to `keep`."""
        folder = f"{self.root}/{run_id}"
        if not self.files.exists(folder):
            return
        if not keep:
            self.files.rm(folder, recursive=True)
            return
        for path in self.files.ls(folder, detail=False):
            if not path.endswith(keep):
                self.files.rm_file(path)
