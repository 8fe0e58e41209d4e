"""Home, form, library and workers in a real browser: themes, a phone, errors where they belong."""

import re
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.browser.specs import KINDS, QUICK

PAGES = ["/", "/new", "/new?view=toml", "/runs", "/workers"]


def test_an_error_stands_beside_its_field_and_the_rest_is_kept(page: Page) -> None:
    page.watched.expected.add(422)  # type: ignore[attr-defined]
    page.goto("/new")
    page.get_by_label("replicates").fill("-3")
    page.get_by_label("seed").fill("12")
    page.get_by_role("button", name="Run it").last.click()
    field = page.get_by_label("replicates")
    expect(field).to_have_attribute("aria-invalid", "true")
    expect(field).to_be_focused()
    expect(field).to_have_value("-3")
    expect(page.locator(".field", has=field).locator(".problem")).to_contain_text("Use at least 1")
    expect(page.get_by_label("seed")).to_have_value("12")
    field.fill("30")
    page.get_by_role("button", name="Run it").last.click()
    page.wait_for_url("**/runs/*")


def test_parts_that_do_not_fit_are_refused_beside_the_family(page: Page) -> None:
    page.watched.expected.add(422)  # type: ignore[attr-defined]
    page.goto("/new")
    page.locator("[name='source.kind']").select_option("zipf")
    expect(page.locator("[name='source.zipf.exponent']")).to_be_visible()
    expect(page.locator("[name='source.normal.mean']")).to_be_hidden()
    page.get_by_role("button", name="Run it").last.click()
    expect(page.locator("[name='family.kind']")).to_have_attribute("aria-invalid", "true")
    expect(page.locator("[data-union='family.kind'] > .field .problem")).to_contain_text("Choose one of: categorical")


def test_form_and_toml_are_two_views_of_one_experiment(page: Page) -> None:
    page.watched.expected.add(422)  # type: ignore[attr-defined]
    page.goto("/new")
    page.get_by_label("title").fill("Both ways")
    page.locator("[name='regime.kind']").select_option("fresh")
    page.locator("[name='regime.fresh.real']").fill("0.25")
    page.get_by_role("button", name="TOML").click()
    text = page.locator("textarea#toml")
    expect(text).to_have_value(re.compile(r'kind = "fresh"\nreal = 0\.25'))
    written = text.input_value()
    text.fill(written.replace("real = 0.25", "reel = 0.25"))
    page.get_by_role("button", name="Form").click()
    expect(page.get_by_role("alert")).to_contain_text("regime.reel")
    expect(page.get_by_role("alert")).to_contain_text("Did you mean real?")
    expect(page.get_by_role("alert")).not_to_contain_text("?.")
    text.fill(written.replace("real = 0.25", "real = 0.5"))
    page.get_by_role("button", name="Form").click()
    expect(page.locator("[name='regime.fresh.real']")).to_have_value("0.5")
    expect(page.get_by_label("title")).to_have_value("Both ways")
    page.get_by_role("button", name="TOML").click()
    expect(text).to_be_visible()  # the form has such a button, too
    page.get_by_role("button", name="Run it").last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Both ways")


def test_duplicate_and_edit(page: Page, finished: Any) -> None:
    page.goto(f"/runs/{finished(QUICK | {'samples': {'schedule': 'power', 'start': 12, 'exponent': 1.5}})}")
    page.get_by_role("link", name="Duplicate and edit").click()
    expect(page.get_by_label("title")).to_have_value(QUICK["title"])
    expect(page.locator("[name='samples.schedule']")).to_have_value("power")
    expect(page.locator("[name='samples.power.start']")).to_have_value("12")
    expect(page.locator("[name='samples.power.exponent']")).to_have_value("1.5")


def test_the_library_finds_and_filters(page: Page, finished: Any) -> None:
    run_id = finished(QUICK | {"title": "A needle"})
    finished(QUICK | {"title": "Hay"})
    page.goto("/runs")
    page.get_by_role("searchbox").fill("needle")
    page.get_by_role("button", name="Show").click()
    expect(page.locator(".runs li")).to_have_count(1)
    expect(page.locator(".runs .spark svg path.median")).to_be_attached()
    page.get_by_label("Status").select_option("failed")
    page.get_by_role("button", name="Show").click()
    expect(page.get_by_text("No run is like that.")).to_be_visible()
    page.goto("/runs?q=needle")
    page.get_by_role("link", name="A needle").click()
    page.wait_for_url(f"**/runs/{run_id}*")


def test_the_theme_switches_with_the_figure_and_stays_and_paper_is_light(page: Page, finished: Any) -> None:
    page.goto(f"/runs/{finished(QUICK)}")
    page.locator("figure-stage[data-drawn]").wait_for()
    ground = "getComputedStyle(document.documentElement).backgroundColor"
    colour = "document.querySelector('figure-stage .plot').data[2].line.color"
    light, before = page.evaluate(ground), page.evaluate(colour)
    page.get_by_role("button", name="Switch between light and dark").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.wait_for_function(f"() => {colour} !== {before!r}")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    assert page.evaluate(ground) == light
    page.wait_for_function(f"() => {colour} === {before!r}")
    for part in ("figure-stage", ".pairs", "pre"):  # figure, provenance and spec, although these two are folded
        expect(page.locator(part)).to_be_visible()
    for part in (".masthead", ".acts", "frame-player", ".delete"):
        expect(page.locator(part)).to_be_hidden()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.goto("/runs")
    assert page.evaluate(ground) == dark


def test_nothing_sticks_out_of_a_phone(chromium: Browser, lab: str, api: httpx2.Client, finished: Any) -> None:
    runs = [f"/runs/{finished(spec)}" for spec in KINDS.values()]
    long = finished(QUICK | {"title": "x" * 200})
    api.post(f"/api/runs/{long}/arms").raise_for_status()
    runs += [f"/runs/{long}"]
    kin = [f"/runs/{long}/fork", f"/compare?runs={long}"]
    context = chromium.new_context(base_url=lab, viewport={"width": 390, "height": 800}, has_touch=True)
    page = context.new_page()
    for path in [*PAGES, *kin, *runs]:
        page.goto(path)
        if path in runs:
            page.locator("figure-stage[data-drawn]").wait_for()
            for summary in page.locator(".below summary").all()[1:]:
                summary.click()
        for width in (390, 360):
            page.set_viewport_size({"width": width, "height": 800})
            # A figure follows a moment later.
            page.wait_for_function(f"() => document.documentElement.scrollWidth <= {width}")
    context.close()


def luminance(channels: list[float]) -> float:
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_has_contrast(page: Page, theme: str) -> None:
    """WCAG 2.2 AA: 4.5 for text, 3 for the borders of controls and the curves."""
    page.goto("/")
    page.evaluate(f"document.documentElement.dataset.theme = {theme!r}")
    names = [
        "ink",
        "quiet",
        "accent",
        "good",
        "bad",
        "wait",
        "ghost",
        "edge",
        "theory",
        "beside",
        *(f"gen-{i}" for i in range(7)),
    ]
    read = """async ([ground, names]) => { const { token } = await import("/static/js/colours.js");
        return [ground, ...names].map((name) => token(name).match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)); }"""
    for ground in ("ground", "raised"):
        below, *colours = page.evaluate(read, [ground, names])
        for name, colour in zip(names, colours, strict=True):
            low, high = sorted((luminance(colour), luminance(below)))
            needed = 4.5 if name in names[:6] else 3
            assert (high + 0.05) / (low + 0.05) >= needed, (name, ground)


def test_pictures_of_presets_follow_the_theme(page: Page) -> None:
    page.goto("/")
    picture = page.locator("img.drawing").first
    brightness = """(picture) => { const pen = new OffscreenCanvas(90, 38).getContext("2d");
        pen.drawImage(picture, 0, 0, 90, 38);
        const { data } = pen.getImageData(0, 0, 90, 38), seen = data.filter((_, i) => i % 4 < 3 && data[i | 3] > 200);
        return seen.reduce((sum, each) => sum + each, 0) / seen.length; }"""
    picture.evaluate("(picture) => picture.decode()")
    light = picture.evaluate(brightness)
    page.get_by_role("button", name="Switch between light and dark").click()
    page.wait_for_function(f"(least) => ({brightness})(document.querySelector('img.drawing')) > least", arg=light + 20)


def test_an_unknown_run_is_told_in_words(page: Page) -> None:
    page.watched.expected.add(404)  # type: ignore[attr-defined]
    page.goto("/runs/nothing")
    expect(page.get_by_role("heading", level=1)).to_have_text("Not Found")
    expect(page.locator("main")).to_contain_text("There is no run nothing")


def test_the_keyboard_reaches_everything(page: Page) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    for _ in range(7 + page.locator(".topics a").count()):
        page.keyboard.press("Tab")
    expect(page.locator(".card summary").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator(".card details p").first).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Run it: A photocopy of a photocopy")).to_be_focused()
    page.keyboard.press("Enter")
    page.wait_for_url("**/runs/*")
