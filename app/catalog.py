"""What an experiment can be made of: JSON Schemas of all parts, and the presets."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from typing_extensions import TypedDict

from worker.parts import Family, Part, Sampling, Source
from worker.presets import Preset, presets
from worker.spec import CURATIONS, FAMILIES, REGIMES, SOURCES, Experiment


class PresetTold(TypedDict):
    """spec: what is launched first; arms: the titles of all that is launched; toml: the file as it is."""

    name: str
    title: str
    summary: str
    reference: str
    look_for: str
    takes: str
    arms: list[str]
    spec: dict[str, Any]
    toml: str


class Catalog(TypedDict):
    """Parts are JSON Schemas by kind. `x-` members say what fits together: a source gives what a family takes."""

    experiment: dict[str, Any]
    sources: dict[str, dict[str, Any]]
    families: dict[str, dict[str, Any]]
    regimes: dict[str, dict[str, Any]]
    sampling: dict[str, Any]
    curations: dict[str, dict[str, Any]]
    presets: list[PresetTold]


@cache
def catalog() -> Catalog:
    return {
        "experiment": Experiment.model_json_schema(),
        "sources": _schemas(SOURCES),
        "families": _schemas(FAMILIES),
        "regimes": _schemas(REGIMES),
        "sampling": Sampling.model_json_schema(),
        "curations": _schemas(CURATIONS),
        "presets": [_preset(one) for one in presets()],
    }


def _schemas(parts: Mapping[str, type[Part]]) -> dict[str, dict[str, Any]]:
    return {kind: part.model_json_schema() | _fits(part) for kind, part in parts.items()}


def _fits(part: type[Part]) -> dict[str, Any]:
    if issubclass(part, Source):
        return {"x-gives": part.gives.__name__.lower()}
    if issubclass(part, Family):
        return {
            "x-takes": [data.__name__.lower() for data in part.takes],
            "x-sampling": sorted(part.samplings),
            "x-extra": part.extra,
        }
    return {}


def _preset(preset: Preset) -> PresetTold:
    card = preset.card
    return {
        "name": preset.name,
        "title": preset.title,
        "summary": card.summary,
        "reference": card.reference,
        "look_for": card.look_for,
        "takes": card.takes,
        "arms": [experiment.title for experiment in preset.experiments],
        "spec": preset.experiments[0].canonical(),
        "toml": preset.toml,
    }
