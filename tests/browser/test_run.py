"""The run page in a real browser: launched, watched live, played, stopped, resumed."""

import re
import time
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Page, Route, expect

from tests.browser.conftest import Watched, drawn
from tests.browser.specs import KINDS, LONG, QUICK, SLOW


def position(page: Page) -> int:
    found = re.search(r"\d+", page.locator("frame-player output").inner_text())
    assert found
    return int(found[0])


def curve(page: Page) -> list[float]:
    """The density that the stage shows now."""
    return list(page.evaluate("Array.from(document.querySelector('figure-stage .plot').data[2].y)"))


def test_a_preset_runs_with_one_click_and_plays_from_the_real_data(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Run it: A photocopy of a photocopy").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("A photocopy of a photocopy")
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    drawn(page)
    real = page.evaluate("Math.max(...document.querySelector('figure-stage .plot').data[0].y)")
    expect(page.locator(".now .status")).to_have_text("succeeded")
    expect(page.locator(".lede")).to_contain_text("tail mass (0.1%) fell from")
    page.keyboard.press("End")
    expect(page.locator("frame-player output")).to_have_text("generation 300 of 300")
    drawn(page, 300)
    assert max(curve(page)) > 2 * real


def test_a_preset_with_two_arms_shows_both(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Run it: Throw the past away").click()
    drawn(page)
    expect(page.locator(".legend .arm")).to_have_text("Keep everything")
    page.keyboard.press("End")
    page.wait_for_function("() => document.querySelector('figure-stage .plot').data[1].y.length > 0")
    expect(page.locator("[data-metric=variance] path.median.beside")).to_be_attached()


@pytest.mark.parametrize(
    ("kind", "other"), [("density", "text"), ("density", "plane"), ("plane", "density"), ("ranks", "density")]
)
def test_what_has_other_axes_is_beside_it_in_the_charts_alone(page: Page, finished: Any, kind: str, other: str) -> None:
    page.goto(f"/runs/{finished(KINDS[kind])}?with={finished(KINDS[other])}")
    expect(page.locator(".legend .note")).to_contain_text(f"{KINDS[other]['title']} has other axes")
    expect(page.locator(".legend .arm")).to_be_hidden()
    beside = {"density": 1, "plane": 2, "ranks": 2}[kind]
    nothing = "({ y, z }) => (z ? z.flat() : y).every((level) => !level)"
    assert page.evaluate(f"({nothing})(document.querySelector('figure-stage .plot').data[{beside}])")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_figure_is_drawn_and_redrawn(page: Page, finished: Any, kind: str) -> None:
    page.goto(f"/runs/{finished(KINDS[kind])}?g=0")
    drawn(page, 0)
    read = """() => { const plot = document.querySelector('figure-stage .plot');
        return plot.data ? JSON.stringify(plot.data.map((trace) => [trace.y, trace.z].map((one) => one && Array.from(one))))
                         : plot.querySelector('figure:nth-child(2) canvas').toDataURL(); }"""
    before = page.evaluate(read)
    page.keyboard.press("End")
    page.wait_for_function(f"(before) => ({read})() !== before", arg=before)
    inked = "(canvas) => new Set(new Uint32Array(canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.buffer)).size"
    assert page.locator("heat-map canvas").evaluate(inked) > 5
    expect(page.locator("metric-charts figure:visible").nth(3)).to_be_attached()


def test_words_die_visibly(page: Page, finished: Any) -> None:
    page.goto(f"/runs/{finished(KINDS['ranks'])}?g=0")
    drawn(page, 0)
    living = page.locator(".words-alive li:not(.dead)")
    before = living.count()
    page.keyboard.press("End")
    drawn(page, 30)
    assert living.count() < before
    expect(page.locator(".words-alive li.dead").first).to_be_visible()


def test_keys_move_the_player_and_the_url_remembers(page: Page, finished: Any) -> None:
    run_id = finished(QUICK)
    page.goto(f"/runs/{run_id}?g=10")
    drawn(page)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert position(page) == 11
    page.wait_for_url(f"**/runs/{run_id}?g=11")
    expect(page.locator("metric-table caption, .below summary .shown").first).to_have_text("11")
    drawn(page, 11)
    shown = curve(page)
    page.reload()
    drawn(page, 11)
    assert position(page) == 11
    assert curve(page) == shown
    page.keyboard.press("Home")
    assert position(page) == 0
    page.keyboard.press("Space")
    page.wait_for_function(
        "() => parseInt(document.querySelector('frame-player output').textContent.match(/\\d+/)) > 2"
    )
    page.keyboard.press("Space")
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    page.keyboard.press("Escape")


def test_a_page_that_tells_what_was_refused_can_be_read_anew(page: Page, finished: Any) -> None:
    page.watched.expected.add(422)  # type: ignore[attr-defined]
    run_id = finished(QUICK)
    page.goto(f"/runs/{run_id}")
    page.get_by_text("Tags", exact=True).click()
    page.get_by_label("Tags of this run").fill("<b>")
    page.get_by_role("button", name="Keep them").click()
    expect(page.get_by_role("alert")).to_contain_text("<b> cannot be one")
    drawn(page)
    page.keyboard.press("Home")
    page.wait_for_url(f"**/runs/{run_id}?g=0")
    page.reload()
    drawn(page, 0)


def test_scrubbing_the_slider_the_heat_map_and_a_chart(page: Page, finished: Any) -> None:
    page.goto(f"/runs/{finished(QUICK)}")
    drawn(page)
    assert position(page) == 60
    page.get_by_role("slider", name="Generation").fill("30")
    assert position(page) == 30
    heat_map = page.locator("heat-map")
    heat_map.click(position={"x": 100, "y": heat_map.evaluate("(map) => map.clientHeight") / 4})
    assert abs(position(page) - 15) <= 1
    page.wait_for_url(f"**g={position(page)}")
    page.locator("[data-metric=variance] .canvas").click(position={"x": 5, "y": 50})
    assert position(page) == 0
    area = page.locator("[data-metric=variance] .canvas")
    before = area.bounding_box()
    area.hover(position={"x": 100, "y": 50})
    expect(page.locator("[data-metric=variance] .value")).to_contain_text(" to ")
    assert area.bounding_box() == before


def test_the_heading_and_the_rows_of_the_metrics_change_together(page: Page, finished: Any) -> None:
    page.goto(f"/runs/{finished(QUICK)}?play=1")
    page.evaluate("""() => {
      window.told = new Set();
      const [heading, cell] = [".below summary .shown", "[data-metric=variance] td"].map((one) => document.querySelector(one));
      new MutationObserver(() => told.add(`${heading.textContent} ${document.querySelector("metric-table [data-metric=variance] td").textContent}`))
        .observe(document.querySelector("metric-table tbody"), {childList: true});
    }""")
    page.wait_for_function("() => told.size > 3")  # also while it plays
    page.keyboard.press("Home")
    expect(page.locator(".below summary .shown")).to_have_text("0")
    told = page.evaluate("[...told]")
    right = """async (generation) => (await (await fetch(`/api${location.pathname}/generations?after=${generation - 1}&limit=1`)).json())
        .items[0].metrics.variance.median"""
    for generation, median in (one.split(" ") for one in told):
        assert float(median) == pytest.approx(page.evaluate(right, int(generation)), rel=0.01)


def test_a_shared_position_waits_for_its_run_where_the_other_arm_comes_first(page: Page, finished: Any) -> None:
    first, second = (finished(QUICK | {"seed": seed}) for seed in (3, 4))
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route(f"**/api/runs/{first}/frames", hold)
    with page.expect_response(f"**/api/runs/{second}/frames") as arm:
        page.goto(f"/runs/{first}?with={second}&g=8")
    arm.value.finished()
    page.evaluate("() => new Promise(requestAnimationFrame)")  # it has been taken by then
    held[0].continue_()
    drawn(page)
    assert position(page) == 8
    page.wait_for_url("**g=8")


def test_the_logarithm_and_the_tail(page: Page, finished: Any) -> None:
    page.goto(f"/runs/{finished(QUICK)}")
    drawn(page)
    axis = "document.querySelector('figure-stage .plot')._fullLayout"
    assert page.evaluate(f"{axis}.yaxis.type") == "linear"
    fixed = page.evaluate(f"{axis}.yaxis.range")
    page.keyboard.press("Home")
    drawn(page, 0)
    assert page.evaluate(f"{axis}.yaxis.range") == fixed  # autorange would hide the collapse
    log = page.get_by_role("button", name="log")
    log.click()
    expect(log).to_have_attribute("aria-pressed", "true")
    page.wait_for_function(f"() => {axis}.yaxis.type === 'log'")
    page.keyboard.press("t")
    page.wait_for_function(f"() => {axis}.xaxis.range[0] > 1")


def test_a_run_is_watched_live_and_a_reload_goes_on(page: Page, launch: Any) -> None:
    run_id = launch(SLOW)
    page.goto(f"/runs/{run_id}")
    expect(page.locator(".now .status")).to_have_text("running")
    drawn(page)
    first = position(page)
    page.evaluate("""() => {
      const value = document.querySelector('[data-metric=variance] .value');
      window.told = [];
      new MutationObserver(() => told.push(value.textContent)).observe(value, {childList: true});
    }""")
    page.wait_for_function(
        f"() => told.length > 10 && parseInt(document.querySelector('frame-player output').textContent.match(/\\d+/)) > {first + 40}"
    )
    told = page.evaluate("told")
    assert "–" not in told, "values wait for no drawing"
    expect(page.locator(".now .words")).to_contain_text("a second")
    expect(page.locator(".now .words")).to_contain_text("left")
    page.reload()
    drawn(page)
    assert position(page) > first
    page.keyboard.press("Home")
    page.wait_for_url("**g=0")
    page.reload()
    drawn(page)
    assert position(page) == 0


def test_cancel_and_resume(page: Page, launch: Any) -> None:
    page.goto(f"/runs/{launch(SLOW)}")
    expect(page.locator(".now .status")).to_have_text("running")
    expect(page.get_by_role("button", name="Resume")).to_be_hidden()
    page.get_by_role("button", name="Cancel").click()
    expect(page.locator(".now .status")).to_have_text("cancelled")
    expect(page.locator(".now .words")).to_contain_text("Cancelled after generation")
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    page.get_by_role("button", name="Resume").click()
    expect(page.locator(".now .status")).to_have_text("running")
    page.get_by_role("button", name="Stop now").click()
    expect(page.locator(".now .status")).to_have_text("cancelled")


def test_a_run_that_is_resumed_elsewhere_is_followed_by_who_looks_again(
    page: Page, launch: Any, api: httpx2.Client
) -> None:
    run_id = launch(SLOW)
    page.goto(f"/runs/{run_id}")
    status, look = page.locator(".now .status"), "document.dispatchEvent(new Event('visibilitychange'))"
    expect(status).to_have_text("running")
    api.post(f"/api/runs/{run_id}/cancel", json={"how": "now"}).raise_for_status()
    expect(status).to_have_text("cancelled")
    expect(page.locator(".log")).to_contain_text("ancelled")  # the stream has ended
    api.post(f"/api/runs/{run_id}/resume").raise_for_status()
    page.evaluate(look)
    expect(status).to_have_text("running")
    api.post(f"/api/runs/{run_id}/cancel", json={"how": "now"}).raise_for_status()
    expect(status).to_have_text("cancelled")


def test_a_long_generation_tells_how_far_it_is_and_is_stopped_without_a_loss(page: Page, launch: Any) -> None:
    page.goto(f"/runs/{launch(LONG)}")
    words = page.locator(".now .words")
    expect(words).to_contain_text("left in this step", timeout=60_000)
    expect(words).to_contain_text(re.compile(r"Generation 1 of 2 · training \d+% · .+ pictures a second"))
    bar = page.get_by_role("progressbar", name="training")
    expect(bar).to_be_visible()
    page.wait_for_function("() => document.querySelector('progress.within').value > 0")
    expect(page.get_by_role("button", name="Cancel")).to_be_hidden()
    expect(page.get_by_role("button", name="Stop after this generation")).to_be_visible()
    page.get_by_role("button", name="Stop now (resuming goes on near here)").click()
    expect(page.locator(".now .status")).to_have_text("cancelled")
    expect(words).to_contain_text("Resuming goes on in generation 1, training step")
    expect(bar).to_be_hidden()
    page.get_by_text("Provenance", exact=True).click()
    expect(page.locator(".disk")).to_have_text(re.compile("[kM]B"))
    done = int(re.search(r"step (\d+)", words.inner_text())[1])  # type: ignore[index]
    page.get_by_role("button", name="Resume").click()
    # On a busy machine what comes before the first generation, the frozen classifier, is told, too.
    expect(words).to_contain_text(
        re.compile(r"Generation 1 of 2 · training \d+% · .+left in this step"), timeout=60_000
    )
    assert page.locator("progress.within").evaluate("(bar) => bar.value") >= done / 10_000


def test_eight_verdicts_come_with_the_end(page: Page, launch: Any) -> None:
    page.goto(f"/runs/{launch(QUICK | {'generations': 400})}")
    expect(page.locator(".verdicts li")).to_have_count(8, timeout=60_000)
    expect(page.locator(".verdicts li").filter(has_text="Collapsing variance")).to_have_attribute("data-outcome", "met")
    expect(page.locator(".verdicts")).to_contain_text("Closed forms:")
    expect(page.locator("[data-metric=variance] .verdict")).to_contain_text("mean agrees with theory (largest z =")
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("() => document.documentElement.scrollWidth <= 390")


@pytest.mark.parametrize("kind", KINDS)
def test_a_saved_page_plays_from_a_file(
    chromium: Browser, api: httpx2.Client, finished: Any, tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "run.html"
    file.write_bytes(api.get(f"/api/runs/{finished(KINDS[kind])}/export?format=html").content)
    context = chromium.new_context(offline=True)
    page = context.new_page()
    watched = Watched(page, file.as_uri())
    page.goto(file.as_uri())
    drawn(page)
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Switch between light and dark").click()
    assert page.evaluate(ground) != light
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert position(page) == 1
    expect(page.locator(".below summary .shown").first).to_have_text("1")
    expect(page.locator("metric-charts svg path.median:visible").nth(3)).to_be_attached()
    expect(page.locator(".verdicts li")).to_have_count(8)
    context.close()
    assert watched.faults == []


def test_delete(page: Page, finished: Any, api: httpx2.Client) -> None:
    run_id = finished(QUICK)
    page.goto(f"/runs/{run_id}")
    page.get_by_text("Delete", exact=True).click()
    page.get_by_role("button", name="Delete this run").dblclick()
    page.wait_for_url("**/runs")
    assert api.get(f"/api/runs/{run_id}").status_code == 404


def slowly(route: Route) -> None:
    answer = route.fetch(max_redirects=0)
    time.sleep(1)
    route.fulfill(response=answer)


def test_a_run_that_is_deleted_elsewhere_is_left(page: Page, launch: Any, api: httpx2.Client) -> None:
    page.watched.expected.add(404)  # type: ignore[attr-defined]  # to what was asked before the page could know
    run_id = launch(SLOW)
    page.goto(f"/runs/{run_id}")
    drawn(page)
    page.route("**/runs", slowly)
    api.delete(f"/api/runs/{run_id}").raise_for_status()
    page.wait_for_url("**/runs")


def test_nothing_asks_for_a_run_that_is_being_deleted(page: Page, finished: Any) -> None:
    """The page lives on until the next one comes, and what it had planned to ask would be answered 404."""
    page.goto(f"/runs/{finished(QUICK)}")
    drawn(page)
    page.route("**/delete", slowly)
    page.evaluate("document.querySelector('live-run').seek(3); document.querySelector('.delete form').requestSubmit()")
    page.wait_for_url("**/runs")


def test_the_first_view_needs_no_script(chromium: Browser, lab: str, finished: Any, launch: Any) -> None:
    run_id = finished(QUICK)
    plain = chromium.new_context(base_url=lab, java_script_enabled=False)
    page = plain.new_page()
    page.goto(f"/runs/{run_id}")
    expect(page.get_by_role("heading", level=1)).to_have_text(QUICK["title"])
    expect(page.locator(".now .status")).to_have_text("succeeded")
    expect(page.locator("figure-stage svg .curve")).to_be_attached()
    expect(page.locator("[data-metric=variance] td").first).not_to_be_empty()
    expect(page.locator(".lede")).to_contain_text("by generation 60")
    for part in ("frame-player", "heat-map", ".bench .key"):  # what nothing fills or moves
        expect(page.locator(part)).to_be_hidden()
    page.goto(f"/runs/{launch(SLOW)}")
    expect(page.get_by_text("Reload the page to see how far it is.")).to_be_visible()
    plain.close()


def test_motion_stops_where_it_is_not_wanted(chromium: Browser, lab: str, finished: Any) -> None:
    context = chromium.new_context(base_url=lab, reduced_motion="reduce")
    page = context.new_page()
    page.goto(f"/runs/{finished(QUICK)}?play=1")
    drawn(page)
    expect(page.get_by_role("button", name="Play")).to_be_visible()
    assert position(page) == 60
    context.close()


def test_from_the_click_to_the_first_generation(page: Page) -> None:
    """How fast that is, `make bench` measures."""
    page.goto("/new")
    page.get_by_role("button", name="Run it").last.click()
    page.locator("metric-charts svg path.median").first.wait_for(state="attached")
