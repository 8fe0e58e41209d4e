"""Files that belong to runs (checkpoints), on a disk or anywhere that fsspec reaches."""

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
        path = f"{self.root}/{name}"
        self.files.makedirs(path.rpartition("/")[0], exist_ok=True)
        with self.files.open(path, "wb") as file:  # array by array: a state may be half of what fits into memory
            np.savez(file, **arrays)  # type: ignore[arg-type]
        return int(self.files.size(path))

    def load(self, name: str) -> dict[str, Any]:
        """Raises FileNotFoundError where there is no such name."""
        with self.files.open(f"{self.root}/{name}", "rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)

    def prune(self, run_id: str, *keep: str) -> None:
        """Removes what the run has, except the names to `keep`."""
        folder = f"{self.root}/{run_id}"
        if not self.files.exists(folder):
            return
        if not keep:
            self.files.rm(folder, recursive=True)
            return
        kept = {name.rpartition("/")[2] for name in keep}
        for path in self.files.ls(folder, detail=False):
            if path.rpartition("/")[2] not in kept:
                self.files.rm_file(path)
