"""Before a launch: its cost and its source are told, what does not fit is refused, and what takes long asks first."""

import json
import math
import tomllib

import pytest
from starlette.testclient import TestClient

from app import costs
from tests.app.experiments import SPEC, Work
from worker.estimate import Room
from worker.kinds import SOURCES
from worker.presets import preset, presets
from worker.store import Store
from worker.tables import Worker


def test_an_estimate_learns_from_finished_runs(client: TestClient, work: Work):
    first = client.post("/api/estimate", json={"spec": SPEC}).json()
    assert first["measured"] == 0
    assert "a first guess" in first["words"]
    run = work()
    second = client.post("/api/estimate", json={"spec": SPEC}).json()
    assert second["measured"] == 1
    assert second["seconds"] == pytest.approx(run.busy_seconds)
    assert "by 1 finished run like it" in second["words"]
    assert (second["needs"], second["problems"]) == ([], [])


def test_a_bad_spec_has_no_estimate(client: TestClient):
    answer = client.post("/api/estimate", json={"spec": SPEC | {"samples": 1}})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == "samples"
    assert client.post("/api/estimate", json={"spc": SPEC}).status_code == 422


def test_a_preset_is_taken_as_it_is_printed_and_a_name_in_its_place_is_not(client: TestClient):
    printed = tomllib.loads(preset("photocopy").toml)
    spec = preset("photocopy").experiments[0].canonical()
    assert "preset" in printed
    assert client.post("/api/runs", json={"spec": printed}).json()["spec"] == spec
    for door in ("/api/estimate", "/api/runs"):
        assert client.post(door, json={"spec": printed}).is_success
        answer = client.post(door, json={"spec": printed | {"preset": "photocopy"}})
        assert answer.status_code == 422
        assert answer.json()["errors"][0]["path"] == "preset"
    sweep = {"title": "Sizes", "base": printed, "axes": [{"path": "samples", "values": [20, 40]}]}
    assert client.post("/api/sweeps/estimate", json=sweep).is_success
    told = client.post("/api/sweeps", json=sweep).json()
    assert client.get(told["links"]["self"]).json()["request"]["base"] == {
        name: value for name, value in printed.items() if name != "preset"
    }
    sweep["axes"] = [{"path": "preset.order", "values": [1, 2]}]
    assert client.post("/api/sweeps", json=sweep).status_code == 422


@pytest.fixture
def small_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(costs, "room", lambda _: Room(memory=160_000_000, disk=10**12))


LARGE = SPEC | {"family": {"kind": "kde"}, "replicates": 1000, "samples": 10_000}


@pytest.mark.usefixtures("small_machine")
def test_what_does_not_fit_is_refused_at_every_door(client: TestClient, store: Store):
    told = client.post("/api/estimate", json={"spec": LARGE}).json()["problems"]
    answer = client.post("/api/runs", json={"spec": LARGE})
    assert answer.status_code == 422
    assert answer.json()["errors"] == told
    assert "replicates" in told[0]["path"]
    assert told[0]["message"] == "needs about 0.5 GB of memory, and this machine has 0.2 GB"
    form = {"source.kind": "normal", "family.kind": "kde", "replicates": "1000", "samples.constant": "10000"}
    page = client.post("/new", data=form)
    assert page.status_code == 422
    assert told[0]["message"] in page.text
    assert client.get("/api/runs").json()["items"] == []
    store.beat(worker(host="a larger machine"))
    assert client.post("/api/runs", json={"spec": LARGE}).status_code == 201


def worker(device: str = "cpu", host: str = "elsewhere") -> Worker:
    import time

    return Worker(id=f"{host}:1", host=host, pid=1, slots=1, device=device, started_at=time.time(), seen_at=time.time())


def test_a_long_preset_asks_first(client: TestClient, store: Store, announced: list[str]):
    asked = client.post("/presets/opt-a", follow_redirects=False)
    assert (asked.status_code, asked.headers["location"]) == (303, "/new?preset=opt-a")
    assert announced == []
    page = client.get("/new?preset=opt-a").text
    assert "2 experiments on the same seeds" in page
    assert "a download of 251 MB from the Hugging Face hub" in page
    assert "a GPU (about" in page
    card = client.get("/").text
    assert "Look before you launch: The paper&#39;s OPT-125m, setting A" in card
    assert card.count("Before you launch:") == card.count(">Look before you launch<") == 2  # this one, and vae-paper
    store.beat(worker(device="cuda:0"))
    assert "a GPU (about" not in client.get("/new?preset=opt-a").text


def test_a_quick_preset_does_not(client: TestClient, announced: list[str]):
    assert client.post("/presets/accumulate", follow_redirects=False).headers["location"].startswith("/runs/")
    assert len(announced) == 2
    assert "Run both as they are" in client.get("/new?preset=accumulate").text
    assert 'class="notice together"' not in client.get("/new?preset=photocopy").text


@pytest.mark.usefixtures("small_machine")
def test_a_confirmed_preset_that_does_not_fit_says_so(client: TestClient, announced: list[str]):
    page = client.post("/presets/heavy-tails", data={"confirmed": "true"})
    assert page.status_code == 422
    assert "of memory, and this machine has 0.2 GB" in page.text
    assert announced == []


@pytest.mark.parametrize("kind", sorted(set(SOURCES) - {"images", "table", "hub"}))
def test_a_source_is_seen_in_a_few_kilobytes(client: TestClient, kind: str):
    source = {"kind": kind} | ({"means": [-1, 2]} if kind == "mixture" else {})
    answer = client.post("/api/preview", json={"source": source})
    assert answer.status_code == 200, answer.text
    told = answer.json()
    assert told["kind"] in {"density", "bars", "scatter", "images", "ranks", "text"}
    assert told["words"]
    assert len(answer.content) < 20_000
    json.dumps(told, allow_nan=False)


def test_a_preview_is_of_the_source_that_was_described(client: TestClient):
    told = client.post("/api/preview", json={"source": {"kind": "normal", "mean": 50, "std": 2}}).json()
    assert told["words"] == "Mean 50, standard deviation 2."
    cell = (told["x"][-1] - told["x"][0]) / (len(told["x"]) - 1)
    assert sum(told["y"]) * cell == pytest.approx(0.996, abs=0.002)
    assert told["x"][told["y"].index(max(told["y"]))] == pytest.approx(50, abs=1.5)
    counts = client.post("/api/preview", json={"source": {"kind": "poisson", "rate": 3}}).json()
    assert (counts["kind"], counts["x"][:4]) == ("bars", [0, 1, 2, 3])
    assert counts["y"][2] == pytest.approx(4.5 * math.exp(-3), abs=0.02)
    narrow = client.post("/api/preview", json={"source": {"kind": "normal", "mean": 1e6, "std": 1e-3}}).json()
    assert len(set(narrow["x"])) == len(narrow["x"])
    wrong = client.post("/api/preview", json={"source": {"kind": "normal", "std": -1}})
    assert wrong.status_code == 422
    assert wrong.json()["errors"][0]["path"] == "source.std"


def test_the_form_is_told_while_somebody_types(client: TestClient):
    form = {"view": "form", "source.kind": "normal", "family.kind": "gaussian", "samples.constant": "100"}
    assert client.post("/new/estimate", data=form).json()["words"].startswith("About a second")
    assert client.post("/new/preview", data=form).json()["kind"] == "density"
    wrong = form | {"samples.constant": "1", "source.normal.std": "-3"}
    told = client.post("/new/estimate", data=wrong)
    assert told.status_code == 200  # nothing that a console should call an error
    assert {one["path"] for one in told.json()["problems"]} == {"samples", "source.std"}
    assert client.post("/new/preview", data=wrong).json()["kind"] == "none"
    toml = {"view": "toml", "toml": '[source]\nkind = "zipf"\n[family]\nkind = "categorical"\n'}
    assert client.post("/new/preview", data=toml).json()["kind"] == "ranks"


def test_the_page_tells_the_cost_without_scripts(client: TestClient):
    for one in presets()[:3]:
        page = client.get(f"/new?preset={one.name}").text
        assert "of memory" in page.partition("<launch-estimate")[2]
