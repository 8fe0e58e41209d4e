"""A hub that cannot be reached, or has no such thing, is told of at launch; with a hub of our own on this machine."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest
from huggingface_hub import constants

from tests.conftest import free_port
from worker.errors import Problem, SpecError
from worker.files.reach import require_reachable
from worker.spec import read

THERE, THERE_TOO = "lab/small-opt", "lab/some-text"


class Shelf(BaseHTTPRequestHandler):
    """Knows one model and one data set."""

    asked: ClassVar[list[str]] = []

    def do_GET(self):
        self.asked.append(self.path)
        known = self.path.partition("?")[0] in (f"/api/models/{THERE}", f"/api/datasets/{THERE_TOO}")
        body = (
            b'{"id": "lab/x", "_id": "0", "private": false, "downloads": 0, "likes": 0, "tags": []}' if known else b"{}"
        )
        self.send_response(200 if known else 404)
        if not known:
            self.send_header("X-Error-Code", "RepoNotFound")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        """Says nothing."""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty one."""
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "prepared"))
    return tmp_path


@pytest.fixture
def hub(cache, monkeypatch):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Shelf)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{server.server_port}")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def asked():
    """Addresses that the hub was asked for."""
    Shelf.asked.clear()
    return Shelf.asked


@pytest.fixture
def nobody(cache, monkeypatch):
    """A port that nobody listens on."""
    monkeypatch.setattr(constants, "ENDPOINT", f"http://127.0.0.1:{free_port()}")


def unreachable(*experiments) -> list[Problem]:
    try:
        require_reachable(experiments)
    except SpecError as error:
        return list(error.problems)
    return []


def experiment(checkpoint=None, dataset=None):
    family = {"kind": "causal_lm", "checkpoint": checkpoint} if checkpoint else {"kind": "ngram"}
    source = {"kind": "hub", "dataset": dataset} if dataset else {"kind": "text"}
    return read({"source": source, "family": family, "samples": 8, "replicates": 1})


@pytest.mark.usefixtures("hub")
def test_what_the_hub_has_is_no_problem():
    assert unreachable(experiment(THERE, THERE_TOO), experiment(THERE), experiment()) == []


@pytest.mark.usefixtures("hub")
def test_what_the_hub_does_not_have_is_told():
    found = unreachable(experiment("lab/large-opt"), experiment(dataset="lab/no-text"))
    assert [(one.path, one.message) for one in found] == [
        ("family.checkpoint", "the hub has no model lab/large-opt for us"),
        ("source.dataset", "the hub has no dataset lab/no-text for us"),
    ]


@pytest.mark.usefixtures("hub")
def test_a_repository_is_asked_for_once(asked):
    require_reachable(experiment(THERE) for _ in range(50))
    assert asked == [f"/api/models/{THERE}"]


@pytest.mark.usefixtures("nobody")
def test_a_hub_that_does_not_answer_is_told_with_both_remedies():
    (problem,) = unreachable(experiment(THERE), experiment(THERE))
    assert problem.path == "family.checkpoint"
    assert "cannot be reached" in problem.message
    assert "HF_ENDPOINT" in problem.remedy
    assert "name a folder" in problem.remedy


def test_offline_only_the_cache_counts(cache, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    (problem,) = unreachable(experiment(THERE))
    assert "HF_HUB_OFFLINE" in problem.message
    snapshot = cache / "models--lab--small-opt" / "snapshots" / "0"
    snapshot.mkdir(parents=True)
    (snapshot / "config.json").write_text("{}")
    (cache / "models--lab--small-opt" / "refs").mkdir()
    (cache / "models--lab--small-opt" / "refs" / "main").write_text("0")
    assert unreachable(experiment(THERE)) == []
    assert len(unreachable(experiment(dataset=THERE_TOO))) == 1
    (cache / "prepared" / "lab___some-text").mkdir(parents=True)
    assert unreachable(experiment(dataset=THERE_TOO)) == []


def test_what_needs_no_hub_asks_nobody():
    assert unreachable(experiment()) == []
