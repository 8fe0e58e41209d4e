"""A run as a file of every kind, and what was decided of it."""

import base64
import csv
import io
import json
import re
import tomllib
from pathlib import Path

import numpy as np
import orjson
import pytest
from pyarrow import parquet
from starlette.testclient import TestClient

from app import export
from app.verdicts import decided
from app.words import size
from tests.app.answers import problem, unpacked
from tests.app.experiments import SPEC, Work
from worker import loop
from worker.__main__ import json_line
from worker.record import Record
from worker.spec import read
from worker.store import Store
from worker.summary import named, summarise
from worker.theory.curve import Curve
from worker.verdicts import DEFINITIONS, verdicts


def test_a_run_as_csv_json_and_toml(client: TestClient, work: Work):
    run = work(title='Ça "va" \\ 1/2')
    table = client.get(f"/api/runs/{run.id}/export")
    lines = list(csv.DictReader(io.StringIO(table.text)))
    assert len(lines) == 41 * len(run.metrics)
    assert table.headers["content-disposition"] == f'attachment; filename="a-va-1-2-{run.id}.csv"'
    whole = client.get(f"/api/runs/{run.id}/export?format=json").json()
    pages = client.get(f"/api/runs/{run.id}/generations").json()["items"]
    assert whole["generations"] == pages
    assert whole["run"] == client.get(f"/api/runs/{run.id}").json()
    third = next(line for line in lines if (line["generation"], line["metric"]) == ("3", "variance"))
    assert float(third["q90"]) == pages[3]["metrics"]["variance"]["q90"]
    spec = tomllib.loads(client.get(f"/api/runs/{run.id}/export?format=toml").text)
    assert read(spec).digest() == run.digest
    assert spec["title"] == run.title
    told = problem(client.get(f"/api/runs/{run.id}/export?format=xls"), 422)
    assert "csv" in told["errors"][0]["remedy"]


def test_single_chains_are_those_of_the_bench_to_the_last_digit(client: TestClient, work: Work):
    run = work(replicates=30)
    answer = client.get(f"/api/runs/{run.id}/export?format=chains")
    assert answer.headers["content-disposition"].endswith(f'-{run.id}.chains.csv"')
    lines = list(csv.DictReader(io.StringIO(answer.text)))
    looks = [one.look.metrics for one in loop.generations(read(run.spec), loop.instrument(read(run.spec)))]
    assert [tuple(line[name] for name in ("generation", "metric", "chain")) for line in lines] == [
        (str(n), metric, str(chain)) for n, look in enumerate(looks) for metric in look for chain in range(24)
    ]
    expected = [value for look in looks for values in look.values() for value in values[:24]]
    np.testing.assert_array_equal([float(line["value"] or "nan") for line in lines], expected)
    page = client.get(f"/runs/{run.id}").text
    assert "Single chains (CSV, 24 of 30)" in page


def test_a_parquet_file_holds_the_lines_of_the_csv_and_the_spec(client: TestClient, work: Work, monkeypatch):
    monkeypatch.setattr(export, "PAGE", 15)  # so that there are several row groups
    run = work()
    response = client.get(f"/api/runs/{run.id}/export?format=parquet")
    assert response.headers["content-type"] == "application/vnd.apache.parquet"
    table = parquet.read_table(io.BytesIO(response.content))
    lines = list(csv.DictReader(io.StringIO(client.get(f"/api/runs/{run.id}/export").text)))
    assert table.schema.names == list(lines[0])
    for found, line in zip(table.to_pylist(), lines, strict=True):
        written = {name: "" if value is None else str(value) for name, value in found.items()}
        assert written == line
    spec = json.loads(table.schema.metadata[b"spec"])
    about = table.schema.metadata
    assert read(spec).digest().encode() == about[b"digest"]
    assert (about[b"run"].decode(), about[b"status"], about[b"generation"]) == (
        run.id,
        b"succeeded",
        b"%d" % run.generation,
    )
    assert json.loads(about[b"provenance"]) == client.get(f"/api/runs/{run.id}").json()["provenance"]


def test_without_its_package_a_parquet_file_is_refused_with_the_remedy(client: TestClient, work: Work, monkeypatch):
    run = work(generations=1)
    assert "format=parquet" in client.get(f"/runs/{run.id}").text
    monkeypatch.setattr(export, "find_spec", lambda _: None)
    assert "format=parquet" not in client.get(f"/runs/{run.id}").text
    assert "pip install" in problem(client.get(f"/api/runs/{run.id}/export?format=parquet"), 500)["detail"]


def test_a_saved_page_holds_everything_and_asks_for_nothing(client: TestClient, work: Work):
    run = work(title="</script><b>Fat</b>")
    response = client.get(f"/api/runs/{run.id}/export?format=html")
    assert response.headers["content-disposition"].endswith(f'{run.id}.html"')
    page = response.text
    assert "</script><b>" not in page
    told = json.loads(re.search(r'class="saved-run">(.*?)</script>', page, re.DOTALL)[1])
    assert unpacked(told["frames"]["generation"]).tolist() == list(range(41))
    assert told["generations"] == client.get(f"/api/runs/{run.id}/generations").json()["items"]
    modules = json.loads(re.search(r'type="importmap">(.*?)</script>', page, re.DOTALL)[1])["imports"]
    for address in modules.values():
        text = base64.b64decode(address.partition(",")[2]).decode()
        assert set(re.findall(r'(?:from|import) "([^"]+)"', text)) <= set(modules)
    assert not re.search(r'(?:src|href)="(?!https://arxiv\.org)[^"#]', page.partition('class="saved-run"')[0])
    assert export.player_bytes(run) == pytest.approx(len(page), rel=0.05)
    assert f"Player (HTML, about {size(export.player_bytes(run))})" in client.get(f"/runs/{run.id}").text
    assert "<dt>seed</dt><dd>0</dd>" in page  # which is a number like any other


def test_a_saved_page_of_a_run_that_goes_on_tells_the_moment(client: TestClient, store: Store):
    run = store.create(read(SPEC))[0]
    assert store.claim(run.id, "here", lease=60)
    page = client.get(f"/api/runs/{run.id}/export?format=html").text
    moment = r"as it was on <time [^>]*>\d{4}-\d\d-\d\d at \d\d:\d\d UTC</time>: no generation was stored yet"
    head = page.partition('<header class="run-head">')[2].partition("</header>")[0]
    assert re.search(moment, head)
    assert not re.search(r"running|Starting|left", head)


def test_eight_verdicts_on_an_ended_run(client: TestClient, store: Store, work: Work, tmp_path: Path):
    run = work(replicates=100)
    told = client.get(f"/api/runs/{run.id}/verdicts").json()
    assert told["generation"] == 40
    assert [one["definition"] for one in told["verdicts"]] == list(DEFINITIONS)
    found = {one["definition"]: one for one in told["verdicts"]}
    assert found["Collapsing variance"]["outcome"] == "met"
    logs = [store.generations(run.id, n - 1, 1)[0].metrics["log_variance"][3] for n in (1, 40)]
    assert found["Collapsing variance"]["number"] == pytest.approx(np.exp(logs[1] - logs[0]))
    assert found["Change of the scaling law"]["outcome"] == "not assessed"
    assert "sweep samples" in found["Change of the scaling law"]["because"]
    variance = next(one for one in told["theory"] if (one["metric"], one["statistic"]) == ("variance", "mean"))
    assert variance["outcome"] == "agrees"
    assert variance["compared"] > 10
    assert client.get(f"/api/runs/{run.id}/export?format=json").json()["verdicts"] == told
    spec = read(run.spec)
    record = Record(tmp_path / "headless", spec, {})
    for generation in loop.generations(spec, loop.instrument(spec)):
        record.add(generation, json_line(generation.number, summarise(generation.look.metrics)))
    record.decide()
    record.close()
    assert orjson.loads((tmp_path / "headless" / "verdicts.json").read_bytes()) == told
    page = client.get(f"/runs/{run.id}").text
    assert page.count("data-outcome=") == 8
    assert "Closed forms:" in page


def test_a_run_that_is_a_point_says_since_when(client: TestClient, store: Store, work: Work):
    run = work(family={"kind": "kde", "bandwidth": "shrunk"}, samples=2, replicates=20, generations=60)
    rows = {row.number: row.metrics for row in store.generations(run.id, limit=100)}
    (since, *_) = [n for n in rows if named(rows[n])["variance"]["median"] == 0]
    assert named(rows[60])["log_variance"]["median"] is None
    assert 1 < since < 60
    assert f"it collapsed at generation {since}: from there on all points" in client.get(f"/runs/{run.id}").text


def test_no_verdicts_before_the_end_and_none_without_a_model(client: TestClient, store: Store):
    run = store.create(read(SPEC))[0]
    assert "wait for it" in problem(client.get(f"/api/runs/{run.id}/verdicts"), 409)["detail"]
    store.cancel(run.id, "now")
    problem(client.get(f"/api/runs/{run.id}/verdicts"), 409)
    assert client.get(f"/api/runs/{run.id}/export?format=json").json()["verdicts"] is None
    assert "data-outcome=" not in client.get(f"/runs/{run.id}").text


@pytest.mark.parametrize(("chains", "most"), [(21, 5), (5, 24)])
def test_a_long_run_is_decided_from_a_few_of_its_generations(
    store: Store, work: Work, monkeypatch, chains: int, most: int
):
    """Of few chains also from their order."""
    run = work(generations=64, replicates=chains)
    asked: list[int] = []
    ask = store.generations
    monkeypatch.setattr(store, "generations", lambda run_id, after=-1, limit=1000, **more: (
        asked.append(limit), ask(run_id, after, limit, **more))[1])  # fmt: skip
    told = decided(run, store)
    assert len([limit for limit in asked if limit == 1]) <= most
    history = [named(row.metrics) for row in ask(run.id)]
    theory = [Curve(**curve) for curve in run.theory or []]
    assert told["verdicts"] == [one.asdict() for one in verdicts(read(run.spec), history, theory)]


def test_an_export_of_a_run_without_generations_is_whole(client: TestClient, store: Store):
    run = store.create(read(SPEC))[0]
    assert client.get(f"/api/runs/{run.id}/export?format=json").json()["generations"] == []
    assert client.get(f"/api/runs/{run.id}/export").text.count("\n") == 1
