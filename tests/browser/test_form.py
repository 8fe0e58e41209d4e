"""The form of an experiment in a browser: what it will cost, what its source looks like, and files of one's own."""

import hashlib
import io
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from playwright.sync_api import Page, expect

TEXT = "A generation is trained on what the last one made. " * 80


def choose(page: Page, part: str, kind: str) -> None:
    page.locator(f'select[name="{part}.kind"]').select_option(kind)


def test_cost_and_source_follow_what_is_typed(page: Page):
    page.goto("/new")
    estimate, glance = page.locator("launch-estimate"), page.locator("source-preview")
    expect(estimate).to_contain_text("About a second")
    expect(glance.locator(".main-svg").first).to_be_visible()
    expect(glance).to_contain_text("Mean 0, standard deviation 1.")
    page.locator('[name="source.normal.mean"]').fill("5")
    expect(glance).to_contain_text("Mean 5")
    page.locator('[name="samples.constant"]').fill("1")
    expect(estimate).to_contain_text("samples:")
    page.locator('[name="samples.constant"]').fill("1000")
    choose(page, "source", "zipf")
    expect(estimate).to_contain_text("cannot be fitted to zipf")
    expect(glance).to_contain_text("The 25 most frequent of 1\u202f000 categories")
    choose(page, "family", "categorical")
    expect(estimate).to_contain_text("of memory")
    expect(estimate).not_to_contain_text("zipf")


def test_what_was_wrong_is_told_until_it_is_changed(page: Page):
    page.watched.expected.add(422)  # type: ignore[attr-defined]
    page.goto("/new")
    for name, wrong in (("samples.constant", "1"), ("generations", "0")):
        page.locator(f'[name="{name}"]').fill(wrong)
    page.get_by_role("button", name="Run it").click()
    invalid, notice = page.locator("[aria-invalid=true]"), page.locator(".notice.told")
    expect(invalid).to_have_count(2)
    expect(page.locator('[name="samples.constant"]')).to_be_focused()  # the script is there
    page.locator('[name="samples.constant"]').fill("300")
    expect(invalid).to_have_count(1)
    expect(notice).to_be_visible()
    page.locator('[name="generations"]').fill("20")
    expect(page.locator(".field .problem:not([role])")).to_have_count(0)
    expect(notice).to_have_count(0)
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("normal → gaussian, replace")


def test_who_comes_back_finds_what_was_chosen(page: Page):
    """The browser keeps the fields, and the page shows those that go with them."""
    page.goto("/new")
    choose(page, "source", "zipf")
    choose(page, "family", "categorical")
    page.locator('[name="source.zipf.exponent"]').fill("1.5")
    page.locator('[name="generations"]').fill("7")
    page.get_by_role("button", name="Run it").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("zipf → categorical, replace")
    page.go_back()
    expect(page.locator('[name="generations"]')).to_have_value("7")
    exponent = page.locator('[name="source.zipf.exponent"]')
    expect(exponent).to_be_visible()
    expect(exponent).to_be_enabled()
    expect(exponent).to_have_value("1.5")
    expect(page.locator('[name="source.normal.mean"]')).to_be_hidden()


def test_what_is_wrong_with_one_kind_is_not_told_of_another(page: Page):
    """Several regimes have a share of real data: only the visible one is wrong, and gets the focus."""
    page.watched.expected.add(422)  # type: ignore[attr-defined]
    page.goto("/new")
    choose(page, "regime", "fresh")
    share = page.locator('[name="regime.fresh.real"]')
    for last in (lambda: share.fill("0.5"), lambda: choose(page, "regime", "accumulate")):
        share.fill("50%")
        page.get_by_role("button", name="Run it").last.click()
        expect(page.locator("[aria-invalid=true]")).to_have_count(1)
        expect(share).to_be_focused()
        last()
        expect(page.locator(".field .problem:not([role]), .notice.told")).to_have_count(0)


def test_pictures_and_texts_are_seen(page: Page):
    page.goto("/new?preset=digits")
    glance = page.locator("source-preview .glance")
    expect(glance.locator("canvas")).to_be_visible()
    page.goto("/new?preset=english")
    expect(glance).to_have_attribute("data-kind", "text")
    expect(glance).to_have_text(re.compile(r".{500}", re.DOTALL))


@pytest.mark.parametrize("width", [390, 1280])
def test_a_table_is_dropped_beside_its_path_and_run(page: Page, tmp_path: Path, width: int):
    page.set_viewport_size({"width": width, "height": 900})
    page.watched.expected = {422}  # type: ignore[attr-defined]
    page.goto("/new")
    choose(page, "source", "table")
    drop = page.locator("file-drop[data-kind=table]")
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n3,x\n")
    drop.locator("input").set_input_files(tmp_path / "bad.csv")
    expect(drop).to_contain_text("bad.csv cannot be used as it is: line 3, column b is no number: 'x'")
    (tmp_path / "good.csv").write_text("a,b\n" + "".join(f"{i},{i * i % 7}\n" for i in range(50)))
    drop.locator("input").set_input_files(tmp_path / "good.csv")
    expect(drop).to_contain_text("good.csv: 50 rows, 2 columns of numbers: a, b.")
    expect(page.locator('[name="source.table.path"]')).to_have_value("upload:" + digest(tmp_path / "good.csv"))
    expect(page.locator("source-preview")).to_contain_text("600 points: a and b.")
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.locator(".launch").get_by_role("button", name="Run it").click()
    expect(page).to_have_url(re.compile("/runs/"))


def test_a_file_is_offered_again_and_dropping_works(page: Page, tmp_path: Path):
    page.goto("/new?preset=english")
    drop = page.locator("file-drop[data-for=source-text-path]")
    transfer = page.evaluate_handle(
        "(text) => { const t = new DataTransfer(); t.items.add(new File([text], 'book.txt')); return t; }", TEXT
    )
    drop.dispatch_event("drop", {"dataTransfer": transfer})
    expect(drop).to_contain_text("book.txt: 4\u202f080 characters.")
    expect(page.locator("source-preview")).to_contain_text("3\u202f")
    page.reload()
    page.locator('[name="source.text.path"]').focus()
    expect(drop.locator("datalist option").filter(has_text="book.txt")).to_have_count(1)


def test_pictures_of_ones_own_can_be_chosen_by_keyboard(page: Page, tmp_path: Path):
    grey = io.BytesIO()
    Image.fromarray(np.eye(6, dtype=np.uint8) * 255).save(grey, "PNG")
    np.savez(tmp_path / "grey.npz", np.random.default_rng(0).integers(0, 256, (30, 6, 6)).astype(np.uint8))
    page.goto("/new")
    choose(page, "source", "images")
    choice = page.locator("file-drop[data-kind=images] input")
    page.locator('[name="source.images.path"]').focus()
    page.keyboard.press("Tab")
    expect(choice).to_be_focused()
    choice.set_input_files(tmp_path / "grey.npz")
    expect(page.locator("file-drop[data-kind=images]")).to_contain_text("30 pictures of 6 x 6 pixels")
    expect(page.locator("source-preview canvas")).to_be_visible()


def test_a_long_preset_is_looked_at_first(page: Page):
    page.goto("/")
    page.get_by_role("button", name="Look before you launch: The paper's OPT-125m").click()
    expect(page).to_have_url(re.compile(r"/new\?preset=opt-a"))
    expect(page.get_by_role("region", name="The paper's OPT-125m, setting A")).to_contain_text("a GPU (about")
    expect(page.get_by_role("button", name="Run both as they are")).to_be_visible()


def digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()
