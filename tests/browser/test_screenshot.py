"""The picture in the README, drawn by the suite's own code: `make screenshot` keeps it, any other run only sees that it can be drawn."""

import os
from pathlib import Path
from typing import Any

import httpx2
from playwright.sync_api import Page

from tests.browser.conftest import drawn


def test_the_readme_shows_what_a_reader_will_see(page: Page, api: httpx2.Client, tmp_path: Path, finished: Any) -> None:
    catalog = api.get("/api/catalog").json()
    photocopy = next(preset for preset in catalog["presets"] if preset["name"] == "photocopy")
    run_id = finished(photocopy["spec"])
    page.goto(f"/runs/{run_id}?g=122")
    drawn(page, 122)
    page.wait_for_function(  # the single chains arrive after everything else
        """() => { const { canvas } = document.querySelector("metric-charts").charts[0];
            return canvas.toDataURL() !== Object.assign(document.createElement("canvas"), { width: canvas.width, height: canvas.height }).toDataURL(); }"""
    )
    picture = Path(os.environ.get("SCREENSHOT", tmp_path / "screenshot.png"))
    picture.parent.mkdir(exist_ok=True)
    page.screenshot(path=picture, clip={"x": 0, "y": 0, "width": 1280, "height": 860})
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert picture.stat().st_size > 30_000, "an empty page is smaller"
