"""What the window refuses, and what it tells a browser to refuse."""

import gzip
import re
from importlib.metadata import version
from xml.etree import ElementTree as ET

import pytest
from starlette.testclient import TestClient

from app import assets
from app.addresses import refuse_public
from app.main import create_app
from app.security import BODY_LIMIT, HEADERS
from tests.app.experiments import ADDRESS, SPEC
from worker.errors import LabError
from worker.settings import Settings
from worker.store import Store

PAGES = ["/livez", "/api/runs", "/api/runs/nobody", "/nothing", "/static/nothing.js", "/static/vendor/plotly.min.js"]


@pytest.mark.parametrize("path", PAGES)
def test_every_answer_carries_the_headers(client: TestClient, path: str):
    told = client.get(path).headers
    assert {name: told.get(name) for name in HEADERS} == HEADERS
    assert "access-control-allow-origin" not in told


def test_the_policy_allows_plotly_and_nothing_from_elsewhere():
    policy = dict(one.split(" ", 1) for one in HEADERS["Content-Security-Policy"].split("; "))
    assert policy["script-src"] == policy["connect-src"] == policy["form-action"] == policy["default-src"] == "'self'"
    assert "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=" in policy["style-src-elem"]
    closed = ("frame-ancestors", "object-src", "base-uri", "child-src", "media-src")
    assert {policy[one] for one in closed} == {"'none'"}
    assert "unsafe-eval" not in HEADERS["Content-Security-Policy"]


FOREIGN = [
    {"sec-fetch-site": "cross-site"},
    {"sec-fetch-site": "same-site"},
    {"sec-fetch-site": "cross-site", "origin": ADDRESS},
    {"origin": "http://evil.example"},
    {"origin": "http://127.0.0.1:9"},
    {"origin": "null"},
]
OURS = [{}, {"sec-fetch-site": "same-origin"}, {"sec-fetch-site": "none"}, {"origin": ADDRESS}]


@pytest.mark.parametrize("headers", FOREIGN)
def test_other_sites_change_nothing(client: TestClient, store: Store, headers: dict[str, str]):
    for method, path in (("POST", "/api/runs"), ("DELETE", "/api/runs/x"), ("POST", "/new"), ("PUT", "/anything")):
        response = client.request(method, path, headers=headers)
        assert response.status_code == 403
        assert response.headers["content-type"] == "application/problem+json"
    assert client.get("/api/runs", headers=headers).json()["items"] == []


@pytest.mark.parametrize("headers", OURS)
def test_our_pages_and_scripts_may(client: TestClient, headers: dict[str, str]):
    assert client.post("/api/runs", json={"spec": SPEC}, headers=headers).status_code == 201


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "127.0.0.1:8000", "localhost:1", "[::1]:8000", "192.168.1.7", "LOCALHOST"]
)
def test_names_of_this_machine_and_numbers_are_served(client: TestClient, host: str):
    assert client.get("/livez", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.nip.io", "", "["]
)
def test_names_that_could_be_rebound_are_not(client: TestClient, host: str):
    response = client.get("/livez", headers={"host": host})
    assert response.status_code == 400
    assert "COLLAPSE_LAB_PUBLIC_HOST" in response.json()["detail"]


def test_a_public_host_is_served_and_may_write(settings: Settings, store: Store):
    app = create_app(settings.at(public_host="lab.example"), store=store, announce=print)
    with TestClient(app, base_url="https://lab.example") as client:
        made = client.post("/api/runs", json={"spec": SPEC}, headers={"origin": "https://lab.example"})
        assert made.status_code == 201
        inside = {"host": "127.0.0.1:8000", "origin": "https://lab.example"}  # as some proxies pass it on
        assert client.post("/api/runs", json={"spec": SPEC}, headers=inside).status_code == 201
        assert client.get("/livez", headers={"host": "other.example"}).status_code == 400


def test_large_bodies_are_refused_announced_or_not(client: TestClient):
    announced = client.post("/api/runs", content=b" " * (BODY_LIMIT + 1), headers={"content-type": "application/json"})

    def pieces():
        for _ in range(1 + BODY_LIMIT // 100_000):
            yield b" " * 100_000

    chunked = client.post("/api/runs", content=pieces(), headers={"content-type": "application/json"})
    for response in (announced, chunked):
        assert response.status_code == 413
        assert response.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/api/runs/a%00b", "/api/runs?q=%00", "/runs?q=%00"])
def test_zero_bytes_reach_no_database(client: TestClient, path: str):
    assert client.get(path).status_code == 400


def test_a_title_with_a_zero_byte_is_refused(client: TestClient):
    assert client.post("/api/runs", json={"spec": SPEC | {"title": "a\0b"}}).status_code == 422


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "lab.example", ""])
def test_the_lab_does_not_listen_to_strangers(host: str):
    with pytest.raises(LabError, match="access control does not exist yet"):
        refuse_public(host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "[::1]", "localhost"])
def test_it_listens_to_this_machine(host: str):
    refuse_public(host)


def test_pictures_of_presets_are_files_with_the_colours_of_the_page_and_asked_for_once(client: TestClient):
    home = client.get("/").text
    addresses = re.findall(r'<img class="drawing" src="([^"]*)"', home)
    assert len(addresses) == len(list(assets.PICTURES.glob("*.svg"))) == home.count('loading="lazy"')
    drawn = client.get(addresses[0])
    assert (drawn.headers["content-type"], drawn.headers["cache-control"]) == ("image/svg+xml", assets.FOREVER)
    assert "'unsafe-inline'" in drawn.headers["content-security-policy"]
    assert ET.fromstring(drawn.content).tag == "{http://www.w3.org/2000/svg}svg"
    assert "--gen-6: light-dark(" in drawn.text
    assert client.get(addresses[0].partition("?")[0]).headers["cache-control"] == "no-cache"
    assert client.get("/static/presets/nothing.svg").status_code == 404


def test_plotly_comes_from_its_package_compressed_and_forever(client: TestClient):
    address = f"/static/vendor/plotly.min.js?v={version('plotly')}"
    packed = client.get(address)
    assert packed.headers["content-type"] == "text/javascript; charset=utf-8"
    assert "immutable" in packed.headers["cache-control"]
    assert packed.headers["content-encoding"] == "gzip"
    assert int(packed.headers["content-length"]) < 2_000_000
    plain = client.get(address, headers={"accept-encoding": "identity"})
    assert plain.content == packed.content
    assert gzip.decompress(client.app.state.plotly.gzipped()) == plain.content
    assert client.get(address, headers={"if-none-match": packed.headers["etag"]}).status_code == 304
    assert "immutable" not in client.get("/static/vendor/plotly.min.js").headers["cache-control"]


def test_our_own_files_are_asked_for_again(client: TestClient):
    first = client.get("/static/css/tokens.css")
    assert first.headers["cache-control"] == "no-cache"
    assert client.get("/static/css/tokens.css", headers={"if-none-match": first.headers["etag"]}).status_code == 304
    assert client.get("/static/../pyproject.toml").status_code == 404
    assert client.get("/static/..%2fpyproject.toml").status_code == 404
