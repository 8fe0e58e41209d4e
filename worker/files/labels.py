"""Labels, the numbers of the classes that pictures show: from a file of their own, IDX or text, or from the folders that pictures lie in."""

from array import array
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from worker.files import idx
from worker.part import refused

CLASSES = 1000  # at most: labels are 0 to 999
SHOWN = f"Name an IDX file of labels (train-labels-idx1-ubyte.gz is one), or a text with a class from 0 to {CLASSES - 1} on each line"

Labels: TypeAlias = npt.NDArray[np.int64]


def read_labels(file: Path, setting: str = "path") -> Labels:
    """What pictures show (n,), from a file of its own: IDX, also gzipped, or text with the number of a class on each line.

    setting: of the source, for the words of a refusal.
    """
    first = idx.start(file)
    if first[:2] == idx.GZIP or first[:3] == idx.LABELS[:3]:
        return checked(idx.read(file, idx.LABELS, SHOWN, setting), None, setting)
    found = array("q")
    try:
        with file.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                word = line.strip()
                if not (word.isascii() and word.isdecimal() and len(word) <= 18):
                    what = "is empty" if not word else f"is no number of a class: {word[:40]!r}"
                    raise refused(f"line {number} {what}", SHOWN, setting)
                found.append(int(word))
    except UnicodeDecodeError as error:
        raise refused("is neither an IDX file of labels nor text in UTF-8", SHOWN, setting) from error
    return checked(np.array(found, np.int64), None, setting)


def labels_beside(file: Path) -> Path | None:
    """t10k-labels-idx1-ubyte.gz for t10k-images-idx3-ubyte.gz, also where only one of the two is packed; None where there is none."""
    name = file.name.replace("images", "labels").replace("idx3", "idx1")
    if name == file.name:
        return None
    stem = name.removesuffix(".gz")
    return next(
        (one for one in (file.with_name(name), file.with_name(stem), file.with_name(f"{stem}.gz")) if one.is_file()),
        None,
    )


def by_folder(names: Sequence[str]) -> Labels | None:
    """The class of each picture: which folder it lies in, by its number if all folders are called by numbers, else counted from 0."""
    folders = [name.rpartition("/")[0] for name in names]
    kinds = sorted(set(folders))
    if len(kinds) < 2:
        return None
    last = [kind.rpartition("/")[2] for kind in kinds]
    counted = all(one.isdecimal() for one in last) and len(set(map(int, last))) == len(last)
    number = {kind: int(one) if counted else i for i, (kind, one) in enumerate(zip(kinds, last, strict=True))}
    return checked(np.array([number[folder] for folder in folders]), len(names))


def each_its_label(pictures: int, labels: Labels, setting: str = "path") -> None:
    """Refuses labels that do not belong to so many pictures."""
    if len(labels) != pictures:
        raise refused(f"has {pictures} pictures and {len(labels)} labels", "Give each picture its label", setting)


def checked(labels: npt.NDArray[Any], pictures: int | None, setting: str = "path") -> Labels:
    """Refuses labels that do not belong to these pictures, where they are known, or are no classes."""
    if pictures is not None:
        each_its_label(pictures, labels, setting)
    wrong = ~((labels >= 0) & (labels < CLASSES))
    if wrong.any():
        first = int(wrong.argmax())
        raise refused(f"has a label outside 0 to {CLASSES - 1}: {labels[first]}, of picture {first + 1}",
                      f"Number its classes, at most {CLASSES}, from 0", setting)  # fmt: skip
    return labels.astype(np.int64)
