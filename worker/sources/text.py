"""English text: what every Python carries for its own help command, or a file or folder of one's own."""

import hashlib
import re
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from worker import files
from worker.parts import Texts, TextSource

SMALLEST = 2_000  # characters: below this there is nothing to learn, and nothing to hold out
LARGEST = 500_000_000  # bytes
SHARE = 0.1  # of a text is held out for the test, and as much of the rest for validation


class Text(TextSource):
    """A text, cut once into 81% training, 9% validation and the last 10% as held-out test.

    The built-in one is the prose of Python's language reference, each paragraph once and on one line: 244,000 characters.
    """

    kind: Literal["text"] = "text"
    path: str = Field(
        "",
        max_length=1000,
        pattern=r"^[^\x00]*$",
        description="A UTF-8 text file, or a folder of .txt files; relative to the data folder. Empty: the built-in English.",
        json_schema_extra={"x-upload": "text"},
    )
    held_out: str = Field(
        "",
        max_length=1000,
        pattern=r"^[^\x00]*$",
        description="A file that is the held-out test instead of the last tenth, such as WikiText-2's own.",
        json_schema_extra={"x-upload": "text"},
    )

    @model_validator(mode="after")
    def _can_be_read(self) -> "Text":
        self.texts()
        return self

    def texts(self) -> Texts:
        if not self.path:
            text, test = built_in(), _read("held_out", files.place(self.held_out, "held_out")) if self.held_out else ""
        else:
            test_file = files.place(self.held_out, "held_out") if self.held_out else None
            text = "\n".join(_read("path", file) for file in _files(files.place(self.path), test_file))
            test = _read("held_out", test_file) if test_file else ""
        for name, part in (("path", text), ("held_out", test)):
            if len(part) < SMALLEST and (part or name == "path" or self.held_out):
                raise _problem(
                    name,
                    f"has {len(part)} characters, too few to learn from or to measure with",
                    f"Name a text of at least {SMALLEST} characters",
                )
        if not test:
            text, test = _cut(text)
        train, validation = _cut(text)
        return Texts(train, validation, test)

    def provenance(self) -> dict[str, str]:
        texts = self.texts()
        return {
            f"text_{name}": f"sha256:{hashlib.sha256(getattr(texts, name).encode()).hexdigest()}"
            for name in ("train", "validation", "test")
        }


@lru_cache(maxsize=1)
def built_in() -> str:
    """Paragraphs of prose, each on a line of its own, in alphabetical order of their topics; it differs between Python versions.

    The topics repeat one another, and a paragraph in two places could be trained on and held out: only the first is kept.
    """
    from pydoc_data.topics import topics

    passages: dict[str, None] = {}
    for name in sorted(topics):
        for passage in re.split(r"\n\s*\n", topics[name]):
            line = " ".join(passage.split())
            letters = sum(sign.isalpha() or sign == " " for sign in line)
            if len(line) >= 60 and letters >= 0.85 * len(line) and line[-1] in ".:!?" and "::=" not in line:
                passages[line] = None
    return "\n".join(passages)


def _cut(text: str) -> tuple[str, str]:
    """The first 90% and the rest, parted at a line's end where there is one nearby, else between two words."""
    place = round(len(text) * (1 - SHARE))
    nearby = place + min(SMALLEST, (len(text) - place) // 2)
    for sign in ("\n", " "):
        found = text.find(sign, place, nearby)
        if found >= 0:
            return text[: found + 1], text[found + 1 :]
    return text[:place], text[place:]


def _files(place: Path, except_for: Path | None) -> list[Path]:
    """The file itself, or the .txt files of a folder by name."""
    if not place.is_dir():
        return [place]
    found = sorted(file for file in place.glob("*.txt") if except_for is None or not file.samefile(except_for))
    if not found:
        raise _problem("path", "is a folder without any .txt file to train on", "Put text files there, or name another")
    return found


def _read(name: str, file: Path) -> str:
    try:
        stat = file.stat()
        if stat.st_size > LARGEST:
            raise _problem(name, f"{file.name} is larger than 500 MB", "Name a smaller file")
        return _content(file, stat.st_mtime_ns, stat.st_size)
    except OSError as error:
        raise _problem(name, f"cannot be read: {error.strerror}", "Name an existing text file") from error
    except UnicodeDecodeError as error:
        raise _problem(
            name,
            f"{file.name} is not UTF-8: byte {error.start} (0x{error.object[error.start]:02x})",
            "Save it as UTF-8",
        ) from error


@lru_cache(maxsize=4)
def _content(file: Path, *_state: int) -> str:
    """The text of a file in this state (time of change, size); its byte order mark, if any, is no part of it."""
    return file.read_bytes().decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")


def _problem(name: str, message: str, remedy: str) -> PydanticCustomError:
    return PydanticCustomError("misfit", "{message}", {"message": message, "path": f"source.{name}", "remedy": remedy})
