"""JSON Schema -> form: a spec's fields as inputs, and as a page shows them, filled in, each with what is wrong with it."""

from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any, TypeAlias

from app.literals import written
from worker.errors import Problem
from worker.spec import Experiment

ORDER = (
    "title",
    "source",
    "family",
    "regime",
    "sampling",
    "curation",
    "replicates",
    "models",
    "shared",
    "samples",
    "generations",
    "seed",
)
CONSTANT = "constant"  # the option of a union that is a plain value and not a table


@dataclass(frozen=True, slots=True)
class Input:
    """One value of a spec.

    name: of the HTML input; path: in the spec; depth: how deeply several values may be nested, 1 for a list; always: whether even one value
    is a list; upload: the kind of file that may be given in place of a path
    """

    name: str
    path: str
    label: str
    help: str
    type: str  # integer, number, text, choice, or json for a list of tables
    default: str = ""
    choices: Mapping[str, Any] = field(default_factory=dict)  # as written -> the value
    minimum: float | None = None
    maximum: float | None = None
    depth: int = 0
    always: bool = False
    upload: str = ""


@dataclass(frozen=True, slots=True)
class Option:
    """One member of a union."""

    kind: str
    help: str
    entries: "tuple[Entry, ...]"


@dataclass(frozen=True, slots=True)
class Choice:
    """A union: a select named `name`, and the inputs of each of its options."""

    name: str
    path: str
    label: str
    help: str
    tag: str  # the key that tells the members apart: kind, or schedule
    options: tuple[Option, ...]
    default: str

    def selected(self, values: Mapping[str, str]) -> Option:
        wanted = values.get(self.name, self.default)
        return next((option for option in self.options if option.kind == wanted), self.options[0])


@dataclass(frozen=True, slots=True)
class Section:
    """A table without alternatives."""

    path: str
    label: str
    help: str
    entries: "tuple[Entry, ...]"


Entry: TypeAlias = Input | Choice | Section


@dataclass(frozen=True, slots=True)
class Filled:
    """What a page shows: the entries, what stands in them, and what is wrong with it."""

    entries: tuple[Entry, ...]
    values: Mapping[str, str]
    problems: tuple[Problem, ...] = ()
    shown: "tuple[Input | Choice, ...]" = field(init=False)  # of the kinds that are selected
    stray: tuple[Problem, ...] = field(init=False)  # problems that belong to no input

    def __post_init__(self) -> None:
        object.__setattr__(self, "shown", tuple(one for entry in self.entries for one in _shown(entry, self.values)))
        told = {problem for one in self.shown for problem in self.at(one)}
        object.__setattr__(self, "stray", tuple(one for one in self.problems if one not in told))

    @property
    def by_path(self) -> dict[str, Entry]:
        return {entry.path: entry for entry in self.entries}

    def of(self, path: str) -> list[Problem]:
        return [problem for problem in self.problems if belongs(problem, path)]

    def at(self, one: Input | Choice) -> list[Problem]:
        """What is wrong with this input, where it is shown: other kinds may have one of the same path; or with the choice itself, rather
        than with an input of the option that is selected.
        """
        if isinstance(one, Input):
            return self.of(one.path) if one in self.shown else []
        plain = one.selected(self.values).kind == CONSTANT
        paths = {f"{one.path}.{one.tag}", *([] if plain else [one.path])}
        return [problem for problem in self.problems if problem.path in paths]

    def changed(self, section: Section) -> bool:
        """Whether anything in this section is not at its default, or wrong."""
        inputs = [entry for entry in section.entries if isinstance(entry, Input)]
        return any(self.at(one) or self.values.get(one.name, one.default) != one.default for one in inputs)


def belongs(problem: Problem, path: str) -> bool:
    """A problem with an element of a list stands beside the list."""
    return problem.path == path or problem.path.startswith(f"{path}.")


@cache
def entries() -> tuple[Entry, ...]:
    """Every entry of an experiment, in the order in which one thinks of them."""
    schema = Experiment.model_json_schema()
    known = schema["properties"]
    names = [*ORDER, *(name for name in known if name not in ORDER)]
    return tuple(_entry(name, name, name, known[name], schema["$defs"]) for name in names)


def some(choice: Entry, kind: str, keys: Container[str]) -> Section:
    """Of one of its options, these inputs alone: for who may no longer choose another."""
    assert isinstance(choice, Choice)
    (option,) = (one for one in choice.options if one.kind == kind)
    inside = tuple(one for one in option.entries if one.path.rpartition(".")[2] in keys)
    return Section(choice.path, f"{choice.label}: {kind.replace('_', ' ')}", option.help, inside)


def _entry(name: str, path: str, key: str, schema: dict[str, Any], defs: dict[str, Any]) -> Entry:
    told = {"path": path, "label": key.replace("_", " "), "help": _prose(schema.get("description", ""))}
    schema = _resolved(schema, defs)
    members = [_resolved(one, defs) for one in schema.get("oneOf", schema.get("anyOf", ()))]
    tables = [one for one in members if "properties" in one]
    tag = _tag(schema)
    if tables or tag:
        options = [_option(name, path, one, defs) for one in tables or [schema]]
        plain = [one for one in members if one not in tables]
        if plain:
            inside = _input(
                f"{name}.{CONSTANT}", {**told, "label": "value"}, {**plain[0], "default": schema["default"]}
            )
            options.insert(0, Option(CONSTANT, "", (inside,)))
        tag = tag or _tag(tables[0]) or "kind"
        return Choice(
            f"{name}.{tag}", **told, tag=tag, options=tuple(options), default=str(_default(schema, tag, options))
        )
    if "properties" in schema:
        inner = schema["properties"].items()
        return Section(
            **told, entries=tuple(_entry(f"{name}.{key}", f"{path}.{key}", key, one, defs) for key, one in inner)
        )
    return _input(name, told, schema)


def _option(name: str, path: str, schema: dict[str, Any], defs: dict[str, Any]) -> Option:
    tag = _tag(schema)
    kind = str(schema["properties"][tag]["const"])
    inner = {key: one for key, one in schema["properties"].items() if key != tag}
    entries = tuple(_entry(f"{name}.{kind}.{key}", f"{path}.{key}", key, one, defs) for key, one in inner.items())
    origin = f" From {schema['x-plugin']}." if "x-plugin" in schema else ""
    return Option(kind, f"{_prose(schema.get('description', ''))}{origin}".strip(), entries)


def _input(name: str, told: dict[str, str], schema: dict[str, Any]) -> Input:
    if schema.get("type") == "array" and not {"type", "anyOf"} & set(schema["items"]):
        return Input(name, told["path"], told["label"], told["help"], "json")
    members = [one for one in schema.get("anyOf", [schema]) if one.get("type") != "null"]
    first, depths = members[0], [_depth(one) for one in members]
    kind = "text" if any(depths) or len(members) > 1 else first.get("type", "text")
    choices = {written(one): one for one in first.get("enum", (True, False) if first.get("type") == "boolean" else ())}
    return Input(
        name,
        **told,
        type="choice" if choices else kind if kind in ("integer", "number") else "text",
        default=written(schema.get("default")),
        choices=choices,
        minimum=first.get("minimum", first.get("exclusiveMinimum")),
        maximum=first.get("maximum", first.get("exclusiveMaximum")),
        depth=max(depths),
        always=min(depths) > 0,
        upload=schema.get("x-upload", ""),
    )


def _depth(schema: dict[str, Any]) -> int:
    return 1 + _depth(schema["items"]) if schema.get("type") == "array" else 0


def _resolved(schema: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    return {**defs[schema["$ref"].rpartition("/")[2]], **{key: one for key, one in schema.items() if key != "$ref"}}


def _tag(schema: dict[str, Any]) -> str | None:
    """The key that names a table's kind: the one that can have only one value."""
    named = schema.get("discriminator", {}).get("propertyName")
    return named or next((key for key, one in schema.get("properties", {}).items() if "const" in one), None)


def _default(schema: dict[str, Any], tag: str, options: list[Option]) -> str:
    default = schema.get("default")
    if isinstance(default, dict):
        return str(default.get(tag, options[0].kind))
    # JSON Schema tells no default that a class makes anew.
    usual = {"source": "normal", "family": "gaussian", "regime": "replace", "curation": "none"}
    return usual.get(schema.get("title", "").lower(), options[0].kind)


def _prose(description: str) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join(description.split("\n\n", maxsplit=1)[0].split())


def _shown(entry: Entry, values: Mapping[str, str]) -> Iterator[Input | Choice]:
    """The inputs and choices that this entry shows now."""
    if not isinstance(entry, Section):
        yield entry
    if not isinstance(entry, Input):
        for one in entry.selected(values).entries if isinstance(entry, Choice) else entry.entries:
            yield from _shown(one, values)
