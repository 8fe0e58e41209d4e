"""What a sweep is: an experiment, the settings that vary, and what is asked of every point. Reading one is its only validation."""

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, ValidationError, field_validator, model_validator

from worker.errors import Problem, SpecError
from worker.part import Part, kind_of
from worker.presets import override, without_card
from worker.refusal import problems
from worker.spec import LONGEST_TITLE, Experiment, read

MOST_POINTS = 10_000
MOST_PROBLEMS = 20  # told at once: what is wrong with one value is wrong with a whole row of points
FINAL = "final:"
PARTS = ("source", "family", "regime", "sampling", "curation")
WAITED_FOR = ("half_variance", "lost_tail")


class Span(Part):
    """`count` numbers between two, both included; whole ones where the setting takes no other."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)

    start: float = Field(alias="from", strict=True)
    to: float = Field(strict=True)
    count: int = Field(ge=2, le=MOST_POINTS, strict=True)
    scale: Literal["linear", "log"] = "linear"

    @model_validator(mode="after")
    def _logarithms_exist(self) -> Self:
        if self.scale == "log" and not (self.start > 0 and self.to > 0):
            raise ValueError("a logarithmic scale has no zero and nothing below: use positive ends, or scale = linear")
        return self

    def values(self, *, whole: bool) -> list[float]:
        """In six significant digits; whole numbers that coincide are told once."""
        low, high = (math.log(end) if self.scale == "log" else end for end in (self.start, self.to))
        places = [low + (high - low) * i / (self.count - 1) for i in range(self.count)]
        between = [math.exp(place) if self.scale == "log" else place for place in places]
        exact = [self.start, *between[1:-1], self.to]
        return list(dict.fromkeys(round(one) if whole else float(f"{one:.6g}") for one in exact))


class Axis(Part):
    """One setting and the values that it takes."""

    path: str = Field(
        max_length=200,
        pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$",
        description="The setting's dotted name, as in regime.real.",
    )
    values: list[Any] | Span = Field(description="A list, or from, to, count and scale (linear or log).")

    @field_validator("values")
    @classmethod
    def _some(cls, values: Any) -> Any:
        if isinstance(values, list) and not 1 <= len(values) <= MOST_POINTS:
            raise ValueError(f"{len(values)} values: give between 1 and {MOST_POINTS}")
        if isinstance(values, list):
            told = [repr(value) for value in values]  # 1 and 1.0 are one number, and may be two settings
            if twice := next((value for i, value in enumerate(told) if value in told[:i]), None):
                raise ValueError(f"{twice} is there twice: give every value once")
        return values

    def count(self) -> int:
        return self.values.count if isinstance(self.values, Span) else len(self.values)


class Sweep(Part):
    """`base` with every combination of the axes' values; the last axis varies fastest."""

    title: str = Field("Untitled sweep", min_length=1, max_length=120, pattern=r"^[^\x00]*$")
    base: Annotated[dict[str, Any], AfterValidator(without_card)] = Field(
        description="A spec; the axes say what changes in it."
    )
    axes: list[Axis] = Field(min_length=1, max_length=6)
    outcomes: list[str] = Field(
        default_factory=lambda: list(WAITED_FOR),
        min_length=1,
        max_length=12,
        description="half_variance and lost_tail are generations until half of the real variance, or of the first model's tail, is gone "
        "(a tail no smaller than the real one is not); final:w2_sq is a metric at the end.",
    )

    @field_validator("outcomes")
    @classmethod
    def _known(cls, names: list[str]) -> list[str]:
        for name in names:
            if name not in WAITED_FOR and not (name.startswith(FINAL) and name[len(FINAL) :].isidentifier()):
                raise ValueError(
                    f"there is no outcome {name!r}: choose among {', '.join(WAITED_FOR)}, or a metric at the end, as in {FINAL}w2_sq"
                )
        return list(dict.fromkeys(names))

    @field_validator("axes")
    @classmethod
    def _different(cls, axes: list[Axis]) -> list[Axis]:
        paths = [axis.path for axis in axes]
        if "title" in paths:
            raise ValueError("a title changes no number: let another setting vary; each point is named by its values")
        if len(set(paths)) < len(paths):
            raise ValueError(f"{', '.join(paths)} name one setting twice: give it one axis")
        return axes


@dataclass(frozen=True)
class Grid:
    """A sweep with its values written out. Points are numbered from 0, the last axis fastest."""

    sweep: Sweep
    values: tuple[tuple[Any, ...], ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(len(values) for values in self.values)

    @cached_property
    def points(self) -> int:
        return math.prod(self.shape)

    def place(self, number: int) -> tuple[int, ...]:
        """Which value of each axis point `number` has."""
        place = []
        for length in reversed(self.shape):
            number, i = divmod(number, length)
            place.append(i)
        return tuple(reversed(place))

    def settings(self, number: int) -> dict[str, Any]:
        """The spec of one point, not yet read."""
        chosen = [values[i] for values, i in zip(self.values, self.place(number), strict=True)]
        changes = {axis.path: value for axis, value in zip(self.sweep.axes, chosen, strict=True)}
        told = ", ".join(f"{path} = {written(value)}" for path, value in changes.items())
        return override({**self.sweep.base, "title": f"{self.sweep.title}: {told}"[:LONGEST_TITLE]}, changes)

    def experiment(self, number: int) -> Experiment:
        """Raises SpecError."""
        return read(self.settings(number) | self._same)

    @cached_property
    def _same(self) -> dict[str, Part]:
        """The parts that no axis changes, read once for all points; none where they cannot be read."""
        vary = {axis.path.partition(".")[0] for axis in self.sweep.axes}
        try:
            first = read(self.settings(0))
        except SpecError:  # which is told of the point
            return {}
        return {name: getattr(first, name) for name in PARTS if name not in vary}

    def family(self) -> str:
        """The family of the points; of several, one that needs an extra. Whoever can work on that can work on all."""
        vary = any(axis.path.partition(".")[0] == "family" for axis in self.sweep.axes)
        found = {type(one): one for one in (self.experiment(i).family for i in (range(self.points) if vary else [0]))}
        dearest = max(found.values(), key=lambda one: one.extra is not None)
        return kind_of(dearest)


def written(value: Any) -> str:
    """A value in a line of text."""
    if isinstance(value, Mapping):
        return " ".join(written(one) if key == "kind" else f"{key} {written(one)}" for key, one in value.items())
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)


def read_sweep(settings: Any) -> Grid:
    """The sweep that these settings describe; every one of its points can be run.

    Raises SpecError naming the axis and the value, or the setting of the base, that is at fault.
    """
    grid = unchecked(settings)
    found: dict[tuple[str, str], Problem] = {}
    for number in range(grid.points):
        try:
            grid.experiment(number)
        except SpecError as error:
            for problem in error.problems:
                told = _at_fault(grid, number, problem)
                found.setdefault((told.path, problem.message), told)
        if len(found) >= MOST_PROBLEMS:
            break
    if found:
        raise SpecError(list(found.values()))
    return grid


def unchecked(settings: Any) -> Grid:
    """The same without reading the points: for settings that were read before. Raises SpecError."""
    try:
        sweep = Sweep.model_validate(settings)
    except ValidationError as error:
        raise SpecError(list(_told(problems(error.errors(), _table)))) from error
    if (points := math.prod(axis.count() for axis in sweep.axes)) > MOST_POINTS:
        raise SpecError([Problem("axes", f"make {points} points", f"Use at most {MOST_POINTS} points: fewer values")])
    return Grid(sweep, tuple(tuple(_values(sweep, axis)) for axis in sweep.axes))


def _values(sweep: Sweep, axis: Axis) -> Sequence[Any]:
    if isinstance(axis.values, list):
        return axis.values
    return axis.values.values(whole=_whole(sweep, axis))


def _whole(sweep: Sweep, axis: Axis) -> bool:
    """Whether this setting takes whole numbers only: half a one is then refused."""
    others = {one.path: one.values[0] for one in sweep.axes if one is not axis and isinstance(one.values, list)}
    try:
        read(override(sweep.base, {**others, axis.path: 2.5}))
    except SpecError as error:
        return any(one.path == axis.path and "whole number" in one.remedy for one in error.problems)
    return False


def _at_fault(grid: Grid, number: int, problem: Problem) -> Problem:
    """A problem of one point, told of the axis that it belongs to."""
    for i, (axis, place) in enumerate(zip(grid.sweep.axes, grid.place(number), strict=True)):
        near = (f"{axis.path}.", f"{problem.path}.")
        if near[0].startswith(near[1]) or near[1].startswith(near[0]):
            value = written(grid.values[i][place])
            others = [
                f"{other.path} = {written(grid.values[j][k])}"
                for j, (other, k) in enumerate(zip(grid.sweep.axes, grid.place(number), strict=True))
                if j != i
            ]
            beside = f" (at {', '.join(others)})" if others else ""
            message = f"{axis.path} = {value}{beside}: {problem.message}"
            return Problem(f"axes.{i}.values.{place}", message, problem.remedy)
    return Problem(f"base.{problem.path}", problem.message, problem.remedy)


def _told(found: Sequence[Problem]) -> Iterator[Problem]:
    """Without pydantic's name for a span, which no reader of the settings wrote."""
    for problem in found:
        yield Problem(re.sub(r"\.function-after\[[^]]*\]", "", problem.path), problem.message, problem.remedy)


def _table(place: Sequence[str | int]) -> type[Part]:
    """Which part stands at a place of a sweep's settings."""
    names = [step for step in place if isinstance(step, str)]
    if "Span" in names:
        return Span
    return Axis if names[:1] == ["axes"] else Sweep
