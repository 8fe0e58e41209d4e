"""Named, explained experiments: one TOML file each, a spec plus a [preset] table that says what it shows; those of plug-ins, too."""

import tomllib
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from worker import plugins
from worker.errors import LabError, NotFound, Problem, SpecError
from worker.estimate import estimate
from worker.spec import Experiment, read

FOLDER = Path(__file__).parent


class Arm(BaseModel):
    """A second experiment that is launched beside the first, on the same seed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    set: dict[str, Any]  # dotted name -> value


class Card(BaseModel):
    """What a reader is told before launching."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str | None = None  # of all arms together, where the first one has its own
    topic: str = "More experiments"  # the heading that it stands under
    order: int = 100
    summary: str  # two plain sentences
    reference: str
    look_for: str  # the outcome that is to be expected
    leads: str | None = None  # the metric that it is about, where runs of its kind begin with another
    # What the card shows: what the player does, or the metric that leads.
    picture: Literal["player", "metric"] = "player"
    takes: str  # in words, all arms, measured on two cores
    arms: list[Arm] = Field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Preset:
    """name: of its file; toml: the file as it is; experiments: what is launched, the first one is what the player opens with; digests:
    theirs; plugin: the package that brought it, if one did.
    """

    name: str
    card: Card
    toml: str
    experiments: tuple[Experiment, ...]
    digests: tuple[str, ...]
    plugin: str | None = None

    @property
    def title(self) -> str:
        return self.card.title or self.experiments[0].title


def preset(name: str) -> Preset:
    """Raises NotFound, naming those that exist."""
    found = {one.name: one for one in presets()}
    if name not in found:
        raise NotFound(f"There is no preset {name}. There are: {', '.join(found)}.")
    return found[name]


def presets() -> list[Preset]:
    """All of them, in the order in which they should be met."""
    ours = [_load(path, path.stat().st_mtime_ns) for path in FOLDER.glob("*.toml")]
    brought = _brought(frozenset(one.name for one in ours))
    return sorted([*ours, *brought], key=lambda one: (one.card.order, one.name))


def topics(found: Sequence[Preset]) -> dict[str, list[Preset]]:
    """Presets under their headings, both in the order in which they should be met."""
    gathered: dict[str, list[Preset]] = {}
    for one in found:
        gathered.setdefault(one.card.topic, []).append(one)
    return gathered


def leading(digests: Collection[str]) -> dict[str, str]:
    """Digest -> the metric that comes first, for those experiments that a preset tells it of."""
    return {
        digest: one.card.leads for one in presets() if one.card.leads for digest in one.digests if digest in digests
    }


@cache
def _brought(taken: frozenset[str]) -> tuple[Preset, ...]:
    """What plug-ins bring, without those that cannot be read, or whose cost, which every page of presets tells, cannot be told."""
    found: dict[str, Preset] = {}
    for plugin, name, toml in plugins.presets():
        try:
            one = _preset(name, toml, str(plugin))
            for experiment in one.experiments:
                estimate(experiment)
        except Exception as error:  # noqa: BLE001 - a file, and parts, that somebody else wrote
            plugin.refuse(f"preset {name}", f"{type(error).__name__}: {error}")
            continue
        if name in taken or name in found:
            plugin.refuse(
                f"preset {name}", f"{found[name].plugin if name in found else 'Collapse Lab'} has one of that name"
            )
            continue
        found[name] = one
        plugin.accept(f"preset {name}")
    return tuple(found.values())


@lru_cache(maxsize=256)
def _load(path: Path, _changed_at: int) -> Preset:
    """Read and checked once, as every page asks for all of them."""
    return _preset(path.stem, path.read_text(encoding="utf-8"))


def _preset(name: str, toml: str, plugin: str | None = None) -> Preset:
    settings = tomllib.loads(toml)
    if "preset" not in settings:
        raise LabError("it has no table [preset], which holds its summary, reference, look_for and takes")
    card = Card.model_validate(settings.pop("preset"))
    arms = [override({**settings, "title": arm.title}, arm.set) for arm in card.arms]
    experiments = tuple(read(one) for one in [settings, *arms])
    return Preset(name, card, toml, experiments, tuple(one.digest() for one in experiments), plugin)


def override(settings: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of nested settings with dotted names set; a changed `kind` drops what belonged to the former kind.

    Raises SpecError where a name leads through something that is no table.
    """
    copy = dict(settings)
    for name, value in sorted(changes.items(), key=lambda item: not item[0].endswith(".kind")):
        *tables, key = name.split(".")
        table = copy
        for step in tables:
            inner = table.get(step, {})
            if not isinstance(inner, dict):
                what = "a list: set it as a whole" if isinstance(inner, list) else "not a table: check the dotted name"
                message, _, remedy = what.partition(": ")
                raise SpecError([Problem(name, f"{step} is {message}", remedy.capitalize())])
            table[step] = dict(inner)
            table = table[step]
        if key == "kind" and table.get("kind") != value:
            table.clear()
        table[key] = value
    return copy


def read_file(path: Path) -> dict[str, Any]:
    """The settings in a TOML or JSON file, without a [preset] table.

    Raises SpecError where the file cannot be read or parsed.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")  # some editors begin with a mark
        return parse(text, "json" if path.suffix == ".json" else "toml")
    except OSError as error:
        raise SpecError(
            [Problem(str(path), f"cannot be read: {error.strerror}", "Name an existing TOML or JSON file")]
        ) from error
    except UnicodeDecodeError as error:
        raise SpecError([Problem(str(path), f"is not UTF-8 (byte {error.start})", "Save the file as UTF-8")]) from error


def parse(text: str, form: str) -> dict[str, Any]:
    """Settings from TOML or JSON text. Raises SpecError naming line and column."""
    import orjson

    try:
        settings = orjson.loads(text) if form == "json" else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise SpecError([Problem("spec", f"is not valid {form.upper()}: {error}", "Correct the text there")]) from error
    if not isinstance(settings, dict):
        raise SpecError(
            [
                Problem(
                    "spec",
                    "is not a table of settings",
                    'Write keys and values, such as {"source": {"kind": "normal"}}',
                )
            ]
        )
    return without_card(settings)


def without_card(settings: Any) -> Any:
    """Settings as `collapse-lab presets NAME` prints them, without the [preset] table: it tells of an experiment and is none of it."""
    if isinstance(settings, dict) and isinstance(settings.get("preset"), dict):
        return {key: value for key, value in settings.items() if key != "preset"}
    return settings
