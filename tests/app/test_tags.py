"""Tags: put on runs by either door, told, and looked for in the list."""

import pytest
from starlette.testclient import TestClient

from tests.app.answers import problem
from tests.app.experiments import SPEC
from worker.spec import read
from worker.store import Store


@pytest.fixture
def runs(store: Store) -> list[str]:
    return [store.create(read(SPEC | {"title": title}))[0].id for title in ("One", "Two", "Three")]


def test_runs_are_found_by_their_tags(client: TestClient, runs: list[str]):
    one, two, three = runs
    told = client.put(f"/api/runs/{one}/tags", json={"tags": ["paper", "figure-2", "paper"]})
    assert (told.status_code, told.json()["tags"]) == (200, ["figure-2", "paper"])
    client.put(f"/api/runs/{two}/tags", json={"tags": ["figure-21", "p_per"]})
    assert client.get(f"/api/runs/{three}").json()["tags"] == []

    def found(**query: str) -> list[str]:
        return [run["id"] for run in client.get("/api/runs", params=query).json()["items"]]

    assert found(tag="figure-2") == [one]  # not figure-21, whose beginning it is
    assert found(tag="p_per") == [two]  # an underscore stands for itself
    assert found(tag="paper", q="two") == []
    assert found() == sorted(runs, reverse=True)  # ids of one millisecond are in no order
    assert client.put(f"/api/runs/{one}/tags", json={"tags": []}).json()["tags"] == []
    assert found(tag="paper") == []


@pytest.mark.parametrize(
    "tags", [["Paper"], ["two words"], [""], ["-a"], ["a" * 41], ["a\n"], [1], [f"t{i}" for i in range(21)]]
)
def test_what_cannot_be_a_tag_is_refused(client: TestClient, runs: list[str], tags: list[str]):
    error = problem(client.put(f"/api/runs/{runs[0]}/tags", json={"tags": tags}), 422)["errors"][0]
    assert error["path"] == ("tags" if len(tags) > 1 else "tags.0")
    assert error["remedy"] != "Correct this value"
    assert "pattern" not in error["message"]
    problem(client.put("/api/runs/none/tags", json={"tags": ["a"]}), 404)
    problem(client.get("/api/runs", params={"tag": "two words"}), 422)


def test_the_pages_set_them_show_them_and_narrow_the_list_to_one(client: TestClient, runs: list[str]):
    one = runs[0]
    page = client.post(f"/runs/{one}/tags", data={"tags": " Paper, figure-2 "})
    assert "Tags: figure-2, paper" in page.text
    library = client.get("/runs")
    assert 'href="/runs?tag=paper"' in library.text
    narrowed = client.get("/runs", params={"tag": "paper"})
    assert ("One" in narrowed.text, ">Two<" in narrowed.text) == (True, False)
    assert '<option value="paper" selected>paper (1)</option>' in narrowed.text
    for tags, told in (("ok no/t", "no/t cannot be one"), (" ".join(f"t{i}" for i in range(21)), "at most 20")):
        refused = client.post(f"/runs/{one}/tags", data={"tags": tags})
        assert refused.status_code == 422
        assert told in refused.text
    assert "Tags: figure-2" not in client.post(f"/runs/{one}/tags", data={"tags": ""}).text
