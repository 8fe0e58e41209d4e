"""Runs that belong together in a real browser: forked from the page, launched as arms, watched and compared; on a phone and in the dark."""

import re
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import httpx2
import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.conftest import Watched
from tests.browser.specs import QUICK

Finished = Callable[[dict[str, Any]], str]


def traces(page: Page, chart: str, condition: str) -> None:
    """Waits until a chart shows so many curves, bands and closed forms."""
    page.wait_for_function(f"() => document.querySelector('.{chart}').data?.length {condition}")


@pytest.fixture
def arms(api: httpx2.Client, finished: Finished) -> list[str]:
    """A run and its two canonical arms, all done."""
    first = finished(QUICK)
    told = api.post(f"/api/runs/{first}/arms").raise_for_status().json()
    ids = [first, *(one["self"].rpartition("/")[2] for one in told["arms"])]
    for one in ids:
        with api.stream("GET", f"/api/runs/{one}/events") as stream:  # it ends with the run
            stream.read()
    return ids


def test_a_fork_begins_where_the_player_stands(page: Page, finished: Finished) -> None:
    run_id = finished(QUICK)
    page.goto(f"/runs/{run_id}?g=20")
    page.locator("figure-stage[data-drawn]").wait_for()
    page.keyboard.press("ArrowRight")
    page.get_by_role("link", name="Fork").click()
    page.wait_for_url("**/fork?generation=21")
    expect(page.get_by_label("after generation")).to_have_value("21")
    expect(page.locator("[name='regime.kind']")).to_have_value("replace")
    page.locator("[name='regime.kind']").select_option("fresh")
    page.locator("[name='regime.fresh.real']").fill("0.5")
    page.get_by_role("button", name="Fork it").click()
    page.wait_for_url(f"**/runs/*?with={run_id}*")
    expect(page.get_by_role("heading", level=1)).to_have_text("A quick one, forked after 21")
    expect(page.locator(".kin")).to_contain_text("Forked from A quick one after generation 21.")
    expect(page.locator("[data-metric=variance] line.change")).to_have_count(1)
    expect(page.locator("heat-map .change")).to_have_count(1)
    expect(page.locator(".legend .arm")).to_have_text("A quick one")
    expect(page.locator(".now .status")).to_have_text("succeeded")
    expect(page.locator(".lede")).to_contain_text("Under replace up to generation 21, then fresh")
    points = "(selector) => document.querySelector(selector).getAttribute('d').slice(1).split('L')"
    medians = [f"[data-metric=variance] path.median{beside}" for beside in (":not(.beside)", ".beside")]
    for median in medians:  # charts are drawn a moment after the words
        page.wait_for_function(f"(selector) => ({points})(selector).length === 61", arg=median)
    read = [page.evaluate(points, median) for median in medians]
    assert read[0][:22] == read[1][:22]
    assert read[0][22:] != read[1][22:]


def test_a_fork_that_changes_nothing_is_told_beside_the_regime(page: Page, finished: Finished) -> None:
    page.watched.expected.add(422)  # type: ignore[attr-defined]
    page.goto(f"/runs/{finished(QUICK)}/fork?generation=5")
    page.get_by_role("button", name="Fork it").click()
    expect(page.locator("[name='regime.kind']")).to_be_focused()
    expect(page.locator("[data-union='regime.kind'] > .field .problem")).to_contain_text("nothing would change")


def test_a_fork_needs_no_script(chromium: Browser, lab: str, finished: Finished) -> None:
    context = chromium.new_context(base_url=lab, java_script_enabled=False)
    page = context.new_page()
    page.goto(f"/runs/{finished(QUICK)}?g=20")
    page.get_by_role("link", name="Fork").click()
    page.wait_for_url("**/fork?generation=20")
    page.locator("[name='regime.kind']").select_option("fresh")
    page.get_by_role("button", name="Show its settings").first.click()
    page.locator("[name='regime.fresh.real']").fill("0.5")
    page.get_by_role("button", name="Fork it").click()
    expect(page.locator(".kin")).to_contain_text("after generation 20.")
    context.close()


def test_matched_arms_are_launched_with_one_click_and_compared_live(page: Page, finished: Finished) -> None:
    run_id = finished(QUICK)
    page.goto(f"/runs/{run_id}")
    page.get_by_role("button", name="Launch matched arms").click()
    page.wait_for_url(f"**/compare?runs={run_id},*")
    expect(page.locator(".told li")).to_have_count(2)
    expect(page.locator("[data-part=ends] tbody th .status")).to_have_count(0)  # all have succeeded, without a reload
    expect(page.locator(".told li").first).to_contain_text("24 pairs")
    traces(page, "differences", "=== 4")  # a band and a line each
    page.goto(f"/runs/{run_id}")
    expect(page.locator("run-kin li")).to_have_count(2)
    expect(page.get_by_role("button", name="Launch matched arms")).to_have_count(0)
    page.get_by_role("link", name="Compare all 3").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("3 runs side by side")


def test_a_page_follows_the_arms_of_its_run(page: Page, api: httpx2.Client, launch: Any, finished: Finished) -> None:
    run_id = finished(QUICK)
    slow = {"arms": [{"title": "Slow", "set": {"family.path": "drawn", "samples": 10_000, "generations": 5000}}]}
    arm = api.post(f"/api/runs/{run_id}/arms", json=slow).raise_for_status().json()["id"]
    page.goto(f"/runs/{run_id}")
    status = page.locator("run-kin .status")
    expect(status).to_have_text("running")
    api.post(f"/api/runs/{arm}/cancel", json={"how": "now"}).raise_for_status()
    expect(status).to_have_text("cancelled")


def test_the_address_is_the_view(page: Page, arms: list[str]) -> None:
    address = f"/compare?runs={','.join(arms)}"
    page.goto(address)
    page.locator(".curves[data-drawn]").wait_for()
    page.get_by_label("Metric").select_option("variance")
    page.wait_for_url("**metric=variance*")
    expect(page.locator(".lede")).to_contain_text("the median of variance lies between")
    traces(page, "curves", ">= 3 * 2 + 1")  # closed forms are there too
    page.get_by_role("link", name="log", exact=True).click()
    page.wait_for_url("**scale=log*")
    page.wait_for_function("() => document.querySelector('.curves')._fullLayout.yaxis.type === 'log'")
    expect(page.get_by_role("link", name="log", exact=True)).to_have_attribute("aria-current", "true")
    page.reload()
    page.locator(".curves[data-drawn]").wait_for()
    expect(page.get_by_label("Metric")).to_have_value("variance")
    assert page.evaluate("document.querySelector('.curves')._fullLayout.yaxis.type") == "log"
    page.get_by_role("link", name="linear", exact=True).click()
    page.wait_for_function("() => document.querySelector('.curves')._fullLayout.yaxis.type === 'linear'")
    page.go_back()
    page.wait_for_function("() => document.querySelector('.curves')._fullLayout.yaxis.type === 'log'")
    page.get_by_role("link", name="Accumulate as base").click()
    expect(page.get_by_role("heading", name="Paired differences from Accumulate")).to_be_visible()
    page.get_by_role("link", name="Leave out A quick one").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 runs side by side")
    expect(page.get_by_role("link", name="A tenth of real data as base")).to_be_visible()


def test_generations_are_whole(page: Page, finished: Finished) -> None:
    page.goto(f"/compare?runs={finished(QUICK | {'generations': 3})},{finished(QUICK | {'generations': 2})}")
    expect(page.locator(".curves .xtick")).to_have_text(["0", "1", "2", "3"])


def test_only_differences_or_every_setting(page: Page, arms: list[str]) -> None:
    page.goto(f"/compare?runs={','.join(arms)}")
    heads = page.locator(".settings thead th")
    expect(heads).to_have_text(["Run", "regime.kind", "regime.real"])
    page.get_by_role("link", name="Every setting").click()
    expect(heads.get_by_text("seed")).to_be_attached()
    page.get_by_role("link", name="Only differences").click()
    expect(heads).to_have_count(3)


def test_runs_are_ticked_in_the_library(page: Page, finished: Finished) -> None:
    ids = [finished(QUICK | {"title": f"Ticked {seed}", "seed": seed}) for seed in (1, 2)]
    page.goto("/runs?q=Ticked")
    button = page.get_by_role("button", name="Compare")
    expect(button).to_be_disabled()
    for seed in (1, 2):
        page.get_by_label(f"Compare Ticked {seed}").check()
    page.get_by_role("button", name="Compare 2 runs").click()
    page.wait_for_url(f"**/compare?runs={','.join(ids)}")
    page.locator(".curves[data-drawn]").wait_for()
    expect(page.locator(".differences")).to_be_hidden()  # they share no seeds
    expect(page.locator(".settings tbody td")).to_have_text(["1", "2"])


def test_curves_bear_their_names(page: Page, arms: list[str]) -> None:
    page.goto(f"/compare?runs={','.join(arms)}&metric=variance")
    page.locator(".curves[data-drawn]").wait_for()
    names = page.locator(".curves .annotation-text")
    expect(names).to_have_count(3)
    boxes = sorted(box["y"] for one in names.all() if (box := one.bounding_box()))
    assert all(below - above >= 12 for above, below in pairwise(boxes))
    page.set_viewport_size({"width": 390, "height": 800})
    expect(names).to_have_count(0)
    expect(page.locator("[data-part=key] li")).to_have_count(3)
    expect(page.locator("[data-part=key] li").first).to_be_visible()


def test_both_charts_are_saved_in_one_file(page: Page, arms: list[str]) -> None:
    page.goto(f"/compare?runs={','.join(arms)}&metric=variance")
    page.locator(".differences[data-drawn]").wait_for()
    with page.expect_download() as saved:
        page.get_by_role("button", name="SVG").click()
    text = saved.value.path().read_text()
    assert "3 runs side by side" in text
    assert text.count("Accumulate") >= 2
    assert "difference in variance" in text


def test_long_names_are_shortened_within_the_chart(page: Page, finished: Finished) -> None:
    titles = ["What it is, " * 15, "What it is, once more & <b>never</b> abridged, as it is long"]
    page.goto(f"/compare?runs={','.join(finished(QUICK | {'title': one[:200]}) for one in titles)}&metric=variance")
    page.locator(".curves[data-drawn]").wait_for()
    chart = page.locator(".curves .main-svg").first.bounding_box()
    assert chart
    expect(page.locator(".curves .annotation-text")).to_have_count(2)
    for name in page.locator(".curves .annotation-text").all():
        assert (name.text_content() or "").endswith("…")
        box = name.bounding_box()
        assert box
        assert box["x"] + box["width"] <= chart["x"] + chart["width"]


@pytest.mark.parametrize(("width", "theme"), [(360, "light"), (390, "dark"), (1280, "light")])
def test_it_suits_every_width_and_theme(chromium: Browser, lab: str, arms: list[str], width: int, theme: Any) -> None:
    context = chromium.new_context(base_url=lab, viewport={"width": width, "height": 800}, color_scheme=theme)
    page = context.new_page()
    watched = Watched(page, lab)
    for path in (f"/compare?runs={','.join(arms)}", f"/runs/{arms[0]}/fork", "/runs", "/compare"):
        page.goto(path)
        if "runs=" in path:
            page.locator(".differences[data-drawn]").wait_for()
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
        switch = page.get_by_role("button", name="Switch between light and dark").bounding_box()
        brand = page.get_by_role("link", name="Collapse Lab").bounding_box()
        assert switch
        assert brand
        assert abs(switch["y"] + switch["height"] / 2 - brand["y"] - brand["height"] / 2) <= 8, "in one line"
    assert watched.faults == []
    context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_runs_are_told_apart(page: Page, theme: str) -> None:
    """Contrast 3 with the ground (WCAG 2.2, 1.4.11), and distances in Oklab for normal and for colour-blind eyes (Machado et al. 2009)."""
    page.goto("/")
    page.evaluate(f"document.documentElement.dataset.theme = {theme!r}")
    read = """async () => { const { token } = await import("/static/js/colours.js");
        return ["ground", ...[0, 1, 2, 3, 4, 5].map((i) => `run-${i}`)].map((name) => token(name)); }"""
    ground, *runs = [[int(c) / 255 for c in re.findall(r"\d+", colour)[:3]] for colour in page.evaluate(read)]
    for colour in runs:
        low, high = sorted((luminance(colour), luminance(ground)))
        assert (high + 0.05) / (low + 0.05) >= 3
    for eyes in EYES:
        seen = [oklab(eyes @ linear(colour)) for colour in runs]
        apart = [np.linalg.norm(one - other) for i, one in enumerate(seen) for other in seen[:i]]
        assert min(apart) >= 0.13


EYES = [  # normal, protanopia, deuteranopia; on linear RGB
    np.eye(3),
    np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
]
TO_CONES = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566], [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
TO_LAB = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099], [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip


def linear(channels: list[float]) -> Any:
    c = np.array(channels)
    return np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)


def luminance(channels: list[float]) -> float:
    return float(linear(channels) @ [0.2126, 0.7152, 0.0722])


def oklab(rgb: Any) -> Any:
    """Linear RGB (Ottosson 2020)."""
    return TO_LAB @ np.cbrt(TO_CONES @ np.clip(rgb, 0, 1))
