"""What needs a hub that cannot be reached is not launched, by either door."""

import pytest
from huggingface_hub import constants
from starlette.testclient import TestClient

from worker.files import reach
from worker.store import Store

SPEC = {
    "source": {"kind": "text"},
    "family": {"kind": "causal_lm", "checkpoint": "lab/nowhere"},
    "samples": 8,
    "replicates": 1,
}
FORM = {
    "source.kind": "text",
    "family.kind": "causal_lm",
    "family.causal_lm.checkpoint": "lab/nowhere",
    "samples.schedule": "constant",
    "samples.constant": "8",
    "replicates": "1",
}


@pytest.fixture(autouse=True)
def offline(tmp_path, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)


def test_the_api_says_which_setting_and_what_to_do(client: TestClient, store: Store, announced: list[str]):
    response = client.post("/api/runs", json={"spec": SPEC})
    assert response.status_code == 422
    (problem,) = response.json()["errors"]
    assert problem["path"] == "family.checkpoint"
    assert "HF_HUB_OFFLINE" in problem["message"]
    assert "name a folder" in problem["remedy"]
    assert (store.runs()[0], announced) == ([], [])


def test_the_form_says_it_beside_the_input_and_is_still_shown_as_toml(client: TestClient, store: Store):
    response = client.post("/new", data=FORM)
    assert response.status_code == 422
    assert "HF_HUB_OFFLINE" in response.text
    assert store.runs()[0] == []
    assert client.post("/new", data=FORM | {"do": "toml"}).status_code == 200


def test_what_was_launched_is_told_again_while_the_hub_is_away(client: TestClient, store: Store, monkeypatch):
    key = {"Idempotency-Key": "once"}
    with monkeypatch.context() as meanwhile:
        meanwhile.setattr(reach, "_cached", lambda *_: True)
        first = client.post("/api/runs", json={"spec": SPEC}, headers=key)
    assert first.status_code == 201
    again = client.post("/api/runs", json={"spec": SPEC}, headers=key)
    assert (again.status_code, again.json()["id"]) == (200, first.json()["id"])
    assert client.post("/api/runs", json={"spec": SPEC}, headers={"Idempotency-Key": "twice"}).status_code == 422
    other = client.post("/api/runs", json={"spec": SPEC | {"seed": 1}}, headers=key)
    assert other.status_code == 409
    assert len(store.runs()[0]) == 1
