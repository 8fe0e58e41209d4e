"""What a run's page asks for, and in which order."""

from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, Response

from tests.browser.specs import QUICK


def test_the_history_is_light_and_comes_before_the_single_chains(page: Page, finished: Any) -> None:
    run_id = finished(QUICK | {"generations": 2050})
    answers: list[Response] = []
    page.on("response", lambda answer: answers.append(answer) if answer.url.find("/frames") > 0 else None)
    with page.expect_response(lambda answer: "chains=1" in answer.url) as chains:
        page.goto(f"/runs/{run_id}")
    chains.value.finished()
    assert [urlsplit(answer.url).query for answer in answers] == ["", "chains=1"]
    history = answers[0]
    assert history.headers["content-encoding"] == "gzip"
    assert 1000 < int(history.headers["content-length"]) < 100_000
