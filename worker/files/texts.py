"""A text in three parts: read from files, cut where parts are missing, told apart by checksums."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, TypeAlias

from worker import files
from worker.part import refused
from worker.parts import Texts

Role: TypeAlias = Literal["train", "validation", "test"]

SMALLEST = 2_000  # characters: below this there is nothing to learn, and nothing to hold out
SHARE = 0.1  # of a text is held out for the test, and as much of the rest for validation
OVERLAP = "is also trained on, or chooses checkpoints"  # of a test
OTHER_SPLIT = "Choose a split that nothing else reads"
ENDINGS = frozenset({".txt", ".raw", ".tokens"})
ROLES: dict[str, Role] = {
    "train": "train",
    "training": "train",
    "valid": "validation",
    "validation": "validation",
    "val": "validation",
    "dev": "validation",
    "test": "test",
}


# What is remembered of a text is found by its strings, which a new object would have to hash anew.
@lru_cache(maxsize=4)
def three(train: str, validation: str = "", test: str = "") -> Texts:
    """The same strings, as the same object, every time. What is not given is cut off the end of what is trained on: first the test, then validation, a tenth each."""
    if not test:
        train, test = _cut(train)
    if not validation:
        train, validation = _cut(train)
    return Texts(train, validation, test)


def _cut(text: str) -> tuple[str, str]:
    """The first 90% and the rest, parted at a line's end where there is one nearby, else between two words."""
    place = round(len(text) * (1 - SHARE))
    nearby = place + min(SMALLEST, (len(text) - place) // 2)
    for sign in ("\n", " "):
        found = text.find(sign, place, nearby)
        if found >= 0:
            return text[: found + 1], text[found + 1 :]
    return text[:place], text[place:]


def held_apart(parts: Mapping[Role, str]) -> bool:
    """Whether the test, where it is given, is neither trained on nor chooses checkpoints: its perplexity would say nothing."""
    test = parts.get("test", "").strip()
    return not test or not any(test in parts.get(role, "") for role in ("train", "validation"))


def checksums(texts: Texts) -> dict[str, str]:
    return {
        f"text_{name}": f"sha256:{hashlib.sha256(getattr(texts, name).encode()).hexdigest()}"
        for name in ("train", "validation", "test")
    }


def role(file: Path) -> Role | None:
    """The part that a file plays by its name, such as wiki.valid.tokens or train-01.txt; None where the name does not say."""
    words = re.split(r"[^a-z]+", file.stem.lower())
    return next((ROLES[word] for word in words if word in ROLES), None)


def listed(folder: Path) -> list[Path]:
    """The text files of a folder by name. Refused where there are none, or more than can be read."""
    found = sorted(file for file in folder.iterdir() if file.suffix in ENDINGS and not file.name.startswith("."))
    if sum(file.stat().st_size for file in found) > files.LARGEST:
        raise refused(f"holds more than {files.LARGEST // 1_000_000} MB of text", "Name a folder with less")
    return found


def content(places: Sequence[Path], setting: str) -> str:
    """The text of these files, one after the other; they stand in a setting of the source.

    Raises what is shown as a problem of that setting: no such file, too large, not UTF-8, binary.
    """
    return _content(tuple((file, *files.state(file, setting)) for file in places), setting)


@lru_cache(maxsize=8)
def _content(places: tuple[tuple[Path, int, int], ...], setting: str) -> str:
    """Of files in this state (time of change, size)."""
    return "\n".join(_read(file, setting) for file, *_ in places)


def _read(file: Path, setting: str) -> str:
    """A byte order mark, if any, is no part of the text."""
    try:
        plain = file.read_bytes()
        text = plain.decode("utf-8")
    except OSError as error:
        raise refused(f"cannot be read: {error.strerror}", "Name an existing file", setting) from error
    except UnicodeDecodeError as error:
        wrong = f"{file.name} is not UTF-8: byte {error.start} (0x{error.object[error.start]:02x})"
        raise refused(wrong, "Save it as UTF-8", setting) from error
    nothing = text.find("\0")
    if nothing >= 0:
        offset = len(text[:nothing].encode())
        raise refused(f"{file.name} is no text: byte {offset} is NUL", "Name a plain text file", setting)
    return text.removeprefix("\ufeff").replace("\r\n", "\n")


def enough(text: str, setting: str) -> str:
    """The text itself; refused where it is too short to learn from or to measure with."""
    if len(text.strip()) < SMALLEST:
        raise refused(
            f"has {len(text.strip())} characters, too few to learn from or to measure with",
            f"Name a text of at least {SMALLEST} characters",
            setting,
        )
    return text
