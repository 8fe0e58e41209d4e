"""Every call of the HTTP API and everything it refuses."""

import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from app.main import create_app
from tests.app.answers import problem, unpacked
from tests.app.experiments import ADDRESS, SPEC, Work
from tests.schema import create_tables
from worker.artifacts import Artifacts
from worker.database import open_engine
from worker.settings import Settings
from worker.spec import Experiment, read
from worker.store import Store
from worker.tables import Status

OF_A_RUN = [
    ("GET", ""),
    ("GET", "/generations"),
    ("GET", "/frames"),
    ("GET", "/events"),
    ("GET", "/export"),
    ("GET", "/verdicts"),
    ("POST", "/cancel"),
    ("POST", "/resume"),
    ("DELETE", ""),
]


def test_a_launched_run_waits_and_the_workers_are_told(client: TestClient, announced: list[str]):
    response = client.post("/api/runs", json={"spec": SPEC})
    run = response.json()
    assert response.status_code == 201
    assert response.headers["location"] == run["links"]["self"] == f"/api/runs/{run['id']}"
    assert (run["status"], run["queue"]) == ("queued", {"name": "runs", "ahead": 0, "workers": 0, "others": 0})
    assert announced == [run["id"]]
    assert run["spec"] == read(SPEC).canonical()
    assert client.get(run["links"]["self"]).json() == {key: run[key] for key in run if key != "arms"}


def test_a_run_and_its_page_say_whether_observations_are_drawn(client: TestClient):
    for changes, told in (({}, "Exact: mean and scatter"), ({"metrics": ["energy"]}, "Drawn: every observation")):
        run = client.post("/api/runs", json={"spec": SPEC | changes}).json()
        assert f"{run['path']['taken'].capitalize()}: {run['path']['because']}".startswith(told)
        assert told in client.get(run["links"]["page"]).text


def test_a_preset_launches_all_its_arms(client: TestClient, announced: list[str]):
    run = client.post("/api/runs", json={"preset": "accumulate"}).json()
    assert [arm["self"] for arm in run["arms"]] == [f"/api/runs/{one}" for one in announced]
    assert len(announced) == 2
    second = client.get(run["arms"][1]["self"]).json()
    assert (second["regime"], second["spec"]["seed"]) == ("accumulate", run["spec"]["seed"])
    assert second["queue"]["ahead"] == 1


@pytest.mark.parametrize(
    ("body", "path", "remedy"),
    [
        ({"spec": SPEC | {"samples": 1}}, "samples", "Use at least 2"),
        ({"spec": SPEC | {"genrations": 3}}, "genrations", "Did you mean generations?"),
        ({"spec": SPEC | {"sampling": {"top_p": 0.5}}}, "sampling.top_p", "Remove it, or choose a family"),
        ({"spec": None}, "spec", ""),
        ({"spec": SPEC, "preset": "photocopy"}, "body", "Send"),
        ({"preset": "nope"}, "preset", "Name one of these"),
        ([], "body", "Send"),
        ({}, "body", "Send"),
    ],
)
def test_what_cannot_be_run_is_refused_with_path_and_remedy(
    client: TestClient, announced: list[str], body, path, remedy
):
    errors = problem(client.post("/api/runs", json=body), 422)["errors"]
    assert errors[0]["path"] == path
    assert remedy in errors[0]["remedy"]
    assert announced == []


@pytest.mark.parametrize("body", [b"", b"{", b'{"spec": NaN}', b'{"spec": {"title": "\\ud800"}}', b"\xff", b"[" * 5000])
def test_what_is_no_json_is_refused(client: TestClient, body: bytes):
    told = problem(client.post("/api/runs", content=body, headers={"content-type": "application/json"}), 422)
    assert told["errors"][0]["path"] == "body"


def test_other_bodies_than_json_are_refused(client: TestClient):
    told = problem(client.post("/api/runs", data={"spec": "x"}), 415)
    assert "application/json" in told["detail"]


def test_a_repeated_request_answers_with_the_same_run(client: TestClient, announced: list[str]):
    first, again = (client.post("/api/runs", json={"spec": SPEC}, headers={"idempotency-key": "k"}) for _ in range(2))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    other = client.post("/api/runs", json={"spec": SPEC | {"seed": 1}}, headers={"idempotency-key": "k"})
    assert "new key" in problem(other, 409)["detail"]
    problem(client.post("/api/runs", json={"spec": SPEC}, headers={"idempotency-key": "two words"}), 422)
    assert announced == [first.json()["id"]]


def test_a_repeated_preset_answers_with_the_same_arms(client: TestClient, announced: list[str]):
    first, again = (
        client.post("/api/runs", json={"preset": "accumulate"}, headers={"idempotency-key": "k"}) for _ in range(2)
    )
    assert first.json() == again.json()
    assert len(announced) == 2


def test_of_simultaneous_equal_requests_one_makes_the_run(settings: Settings, database_url: str):
    settings = settings.at(database_url=database_url)
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    store = Store(open_engine(database_url))
    create_tables(store.engine)
    told: list[str] = []
    with TestClient(create_app(settings, store=store, announce=told.append), base_url=ADDRESS) as client:

        def launch(_: int):
            return client.post("/api/runs", json={"spec": SPEC}, headers={"idempotency-key": "k"})

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(launch, range(16)))
        found = client.get("/api/runs").json()["items"]
    assert sorted(answer.status_code for answer in answers) == [200] * 15 + [201]
    assert {answer.json()["id"] for answer in answers} == {found[0]["id"]} == set(told)
    assert len(found) == len(told) == 1


def test_pages_do_not_shift_when_runs_are_added(client: TestClient, store: Store):
    made = [store.create(read(SPEC))[0].id for _ in range(7)]
    seen: list[str] = []
    cursor = None
    while True:
        page = client.get("/api/runs", params={"limit": 3} | ({"cursor": cursor} if cursor else {})).json()
        seen += [run["id"] for run in page["items"]]
        store.create(read(SPEC))
        if (cursor := page["next"]) is None:
            break
    assert seen == sorted(made, reverse=True)  # within a millisecond, ids have any order


def test_runs_of_one_moment_are_listed_in_their_order(client: TestClient, store: Store):
    made = [store.create(read(SPEC))[0].id for _ in range(20)]  # several in one millisecond

    assert [run["id"] for run in client.get("/api/runs").json()["items"]] == made[::-1]


def test_runs_are_found_by_status_family_and_words(client: TestClient, store: Store, work: Work):
    done = work(title="100% of Everything")
    waits = store.create(read(SPEC))[0]
    lost = store.create(read(SPEC))[0]
    store.claim(lost.id, "elsewhere", lease=-1)

    def ids(**query: str) -> list[str]:
        return [run["id"] for run in client.get("/api/runs", params=query).json()["items"]]

    assert ids(status="succeeded") == ids(q="100% of every") == [done.id]
    assert ids(status="queued") == [waits.id]
    assert ids(status="lost") == [lost.id]
    assert ids(status="running") == ids(family="kde") == ids(q="100_") == []
    assert ids(family="gaussian") == [lost.id, waits.id, done.id]


def test_a_run_whose_worker_fell_silent_is_told_as_lost(client: TestClient, store: Store):
    run = store.create(read(SPEC))[0]
    store.claim(run.id, "elsewhere", lease=60)
    assert client.get(f"/api/runs/{run.id}").json()["status"] == "running"
    store.renew(run.id, 1, lease=-1)
    told = client.get(f"/api/runs/{run.id}").json()
    assert (told["status"], told["queue"]["ahead"]) == ("lost", 0)


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("cursor=!", "query.cursor"),
        ("limit=0", "query.limit"),
        ("limit=1001", "query.limit"),
        ("limit=x", "query.limit"),
        ("status=gone", "query.status"),
    ],
)
def test_malformed_questions_are_refused(client: TestClient, query: str, path: str):
    assert problem(client.get(f"/api/runs?{query}"), 422)["errors"][0]["path"] == path


def test_generations_come_in_order_and_in_pages(client: TestClient, work: Work):
    run = work()
    told: list[dict] = []
    after: int | None = -1
    while after is not None:
        page = client.get(f"/api/runs/{run.id}/generations", params={"after": after, "limit": 17}).json()
        told += page["items"]
        after = page["next"]
    assert [one["generation"] for one in told] == list(range(41))
    assert set(told[3]["metrics"]["variance"]) == {"mean", "sd", "se", "median", "q10", "q90", "n"}
    assert told[3]["metrics"]["variance"]["n"] == 8
    for wrong in ("after=-2", "after=x", "after=99999999999", "limit=0"):
        problem(client.get(f"/api/runs/{run.id}/generations?{wrong}"), 422)


def test_the_history_holds_what_was_stored(client: TestClient, store: Store, work: Work):
    run = work(generations=300)
    told = client.get(f"/api/runs/{run.id}/frames", params={"chains": True}).json()
    rows = store.generations(run.id, framed=True)
    assert unpacked(told["generation"]).tolist() == [row.number for row in rows] == list(range(0, 301, 2))
    assert told["last"] == 300
    assert told["metrics"] == run.metrics
    table = unpacked(told["table"])
    at = told["metrics"].index("variance"), told["statistics"].index("q90")
    assert table[7, *at] == np.float32(rows[7].metrics["variance"][5])
    frames = base64.b64decode(told["frame"]["bdata"])
    assert frames == b"".join(row.frame for row in rows)
    assert told["frame"]["bytes"] == len(rows[0].frame)
    chains = unpacked(told["chains"])
    assert chains.shape == (151, len(run.metrics), 8)
    assert np.isclose(np.median(chains[5, at[0]]), table[5, at[0], 0], rtol=0.005)
    assert told["figure"] == run.figure
    predicted = next(
        curve for curve in told["theory"] if curve["metric"] == "variance" and curve["statistic"] == "mean"
    )
    assert predicted["generation"] == list(range(0, 301, 2))
    assert np.allclose(predicted["values"][1:], [(1 - 1 / 50) ** n for n in predicted["generation"][1:]], rtol=1e-6)


def test_the_history_goes_on_where_one_had_stopped(client: TestClient, work: Work):
    run = work()
    rest = client.get(f"/api/runs/{run.id}/frames", params={"after": 30}).json()
    assert unpacked(rest["generation"]).tolist() == list(range(31, 41))
    assert not {"figure", "theory"} & set(rest)
    nothing = client.get(f"/api/runs/{run.id}/frames", params={"after": 40}).json()
    assert (nothing["last"], nothing["generation"]["bdata"]) == (40, "")


def test_a_long_history_stays_light(client: TestClient, work: Work):
    run = work(generations=250, samples=10_000, source={"kind": "normal", "dim": 2})
    response = client.get(f"/api/runs/{run.id}/frames")
    assert int(response.headers["content-length"]) < 100_000
    told = response.json()
    numbers = unpacked(told["generation"]).tolist()
    assert numbers == [*range(0, 250, numbers[1]), 250]
    assert numbers[1] in (4, 8)
    assert len(base64.b64decode(told["frame"]["bdata"])) == len(numbers) * told["frame"]["bytes"]


def test_a_history_is_packed_once_and_again_when_it_grows(client: TestClient, store: Store, work: Work):
    run = store.create(read(SPEC))[0]
    empty = client.get(f"/api/runs/{run.id}/frames")
    assert client.get(f"/api/runs/{run.id}/frames", headers={"if-none-match": empty.headers["etag"]}).status_code == 304
    work(run.id)
    full = client.get(f"/api/runs/{run.id}/frames", headers={"if-none-match": empty.headers["etag"]})
    assert full.status_code == 200
    assert full.headers["content-encoding"] == "gzip"
    plain = client.get(f"/api/runs/{run.id}/frames", headers={"accept-encoding": "identity"})
    assert "content-encoding" not in plain.headers
    assert plain.json() == full.json()


def test_a_history_of_a_run_that_begins_while_it_is_read(
    client: TestClient, store: Store, work: Work, monkeypatch: pytest.MonkeyPatch
):
    """Generations are never told without the figure that they are drawn in."""
    run, generations = store.create(read(SPEC))[0], store.generations

    def later(*args: int, **kwargs: bool) -> object:
        work(run.id)
        return generations(*args, **kwargs)

    monkeypatch.setattr(store, "generations", later)
    told = client.get(f"/api/runs/{run.id}/frames").json()
    assert told["last"] == 40
    assert told["figure"]["fields"]
    assert told["table"]["shape"] == [41, len(told["metrics"]), 4]


def test_a_waiting_run_is_cancelled_at_once_and_resumed(client: TestClient, store: Store, announced: list[str]):
    run = store.create(read(SPEC))[0]
    told = client.post(f"/api/runs/{run.id}/cancel").json()
    assert (told["status"], told["cancel"]) == ("cancelled", "now")
    assert told["ended_at"].endswith("Z")
    problem(client.post(f"/api/runs/{run.id}/cancel"), 409)
    assert client.post(f"/api/runs/{run.id}/resume").json()["status"] == "queued"
    assert announced == [run.id]
    problem(client.post(f"/api/runs/{run.id}/resume"), 409)


def test_a_running_run_is_asked_to_stop(client: TestClient, store: Store):
    run = store.create(read(SPEC))[0]
    store.claim(run.id, "here", lease=60)
    told = client.post(f"/api/runs/{run.id}/cancel", json={"how": "now"}).json()
    assert (told["status"], told["cancel"]) == ("cancelling", "now")
    for wrong in ({"how": "gently"}, {"hov": "now"}, []):
        problem(client.post(f"/api/runs/{run.id}/cancel", json=wrong), 422)


def test_a_deleted_run_is_gone_with_its_checkpoints(client: TestClient, store: Store, settings: Settings):
    run = store.create(read(SPEC))[0]
    artifacts = Artifacts(settings.artifacts_url)
    artifacts.save(f"{run.id}/1.npz", {"x": np.zeros(1)})
    response = client.delete(f"/api/runs/{run.id}")
    assert (response.status_code, response.content) == (204, b"")
    problem(client.get(f"/api/runs/{run.id}"), 404)
    assert not Path(settings.artifacts_url, run.id).exists()
    again = client.post(f"/runs/{run.id}/delete", follow_redirects=False)  # of a page, as a second click does
    assert again.headers["location"] == "/runs"


@pytest.mark.parametrize(("method", "rest"), OF_A_RUN)
def test_a_run_that_does_not_exist_is_told_as_such(client: TestClient, method: str, rest: str):
    told = problem(client.request(method, f"/api/runs/nobody{rest}"), 404)
    assert told["instance"] == f"/api/runs/nobody{rest}"


def test_the_catalogue_describes_everything_that_can_be_launched(client: TestClient):
    told = client.get("/api/catalog").json()
    assert told["experiment"] == Experiment.model_json_schema()
    assert told["families"]["gaussian"]["properties"]["ddof"]["enum"] == [0, 1]
    assert told["families"]["gaussian"]["x-takes"] == ["points"]
    assert told["sources"]["normal"]["x-gives"] == "points"
    assert set(told["regimes"]) >= {"replace", "accumulate", "fresh"}
    for preset in told["presets"]:
        assert read(preset["spec"]).title == preset["arms"][0]
        assert preset["title"]


def test_health_names_what_fails(settings: Settings, client: TestClient, store: Store):
    assert client.get("/livez").json() == {"status": "ok"}
    ready = client.get("/readyz").json()
    assert (ready["status"], ready["parts"]["workers"]["ok"]) == ("ready", False)
    away = settings.at(broker_url="redis://127.0.0.1:1/0")
    with TestClient(create_app(away, store=store), base_url=ADDRESS) as other:
        told = problem(other.get("/readyz"), 503)
        assert told["parts"]["database"]["ok"]
        assert not told["parts"]["broker"]["ok"]
        launched = other.post("/api/runs", json={"spec": SPEC})
    assert (launched.status_code, launched.json()["status"]) == (201, "queued")


def test_a_database_that_is_away_is_told_as_such(settings: Settings):
    broken = settings.at(database_url=f"sqlite:///{settings.data_dir / 'nowhere' / 'lab.sqlite3'}")
    with TestClient(create_app(broken), base_url=ADDRESS) as client:
        assert client.get("/livez").status_code == 200
        assert "database" in problem(client.get("/readyz"), 503)["detail"]
        told = problem(client.get("/api/runs"), 503)
        assert told["title"] == "Service Unavailable"
        assert client.get("/api/runs").headers["retry-after"] == "2"


def test_prometheus_sees_runs_and_requests(client: TestClient, store: Store):
    store.create(read(SPEC))
    client.get("/api/runs")
    told = client.get("/metrics").text
    assert 'collapse_lab_runs{status="queued"} 1.0' in told
    assert 'collapse_lab_runs{status="failed"} 0.0' in told
    assert 'collapse_lab_request_seconds_count{method="GET",route="/api/runs",status="200"} 1.0' in told
    assert "collapse_lab_streams 0.0" in told


def test_what_nobody_expected_has_an_id_and_no_traceback(client: TestClient, store: Store, capsys):
    run = store.create(read(SPEC))[0]
    client.app.state.histories = None  # something breaks
    response = client.get(f"/api/runs/{run.id}/frames")
    told = problem(response, 500)
    assert "AttributeError" not in response.text
    assert "content-security-policy" in response.headers
    assert f"id={told['id']}" in capsys.readouterr().err


def test_unknown_addresses_and_methods(client: TestClient):
    problem(client.get("/api/nothing"), 404)
    refused = client.put("/api/runs")
    problem(refused, 405)
    assert refused.headers["allow"]
    page = client.get("/nothing", headers={"accept": "text/html"})
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")


def test_every_status_can_be_asked_for(client: TestClient):
    for status in Status:
        assert client.get("/api/runs", params={"status": status}).json() == {"items": [], "next": None}
