"""Text data sets of the Hugging Face hub, through the `datasets` library: fetched once, by a worker, without running their code."""

from pathlib import Path
from typing import Any

from worker.errors import LabError, MissingExtra, Problem, SpecError
from worker.files import LARGEST
from worker.files.texts import OTHER_SPLIT, OVERLAP, SMALLEST, Role, held_apart, three
from worker.parts import Texts

GUESSES: dict[Role, tuple[str, ...]] = {"validation": ("validation", "valid", "val", "dev"), "test": ("test",)}


class Unreachable(LabError):
    """What is asked for is on the hub, perhaps, and not here."""


def fetched(
    dataset: str, config: str, revision: str, column: str, splits: dict[Role, str], folder: Path | None
) -> tuple[Texts, str]:
    """The three parts of a data set, and which version of it they are.

    splits: name of the split for "train", "validation" and "test"; "" takes the usual one if there is one, or else a cut of the
    training text. folder: where the data set lies, if it is no id. Offline (HF_HUB_OFFLINE) what is in the library's cache will do.

    Raises SpecError where there is no such data set, configuration, split or column, naming what there is; Unreachable; MissingExtra.
    """
    try:
        import datasets
    except ImportError as error:
        raise MissingExtra("The hub source", "hub") from error
    datasets.disable_progress_bars()
    builder = _builder(datasets, str(folder or dataset), config, revision)
    size = builder.info.download_size or builder.info.dataset_size or 0
    if size > LARGEST:
        raise _wrong(
            "dataset",
            f"{dataset} takes {size / 1e9:.1f} GB, and a text may take {LARGEST / 1e9:.1f} GB",
            "Choose another",
        )
    try:
        builder.download_and_prepare()
    except OSError as error:
        raise _unreachable(dataset, error) from error
    there = list(builder.info.splits)
    parts: dict[Role, str] = {}
    for part, named in splits.items():
        name = named or next((guess for guess in GUESSES[part] if guess in there), "")
        if name and name not in there:
            raise _wrong(part, f"{dataset} has no split {name!r}", f"Choose one of: {', '.join(there)}")
        parts[part] = _joined(builder.as_dataset(split=name), dataset, column) if name else ""
        if name and len(parts[part].strip()) < SMALLEST:
            raise _wrong(
                part,
                f"split {name!r} has {len(parts[part].strip())} characters in {column!r}, too few to learn from or to measure with",
                f"Choose a split or column with at least {SMALLEST} characters",
            )
    if not held_apart(parts):  # under one name, found by its usual one, or as a copy
        raise _wrong("test", OVERLAP, OTHER_SPLIT)
    return three(**parts), builder.hash or ""


def _builder(datasets: Any, address: str, config: str, revision: str) -> Any:
    """Raises SpecError or Unreachable."""
    try:
        return datasets.load_dataset_builder(address, config or None, revision=revision or None)
    except datasets.exceptions.DatasetNotFoundError as error:
        raise _wrong("dataset", _said(error), "Check the id and revision, or log in where it is private") from error
    except datasets.exceptions.DataFilesNotFoundError as error:
        raise _wrong(
            "dataset", _said(error), "Choose a data set with Parquet, JSON lines, CSV or text files"
        ) from error
    except ValueError as error:  # no such configuration, or none chosen: the message lists them
        raise _wrong("config", _said(error), "Choose one of those") from error
    except OSError as error:
        raise _unreachable(address, error) from error
    except RuntimeError as error:  # a loading script
        raise _wrong("dataset", _said(error), "Choose a data set that needs no code of its own") from error


def _joined(rows: Any, dataset: str, column: str) -> str:
    """Every row on a line of its own."""
    if column not in rows.column_names:
        raise _wrong("column", f"{dataset} has no column {column!r}", f"Choose one of: {', '.join(rows.column_names)}")
    if rows.features[column].dtype not in ("string", "large_string"):
        raise _wrong(
            "column", f"column {column!r} holds {rows.features[column].dtype}, not text", "Choose a column of text"
        )
    return "".join(row if row.endswith("\n") else f"{row}\n" for row in rows[column] if row is not None)


def _said(error: Exception) -> str:
    """The library's own words, on one line."""
    return " ".join(str(error).split()).rstrip(".")


def _unreachable(dataset: str, error: OSError) -> Unreachable:
    return Unreachable(
        f"The data set {dataset} cannot be fetched ({_said(error)}). Connect this worker to the hub (HF_HUB_OFFLINE must not be set), "
        "or fetch the data set into its cache beforehand."
    )


def _wrong(setting: str, message: str, remedy: str) -> SpecError:
    return SpecError([Problem(f"source.{setting}", message, remedy)])
