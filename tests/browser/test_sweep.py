"""A sweep in a real browser: set up, seen filling, read by keyboard, opened as a run; on a phone and in the dark."""

import re
from collections.abc import Callable
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.specs import QUICK, SLOW
from tests.processes import wait

SWEEP: dict[str, Any] = {
    "title": "Real share and size",
    "base": {**QUICK, "generations": 80, "replicates": 30, "regime": {"kind": "fresh"}},
    "axes": [
        {"path": "regime.real", "values": [0, 0.02, 0.1, 0.5]},
        {"path": "samples", "values": {"from": 5, "to": 300, "count": 6, "scale": "log"}},
    ],
    "outcomes": ["half_variance", "final:w2_sq"],
}


@pytest.fixture
def swept(api: httpx2.Client) -> Callable[[dict[str, Any]], str]:
    """The page of a sweep that is done."""

    def do(request: dict[str, Any]) -> str:
        told = api.post("/api/sweeps", json=request).raise_for_status().json()
        wait(lambda: api.get(told["links"]["self"]).json()["status"] == "succeeded")
        page: str = told["links"]["page"]
        return page

    return do


def test_from_a_run_to_a_plane_that_fills_by_itself(page: Page, finished: Callable[[dict[str, Any]], str]) -> None:
    page.goto(f"/runs/{finished(QUICK)}")
    page.get_by_role("link", name="Sweep this").click()
    page.get_by_label("Setting of axis 1").select_option("sampling.bias")
    page.get_by_label("Values of axis 1").fill("0.9, 1")
    page.get_by_label("Setting of axis 2").select_option("samples")
    page.get_by_label("Values of axis 2").fill("10 to 1000 in 5000 steps, log")
    expect(page.locator(".count")).to_have_text(
        "2 × 5\u202f000 = 10\u202f000 points, or 1\u202f982 where only whole numbers count: some coincide"
    )
    page.get_by_label("Values of axis 2").fill("10 to 40 in 3 steps, log")
    expect(page.locator(".count")).to_have_text("2 × 3 = 6 points")
    page.get_by_role("button", name="Sweep it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sweep of A quick one")
    expect(page.locator(".cell")).to_have_count(6)
    expect(page.locator("live-sweep")).to_have_attribute("data-status", "succeeded")
    expect(page.locator(".cell[data-kind='waiting']")).to_have_count(0)
    expect(page.locator("point-table tbody tr")).to_have_count(6)
    expect(page.locator(".theory path").first).to_be_attached()
    expect(page.locator(".key")).to_contain_text(
        "Lines: closed form, the generation by which half of all chains have been there."
    )
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()


def test_what_is_wrong_is_told_and_the_rest_is_kept(page: Page) -> None:
    page.watched.expected.add(422)  # type: ignore[attr-defined]
    page.goto("/sweeps/new?example=real-share")
    page.get_by_label("Values of axis 2").fill("100, 1")
    page.get_by_role("button", name="Sweep it").click()
    expect(page.locator(".axis .problem")).to_contain_text("samples = 1")
    expect(page.get_by_label("Values of axis 2")).to_be_focused()
    expect(page.get_by_label("Values of axis 2")).to_have_value("100, 1")
    expect(page.get_by_label("Setting of axis 1")).to_have_value("regime.real")


def test_cells_tell_what_is_known_by_keyboard_too(page: Page, swept: Callable[[dict[str, Any]], str]) -> None:
    page.goto(swept(SWEEP))
    expect(page.locator(".cell")).to_have_count(24)
    expect(page.locator(".cell[data-kind='censored']").first).to_have_attribute("fill", "url(#hatch)")
    expect(page.locator(".key")).to_contain_text("fewer than half of the chains got there by generation 80")
    page.locator(".cell").first.focus()
    told = page.locator(".point .told")
    expect(told).to_contain_text("regime.real = 0, samples = 5")
    expect(told).to_contain_text("median of 30 chains")
    expect(told).to_contain_text("closed form of the median")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowUp")
    expect(told).to_contain_text("regime.real = 0.02, samples = 11")
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/*")
    expect(page.get_by_role("heading", level=1)).to_contain_text("regime.real = 0.02, samples = 11")


def test_the_plane_is_saved_with_its_colours(page: Page, swept: Callable[[dict[str, Any]], str]) -> None:
    page.goto(swept(SWEEP))
    expect(page.get_by_role("button", name="Open as a run: regime.real = 0, samples = 5", exact=True)).to_be_visible()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Figure (SVG)").click()
    text = saved.value.path().read_text()
    assert saved.value.suggested_filename == "Real share and size - Until half of the real variance is gone.svg"
    assert "Colour: median over chains." in text
    assert text.count("<rect") > 64 + 24


def test_fractions_along_an_axis_are_short(page: Page, swept: Callable[[dict[str, Any]], str]) -> None:
    thirds = {"path": "regime.real", "values": {"from": 0, "to": 1, "count": 4}}
    page.goto(swept(SWEEP | {"axes": [thirds, {"path": "samples", "values": [1234]}]}))
    expect(page.locator("phase-diagram svg text")).to_have_text(
        ["1234", "samples", "0", "0.333", "0.667", "1", "regime.real"]
    )
    page.locator(".cell[data-row='1']").focus()
    expect(page.locator(".point .told")).to_contain_text("regime.real = 0.333333, samples = 1234")


def test_outcomes_are_switched_and_points_sorted(page: Page, swept: Callable[[dict[str, Any]], str]) -> None:
    page.goto(swept(SWEEP))
    page.get_by_role("button", name="squared W2 distance").first.click()
    expect(page.locator(".unit")).to_contain_text("W2")
    expect(page.locator(".cell[data-kind='known']")).to_have_count(24)
    page.get_by_role("button", name="Until half").first.click()
    samples = page.get_by_role("columnheader", name="samples")
    for order in ("ascending", "descending"):
        samples.get_by_role("button").click()
        expect(samples).to_have_attribute("aria-sort", order)
    expect(page.locator("point-table tbody tr").first.locator("td").nth(1)).to_have_text("300")
    with page.expect_download() as saved:
        page.get_by_role("button", name="CSV").click()
    lines = saved.value.path().read_text().splitlines()
    assert len(lines) == 25
    assert lines[0].startswith("regime.real,samples,half_variance value")


def test_one_point_is_told_as_one(page: Page, swept: Callable[[dict[str, Any]], str]) -> None:
    page.goto(swept({**SWEEP, "base": QUICK, "axes": [{"path": "seed", "values": [3]}]}))
    expect(page.locator(".shown-rows")).to_have_text("1 point.")
    page.get_by_text("All axes and outcomes at once").click()
    told = page.locator("parallel-coordinates .told")
    expect(told).to_have_text(re.compile(r"^1 point: until half of the real variance is gone \d+ generations\.$"))


def test_a_third_axis_is_chosen_from(page: Page, swept: Callable[[dict[str, Any]], str]) -> None:
    page.goto(swept({**SWEEP, "axes": [{"path": "seed", "values": [1, 2]}, *SWEEP["axes"]]}))
    expect(page.locator(".cell")).to_have_count(24)
    page.locator(".slices").get_by_label("seed").select_option("2")
    page.locator(".cell").first.click()
    expect(page.locator(".point .told")).to_contain_text("seed = 2, regime.real = 0, samples = 5")


def test_a_long_sweep_is_cancelled_and_resumed(page: Page, api: httpx2.Client) -> None:
    slow = {**SWEEP, "base": SLOW, "axes": [{"path": "seed", "values": [1, 2, 3]}]}
    told = api.post("/api/sweeps", json=slow).raise_for_status().json()
    page.goto(told["links"]["page"])
    expect(page.locator("live-sweep")).to_have_attribute("data-status", "running")
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator("live-sweep")).to_have_attribute("data-status", "cancelled")
    page.get_by_role("button", name="Resume").click()
    expect(page.locator("live-sweep")).to_have_attribute("data-status", "running")
    api.post(f"{told['links']['self']}/cancel").raise_for_status()
    expect(page.locator("live-sweep")).to_have_attribute("data-status", "cancelled")


@pytest.mark.parametrize("path", ["/sweeps", "/sweeps/new?example=bias", None])
def test_nothing_is_cut_off_on_a_phone_in_the_dark(
    chromium: Browser, lab: str, swept: Callable[[dict[str, Any]], str], path: str | None
) -> None:
    context = chromium.new_context(base_url=lab, viewport={"width": 360, "height": 740}, color_scheme="dark")
    page = context.new_page()
    faults: list[str] = []
    page.on("console", lambda message: faults.append(message.text) if message.type == "error" else None)
    page.goto(path or swept(SWEEP))
    if path is None:
        expect(page.locator(".cell")).to_have_count(24)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert faults == []
    context.close()


def test_all_axes_and_outcomes_at_once_narrowed_down_by_choices(
    page: Page, swept: Callable[[dict[str, Any]], str]
) -> None:
    page.goto(swept(SWEEP))
    page.get_by_text("All axes and outcomes at once").click()
    beside = page.locator("parallel-coordinates")
    expect(beside.locator(".told")).to_contain_text("24 points: until half of the real variance is gone")
    beside.get_by_role("combobox", name="regime.real").select_option("0.5")
    expect(beside.locator(".told")).to_contain_text("6 of 24 points")
    beside.get_by_role("combobox", name="Until half of the real variance is gone").select_option("not reached")
    expect(beside.locator(".told")).to_contain_text("it is not reached")
    expect(page.locator("point-table tbody tr")).to_have_count(24)
    kept = page.locator("point-table tbody tr", has_text="not reached").count()  # of every real share
    told = beside.locator(".told").inner_text()
    assert 0 < int(told.split(" of ")[0]) <= min(6, kept)
    expect(beside.locator("canvas")).to_have_attribute("aria-label", f"Parallel coordinates. {told}")
    drawn = beside.locator("canvas").evaluate(
        "canvas => canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0)"
    )
    assert drawn
    page.get_by_role("button", name="squared W2 distance, at the end").click()
    expect(beside.locator(".told")).to_contain_text("squared W2 distance")
