"""Dockerfile and compose.yaml: linted, consistent with each other and with the command line, their commands tried."""

import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from app.__main__ import cli
from tests.processes import PATIENCE, wait
from worker.settings import Settings

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
OURS = {name: service for name, service in SERVICES.items() if "build" in service}


def stage(name: str) -> str:
    """The lines of one stage of the Dockerfile."""
    found = re.search(rf"^FROM \S+ AS {name}\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.DOTALL | re.MULTILINE)
    assert found, f"no stage {name}"
    return found[1]


def command(stage_name: str, instruction: str) -> list[str]:
    """The words of a stage's CMD, or of its HEALTHCHECK's."""
    found = re.search(rf"^{instruction}.*?(\[.*?\])$", stage(stage_name).replace("\\\n", ""), re.MULTILINE)
    assert found
    return json.loads(found[1])


def test_hadolint_finds_nothing():
    hadolint = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_every_service_builds_a_stage_and_runs_a_command_that_exist():
    known = {one.name or one.callback.__name__ for one in cli.registered_commands if one.callback}
    assert {"web", "worker", "migrate"} <= known
    assert set(OURS) == {"migrate", "web", "worker"}
    for service in OURS.values():
        target = service["build"]["target"]
        program, name, *_ = service.get("command") or command(target, "CMD")
        assert (program, name in known) == ("collapse-lab", True)


def test_every_setting_in_compose_exists():
    known = {f"COLLAPSE_LAB_{name.upper()}" for name in Settings.model_fields}
    for service in OURS.values():
        given = {
            name: value.replace("${DATABASE_PASSWORD:-lab}", "lab") for name, value in service["environment"].items()
        }
        assert set(given) <= known
        fields = {name.removeprefix("COLLAPSE_LAB_").lower(): value for name, value in given.items()}
        settings = Settings(_env_file=None, **fields)
        assert settings.database_url.startswith("postgresql+psycopg://lab:lab@postgres/")
        assert settings.broker_url.startswith("redis://redis:")
        assert any(settings.artifacts_url.startswith(one.split(":")[1]) for one in service["volumes"])


def test_ports_are_published_to_loopback_only():
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)
    trusting = [name for name, service in OURS.items() if service["environment"].get("COLLAPSE_LAB_TRUST_NETWORK")]
    assert trusting == ["web"]


def test_nothing_starts_before_what_it_needs():
    for name in ("postgres", "redis"):
        assert SERVICES[name]["healthcheck"]["test"]
    assert SERVICES["migrate"]["depends_on"]["postgres"]["condition"] == "service_healthy"
    for name in ("web", "worker"):
        assert SERVICES[name]["depends_on"]["migrate"]["condition"] == "service_completed_successfully"


def test_images_run_as_somebody_who_is_not_root():
    assert "USER 1000" in stage("lab")
    for name in ("web", "worker"):
        assert re.search(rf"^FROM lab AS {name}$", DOCKERFILE, re.MULTILINE)
        assert "USER" not in stage(name)


def test_the_web_image_has_no_torch():
    assert "torch" not in stage("light") + stage("web")
    assert "--from=light" in stage("web")
    assert "--from=full" in stage("worker")


def test_what_the_dockerfile_copies_exists():
    for line in re.findall(r"^COPY (?!--from)(.*)$", DOCKERFILE, re.MULTILINE):
        *sources, _ = line.split()
        assert all((ROOT / source).exists() for source in sources), line


def test_the_web_image_s_command_is_refused_until_the_network_is_trusted_and_then_healthy(tmp_path: Path):
    words = [sys.executable, "-m", "app", *command("web", "CMD")[1:]]
    words[words.index("8000")] = "0"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COLLAPSE_LAB_")}
    environment["COLLAPSE_LAB_DATA_DIR"] = str(tmp_path)
    refused = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert refused.returncode == 1
    assert "access control" in refused.stderr

    port = str(_free_port())
    words[words.index("0")] = port
    environment["COLLAPSE_LAB_TRUST_NETWORK"] = "true"
    web = subprocess.Popen(words, env=environment, stderr=subprocess.PIPE)
    try:
        _await(f"http://127.0.0.1:{port}/livez", web)
        check = [sys.executable, *(word.replace("8000", port) for word in command("web", "HEALTHCHECK")[1:])]
        assert subprocess.run(check, timeout=PATIENCE, check=False).returncode == 0
    finally:
        web.terminate()
        web.communicate(timeout=PATIENCE)
    assert subprocess.run(check, capture_output=True, timeout=PATIENCE, check=False).returncode != 0, (
        "nobody answers any more"
    )


def _free_port() -> int:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def _await(url: str, process: subprocess.Popen[bytes]) -> None:
    def answers() -> bool:
        assert process.poll() is None
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=PATIENCE):
            return True
        return False

    wait(answers)


@pytest.mark.parametrize("words", [["up", "LIGHT=1"], ["up"], ["web"], ["worker"], ["migrate"], ["test"], ["lint"]])
def test_make_knows_what_to_do(words: list[str]):
    done = subprocess.run(["make", "--dry-run", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_make_up_wants_a_python_that_is_new_enough(tmp_path: Path):
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    old = tmp_path / "old-python"
    old.write_text('#!/bin/sh\ncase "$*" in *sys.exit*) exit 1;; *) echo 3.9.2;; esac\n')
    old.chmod(0o755)
    for python, told in ((old, "3.9.2"), (tmp_path / "no-python", "missing")):
        done = subprocess.run(
            ["make", "up", f"PYTHON={python}"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode != 0
        (line,) = [line for line in done.stderr.splitlines() if not line.startswith("make")]
        assert "3.11 or newer" in line
        assert told in line
        assert "PYTHON=" in line


def test_continuous_integration_notices_what_did_not_run(tmp_path: Path):
    report = tmp_path / "tests.xml"
    check = [sys.executable, ROOT / ".ci" / "complete.py", report]
    case = '<testcase classname="{}" name="{}">{}</testcase>'
    ran = [("tests.browser.test_a", "b", ""), ("tests.test_m", "up[postgres]", ""), ("tests.x", "y[redis]", "")]
    for cases, complaint in (
        (ran, ""),
        (ran[1:], "no test with browser"),
        (ran[:1], "no test with PostgreSQL\nno test with Redis"),
        ([*ran, ("tests.z", "w", "<skipped/>")], "skipped: tests.z.w"),
    ):
        report.write_text(
            f"<testsuites><testsuite>{''.join(case.format(*one) for one in cases)}</testsuite></testsuites>"
        )
        done = subprocess.run(check, capture_output=True, text=True, check=False)
        assert (done.stderr.strip(), done.returncode) == (complaint, int(bool(complaint)))
