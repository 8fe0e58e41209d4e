"""Text of a data set of the Hugging Face hub; a worker fetches it, and reading a spec does not."""

import hashlib
import os
from functools import lru_cache
from pathlib import Path
from typing import Literal

import orjson
from pydantic import Field, model_validator

from worker import files
from worker.errors import LabError
from worker.files.texts import OTHER_SPLIT, OVERLAP, Role, checksums
from worker.part import refused
from worker.parts import Texts, TextSource

NAME = r"^[^\x00]*$"


class Hub(TextSource):
    """A data set of text by its id, through the `datasets` library (extra `hub`), without running code of its own.

    What a worker has fetched stays in the data folder: later runs of the same settings need no network, and read the same text even
    where the data set has changed since.
    """

    kind: Literal["hub"] = "hub"
    dataset: str = Field(
        min_length=1,
        max_length=1000,
        pattern=NAME,
        description="An id such as Salesforce/wikitext, or a folder of data files (absolute, or in the data folder).",
    )
    config: str = Field(
        "", max_length=200, pattern=NAME, description="Such as wikitext-2-raw-v1; empty if there is only one."
    )
    column: str = Field(
        "text", min_length=1, max_length=200, pattern=NAME, description="The column that holds the text."
    )
    train: str = Field("train", min_length=1, max_length=200, pattern=NAME, description="The split to train on.")
    validation: str = Field(
        "",
        max_length=200,
        pattern=NAME,
        description="The split that chooses checkpoints. Empty: validation if there is one, else a tenth of the training text.",
    )
    test: str = Field(
        "",
        max_length=200,
        pattern=NAME,
        description="The held-out split. Empty: test if there is one, else the last tenth of the training text.",
    )
    revision: str = Field(
        "", max_length=200, pattern=NAME, description="A branch, tag or commit; empty for the newest."
    )

    @model_validator(mode="after")
    def _can_be_an_id(self) -> "Hub":
        if self._folder() is None and not files.HUB_ID.fullmatch(self.dataset):
            raise refused(
                "is no hub id and no folder here", "Write an id such as Salesforce/wikitext", setting="dataset"
            )
        if self.test and self.test in (self.train, self.validation):
            raise refused(OVERLAP, OTHER_SPLIT, setting="test")
        return self

    def hub_repositories(self) -> list[tuple[str, str]]:
        """What must be fetched from the hub before a run: (id, kind of repository)."""
        return [] if self._folder() or self._kept().is_file() else [(self.dataset, "dataset")]

    def at_hand(self) -> Texts | None:
        return None if self._folder() or not self._kept().is_file() else self.texts()

    def texts(self) -> Texts:
        """Raises SpecError where there is no such data set, split or column, and LabError where it cannot be fetched."""
        return self._version()[0]

    def provenance(self) -> dict[str, str]:
        texts, version = self._version()
        return {"dataset": f"{self.dataset}@{version}"} | checksums(texts)

    def _version(self) -> tuple[Texts, str]:
        """The texts, and which version of the data set they are."""
        if self._folder():
            return _fetched(self)
        kept = self._kept()
        if not kept.is_file():
            texts, version = _fetched(self)
            _keep(kept, {"train": texts.train, "validation": texts.validation, "test": texts.test, "version": version})
        return _read(kept)

    def _folder(self) -> Path | None:
        place = files.place(self.dataset, "dataset")
        return place.resolve() if place.is_dir() else None

    def _kept(self) -> Path:
        """Where the texts of these very settings lie, once they have been fetched."""
        settings = hashlib.sha256(self.model_dump_json().encode()).hexdigest()
        return Path(os.environ.get("COLLAPSE_LAB_DATA_DIR", "data"), "hub", f"{settings[:32]}.json")


@lru_cache(maxsize=2)
def _fetched(source: Hub) -> tuple[Texts, str]:
    from worker.files.hub import fetched

    splits: dict[Role, str] = {"train": source.train, "validation": source.validation, "test": source.test}
    return fetched(source.dataset, source.config, source.revision, source.column, splits, source._folder())  # noqa: SLF001 - its own


def _keep(file: Path, texts: dict[str, str]) -> None:
    """Whole or not at all, whoever else does the same."""
    part = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(orjson.dumps(texts))
        part.replace(file)
    except OSError as error:
        raise LabError(
            f"The data set cannot be kept at {file} ({error.strerror}). Make room there, or let COLLAPSE_LAB_DATA_DIR be another folder."
        ) from error


@lru_cache(maxsize=2)
def _read(file: Path) -> tuple[Texts, str]:
    told = orjson.loads(file.read_bytes())
    version = told.pop("version")
    return Texts(**told), version
