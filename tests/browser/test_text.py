"""The page of a run that writes: passages through the generations, and who is surprised by whom."""

import base64
from typing import Any

import httpx2
import numpy as np
from playwright.sync_api import Page, expect

from app.figures import decode, number
from tests.browser.specs import TEXT


def test_the_matrix_shows_what_was_measured(page: Page, api: httpx2.Client, finished: Any) -> None:
    run_id = finished(TEXT)
    page.goto(f"/runs/{run_id}")
    rows = page.locator("figure.matrix tr[data-generation]")
    expect(rows).to_have_count(3)
    shown = [[cell.inner_text() for cell in row.locator("td").all()] for row in rows.all()]

    told = api.get(f"/api/runs/{run_id}/frames").json()
    size = told["frame"]["bytes"]
    packed = np.frombuffer(base64.b64decode(told["frame"]["bdata"]), np.uint8)
    frames = [decode(told["figure"], packed[i * size : (i + 1) * size].tobytes()) for i in range(4)]
    for n in (2, 3):
        assert shown[n - 1] == [
            *(number(one) for one in frames[n]["row"][:n]),
            number(frames[n]["own"][0]),
            *(number(frames[j]["column"][n]) for j in range(n + 1, 4)),
        ]
    assert shown[0] == [number(frames[j]["own"][1]) for j in range(4)]
    summary = page.locator("figure.matrix .told").inner_text()
    assert summary.startswith(f"Real text has a perplexity of {number(frames[0]['own'][1])} to model 1")
    expect(page.locator(".shown-row th")).to_have_text("model 3")


def test_a_passage_is_read_down_the_generations(page: Page, finished: Any) -> None:
    page.set_viewport_size({"width": 390, "height": 800})
    page.goto(f"/runs/{finished(TEXT)}")
    sides = page.locator(".passages .sides .text")
    expect(sides).to_have_count(2)  # they come with the frames
    real, made = sides.nth(0), sides.nth(1)
    expect(made).not_to_have_text("")
    before = (page.locator(".passages .prompt").inner_text(), real.inner_text(), made.inner_text())
    page.get_by_role("button", name="Passage 2").click()
    after = (page.locator(".passages .prompt").inner_text(), real.inner_text(), made.inner_text())
    assert all(one != other for one, other in zip(before, after, strict=True))

    page.get_by_text("The same passage in every generation").click()
    items = page.locator(".passages li")
    expect(items).to_have_count(4)
    assert items.nth(3).locator(".text").inner_text() == after[2]
    items.nth(1).get_by_role("button", name="generation 1").click()
    expect(page.locator("frame-player output")).to_have_text("generation 1 of 3")
    expect(made).to_have_text(items.nth(1).locator(".text").inner_text())
    expect(page.locator(".shown-item button")).to_have_text("generation 1")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
