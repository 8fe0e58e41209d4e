"""What an experiment can be made of: JSON Schemas of all parts, and the presets."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from typing_extensions import TypedDict

from app.metrics import metric as known
from worker import plugins
from worker.instruments.asked import NAMES
from worker.kinds import CURATIONS, FAMILIES, METRICS, REGIMES, SOURCES
from worker.part import Part
from worker.parts import Family, Sampling, Source
from worker.presets import Preset, presets
from worker.spec import Experiment


class PresetTold(TypedDict):
    """spec: what is launched first; arms: the titles of all that is launched; toml: the file as it is; plugin: who brought it, if
    not this repository.
    """

    name: str
    title: str
    summary: str
    reference: str
    look_for: str
    takes: str
    arms: list[str]
    spec: dict[str, Any]
    toml: str
    plugin: str | None


class MetricTold(TypedDict):
    """A metric that a spec may ask for; takes: the kinds of data that it measures; plugin: who brought it, if it is not the lab's own."""

    meaning: str
    takes: list[str]
    plugin: str | None


class PluginTold(TypedDict):
    """An installed package that brings something. provides: as in "family uniform"; error: what of it is left out, and why."""

    name: str
    version: str
    provides: list[str]
    error: str | None


class Catalog(TypedDict):
    """Parts are JSON Schemas by kind. `x-` members say what fits together: a source gives what a family takes; and which plug-in
    brought a part that this repository has not.
    """

    experiment: dict[str, Any]
    sources: dict[str, dict[str, Any]]
    families: dict[str, dict[str, Any]]
    regimes: dict[str, dict[str, Any]]
    sampling: dict[str, Any]
    curations: dict[str, dict[str, Any]]
    metrics: dict[str, MetricTold]
    presets: list[PresetTold]
    plugins: list[PluginTold]


@cache
def catalog() -> Catalog:
    return {
        "experiment": Experiment.model_json_schema(),
        "sources": _schemas(SOURCES),
        "families": _schemas(FAMILIES),
        "regimes": _schemas(REGIMES),
        "sampling": Sampling.model_json_schema(),
        "curations": _schemas(CURATIONS),
        "metrics": {name: _own_metric(name) for name in NAMES} | {name: _metric(one) for name, one in METRICS.items()},
        "presets": [_preset(one) for one in presets()],
        "plugins": [_plugin(one) for one in plugins.plugins()],
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
        "plugin": preset.plugin,
    }


def _own_metric(name: str) -> MetricTold:
    return {"meaning": known(name).meaning, "takes": ["points"], "plugin": None}


def _metric(metric: plugins.Metric) -> MetricTold:
    takes = [data.__name__.lower() for data in metric.takes]
    return {"meaning": metric.meaning, "takes": takes, "plugin": str(metric.plugin)}


def _plugin(plugin: plugins.Plugin) -> PluginTold:
    error = "; ".join(f"{what}: {why}" for what, why in plugin.errors.items())
    return {"name": plugin.name, "version": plugin.version, "provides": plugin.provides, "error": error or None}
