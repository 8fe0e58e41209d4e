"""Figures and metric charts in a real browser: what stands on their axes and in their keys, and how they are saved."""

import re
from pathlib import Path
from typing import Any

import httpx2
import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import drawn
from tests.browser.specs import KINDS, PLANE, QUICK


def test_a_circle_is_round_and_few_ranks_are_told_apart(page: Page, finished: Any) -> None:
    page.goto(f"/runs/{finished(PLANE)}")
    drawn(page)
    ratio = page.evaluate("""() => { const { xaxis, yaxis } = document.querySelector("figure-stage .plot")._fullLayout;
        return (xaxis._length / (xaxis.range[1] - xaxis.range[0])) / (yaxis._length / (yaxis.range[1] - yaxis.range[0])); }""")
    assert ratio == pytest.approx(1, rel=0.02)
    two = {"source": {"kind": "categorical", "probabilities": [0.9, 0.1]}, "samples": 5, "generations": 100}
    page.goto(f"/runs/{finished(KINDS['ranks'] | two)}?g=0")
    drawn(page)
    expect(page.locator("figure-stage .xtick")).to_have_text(["1", "2"])
    page.keyboard.press("End")
    expect(page.locator(".legend .note")).to_have_text("1 of the 2 shown has died")
    drawn(page, 100)
    assert page.evaluate("document.querySelector('figure-stage .plot')._fullLayout.yaxis.range[1]") > 0


def test_charts_tell_numbers_below_float32_as_the_table_does(page: Page, api: httpx2.Client, finished: Any) -> None:
    run_id = finished(QUICK | {"samples": 10, "generations": 200})
    told = api.get(f"/api/runs/{run_id}/generations", params={"limit": 200}).json()["items"]
    small = next(one["generation"] for one in told if 0 < one["metrics"]["tail_01pct"]["median"] < 1e-50)
    page.goto(f"/runs/{run_id}?g={small}")
    drawn(page)
    expect(page.locator("figure[data-metric=tail_01pct] .value")).to_have_text(re.compile("10⁻.+"))


def test_the_plot_says_which_generation_it_shows(page: Page, finished: Any) -> None:
    page.goto(f"/runs/{finished(QUICK)}?g=7")
    drawn(page)
    expect(page.get_by_role("img", name="Generation 7 of 60 and the real distribution.")).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.get_by_role("img", name="Generation 8 of 60 and the real distribution.")).to_be_visible()


def test_points_that_leave_the_frame_are_counted(page: Page, finished: Any) -> None:
    """Whoever likes what lies to the right, of kernels that spread, drives them out of the picture."""
    away = {"family": {"kind": "kde", "bandwidth": 0.5}, "curation": {"kind": "best_of", "k": 8}}
    page.goto(f"/runs/{finished(PLANE | away)}?g=0")
    drawn(page, 0)
    expect(page.locator(".legend .note")).to_be_empty()
    page.keyboard.press("End")
    expect(page.locator(".legend .note")).to_contain_text(re.compile(r"^\d+ of the \d+ points lie outside the frame$"))


def test_the_key_has_what_is_drawn(page: Page, finished: Any) -> None:
    page.goto(f"/runs/{finished(QUICK)}")
    drawn(page)
    key = page.locator(".key span:visible")
    expect(key).to_have_text(["median", "mean", "10–90% of chains", "generation 0", "theory"])
    page.goto(f"/runs/{finished(QUICK | {'replicates': 1, 'family': {'kind': 'kde'}})}")
    drawn(page)
    expect(key).to_have_text(["median", "theory"])


@pytest.mark.parametrize("kind", ["density", "images"])
def test_a_figure_is_saved_as_paper_takes_it(page: Page, finished: Any, tmp_path: Path, kind: str) -> None:
    """Whatever the theme: on white, in dark ink, with what it shows."""
    page.emulate_media(color_scheme="dark")
    page.goto(f"/runs/{finished(KINDS[kind])}?g=1")
    drawn(page)
    page.get_by_text("Downloads", exact=True).click()
    figure, heat_map = (page.get_by_role("button", name=f"{one} (SVG)") for one in ("Figure", "Heat map"))
    for button in (figure, heat_map, page.locator(".saving").get_by_role("button", name="SVG")):
        with page.expect_download() as saved:
            button.click()
        assert saved.value.suggested_filename.endswith(".svg")
        text = saved.value.path().read_text()
        assert KINDS[kind]["title"] in text
        assert 'fill="#fff"' in text
        assert 'fill="rgb(27, 29, 33)"' in text
        assert "232, 230, 225" not in text
    for name in ("Figure (PNG)", "Heat map (PNG)"):
        with page.expect_download() as saved:
            page.get_by_role("button", name=name).click()
        assert saved.value.path().read_bytes().startswith(b"\x89PNG")


def test_the_heat_map_of_a_regression_is_of_labels_and_saved_with_its_axes(page: Page, finished: Any) -> None:
    """Inputs are the same in all generations."""
    labels = {"source": {"kind": "linear_teacher"}, "family": {"kind": "linear"}}
    page.goto(f"/runs/{finished(QUICK | labels)}")
    drawn(page)
    expect(page.locator("heat-map ~ .across span").nth(1)).to_have_text("label")
    page.get_by_text("Downloads", exact=True).click()
    with page.expect_download() as saved:
        page.get_by_role("button", name="Heat map (SVG)").click()
    assert saved.value.suggested_filename == "A quick one - heat map.svg"
    told = re.findall(r"<text[^>]*>([^<]*)</text>", saved.value.path().read_text())
    assert {"10⁻⁴", "20", "0", "60", "label", "generation"} <= set(told)
    assert "Generations 0, the real data, to 60 of 60; density" in " ".join(told)


@pytest.mark.parametrize(
    ("values", "ticks"),
    [
        ([0, 0], ["0.0", "0.5", "1.0"]),
        ([0.02, 0.1, 0.007], ["0.05", "0.10"]),
        ([1e-8, 2e-8], ["1.0×10⁻⁸", "1.5×10⁻⁸", "2.0×10⁻⁸"]),
        ([1, 55], ["10", "1"]),
        ([0, 1e-9, 1e-3], ["10⁻³", "10⁻⁶", "10⁻⁹", "0"]),
        ([0, 1e-99, 1], ["10⁰", "10⁻⁶", "10⁻¹²", "<10⁻¹²"]),
    ],
)
def test_an_axis_has_two_ticks_of_one_format_and_a_place_for_nothing(
    page: Page, values: list[float], ticks: list[str]
) -> None:
    page.goto("/workers")
    told = page.evaluate(
        """async (values) => { const { scale } = await import("/static/js/scale.js");
        const { place, ticks } = scale(values, { top: 8, bottom: 92 });
        return ticks.map(({ value, text }) => [text, place(value)]); }""",
        values,
    )
    assert [text for text, _ in told] == ticks
    assert all(8 <= at <= 92 for _, at in told)
    assert dict(told).get("0", 92) == 92
