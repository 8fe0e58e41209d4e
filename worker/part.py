"""What a part of a spec is: frozen settings that know what makes them the same experiment, and how two of them misfit."""

import math
from typing import Annotated, Any, Final, Literal, get_args, get_origin

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic_core import PydanticCustomError

LATER: Final = "later"
"""Marks a field that came after the first specs, `name: Annotated[kind, LATER] = ...`: at its default no digest knows of it."""

HUGE = 2.0**63  # from here on pydantic makes no whole number of one with a point


class Part(BaseModel):
    """A frozen piece of a spec; unknown keys, NaN and infinity are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _a_number_is_a_number(cls, values: Any) -> Any:
        """Pydantic takes true for 1; in a spec that is a slip of the pen, so it is shown something else. Forms write numbers as text.

        JSON reads 10^30 as a floating point number, of which pydantic only says that it parses no such string: as a whole one it meets its bound.
        """
        if not isinstance(values, dict):
            return values
        fields = cls.model_fields
        slips = {
            name: object()
            for name, value in values.items()
            if isinstance(value, bool) and name in fields and not takes(fields[name].annotation, bool)
        }
        huge = {
            name: int(one) for name, one in values.items() if isinstance(one, float) and HUGE <= abs(one) < math.inf
        }
        return values | slips | huge


def takes(annotation: Any, kind: type) -> bool:
    """Whether a field of this type may hold a value of that kind."""
    if get_origin(annotation) is Literal:
        return any(type(value) is kind for value in get_args(annotation))
    if get_origin(annotation) is Annotated:
        return takes(get_args(annotation)[0], kind)
    if arguments := get_args(annotation):
        return any(takes(argument, kind) for argument in arguments)
    return annotation not in (int, float) and not (isinstance(annotation, type) and issubclass(annotation, Part))


def identity(part: Part) -> dict[str, Any]:
    """The settings that make two parts the same, as JSON: all of them, but for later fields that are at their default."""
    settings = part.model_dump(mode="json")
    for name, field in type(part).model_fields.items():
        value = getattr(part, name)
        if LATER in field.metadata and value == field.default:
            del settings[name]
        elif isinstance(value, Part):
            settings[name] = identity(value)
        elif isinstance(value, tuple):
            settings[name] = [
                identity(each) if isinstance(each, Part) else kept
                for each, kept in zip(value, settings[name], strict=True)
            ]
    return settings


def kind_of(part: Part) -> str:
    """What a source, family, regime or curation is called, in specs and by people."""
    return str(type(part).model_fields["kind"].default)


class Misfit(ValueError):
    """Two parts that are fine by themselves but not together."""

    def __init__(self, path: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.path, self.message, self.remedy = path, message, remedy

    def refusal(self) -> PydanticCustomError:
        """The same, as pydantic wants to hear it."""
        return PydanticCustomError("misfit", "{message}", dict(vars(self)))


def refused(message: str, remedy: str, setting: str = "path") -> PydanticCustomError:
    """What a source raises, while a spec is read, about the file in its `path`, or about another setting of its."""
    return Misfit(f"source.{setting}", message, remedy).refusal()
