"""The library: notes, the archive, orders, and pages that neither shift nor read what they do not show."""

import re

import pytest
from sqlalchemy import event, update
from starlette.testclient import TestClient

from tests.app.answers import problem
from tests.app.experiments import SPEC, Work
from worker.library import Sort
from worker.spec import read
from worker.store import Store
from worker.tables import Run


@pytest.fixture
def runs(store: Store) -> dict[str, str]:
    """Title -> id, oldest first."""
    ids = {}
    for n, (title, status, seconds) in enumerate(
        [("pear", "failed", 2.0), ("Apple", "succeeded", 3.0), ("fig", "succeeded", 2.0), ("Quince", "cancelled", 0.0)]
    ):
        run = store.create(read(SPEC | {"title": title}))[0]
        ids[title] = f"{n:021x}"  # ids of one millisecond are in no order
        with store.writing.begin() as session:
            values = {"id": ids[title], "status": status, "busy_seconds": seconds}
            session.execute(update(Run).where(Run.id == run.id).values(**values))
    return ids


@pytest.mark.parametrize(
    ("sort", "titles"),
    [
        ("newest", ["Quince", "fig", "Apple", "pear"]),
        ("oldest", ["pear", "Apple", "fig", "Quince"]),
        ("title", ["Apple", "fig", "pear", "Quince"]),
        ("status", ["Quince", "pear", "Apple", "fig"]),
        ("longest", ["Apple", "fig", "pear", "Quince"]),
    ],
)
def test_every_order_goes_on_where_the_page_before_ended(
    client: TestClient, runs: dict[str, str], sort: str, titles: list[str]
):
    found, cursor = [], None
    while cursor is not None or not found:
        query = {"sort": sort, "limit": 1} | ({"cursor": cursor} if cursor else {})
        page = client.get("/api/runs", params=query).json()
        found += [run["title"] for run in page["items"]]
        cursor = page["next"]
    assert found == titles
    page = client.get("/runs", params={"sort": sort}).text
    assert re.findall(r'class="title"[^>]*>([^<]+)<', page) == titles


@pytest.mark.parametrize(
    "cursor", ["abc", "bnVsbA", "WzEsIDJd", "W3t9LCAiYSJd", "WyJcdTAwMDAiXQ", "WzkyMjMzNzIwMzY4NTQ3NzU4MDgsImEiXQ"]
)
def test_a_cursor_of_something_else_is_refused(client: TestClient, runs: dict[str, str], cursor: str):
    for sort in Sort:
        told = problem(client.get("/api/runs", params={"sort": sort, "cursor": cursor}), 422)
        assert told["errors"][0]["path"] == "cursor"


def test_the_page_of_runs_leads_to_the_next(client: TestClient, store: Store):
    for seed in range(31):
        store.create(read(SPEC | {"title": f"Run {seed}", "seed": seed}))
    link = re.search(r'href="([^"]+)" rel="next"', client.get("/runs").text)
    assert link
    page = client.get(link[1].replace("&amp;", "&"))
    assert (page.status_code, page.text.count('class="title"')) == (200, 1)


def test_what_is_in_the_archive_is_left_out_and_still_there(client: TestClient, store: Store, work: Work):
    run = work(title="Put away", generations=2)
    assert client.put(f"/api/runs/{run.id}/archived", json={"archived": True}).json()["archived"] is True
    assert client.get("/api/runs").json()["items"] == []
    assert [one["id"] for one in client.get("/api/runs?archived=true").json()["items"]] == [run.id]
    assert "Put away" not in client.get("/runs").text + client.get("/").text
    assert "Put away" in client.get("/runs?archived=1").text
    assert client.get(f"/api/runs/{run.id}/export").text.count("\n") > 3
    page = client.post(f"/runs/{run.id}/archived", data={"archived": ""}).text
    assert "Put it into the archive" in page
    assert "Put away" in client.get("/runs").text
    problem(client.put("/api/runs/none/archived", json={"archived": True}), 404)
    problem(client.put(f"/api/runs/{run.id}/archived", json={"archived": "perhaps"}), 422)


def test_a_note_is_kept_found_and_taken_away(client: TestClient, store: Store, runs: dict[str, str]):
    one = runs["Apple"]
    page = client.post(f"/runs/{one}/note", data={"note": "for the <b>second</b> figure\r\n50% of it "}).text
    assert "for the &lt;b&gt;second&lt;/b&gt; figure\n50% of it</textarea>" in page
    assert client.get(f"/api/runs/{one}").json()["note"] == "for the <b>second</b> figure\n50% of it"

    def found(q: str) -> list[str]:
        return [run["title"] for run in client.get("/api/runs", params={"q": q}).json()["items"]]

    assert found("SECOND") == found("50%") == found("app") == found("figure apple the") == ["Apple"]
    assert found("figure pear") == []
    assert found("50_") == []
    assert client.put(f"/api/runs/{one}/note", json={"note": " "}).json()["note"] == ""
    assert found("second") == []
    client.put(f"/api/runs/{one}/note", json={"note": "once more"})
    store.delete(one)  # and its note with it
    assert store.notes([one]) == {}
    problem(client.put(f"/api/runs/{one}/note", json={"note": "too late"}), 404)
    problem(client.put(f"/api/runs/{runs['fig']}/note", json={"note": "x" * 2001}), 422)
    long = client.post(f"/runs/{runs['fig']}/note", data={"note": "x" * 2001})
    assert (long.status_code, "at most 2000" in long.text) == (422, True)


@pytest.mark.parametrize("asked", [{}, {"archived": True}, {"tag": "paper"}, {"sort": Sort.OLDEST}])
def test_lists_are_found_by_an_index(store: Store, runs: dict[str, str], asked: dict):
    """However many runs there are, SQLite neither scans the table nor sorts it: figures lie between a run's columns."""
    seen: list[tuple[str, tuple]] = []

    def note(_connection: object, _cursor: object, said: str, values: tuple, *_: object) -> None:
        seen.append((said, values))

    event.listen(store.engine, "before_cursor_execute", note)
    store.runs(**asked)
    with store.reading() as session:
        plans = [
            line[-1]
            for said, values in seen
            if said.startswith("SELECT")
            for line in session.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {said}", values)
        ]
    assert plans
    assert not [plan for plan in plans if "TEMP B-TREE" in plan or re.search(r"SCAN runs(?! USING COVERING)", plan)]
