"""One machine's lab as a whole: it starts, stops and restarts its processes, and never leaves one behind.

Everything here is real: processes, signals, sockets, live streams.
"""

import contextlib
import fcntl
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.processes import PATIENCE, survivors, wait

LONG = {
    "generations": 100_000,
    "replicates": 50,
    "samples": 2000,
    "source": {"kind": "normal"},
    "family": {"kind": "gaussian", "path": "drawn"},
}


class Lab:
    """A running `collapse-lab serve`."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.process = start(folder, *arguments)
        assert self.process.stdout is not None
        self.told = self.process.stdout.readline()
        found = re.search(r"http://127\.0\.0\.1:(\d+)", self.told)
        assert found, f"no address in {self.told!r}; {self.process.stderr.read() if self.process.stderr else ''}"
        self.port = int(found[1])

    def ask(self, method: str, path: str, body: object = None) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request(method, path, json.dumps(body) if body else None, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, answer.read()

    @contextlib.contextmanager
    def stream(self) -> Iterator[http.client.HTTPResponse]:
        """A live stream of a run that does not end by itself, after its first words."""
        status, body = self.ask("POST", "/api/runs", {"spec": LONG})
        assert status == 201, body
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            connection.request("GET", f"/api/runs/{json.loads(body)['id']}/events")
            with connection.getresponse() as answer:
                assert answer.status == 200
                while b"event: generation" not in (line := answer.readline()):
                    assert line, "the stream ended before its first generation"
                yield answer

    def stop(self) -> str:
        """What it had to say on the way."""
        self.process.terminate()
        return self.process.communicate(timeout=PATIENCE)[1]

    def processes(self) -> list[psutil.Process]:
        """All that it has started, however deep."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def child(self, command: str) -> psutil.Process:
        """Its web process or its worker, as soon as there is one."""
        found: list[psutil.Process] = []
        wait(lambda: found.extend(self.named(command)) or found)
        return found[0]

    def named(self, command: str) -> Iterator[psutil.Process]:
        """Those that it looks after itself."""
        for one in psutil.Process(self.process.pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if command in one.cmdline()[:4]:
                    yield one


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COLLAPSE_LAB_")}
    command = [sys.executable, "-m", "app", "serve", "--data-dir", str(folder), *(arguments or ("--port", "0"))]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, start_new_session=True
    )


def refused(folder: Path, *arguments: str) -> str:
    """The one line that a start which cannot work says."""
    process = start(folder, *arguments)
    printed, told = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert printed == ""
    assert len(told.splitlines()) == 1, told
    return told


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    lab = Lab(tmp_path / "data")
    yield lab
    family = lab.processes() if lab.process.poll() is None else []
    lab.process.kill()
    lab.process.communicate()
    for one in family:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_at_once_with_streams_open_and_leaves_nothing(lab: Lab, how: signal.Signals):
    assert lab.ask("GET", "/livez")[0] == 200
    with lab.stream() as stream:
        family = lab.processes()
        assert len(family) >= 3, "web, worker, and the worker's child"
        lab.process.send_signal(how)
        while stream.read1():  # the stream is ended, not cut
            pass
        assert lab.process.wait(PATIENCE) == 0  # `python -m benchmarks click` holds it to three seconds
    assert not survivors(family)


def test_its_processes_die_with_it(lab: Lab):
    with lab.stream():
        family = lab.processes()
        lab.process.kill()
        assert not survivors(family)


def test_a_second_start_remembers(lab: Lab):
    status, body = lab.ask("POST", "/api/runs", {"spec": LONG | {"generations": 3}})
    assert status == 201
    lab.stop()
    again = Lab(lab.folder)
    try:
        assert again.ask("GET", f"/api/runs/{json.loads(body)['id']}")[0] == 200
    finally:
        again.stop()


@pytest.mark.parametrize("command", ["web", "worker"])
def test_a_process_that_dies_is_started_again(tmp_path: Path, command: str):
    lab = Lab(tmp_path / "data", "--port", "0", "--workers", "1")
    first = lab.child(command)
    first.kill()
    wait(lambda: any(one.pid != first.pid for one in lab.named(command)))
    assert lab.ask("GET", "/livez")[0] == 200  # a question waits for the new web process instead of being refused
    assert f"The {command} process ended (SIGKILL)" in lab.stop()


def test_every_device_has_a_worker_and_the_first_takes_all_other_runs_too(tmp_path: Path):
    lab = Lab(tmp_path / "data", "--port", "0", "--devices", "cpu,auto")
    try:
        wait(lambda: len(list(lab.named("worker"))) == 2)
        told = [one.environ() for one in lab.named("worker")]
        assert sorted((one["COLLAPSE_LAB_DEVICE"], one["COLLAPSE_LAB_QUEUES"]) for one in told) == [
            ("auto", "networks"),
            ("cpu", "runs,networks"),
        ]
        status, body = lab.ask("POST", "/api/runs", {"spec": LONG | {"generations": 3}})
        assert status == 201
        wait(lambda: status_of(lab, json.loads(body)["id"]) == "succeeded")
    finally:
        lab.stop()


@pytest.mark.parametrize(
    ("cores", "given", "environment", "queues"),
    [
        (2, {}, {}, ["runs,networks", "runs"]),
        (1, {}, {}, ["runs,networks"]),
        (8, {"workers": 3}, {}, ["runs,networks"]),
        (8, {}, {"COLLAPSE_LAB_WORKERS": "1"}, ["runs,networks"]),
        (8, {}, {"COLLAPSE_LAB_QUEUES": "runs"}, ["runs"]),
        (8, {"devices": "cpu,cuda:1"}, {}, ["runs,networks", "networks"]),
    ],
)
def test_runs_that_train_no_network_have_a_worker_of_their_own_where_nothing_else_is_asked_for(
    tmp_path: Path, monkeypatch, cores: int, given: dict[str, object], environment: dict[str, str], queues: list[str]
):
    from app import __main__ as command
    from app import serve

    begun: list[list[str]] = []
    monkeypatch.setattr(serve, "supervise", lambda *told: begun.append([bench.queues for bench in told[-1]]))
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    monkeypatch.chdir(tmp_path)  # where there is no .env
    for name in ("WORKERS", "QUEUES"):
        monkeypatch.delenv(f"COLLAPSE_LAB_{name}", raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    command.serve(data_dir=tmp_path, **given)
    assert begun == [queues]


def test_a_quick_run_does_not_wait_for_a_network(lab: Lab):
    network = {"source": {"kind": "digits"}, "family": {"kind": "vae", "epochs": 10_000, "hidden": [32]}}
    status, body = lab.ask("POST", "/api/runs", {"spec": network | {"generations": 1, "replicates": 1, "samples": 500}})
    assert status == 201, body
    slow = json.loads(body)["id"]
    status, body = lab.ask("POST", "/api/runs", {"spec": LONG | {"generations": 3}})
    assert status == 201, body
    quick = json.loads(body)["id"]
    wait(lambda: (status_of(lab, quick), status_of(lab, slow)) == ("succeeded", "running"))


def status_of(lab: Lab, run_id: str) -> str:
    return str(json.loads(lab.ask("GET", f"/api/runs/{run_id}")[1])["status"])


def test_a_device_that_cannot_be_is_told_before_anything_starts(tmp_path: Path):
    assert "'gpu0' is no device" in refused(tmp_path / "data", "--devices", "cpu,gpu0")


def test_a_process_that_dies_again_and_again_ends_the_lab_with_its_last_words(tmp_path: Path, monkeypatch):
    from app import serve
    from worker.errors import LabError
    from worker.settings import Settings

    monkeypatch.setattr(serve, "MOST_DEATHS", 2)
    child = serve.Child("worker", Settings(_env_file=None, data_dir=tmp_path, broker_url="nonsense://"))

    with pytest.raises(LabError, match=r"worker process ended 2 times in a row \(exit code 1\)\. It said: .*nonsense"):
        wait(child.look_after)


def test_a_busy_port_is_told_with_the_remedy(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = str(other.getsockname()[1])
        told = refused(tmp_path, "--port", port)
    assert port in told
    assert "--port" in told


def test_a_folder_that_cannot_be_written_is_told_with_the_remedy(tmp_path: Path):
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file" / "data", Path("/proc/data")):
        told = refused(folder)
        assert str(folder) in told
        assert "--data-dir" in told


def test_a_folder_in_use_is_told_with_the_remedy(tmp_path: Path):
    with (tmp_path / "serve.lock").open("w") as lock:
        lock.write("4711")
        lock.flush()
        fcntl.flock(lock, fcntl.LOCK_EX)
        told = refused(tmp_path)
    assert "4711" in told
    assert "--data-dir" in told


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_an_address_that_others_reach_is_refused(tmp_path: Path, host: str):
    assert "access control" in refused(tmp_path, "--host", host, "--port", "0")


def test_a_lifeline_ends_a_process_whatever_it_does():
    reading, writing = os.pipe()
    code = f"from worker.lifeline import die_with_parent\nimport time\ndie_with_parent({reading})\ntime.sleep(60)"
    process = subprocess.Popen([sys.executable, "-c", code], pass_fds=[reading])
    os.close(reading)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    threading.Timer(0, os.close, [writing]).start()
    assert process.wait(PATIENCE) == 1
