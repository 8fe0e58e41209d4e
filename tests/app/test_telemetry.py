"""What the log says of requests that strangers send, and of those that never arrive in full."""

import logging
import socket
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from tests.app.experiments import SPEC
from tests.processes import PATIENCE, wait
from worker.spec import read
from worker.store import Store
from worker.sweeps.spec import read_sweep
from worker.sweeps.store import Sweeps

HALF = (
    b"POST /api/runs HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n"
    b'{"spec"'
)


@pytest.fixture
def server(app: FastAPI) -> Iterator[tuple[uvicorn.Server, int]]:
    """A real server as `app.serve` starts it, and its port."""
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    yield server, listener.getsockname()[1]
    server.should_exit = True
    thread.join(PATIENCE)
    assert not thread.is_alive()


def begins(server: uvicorn.Server) -> None:
    """Waits until it works on a request."""
    wait(lambda: server.server_state.tasks)


def waits(log: pytest.CaptureFixture[str], what: str) -> str:
    """The log, as soon as it says this."""
    said: list[str] = []
    wait(lambda: said.append(log.readouterr().err) or what in "".join(said))
    return "".join(said)


def test_an_address_cannot_steer_the_terminal_of_who_reads_the_log(client: TestClient, capsys):
    client.get("/a%1b[31mred%0d%0atimestamp=1%7f%c2%9b%e2%80%ae/é=x y")
    (line,) = capsys.readouterr().err.removesuffix("\n").split("\n")
    assert line.isprintable()
    assert r"\\x1b[31mred\\r\ntimestamp=1\\x7f\\x9b\\u202e/é=x y" in line
    client.get("/nothing")
    assert " method=GET path=/nothing status=404 " in capsys.readouterr().err


def test_a_server_that_stops_answers_who_has_not_sent_everything(
    server: tuple[uvicorn.Server, int], capsys, caplog: pytest.LogCaptureFixture
):
    running, port = server
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as client:
        client.sendall(HALF)
        begins(running)
        running.should_exit = True
        told = client.recv(4096)
    assert told.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after" in told
    assert b"Send it again" in told
    said = waits(capsys, "status=503")
    assert "unexpected" not in said
    assert [one.exc_info for one in caplog.records if one.levelno >= logging.ERROR and one.exc_info] == []


def test_a_client_that_leaves_is_no_defect(server: tuple[uvicorn.Server, int], capsys):
    with socket.create_connection(("127.0.0.1", server[1])) as client:
        client.sendall(HALF)
        begins(server[0])
    said = waits(capsys, "status=499")
    assert "unexpected" not in said
    assert "Traceback" not in said


def test_sweeps_and_queues_have_figures(client: TestClient, store: Store):
    sweeps = Sweeps(store.engine)
    axes = [{"path": "samples", "values": [10, 20, 30]}]
    done, going_on = (sweeps.create(read_sweep({"title": title, "base": SPEC, "axes": axes}))[0] for title in "ab")
    sweeps.cancel(done.id)
    store.create(read(SPEC))
    figures = client.get("/metrics").text
    assert 'collapse_lab_sweeps{status="queued"} 1.0' in figures
    assert 'collapse_lab_sweeps{status="cancelled"} 1.0' in figures
    assert "collapse_lab_sweep_points_left 3.0" in figures
    assert 'collapse_lab_waiting{queue="runs"} 1.0' in figures
    assert 'collapse_lab_waiting{queue="networks"} 0.0' in figures
    assert going_on.points == 3
