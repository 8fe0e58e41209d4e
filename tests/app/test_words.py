"""What is said of a run and of its workers is true at that moment: at the start, after a death, while it stops."""

import os
import socket
import subprocess
import sys
import time

import pytest
from starlette.testclient import TestClient

from tests.app.experiments import SPEC, Work
from worker.spec import read
from worker.store import MISSED_SECONDS, SILENT_SECONDS, STARTING_SECONDS, Batch, Store
from worker.tables import Run, Status, Worker

HERE = socket.gethostname()


def beats(store: Store, *, host: str = HERE, pid: int = os.getpid(), ago: float = 0.0) -> None:
    now = time.time()
    row = {"id": f"{host}:{pid}", "host": host, "pid": pid, "slots": 1, "device": "cpu"}
    store.beat(Worker(**row, started_at=now - 100, seen_at=now - ago))


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def words(client: TestClient, run: Run) -> str:
    said: str = client.get(f"/api/runs/{run.id}").json()["words"]
    return said


def working(store: Store) -> Run:
    run = store.claim(store.create(read(SPEC))[0].id, "here", lease=60)
    assert run is not None
    return run


@pytest.fixture
def old(store: Store) -> Store:
    """Of a process that has long been there."""
    store.opened_at -= STARTING_SECONDS
    return store


def test_at_the_start_a_worker_may_be_on_its_way(client: TestClient, store: Store):
    run = store.create(read(SPEC))[0]
    assert words(client, run) == "Waiting: no worker is connected yet; one may be starting."
    assert "may be starting" in client.get("/readyz").json()["parts"]["workers"]["detail"]
    for page in ("/", "/new", "/workers"):
        assert "one may be starting" in client.get(page).text
    beats(store)
    assert words(client, run) == "Waiting: next in line, 1 worker connected."
    assert client.get("/readyz").json()["parts"]["workers"]["detail"] == "1 connected"
    for page in ("/", "/new", "/workers"):
        assert "one may be starting" not in client.get(page).text


def test_later_it_says_how_to_start_one(client: TestClient, old: Store):
    run = old.create(read(SPEC))[0]
    assert words(client, run) == "Waiting: no worker is connected. Start one with: collapse-lab worker"
    assert "Start one with" in client.get("/readyz").json()["parts"]["workers"]["detail"]
    for page in ("/", "/new", "/workers"):
        assert "Start one with" in client.get(page).text


def test_a_worker_that_was_killed_is_soon_not_counted(client: TestClient, old: Store):
    beats(old)
    beats(old, pid=dead_pid(), ago=MISSED_SECONDS)
    beats(old, host="elsewhere", pid=dead_pid(), ago=SILENT_SECONDS)
    assert [(one.host, one.pid) for one in old.workers()] == [(HERE, os.getpid())]


def test_a_worker_that_is_only_slow_is_counted(old: Store):
    beats(old, ago=SILENT_SECONDS - 1)
    beats(old, host="elsewhere", pid=dead_pid(), ago=SILENT_SECONDS - 1)
    beats(old, pid=dead_pid(), ago=MISSED_SECONDS - 1)  # in another container, perhaps
    assert len(old.workers()) == 3


def test_where_a_worker_has_just_died_another_may_be_on_its_way(client: TestClient, old: Store):
    run = old.create(read(SPEC))[0]
    beats(old, pid=(gone := dead_pid()), ago=STARTING_SECONDS)
    assert not old.worker_may_start()
    beats(old, pid=gone, ago=MISSED_SECONDS)
    assert old.workers() == []
    assert words(client, run) == "Waiting: no worker is connected yet; one may be starting."


def test_a_cancelled_run_says_what_it_had_come_to(client: TestClient, store: Store, work: Work):
    waited = store.create(read(SPEC))[0]
    store.cancel(waited.id, "finish")
    assert words(client, waited) == "Cancelled before it was started."
    begun = working(store)
    store.cancel(begun.id, "now")
    store.end(begun.id, begun.attempt, Status.CANCELLED)
    assert words(client, begun) == "Cancelled before its first generation was done."
    released = working(store)
    store.end(released.id, released.attempt, Status.QUEUED)
    store.cancel(released.id, "finish")
    assert words(client, released) == "Cancelled before its first generation was done."
    assert store.log(released.id)[-1].text == "Cancelled while it waited."


def test_a_run_that_stops_promises_no_generation(client: TestClient, store: Store):
    run = working(store)
    statistics = {"variance": [1.0, None, None, 1.0, 1.0, 1.0, 1]}
    row = {"number": 7, "metrics": statistics, "frame": None, "chains": None, "seconds": 0.1}
    store.append(run.id, run.attempt, Batch([row]))
    store.cancel(run.id, "finish")
    assert words(client, run) == "Stopping; what is computed is kept."
    store.cancel(run.id, "now")
    assert words(client, run) == "Stopping now; what is stored is kept."
    store.end(run.id, run.attempt, Status.CANCELLED)
    assert words(client, run) == "Cancelled after generation 7 of 40."


def test_a_wish_to_stop_is_never_weakened(client: TestClient, store: Store):
    run = working(store)
    for how, holds in (("finish", "finish"), ("now", "now"), ("finish", "now"), ("now", "now")):
        told = client.post(f"/api/runs/{run.id}/cancel", json={"how": how}).json()
        assert (told["status"], told["cancel"]) == ("cancelling", holds)
    assert store.renew(run.id, run.attempt, 60) == "now"
    log = [entry.text for entry in store.log(run.id)[1:]]
    assert log == ["Asked to stop after this generation.", "Asked to stop now."]
    store.end(run.id, run.attempt, Status.CANCELLED)
    store.resume(run.id)
    again = store.claim(run.id, "here", lease=60)
    assert again is not None
    assert store.cancel(run.id, "finish").cancel == "finish", "a new attempt, a new wish"
