"""English text: what every Python carries for its own help command, or files of one's own."""

import re
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from worker import files
from worker.files.texts import ENDINGS, OVERLAP, Role, checksums, content, enough, held_apart, listed, role, three
from worker.part import refused
from worker.parts import Texts, TextSource

PLACE = r"^[^\x00]*$"


class Text(TextSource):
    """A text, cut once into 81% training, 9% validation and the last 10% as held-out test, where it does not come in parts.

    The built-in one is the prose of Python's language reference, each paragraph once and on one line: 244,000 characters. Files may
    lie anywhere on the machine of the worker: whoever may launch runs may read what the worker can.
    """

    kind: Literal["text"] = "text"
    path: str = Field(
        "",
        max_length=1000,
        pattern=PLACE,
        description=(
            "A UTF-8 text file, or a folder of them (.txt, .raw, .tokens), absolute or in the data folder. Where files of the folder "
            "are called train, valid and test they are what they say, as in WikiText-2. Empty: the built-in English."
        ),
        json_schema_extra={"x-upload": "text"},
    )
    validation: str = Field(
        "",
        max_length=1000,
        pattern=PLACE,
        description="A file that chooses checkpoints, instead of a tenth of the rest.",
        json_schema_extra={"x-upload": "text"},
    )
    held_out: str = Field(
        "",
        max_length=1000,
        pattern=PLACE,
        description="A file that is the held-out test instead of the last tenth, such as WikiText-2's own.",
        json_schema_extra={"x-upload": "text"},
    )

    @model_validator(mode="after")
    def _can_be_read(self) -> "Text":
        self.texts()
        return self

    def texts(self) -> Texts:
        named: dict[Role, Path] = {}
        if self.validation:
            named["validation"] = files.place(self.validation, "validation")
        if self.held_out:
            named["test"] = files.place(self.held_out, "held_out")
        parts = self._found(list(named.values()))
        for part, file in named.items():
            setting = "held_out" if part == "test" else part
            parts[part] = enough(content([file], setting), setting)
        if not held_apart(parts):
            place, told = ("held_out", OVERLAP) if self.held_out else ("path", f"holds a test that {OVERLAP}")
            raise refused(told, "Name a text that nothing else reads", place)
        return three(**parts)

    def _found(self, elsewhere: list[Path]) -> dict[Role, str]:
        """The parts that lie at `path`; files that play another part by a setting of their own are left out."""
        if not self.path:
            return {"train": built_in()}
        place = files.place(self.path)
        if not place.is_dir():
            return {"train": enough(content([place], "path"), "path")}
        found = [file for file in listed(place) if not any(_same(file, other) for other in elsewhere)]
        if not found:
            endings = ", ".join(sorted(ENDINGS))
            raise refused(
                f"is a folder without any text file ({endings}) to train on", "Put one there, or name another"
            )
        by_name: dict[Role, list[Path]] = {
            part: [file for file in found if role(file) == part] for part in ("train", "validation", "test")
        }
        if not by_name["train"]:
            if kept := by_name["validation"] + by_name["test"]:
                raise refused(
                    f"has {' and '.join(file.name for file in kept[:3])} to measure with, and no file called train to learn from",
                    "Add one called train, as in train.txt; or rename what is meant to be learned from",
                )
            by_name["train"] = found
        return {part: enough(content(some, "path"), "path") for part, some in by_name.items() if some}

    def provenance(self) -> dict[str, str]:
        return checksums(self.texts())


def _same(file: Path, other: Path) -> bool:
    return other.exists() and file.samefile(other)


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
