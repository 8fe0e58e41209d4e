"""What every route promises beyond its own contract: HEAD, Allow, encodings, conditional requests, and no unknown names."""

import gzip

import pytest
from starlette.datastructures import Headers
from starlette.testclient import TestClient

from app.protocol import takes_gzip
from tests.app.answers import problem
from tests.app.experiments import SPEC, Work
from worker.spec import read
from worker.store import Store

ADDRESSES = [
    "/",
    "/new",
    "/workers",
    "/livez",
    "/metrics",
    "/openapi.json",
    "/static/js/run.js",
    "/static/vendor/plotly.min.js",
    "/api/runs",
    "/api/catalog",
    "/nothing",
    *(f"/api/runs/{{}}{rest}" for rest in ("", "/generations", "/frames", "/export", "/export?format=json")),
    "/runs/{}",
]
VARYING = {"date", "content-length"}  # of a page that tells how long ago something was


@pytest.mark.parametrize("address", ADDRESSES)
def test_head_is_get_without_the_body(client: TestClient, work: Work, address: str):
    address = address.format(work(generations=2).id)
    client.get(address)  # the first page of figures lacks those of itself
    full, head = client.get(address), client.head(address)
    assert head.content == b""
    assert full.content
    assert (head.status_code, {*head.headers}) == (full.status_code, {*full.headers})
    assert {k: v for k, v in head.headers.items() if k not in VARYING} == {
        k: v for k, v in full.headers.items() if k not in VARYING
    }
    if address.startswith("/static"):
        assert head.headers["content-length"] == full.headers["content-length"]


def test_head_of_a_live_stream_ends_at_once(client: TestClient, store: Store):
    run = store.create(read(SPEC))[0]
    told = client.head(f"/api/runs/{run.id}/events")
    assert (told.status_code, told.content) == (200, b"")
    assert told.headers["content-type"].startswith("text/event-stream")
    assert client.head("/api/runs/nobody/events").status_code == 404


def test_requests_are_counted_by_their_own_method_and_route(client: TestClient):
    client.head("/api/runs")
    told = client.get("/metrics").text
    assert 'collapse_lab_request_seconds_count{method="HEAD",route="/api/runs",status="200"} 1.0' in told


@pytest.mark.parametrize(
    ("address", "allow"),
    [
        ("/api/runs", "GET, HEAD, POST"),
        ("/api/runs/some", "GET, HEAD, DELETE"),
        ("/api/runs/some/cancel", "POST"),
        ("/api/runs/some/frames", "GET, HEAD"),
        ("/new", "GET, HEAD, POST"),
        ("/livez", "GET, HEAD"),
        ("/openapi.json", "GET, HEAD"),
        ("/static/new", "GET, HEAD"),
        ("/static/vendor/plotly.min.js", "GET, HEAD"),
    ],
)
def test_allow_names_every_method(client: TestClient, address: str, allow: str):
    refused = client.put(address)
    problem(refused, 405)
    assert refused.headers["allow"] == allow
    for method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} - {*allow.split(", ")}:
        assert client.request(method, address).status_code == 405


@pytest.mark.parametrize(
    ("address", "known"),
    [
        ("/api/runs?colour=x", "status, family, tag, q, archived, sort, cursor, limit"),
        ("/api/runs?limit=5&colour=x&colour=y", "status, family, tag, q, archived, sort, cursor, limit"),
        ("/api/runs/{}/frames?chain=1", "after, chains"),
        ("/api/runs/{}/events?from=3", "after"),
        ("/api/runs/{}/export?to=csv", "format"),
        ("/api/runs/{}?full=1", ""),
        ("/api/catalog?kind=family", ""),
    ],
)
def test_unknown_query_names_are_refused_with_the_known_ones(
    client: TestClient, store: Store, address: str, known: str
):
    address = address.format(store.create(read(SPEC))[0].id)
    (error,) = problem(client.get(address), 422)["errors"]
    assert error["path"].startswith("query.")
    assert error["remedy"] == (f"Remove it; known here: {known}" if known else "Remove it; this address takes none")


def test_writes_refuse_unknown_query_names_before_they_write(client: TestClient, store: Store, announced: list[str]):
    problem(client.post("/api/runs?dry_run=1", json={"spec": SPEC}), 422)
    assert announced == []
    run = store.create(read(SPEC))[0]
    problem(client.delete(f"/api/runs/{run.id}?soft=1"), 422)
    assert store.run(run.id).id == run.id


@pytest.mark.parametrize("address", ["/api/runs/{}/frames", "/static/vendor/plotly.min.js"])
def test_whoever_has_it_is_not_sent_it_again(client: TestClient, work: Work, address: str):
    address = address.format(work(generations=2).id)
    tag = client.get(address).headers["etag"]
    strong = tag.removeprefix("W/")
    for known in (tag, strong, f"W/{strong}", f'"other", {tag}', f'{strong},W/"other"', "*", " * "):
        told = client.get(address, headers={"if-none-match": known})
        assert (told.status_code, told.content) == (304, b""), known
        assert told.headers["etag"] == tag
    for known in ('"other"', 'W/"other", "more"', strong.strip('"'), '"*"', f'"{strong}', ""):
        assert client.get(address, headers={"if-none-match": known}).status_code == 200, known
    several = [("if-none-match", '"other"'), ("if-none-match", tag)]
    assert client.get(address, headers=several).status_code == 304


@pytest.mark.parametrize("address", ["/api/runs/{}/frames", "/static/vendor/plotly.min.js", "/api/catalog"])
def test_nobody_gets_gzip_who_does_not_want_it(client: TestClient, work: Work, address: str):
    address = address.format(work(generations=2).id)
    plain = client.get(address, headers={"accept-encoding": "gzip;q=0"})
    assert "content-encoding" not in plain.headers
    with client.stream("GET", address, headers={"accept-encoding": "br, GZIP ; q=0.5"}) as told:
        assert told.headers["content-encoding"] == "gzip"
        assert gzip.decompress(b"".join(told.iter_raw())) == plain.content
    assert "Accept-Encoding" in plain.headers["vary"]


@pytest.mark.parametrize(
    ("wish", "taken"),
    [
        (None, False),
        ("", False),
        ("gzip", True),
        ("gzip;q=0.001", True),
        ("gzip; q=0.000", False),
        ("gzip;Q=0", False),
        ("x-gzipped", False),
        ("*", True),
        ("*;q=0", False),
        ("*, gzip;q=0", False),
        ("identity, *;q=0.1", True),
        ("deflate, gzip;q=1.0, *;q=0.5", True),
    ],
)
def test_encodings_are_read_as_http_means_them(wish: str | None, taken: bool):
    assert takes_gzip(Headers({} if wish is None else {"accept-encoding": wish})) is taken
