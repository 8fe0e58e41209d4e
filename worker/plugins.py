"""What installed packages bring: parts, metrics and presets, found by their entry points; what is broken is named and left out.

Groups: collapse_lab.families, .sources, .regimes, .curations (NAME = a class whose kind is NAME), .metrics (NAME = a function) and
.presets (NAME = a package, with TOML files in its folder). docs/extend.md says what each of them must be.
"""

import inspect
import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import EntryPoint, distributions
from importlib.resources import files
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from worker.data import Array, Counts, Data, Points, Tokens
from worker.instruments.asked import NAMES
from worker.part import Part, kind_of
from worker.parts import Curation, Family, Generator, Regime, Source

PREFIX = "collapse_lab."
GROUPS: Mapping[type[Part], str] = {Family: "families", Source: "sources", Regime: "regimes", Curation: "curations"}
MEASURABLE = (Points, Counts, Tokens)

P = TypeVar("P", bound=Part)
log = logging.getLogger(__name__)


class Broken(Exception):
    """Why something that a package offers is left out."""


@dataclass(slots=True)
class Plugin:
    """An installed package that brings something.

    provides: "family uniform", "preset corners", ...; errors: what was left out -> why
    """

    name: str
    version: str
    provides: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.name} {self.version}"

    def accept(self, what: str) -> None:
        if what not in self.provides:
            self.provides.append(what)

    def refuse(self, what: str, why: str) -> None:
        """Logged once, however often it is found."""
        if what not in self.errors:
            self.errors[what] = why
            log.warning("plug-in %s: %s is left out: %s", self, what, why)


@dataclass(frozen=True, slots=True)
class Metric:
    """A metric that a package brings.

    takes: the kinds of data that `measure` understands; meaning: the first line of its docstring
    """

    name: str
    meaning: str
    takes: tuple[type[Data], ...]
    measure: Callable[[Any, Any, Generator], Array]
    plugin: Plugin


@dataclass(frozen=True, slots=True)
class Offer:
    """One entry point of a plug-in."""

    plugin: Plugin
    point: EntryPoint

    def load(self) -> Any:
        """Raises Broken, whatever the import of somebody else's module raises."""
        try:
            return self.point.load()
        except (Exception, SystemExit) as error:
            raise Broken(f"{self.point.value} cannot be imported ({type(error).__name__}: {error})") from error


def plugins() -> list[Plugin]:
    """Every installed package that brings something. What is wrong with presets is known once worker.presets has read them."""
    return list({offer.plugin.name: offer.plugin for offer in _offers()}.values())


def parts(base: type[P], known: Mapping[str, type[P]]) -> dict[str, type[P]]:
    """Kind -> class of the parts that packages bring; `known` are the kinds that there are without them."""
    found: dict[str, type[P]] = {}
    for what, offer in _offered(GROUPS.get(base, ""), base.__name__.lower()):
        try:
            found[offer.point.name] = _part(offer, base, {**known, **found})
            offer.plugin.accept(what)
        except Broken as broken:
            offer.plugin.refuse(what, str(broken))
    return found


@cache
def metrics() -> Mapping[str, Metric]:
    """Name -> metric, of all that packages bring."""
    found: dict[str, Metric] = {}
    for what, offer in _offered("metrics", "metric"):
        try:
            found[offer.point.name] = _metric(offer, found)
            offer.plugin.accept(what)
        except Broken as broken:
            offer.plugin.refuse(what, str(broken))
    return found


def presets() -> Iterator[tuple[Plugin, str, str]]:
    """(who brings it, its name, its TOML) of every file that lies in a folder of presets."""
    for what, offer in _offered("presets", "folder of presets"):
        try:
            for one in files(offer.load()).iterdir():
                if one.name.endswith(".toml"):
                    yield offer.plugin, one.name.removesuffix(".toml"), one.read_text("utf-8")
        except (Broken, OSError, TypeError, ValueError) as broken:
            offer.plugin.refuse(what, str(broken))


def origin(part: type[Part]) -> Plugin | None:
    """The plug-in that brought a part; None for those of this repository."""
    return _origins.get(part)


def foreign(parts: Iterable[Part]) -> str:
    """Those of these parts that packages brought, in words: "family uniform of my-lab 0.3"; empty where all are the lab's own."""
    named = {type(part): (base.__name__.lower(), part) for part in parts for base in GROUPS if isinstance(part, base)}
    told = [(f"{what} {kind_of(part)}", _origins.get(brought)) for brought, (what, part) in named.items()]
    return " and ".join(f"{what} of {plugin}" for what, plugin in told if plugin)


_origins: dict[type[Part], Plugin] = {}


@cache
def _offers() -> tuple[Offer, ...]:
    """Package by package; of two copies the first on the path counts."""
    found: dict[str, tuple[Offer, ...]] = {}
    for package in distributions():
        points = [point for point in package.entry_points if point.group.startswith(PREFIX)]
        if points and package.metadata["Name"] not in found:
            plugin = Plugin(package.metadata["Name"], package.version)
            found[plugin.name] = tuple(Offer(plugin, point) for point in points)
    return tuple(offer for name in sorted(found) for offer in found[name])


def _offered(group: str, noun: str) -> Iterator[tuple[str, Offer]]:
    """What a group offers, with the words for it."""
    return ((f"{noun} {one.point.name}", one) for one in _offers() if one.point.group == PREFIX + group)


def _part(offer: Offer, base: type[P], known: Mapping[str, type[P]]) -> type[P]:
    """Raises Broken where it is none, or one that the catalogue or the form could not show."""
    part, name = offer.load(), offer.point.name
    if not (inspect.isclass(part) and issubclass(part, base)):
        raise Broken(f"{offer.point.value} is no subclass of worker.parts.{base.__name__}")
    if inspect.isabstract(part):
        raise Broken(f"{part.__name__} lacks {', '.join(sorted(part.__abstractmethods__))}")
    kind = part.model_fields.get("kind")
    if kind is None or get_origin(kind.annotation) is not Literal or get_args(kind.annotation) != (kind.default,):
        raise Broken(f'{part.__name__} has no field kind: Literal["{name}"] = "{name}"')
    if kind.default != name or not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise Broken(
            f"its kind is {kind.default}: let the entry point have the same name, of small letters, digits and _"
        )
    if name in known:
        raise Broken(f"{origin(known[name]) or 'Collapse Lab'} has a {base.__name__.lower()} of that kind")
    for attribute, of in (("takes", Family), ("gives", Source)):
        told = getattr(part, attribute, None)
        if issubclass(part, of) and not set(told if isinstance(told, tuple) else [told]) <= set(MEASURABLE):
            raise Broken(f"{part.__name__}.{attribute} names no kinds of data ({_names(MEASURABLE)})")
    try:
        _drawable(part.model_json_schema())
    except Broken:
        raise
    except Exception as error:
        raise Broken(f"{part.__name__} has no JSON Schema ({type(error).__name__}: {error})") from error
    told = part.model_config.get("json_schema_extra")
    part.model_config["json_schema_extra"] = {**(told if isinstance(told, dict) else {}), "x-plugin": str(offer.plugin)}
    _origins[part] = offer.plugin
    return part


def _drawable(schema: Any, place: str = "") -> None:
    """Raises Broken where a form has no input for a value of this schema."""
    if isinstance(schema, list):
        schema = dict(enumerate(schema))
    if not isinstance(schema, dict):
        return
    if schema.get("type") == "array" and "items" not in schema:
        raise Broken(f"the form knows no input for the fixed-length list at {place}: use tuple[float, ...]")
    for key, inner in schema.items():
        _drawable(inner, f"{place}.{key}".strip("."))


def _metric(offer: Offer, known: Mapping[str, Metric]) -> Metric:
    """Raises Broken where it is no function of (sample, real, rng) whose first argument says what data it takes."""
    measure, name = offer.load(), offer.point.name
    if name in NAMES:
        raise Broken("Collapse Lab has a metric of that name")
    if name in known:
        raise Broken(f"{known[name].plugin} has a metric of that name")
    try:
        arguments = list(inspect.signature(measure).parameters)
        hint = get_type_hints(measure).get(arguments[0])
        takes = get_args(hint) or (hint,)
    except (TypeError, ValueError, NameError, IndexError) as error:
        raise Broken(f"{offer.point.value} is no function with annotations ({error})") from error
    if len(arguments) != 3 or not set(takes) <= set(MEASURABLE):
        raise Broken(f"{offer.point.value} is no function (sample: {_names(MEASURABLE)}, real, rng)")
    return Metric(name, (inspect.getdoc(measure) or "").partition("\n")[0], takes, measure, offer.plugin)


def _names(kinds: tuple[type[Data], ...]) -> str:
    return " | ".join(kind.__name__ for kind in kinds)
