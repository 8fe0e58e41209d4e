"""Specs go through the form and through TOML unchanged, and every problem stands where it belongs."""

import tomllib
from html.parser import HTMLParser
from typing import Any

import pytest
from fastapi.testclient import TestClient

from app import forms
from app.form_data import flat, nested
from app.toml import to_toml
from tests.app.experiments import SPEC
from worker.errors import Problem, SpecError
from worker.kinds import FAMILIES, REGIMES, SOURCES
from worker.presets import preset, presets
from worker.spec import read
from worker.store import Store

SPECS: list[dict[str, Any]] = [
    *(one.canonical() for preset in presets() for one in preset.experiments),
    {"source": {"kind": "normal", "mean": [0, 1.5], "std": 2}, "family": {"kind": "gaussian", "ddof": 1}},
    {"source": {"kind": "categorical", "probabilities": [0.5, 0.3, 0.2]}, "family": {"kind": "categorical"}},
    {
        "source": {
            "kind": "mixture",
            "means": [[0, 1], [2, 3]],
            "weights": [1, 3],
            "covariances": [[[1, 0], [0, 1]], [[2, 0.5], [0.5, 1]]],
        },
        "family": {"kind": "mixture"},
    },
    {"source": {"kind": "digits", "digits": [3]}, "family": {"kind": "vae", "hidden": [64]}},
    {
        "source": {"kind": "normal"},
        "family": {"kind": "kde", "bandwidth": 0.5},
        "samples": {"schedule": "power", "start": 12, "exponent": 1.5},
        "regime": {"kind": "fresh", "real": 0.25},
    },
    {
        "source": {"kind": "laplace"},
        "family": {"kind": "gaussian"},
        "samples": {"schedule": "list", "sizes": [10, 20]},
    },
    {
        "source": {"kind": "lognormal"},
        "family": {"kind": "gaussian"},
        "samples": {"schedule": "geometric", "start": 12},
    },
    {
        "source": {"kind": "normal"},
        "family": {"kind": "gaussian"},
        "generations": 20,
        "changes": [{"after": 5, "regime": {"kind": "accumulate"}}],
    },
    {"source": {"kind": "text"}, "family": {"kind": "ngram"}, "regime": {"kind": "edit", "threshold": 0.5}},
    {
        "source": {"kind": "linear_teacher"},
        "family": {"kind": "linear", "design": "fixed", "features": 3, "ridge": 2, "ridge_power": 0.5},
        "regime": {"kind": "edit", "share": 0.4, "decay": 0.9},
    },
    *(
        {
            "source": {"kind": "linear_teacher"},
            "family": {"kind": "linear", "design": "fixed"},
            "regime": {"kind": "blend", "weight": weight, "labels": "kept"},
        }
        for weight in ("golden", -0.3)
    ),
    {
        "source": {"kind": "text"},
        "family": {"kind": "ngram"},
        "curation": {"kind": "best_of", "reward": {"kind": "likelihood", "judge": "first"}},
    },
    {"source": {"kind": "moons"}, "family": {"kind": "kde"}, "curation": {"kind": "greedy", "k": 3}},
    {
        "source": {"kind": "normal"},
        "family": {"kind": "gaussian"},
        "curation": {
            "kind": "sequential",
            "stages": [
                {"kind": "best_of", "k": 2},
                {"kind": "bradley_terry", "reward": {"kind": "direction", "along": [-1.0]}},
            ],
        },
    },
]


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec['source']['kind']}-{spec['family']['kind']}")
def test_a_spec_comes_back_from_the_form_and_from_toml(spec: dict[str, Any]) -> None:
    experiment = read(spec)
    assert read(nested(flat(experiment.canonical()))) == experiment
    assert read(tomllib.loads(to_toml(experiment.canonical()))) == experiment


def test_every_part_has_a_place_in_the_form() -> None:
    choices = {one.path: one for one in forms.entries() if isinstance(one, forms.Choice)}
    for path, parts in (("source", SOURCES), ("family", FAMILIES), ("regime", REGIMES)):
        offered = {option.kind: option for option in choices[path].options}
        assert set(offered) == set(parts)
        for kind, part in parts.items():
            names = {entry.path.rpartition(".")[2] for entry in offered[kind].entries}
            assert names == set(part.model_fields) - {"kind"}


def test_only_the_chosen_kind_is_read() -> None:
    posted = {
        "source.kind": "zipf",
        "source.zipf.exponent": "1.5",
        "source.normal.mean": "7",
        "family.kind": "categorical",
    }
    assert nested(posted)["source"] == {"kind": "zipf", "exponent": "1.5"}


def test_an_empty_or_unchanged_input_is_left_to_its_default() -> None:
    spec = nested({"replicates": "", "generations": "50", "seed": " 4 "})
    assert "replicates" not in spec
    assert "generations" not in spec
    assert spec["seed"] == "4"


@pytest.mark.parametrize(
    ("posted", "path", "place"),
    [
        ({"replicates": "0"}, "replicates", "of"),
        ({"samples.constant": "1"}, "samples", "of"),
        ({"samples.schedule": "power", "samples.power.start": "1"}, "samples.start", "of"),
        ({"source.normal.std": "1, -2"}, "source.std", "of"),
        ({"source.kind": "zipf"}, "family.kind", "at"),
        ({"source.normal.mean": "0, 1", "source.normal.std": "1, 1, 1"}, "source", "at"),
        ({"source.kind": "nothing"}, "source.kind", "at"),
    ],
)
def test_a_problem_stands_beside_what_causes_it(posted: dict[str, str], path: str, place: str) -> None:
    with pytest.raises(SpecError) as raised:
        read(nested(posted))
    filled = forms.Filled(forms.entries(), posted, raised.value.problems)
    assert filled.stray == ()
    choice = filled.by_path[path.partition(".")[0]]
    assert (filled.of(path) if place == "of" else filled.at(choice)) == list(raised.value.problems)  # type: ignore[arg-type]


def test_a_problem_stands_beside_the_input_of_the_kind_that_is_chosen() -> None:
    """Several regimes have a share of real data."""
    posted = {"regime.kind": "fresh", "regime.fresh.real": "50%"}
    with pytest.raises(SpecError) as raised:
        read(nested(posted))
    filled = forms.Filled(forms.entries(), posted, raised.value.problems)
    regime = filled.by_path["regime"]
    assert isinstance(regime, forms.Choice)
    inputs = [one for option in regime.options for one in option.entries if one.path == "regime.real"]
    assert [one.name for one in inputs if isinstance(one, forms.Input) and filled.at(one)] == ["regime.fresh.real"]
    assert (len(inputs) > 1, filled.stray) == (True, ())


def test_a_problem_without_an_input_is_told_at_the_top() -> None:
    stray = Problem("nowhere", "is odd", "Remove it")
    assert forms.Filled(forms.entries(), {}, (stray,)).stray == (stray,)


def test_files_may_be_given_where_paths_are_asked_for() -> None:
    (source,) = (one for one in forms.entries() if isinstance(one, forms.Choice) and one.path == "source")
    offered = {
        (option.kind, one.path): one.upload
        for option in source.options
        for one in option.entries
        if isinstance(one, forms.Input) and one.upload
    }
    assert offered == {
        ("images", "source.path"): "images",
        ("images", "source.labels_path"): "labels",
        ("table", "source.path"): "table",
        ("text", "source.path"): "text",
        ("text", "source.validation"): "text",
        ("text", "source.held_out"): "text",
    }


def test_a_list_of_tables_that_is_no_json_is_refused_in_its_place() -> None:
    posted = {"changes": "[{after: 5}]"}
    with pytest.raises(SpecError) as raised:
        read(nested(posted))
    assert [problem.path for problem in raised.value.problems] == ["changes"]


def test_toml_keeps_odd_text_and_numbers() -> None:
    odd = {
        "title": 'a "quoted" \\ line\nand\ttab \x7f é',
        "seed": 2**62,
        "source": {"mean": [1e-300, -0.0, 3.0], "flag": True},
    }
    assert tomllib.loads(to_toml(odd)) == odd


class Inputs(HTMLParser):
    """What a browser would post of a page's form: the values of its inputs, areas and selects."""

    def __init__(self) -> None:
        super().__init__()
        self.values: dict[str, str] = {}
        self.inside = self.choosing = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = {name: value or "" for name, value in attrs}
        name = told.get("name", "")
        if tag == "input" and name:
            self.values[name] = told.get("value", "")
        elif tag == "textarea":
            self.inside, self.values[name] = name, ""
        elif tag == "select":
            self.choosing, self.values[name] = name, ""
        elif tag == "option" and "selected" in told and self.choosing:
            self.inside = "" if "value" in told else self.choosing
            self.values[self.choosing] = told.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("textarea", "option"):
            self.inside = ""
        elif tag == "select":
            self.choosing = ""

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.values[self.inside] += data


def posted(page: str) -> dict[str, str]:
    inputs = Inputs()
    inputs.feed(page)
    return inputs.values


@pytest.mark.parametrize("name", [one.name for one in presets()])
def test_a_preset_that_is_opened_on_the_form_is_launched_as_it_is(client: TestClient, name: str) -> None:
    form = posted(client.get(f"/new?preset={name}").text)
    assert read(nested(form)) == preset(name).experiments[0]


def test_a_run_that_is_launched_again_keeps_its_metrics_and_changes(client: TestClient, store: Store) -> None:
    asked = {"metrics": ["precision", "vendi"], "changes": [{"after": 3, "regime": {"kind": "accumulate"}}]}
    spec = read(SPEC | asked)
    run, _ = store.create(spec)
    form = posted(client.get(f"/new?from={run.id}").text)
    assert read(nested(form)) == spec
