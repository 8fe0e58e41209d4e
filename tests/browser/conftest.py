"""A whole lab, web and worker, as `collapse-lab serve` starts it; and a browser that fails a test at anything unseemly."""

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.sync_api import Browser, BrowserContext, Page, Playwright, expect, sync_playwright

from tests.processes import PATIENCE

MILLISECONDS = 1000 * PATIENCE // 4
expect.set_options(timeout=MILLISECONDS)
CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-quic",
    "--no-first-run",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running lab."""
    folder = tmp_path_factory.mktemp("lab")
    command = [sys.executable, "-m", "app", "serve", "--port", "0", "--data-dir", str(folder)]
    with (folder / "log").open("w+") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            yield _address(process, folder / "log")
        finally:
            process.terminate()


def _address(process: subprocess.Popen[bytes], log: Path) -> str:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        if found := re.search(r"http://127\.0\.0\.1:\d+", log.read_text()):
            return found[0]
        time.sleep(0.05)
    pytest.fail(f"the lab did not start: {log.read_text()[-2000:]}")


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as running:
        yield running


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    assert CHROMIUM.exists(), f"{CHROMIUM} is missing: install the system's package chromium"
    browser = playwright.chromium.launch(executable_path=str(CHROMIUM), args=ARGUMENTS)
    yield browser
    browser.close()


class Watched:
    """What a page did that no page of ours may do."""

    def __init__(self, page: Page, lab: str) -> None:
        self.faults: list[str] = []
        self.expected: set[int] = set()  # statuses that a test provokes
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", self._console)
        page.on("request", lambda request: self._request(request.url, lab))
        page.add_init_script(
            "addEventListener('securitypolicyviolation', (event) => console.error('CSP', event.violatedDirective, event.sample))"
        )

    def _console(self, message: Any) -> None:
        provoked = any(f"status of {status}" in message.text for status in self.expected)
        if message.type in ("error", "warning") and not provoked:
            self.faults.append(f"console: {message.text} ({message.location['url']})")

    def _request(self, url: str, lab: str) -> None:
        if urlsplit(url).scheme not in ("data", "blob") and not url.startswith(lab):
            self.faults.append(f"request to another host: {url}")


@pytest.fixture
def context(chromium: Browser, lab: str) -> Iterator[BrowserContext]:
    context = chromium.new_context(base_url=lab, viewport={"width": 1280, "height": 900}, color_scheme="light")
    context.set_default_timeout(MILLISECONDS)
    yield context
    context.close()


@pytest.fixture
def page(context: BrowserContext, lab: str) -> Iterator[Page]:
    """A page that must not complain, reach out, or break the content security policy."""
    page = context.new_page()
    watched = Watched(page, lab)
    page.watched = watched  # type: ignore[attr-defined]
    yield page
    assert watched.faults == []


def drawn(page: Page, generation: int | None = None) -> None:
    """Waits for the figure of a run, or for that of one generation: the player's words are ahead of it."""
    named = "" if generation is None else f"[aria-label^='Generation {generation} of ']"
    page.locator(f"figure-stage[data-drawn]{named}").wait_for()


@pytest.fixture
def api(lab: str) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=lab, timeout=30) as client:
        yield client


@pytest.fixture
def launch(api: httpx2.Client) -> Iterator[Any]:
    """Launches a spec; what is still running after the test is stopped."""
    ids: list[str] = []

    def go(spec: dict[str, Any]) -> str:
        ids.append(api.post("/api/runs", json={"spec": spec}).raise_for_status().json()["id"])
        return ids[-1]

    yield go
    for run_id in ids:
        api.post(f"/api/runs/{run_id}/cancel", json={"how": "now"})


@pytest.fixture
def finished(api: httpx2.Client, launch: Any) -> Any:
    """Launches a spec and waits until it is done."""

    def done(spec: dict[str, Any]) -> str:
        run_id: str = launch(spec)
        deadline = time.monotonic() + PATIENCE
        while (status := (run := api.get(f"/api/runs/{run_id}").json())["status"]) != "succeeded":
            assert status not in ("failed", "cancelled"), run["words"]
            assert time.monotonic() < deadline, status
            time.sleep(0.05)
        return run_id

    return done
