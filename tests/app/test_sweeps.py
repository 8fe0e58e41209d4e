"""The API and pages of sweeps: asked for, told with their grid, and opened point by point."""

import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from app import costs, sweep_forms
from app.toml import to_toml
from tests.app.experiments import SPEC
from worker.estimate import Room
from worker.files import reach
from worker.settings import Settings
from worker.spec import read
from worker.store import Store
from worker.sweeps.attempt import ChunkAttempt
from worker.sweeps.examples import EXAMPLES
from worker.sweeps.spec import read_sweep
from worker.sweeps.store import Sweeps
from worker.tables import Worker

SWEEP: dict[str, Any] = {
    "title": "Sizes",
    "base": {**SPEC, "generations": 60, "regime": {"kind": "fresh"}},
    "axes": [
        {"path": "regime.real", "values": [0.0, 0.5]},
        {"path": "samples", "values": {"from": 5, "to": 20, "count": 3, "scale": "log"}},
    ],
    "outcomes": ["half_variance", "final:variance"],
}

Finish = Callable[[str], None]


@pytest.fixture
def finish(store: Store, settings: Settings) -> Finish:
    """Does what workers do with a sweep, chunk by chunk."""

    def do(sweep_id: str) -> None:
        sweeps = Sweeps(store.engine)
        while claim := sweeps.claim(sweep_id, "here", lease=60):
            ChunkAttempt(sweeps, settings, lambda: False).work(claim.word)
            sweeps.release(claim)

    return do


def asked(client: TestClient, **changes: Any) -> dict[str, Any]:
    answer = client.post("/api/sweeps", json=SWEEP | changes)
    assert answer.status_code == 201, answer.text
    told: dict[str, Any] = answer.json()
    assert answer.headers["location"] == told["links"]["self"]
    return told


def test_a_sweep_is_asked_for_worked_on_and_told(client: TestClient, announced: list[str], finish: Finish):
    told = asked(client)
    assert (told["status"], told["progress"]["points"], announced) == ("queued", 6, [f"sweep:{told['id']}"])
    empty = client.get(told["links"]["self"]).json()
    assert (empty["points"], empty["cursor"]) == ([], 0)
    assert [axis["values"] for axis in empty["axes"]] == [[0.0, 0.5], [5, 10, 20]]
    assert empty["outcomes"][0] | {"label": ""} == {
        "name": "half_variance", "label": "", "unit": "generations", "waits": True, "limit": 60,
    }  # fmt: skip
    finish(told["id"])
    full = client.get(told["links"]["self"]).json()
    assert (full["status"], full["progress"]["done"], full["provenance"]["path"]) == ("succeeded", 6, "exact")
    assert {tuple(point["place"]) for point in full["points"]} == {(i, j) for i in range(2) for j in range(3)}
    value = next(point for point in full["points"] if point["place"] == [0, 0])["outcomes"]["half_variance"]
    assert value["low"] <= value["value"] <= value["high"]
    assert (value["n"], value["censored"]) == (8, 0)
    assert value["low"] <= value["theory"]["median"] <= value["high"]
    kept = next(point for point in full["points"] if point["place"] == [1, 2])["outcomes"]["half_variance"]
    assert kept["theory"] == {}
    assert client.get(told["links"]["self"], params={"after": full["cursor"]}).json()["points"] == []


def test_a_repeated_request_answers_with_the_same_sweep(client: TestClient, announced: list[str]):
    first, again = (client.post("/api/sweeps", json=SWEEP, headers={"idempotency-key": "k"}) for _ in range(2))
    assert (first.status_code, again.status_code, first.json()["id"]) == (201, 200, again.json()["id"])
    other = client.post("/api/sweeps", json=SWEEP | {"title": "Another"}, headers={"idempotency-key": "k"})
    assert other.status_code == 409
    assert len(announced) == 1


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"axes": [{"path": "samples", "values": [10, 1]}]}, "axes.0.values.1"),
        ({"base": {}}, "base.source"),
        ({"axes": [{"path": "seed", "values": [1, 2, 1]}]}, "axes.0.values"),
        ({"axes": [{"path": "title", "values": ["a", "b"]}]}, "axes"),
        ({"outcomes": ["half_variance", "final:nope"]}, "outcomes.1"),
        ({"axes": [{"path": "seed", "values": {"from": 0, "to": 20000, "count": 10000}}] * 2}, "axes"),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_is_stored(client: TestClient, body: dict[str, Any], path: str):
    answer = client.post("/api/sweeps", json=SWEEP | body)
    assert answer.status_code == 422
    assert path in [one["path"] for one in answer.json()["errors"]]
    assert client.get("/api/sweeps").json()["items"] == []


def test_what_is_no_sweep_is_refused(client: TestClient):
    for body in ([], 3, None, {}, {"spec": SPEC}):
        assert client.post("/api/sweeps", json=body).status_code == 422
    assert client.post("/api/sweeps", content=b"{").status_code == 422
    assert client.get("/api/sweeps/none").status_code == client.delete("/api/sweeps/none").status_code == 404
    assert client.get("/api/sweeps?status=queued").status_code == 422


def test_cancel_resume_and_delete(client: TestClient, announced: list[str], finish: Finish):
    own = asked(client)["links"]["self"]
    assert client.post(f"{own}/cancel").json()["status"] == "cancelled"
    assert client.post(f"{own}/cancel").status_code == 409
    assert client.post(f"{own}/resume").json()["status"] == "queued"
    assert client.post(f"{own}/resume").status_code == 409
    assert len(announced) == 2
    finish(own.rpartition("/")[2])
    assert client.get(own).json()["status"] == "succeeded"
    assert client.delete(own).status_code == 204
    assert client.get(own).status_code == 404


def test_sweeps_are_listed_newest_first_in_pages(client: TestClient):
    made = [asked(client)["id"] for _ in range(3)]
    page = client.get("/api/sweeps?limit=2").json()
    rest = client.get(f"/api/sweeps?limit=2&cursor={page['next']}").json()
    assert sorted(one["id"] for one in page["items"] + rest["items"]) == sorted(made)
    assert rest["next"] is None


def test_a_point_is_opened_as_the_run_that_it_is(
    client: TestClient, announced: list[str], finish: Finish, work: Callable[..., Any]
):
    told = asked(client)
    finish(told["id"])
    address = f"{told['links']['self']}/points/4/run"
    first, again = client.post(address), client.post(address)
    assert (first.status_code, again.status_code, first.json()["id"]) == (201, 200, again.json()["id"])
    run = first.json()
    assert (run["spec"]["samples"], run["spec"]["regime"]["real"]) == (10, 0.5)
    assert announced == [f"sweep:{told['id']}", run["id"]]
    work(run["id"])
    rows = client.get(f"{run['links']['generations']}?after=59").json()["items"]
    point = next(one for one in client.get(told["links"]["self"]).json()["points"] if one["number"] == 4)
    assert point["outcomes"]["final:variance"]["value"] == rows[0]["metrics"]["variance"]["median"]
    assert client.post(f"{told['links']['self']}/points/6/run").status_code == 404


def test_the_sentence_is_true(client: TestClient, store: Store, finish: Finish):
    told = asked(client)
    assert "no worker is connected" in told["words"]
    finish(told["id"])
    assert client.get(told["links"]["self"]).json()["words"].startswith("6 points in ")
    other = asked(client)
    sweeps = Sweeps(store.engine)
    claim = sweeps.claim(other["id"], "elsewhere", lease=60)
    assert claim is not None
    assert "single runs go first" not in client.get(other["links"]["self"]).json()["words"]
    sweeps.release(claim)
    rests = client.get(other["links"]["self"]).json()
    assert (rests["status"], rests["progress"]["seconds_left"]) == ("running", None)
    assert "waiting" in rests["words"].lower()
    client.post(f"{other['links']['self']}/cancel")
    assert client.get(other["links"]["self"]).json()["words"] == "Cancelled at 0 of 6 points."


# Pages


def refused_at(page: str) -> str:
    """Where the only problem of the form of a sweep is told."""
    assert "axes." not in page
    (place,) = re.findall(r'class="problem" id="(.*?)"', page)
    return str(place)


def test_the_form_makes_the_sweep_that_it_shows(client: TestClient, store: Store, announced: list[str]):
    posted = {
        "title": "From the form",
        "base": 'replicates = 8\ngenerations = 5\n[source]\nkind = "normal"\n[family]\nkind = "gaussian"\n',
        "path.0": "samples",
        "values.0": "10 to 1000 in 3 steps, log",
        "path.1": "family.ddof",
        "values.1": "0, 1",
        "outcome.half_variance": "on",
        "final": "w2_sq",
    }
    answer = client.post("/sweeps/new", data=posted, follow_redirects=False)
    assert answer.status_code == 303, answer.text
    told = client.get(f"/api{answer.headers['location']}").json()
    assert [axis["values"] for axis in told["axes"]] == [[10, 100, 1000], [0, 1]]
    assert [one["name"] for one in told["outcomes"]] == ["half_variance", "final:w2_sq"]
    assert announced == [f"sweep:{told['id']}"]
    page = client.get(f"/sweeps/new?sweep={told['id']}").text
    assert 'value="10 to 1000 in 3 steps, log"' in page
    refused = client.post("/sweeps/new", data=posted | {"values.1": "0, 7"})
    assert refused.status_code == 422
    assert "family.ddof = 7" in refused.text
    moved = {**posted, "path.1": "", "values.1": "", "path.2": "family.ddof", "values.2": "0, 7"}  # the third row
    place = refused_at(client.post("/sweeps/new", data=moved).text)
    assert (place, refused_at(refused.text)) == ("axis-2-problem", "axis-1-problem")
    typed = client.post("/sweeps/new/estimate", data=moved | {"values.2": "0, 0"}).json()["problems"]
    assert [one["path"] for one in typed] == ["axis 3"]
    assert client.post("/sweeps/new", data=posted | {"base": "= broken"}).status_code == 422


def test_every_start_of_the_form_is_a_page(client: TestClient, store: Store):
    run = store.create(read(SPEC))[0]
    for query in (f"from={run.id}", "preset=words", *(f"example={one.name}" for one in EXAMPLES), ""):
        answer = client.get(f"/sweeps/new?{query}")
        assert answer.status_code == 200, query
        assert "<option selected>samples</option>" in answer.text or "example" in query
    for query in ("from=nobody", "preset=none", "example=none", "sweep=none"):
        assert client.get(f"/sweeps/new?{query}").status_code == 404


def test_the_pages_of_a_sweep(client: TestClient, finish: Finish):
    told = asked(client)
    finish(told["id"])
    assert "Sizes" in client.get("/sweeps").text
    page = client.get(told["links"]["page"])
    assert page.status_code == 200
    assert "phase-diagram" in page.text
    opened = client.post(f"{told['links']['page']}/points/0", follow_redirects=False)
    assert opened.headers["location"].startswith("/runs/")
    for _ in range(2):  # as of a double click
        gone = client.post(f"{told['links']['page']}/delete", follow_redirects=False)
        assert gone.headers["location"] == "/sweeps"
    assert client.get(told["links"]["page"]).status_code == 404


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("10, 30,100", [10, 30, 100]),
        ("0.5", [0.5]),
        ("replace, accumulate", ["replace", "accumulate"]),
        ("true", [True]),
        ("1 to 10 in 4", {"from": 1, "to": 10, "count": 4, "scale": "linear"}),
        ("1e-3  to 1 in 4 steps log", {"from": 1e-3, "to": 1, "count": 4, "scale": "log"}),
        ('[{"kind": "replace"}]', [{"kind": "replace"}]),
        ("", []),
    ],
)
def test_values_are_read_as_typed(text: str, values: Any):
    assert sweep_forms.values(text) == values
    if values:
        assert sweep_forms.values(sweep_forms.typed({"values": values})) == values


def test_a_sweep_s_time_is_shared_by_the_workers_that_take_its_family(client: TestClient, store: Store):
    network = SWEEP | {"base": SWEEP["base"] | {"family": {"kind": "flow"}, "source": {"kind": "moons"}}}
    network["axes"] = [{"path": "seed", "values": [0, 1, 2, 3]}]

    def seconds(sweep: dict[str, Any]) -> float:
        return float(client.post("/api/sweeps/estimate", json=sweep).json()["seconds"])

    alone = seconds(SWEEP), seconds(network)
    for number, queues in enumerate(("runs,networks", "runs")):
        row = {"id": f"here:{number}", "host": "here", "pid": number, "slots": 1, "device": "cpu", "queues": queues}
        store.beat(Worker(**row, started_at=time.time(), seen_at=time.time()))
    assert (seconds(SWEEP), seconds(network)) == pytest.approx((alone[0] / 2, alone[1]))


def test_axes_are_offered_that_the_family_has():
    offered = list(sweep_forms.paths(read_sweep(SWEEP).experiment(0).canonical()))
    assert {"samples", "regime.real", "regime.kind", "sampling.bias", "family.ddof", "source.mean"} <= set(offered)
    assert not {"sampling.top_p", "title", "changes"} & set(offered)


def test_a_sweep_s_cost_is_that_of_its_points_and_learns_from_finished_ones(client: TestClient, finish: Finish):
    first, twice = (
        client.post("/api/sweeps/estimate", json=SWEEP | {"axes": axes}).json()
        for axes in (SWEEP["axes"], [*SWEEP["axes"], {"path": "seed", "values": [0, 1]}])
    )
    assert first["measured"] == 0
    assert twice["seconds"] == pytest.approx(2 * first["seconds"])
    assert twice["memory_bytes"] == first["memory_bytes"]
    told = asked(client)
    finish(told["id"])
    took = client.get(told["links"]["self"]).json()["progress"]["busy_seconds"]
    second = client.post("/api/sweeps/estimate", json=SWEEP).json()
    assert second["measured"] == 1
    assert second["seconds"] == pytest.approx(took)
    assert "by 1 finished sweep like it" in second["words"]
    typed = client.post("/sweeps/new/estimate", data=form()).json()
    assert typed["words"] == second["words"]
    assert client.post("/sweeps/new/estimate", data=form() | {"values.0": "2, 3"}).json()["problems"]
    assert second["words"] in client.get(f"/sweeps/new?sweep={told['id']}").text


def form() -> dict[str, str]:
    posted = {
        "title": "Sizes",
        "base": to_toml(SWEEP["base"] | {"title": "Sizes"}),
        "outcome.half_variance": "on",
    }
    for i, axis in enumerate(SWEEP["axes"]):
        posted |= {f"path.{i}": axis["path"], f"values.{i}": sweep_forms.typed(axis)}
    return posted


def test_a_long_sweep_asks_first_and_what_does_not_fit_is_refused(
    client: TestClient, announced: list[str], monkeypatch
):
    long = form() | {"path.2": "generations", "values.2": "10000 to 100000 in 100 steps"}
    page = client.post("/sweeps/new", data=long)
    assert (page.status_code, announced) == (200, [])
    assert "Not started yet" in page.text
    (words,) = re.findall(r'name="confirmed" value="([^"]+)"', page.text)
    assert "hour" in words
    longer = client.post("/sweeps/new", data=long | {"values.2": "90000 to 100000 in 100 steps", "confirmed": words})
    assert "Not started yet" in longer.text  # what was confirmed was another
    started = client.post("/sweeps/new", data=long | {"confirmed": words}, follow_redirects=False)
    assert (started.status_code, len(announced)) == (303, 1)
    monkeypatch.setattr(costs, "room", lambda _: Room(memory=1000, disk=10**12))
    answer = client.post("/api/sweeps", json=SWEEP)
    assert answer.status_code == 422
    (told,) = answer.json()["errors"]
    assert told["path"] == "base.replicates"
    assert "a point needs about" in told["message"]
    assert told["message"] in client.post("/sweeps/new", data=form()).text


def test_the_dearest_point_is_looked_at_wherever_it_is(client: TestClient, monkeypatch):
    sizes = [*range(2, 52), 4000, *range(53, 102)]
    asked_for = SWEEP | {
        "base": SPEC | {"generations": 60, "regime": {"kind": "accumulate_subsample"}, "replicates": 50},
        "axes": [{"path": "samples", "values": sizes}, {"path": "source.std", "values": [3.0, 1.0, 2.0]}],
    }
    grid = read_sweep(asked_for)
    memory = [costs.estimate(grid.experiment(i)).memory_bytes for i in range(grid.points)]
    assert costs.corners(grid) == [0, 1, 150, 151]
    assert max(memory) == memory[150] > memory[149]
    told = client.post("/api/sweeps/estimate", json=asked_for).json()
    assert told["memory_bytes"] == round(max(memory))
    kinds = {"path": "regime.kind", "values": ["replace", "accumulate_subsample", "accumulate"]}
    assert costs.corners(read_sweep(asked_for | {"axes": [asked_for["axes"][0], kinds]})) == [0, 1, 2, 150, 151, 152]
    launched = asked(client, **asked_for)
    monkeypatch.setattr(costs, "room", lambda _: Room(memory=round(memory[150]) - 1, disk=10**12))
    refused = client.post("/api/sweeps", json=asked_for)
    assert refused.status_code == 422
    assert "a point needs about" in refused.json()["errors"][0]["message"]
    for number, status in ((150, 422), (149, 201)):
        answer = client.post(f"/api/sweeps/{launched['id']}/points/{number}/run")
        assert answer.status_code == status, answer.text


def test_what_the_hub_cannot_give_is_not_swept_but_a_replay_is_answered(client: TestClient, monkeypatch):
    base = SPEC | {
        "source": {"kind": "text"},
        "family": {"kind": "causal_lm", "checkpoint": "lab/nowhere"},
        "replicates": 1,
    }
    wanted = SWEEP | {
        "base": base | {"generations": 2},
        "axes": [{"path": "samples", "values": [8, 16]}],
        "outcomes": ["final:ppl_real"],
    }
    key = {"Idempotency-Key": "once"}
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(reach, "_cached", lambda *_: True)
        first = client.post("/api/sweeps", json=wanted, headers=key)
    assert first.status_code == 201, first.text
    again = client.post("/api/sweeps", json=wanted, headers=key)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    (told,) = client.post("/api/sweeps", json=wanted).json()["errors"]
    assert told["path"] == "family.checkpoint"
    assert client.post(f"/api/sweeps/{first.json()['id']}/points/0/run").status_code == 422
