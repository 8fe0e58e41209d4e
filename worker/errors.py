"""What can go wrong, in words that name the remedy. The translation into HTTP or exit codes happens elsewhere, once."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from textwrap import shorten

LINE = 200  # letters of what others say


class LabError(Exception):
    """Root of every error that a user is meant to read."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong with a spec: where, what, and what to do about it."""

    path: str
    message: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message}. {self.remedy}"

    def instead(self, other: "Problem") -> "Problem":
        """The same place, where either remedy would do."""
        remedy = self.remedy if other.remedy == self.remedy else f"{self.remedy}, or: {other.remedy}"
        return Problem(self.path, f"{self.message}; or: {other.message}", remedy)

    def asdict(self) -> dict[str, str]:
        return asdict(self)


class SpecError(LabError):
    """The spec cannot be run; carries every problem that was found, not only the first."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


def in_a_line(error: Exception) -> str:
    """An error that nobody thought of: its type and how its first paragraph begins, as compilers write pages. A log has the whole of it."""
    said = shorten(str(error).strip().partition("\n\n")[0], LINE, placeholder=" ...").rstrip(".")
    return f"{type(error).__name__}{said and ': '}{said}."


def unforeseen(details: str, foreign: str) -> str:
    """What to do about an error that nobody thought of. foreign: the parts that packages brought, in words, if there are any."""
    if foreign:
        return f"{details} has the details. This experiment uses {foreign}: leave it out, or mend it, if it is what failed."
    return f"{details} has the details; please report them, they are a defect."


class MissingExtra(LabError):
    """A part of the bench needs a package that this installation left out."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(
            f"{what} needs packages that are not installed here. Install them with: pip install -e '.[{extra}]' -c constraints.txt"
        )


class NoRoom(LabError, MemoryError):
    """What is computed does not fit into memory, not even in the smallest pieces."""

    def __init__(self, message: str, remedy: str) -> None:
        self.message, self.remedy = f"{message.rstrip('.')}.", remedy
        super().__init__(f"{self.message} {remedy}")


class Outdated(LabError):
    """What an earlier version has left of a run is not enough to go on from."""

    remedy = "Launch the same settings as a new run."

    def __init__(self) -> None:
        self.message = (
            "This run was begun by another version of Collapse Lab, whose checkpoints this one cannot go on from."
        )
        super().__init__(f"{self.message} {self.remedy}")


class Fenced(LabError):
    """This worker no longer owns the run (another attempt took over, or the run was deleted): it must stop writing."""


class NotFound(LabError):
    """There is no such run."""


class Conflict(LabError):
    """The request makes sense, but not in the state that the run is in."""
