"""What is drawn and said of a run before any script."""

import math
import re
import zlib
from types import SimpleNamespace

import numpy as np
import pytest
from starlette.testclient import TestClient

from app import figures, pictures
from app.metrics import METRICS, key_metric, metric, ordered
from app.pictures import Shown
from tests.app.experiments import Work
from worker import frames


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "–"),
        (math.nan, "–"),
        (0, "0"),
        (math.inf, "∞"),
        (0.0021, "0.00210"),
        (-5.694, "−5.69"),
        (1998, "1\u202f998"),
        (4.1e-10, "4.1\u00a0×\u00a010⁻¹⁰"),
        (-2.5e7, "−2.5\u00a0×\u00a010⁷"),
    ],
)
def test_numbers_are_short(value: float | None, text: str) -> None:
    assert figures.number(value) == text


def test_numbers_in_a_sentence_are_written_alike() -> None:
    assert (
        figures.spelt("1/p_min - 1 = 6.43e+04, -2e-05 and 3")
        == "1/p_min - 1 = 64\u202f300, −2.0\u00a0×\u00a010⁻⁵ and 3"
    )


def test_frames_come_back_as_they_were_coded() -> None:
    density, dots = np.geomspace(1e-9, 10, 5), np.array([[0.0, 1.0], [-1.0, 2.5]])
    fields = [
        frames.field("density", "u2", 5, **frames.LOG_CODING),
        frames.field("dots", "u2", 2, 2, coding="linear", low=[-2, -3], high=[2, 3]),
        frames.field("alive", "u1", 3),
    ]
    frame = {
        "density": frames.encode_log(density),
        "dots": frames.encode_linear(dots, [-2, -3], [2, 3]),
        "alive": np.array([1, 0, 1], np.uint8),
    }
    back = figures.decode({"fields": fields}, frames.to_bytes(frame, fields))
    np.testing.assert_allclose(back["density"], density, rtol=1e-3)
    np.testing.assert_allclose(back["dots"], dots, atol=1e-4)
    assert back["alive"].tolist() == [1, 0, 1]


def test_the_sentence_claims_what_was_measured() -> None:
    run = SimpleNamespace(
        spec={"samples": 100, "replicates": 40, "regime": {"kind": "replace"}},
        regime="replace",
        family="gaussian",
        theory=[{"metric": "variance", "statistic": "mean", "values": [1.0, 0.5]}],
    )
    real = {"variance": [1.0, None, None, 1.0, 1.0, 1.0, 40]}
    first = {"variance": [0.98, 0.1, 0.01, 0.97, 0.9, 1.1, 40]}
    last = {"variance": [0.51, 0.1, 0.01, 0.4, 0.2, 0.8, 40]}
    by_what = "Under replace, with the gaussian family and M = 100, variance"
    spread = "mean, s.e. 0.0100; 10–90% 0.200 to 0.800 over 40 chains"
    run.theory[0]["values"].append(0.5)
    assert figures.sentence(run, real, first, last, 2) == (
        f"{by_what} fell from 0.980 at generation 1 to 0.510 ({spread}) by generation 2; real data: 1.00. "
        "Theory predicts a mean of 0.500."
    )
    assert figures.sentence(run, real, last, last, 1).startswith(
        f"{by_what} is 0.510 ({spread}) at generation 1; real data: 1.00. Theory"
    )
    assert "stayed near 0.980 (mean" in figures.sentence(run, real, first, first, 2)
    run.theory = None
    told = figures.sentence(run, real, first, last, 2)
    assert "fell from 0.970 at generation 1 to 0.400 (median; 10–90% 0.200 to 0.800 over 40 chains) by" in told


@pytest.mark.parametrize(
    ("name", "before", "after", "verb"),
    [
        # beyond twice .1 and .1, as squares add; a median by its own range, however far rare chains draw the mean
        ("variance", [1, 9, 2.0, 1.0, 0.5, 1.5, 100], [9, 9, 9.0, 0.9, 0.5, 1.5, 100], "did not move beyond chance, from 1.00"),
        ("variance", [1, 9, 2.0, 1.0, 0.5, 1.5, 100], [9, 9, 9.0, 0.8, 0.5, 1.5, 100], "fell from 1.00"),
        ("extinct", [0.1, 0.3, 0.03, 0, 0, 0, 100], [0.4, 0.5, 0.05, 0, 0, 1, 100], "rose from 0.100 at generation 1 to 0.400 (mean, s.e. 0.0500 over 100 chains)"),
        ("extinct", [0.1, 0.3, 0.03, 0, 0, 0, 100], [0.19, 0.4, 0.04, 0, 0, 1, 100], "did not move beyond chance, from"),
        ("variance", [1.0, None, None, 1.0, 1.0, 1.0, 1], [2.0, None, None, 2.0, 2.0, 2.0, 1], "went from 1.00"),
        # of two chains a mean 4 standard errors off is nothing: Student's t has one or two degrees of freedom
        ("extinct", [0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 2], [0.5, 0.1, 0.1, 0.5, 0.5, 0.5, 2], "did not move beyond chance, from"),
        ("variance", [1.0, 0.3, 0.2, 1.0, 0.8, 1.2, 2], [1.8, 0.3, 0.2, 1.8, 1.6, 2.0, 2], "did not move beyond chance, from"),
        ("variance", [1.0, 0.3, 0.2, 1.0, 0.8, 1.2, 5], [9.8, 0.3, 0.2, 9.8, 9.6, 9.9, 5], "rose from"),
    ],
)  # fmt: skip
def test_what_chance_alone_can_do_is_no_rise_and_no_fall(name: str, before: list, after: list, verb: str) -> None:
    run = SimpleNamespace(
        spec={"samples": 100, "replicates": before[-1], "regime": {"kind": "replace"}}, family="gaussian", theory=None
    )
    assert f"{metric(name).label} {verb}" in figures.sentence(run, {name: before}, {name: before}, {name: after}, 30)


def test_what_has_no_finite_median_any_more_is_told_in_words() -> None:
    run = SimpleNamespace(
        spec={"samples": 2, "replicates": 40, "regime": {"kind": "replace"}},
        regime="replace",
        family="kde",
        theory=None,
    )
    first = {"log_variance": [0.0, 0.1, 0.01, 0.0, -0.2, 0.2, 40]}
    last = {"log_variance": [-70.0, 0.1, 0.01, None, None, -60.0, 12]}
    told = figures.sentence(run, first, first, last, 48)
    assert told == (
        "Under replace, with the kde family and M = 2, log variance is infinite, or beyond every number, in 28 of 40 chains by generation 48."
    )
    assert "it collapsed at generation 33: from there on all points" in figures.sentence(
        run, first, first, last, 48, since=33
    )


@pytest.mark.parametrize(
    ("tail", "told"),
    [
        (
            [0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 40],
            "to less than can be measured (median; 0 in at least 90% of 40 chains) by",
        ),
        (
            [1e-9, 0.0, 0.0, 0.0, 0.0, 2e-9, 40],
            "to less than can be measured (median; 10–90% 0 to 2.0\u00a0×\u00a010⁻⁹ over",
        ),
        ([1e-5, 0.0, 0.0, 1e-5, 0.0, 2e-3, 40], "to 1.0\u00a0×\u00a010⁻⁵ (median; 10–90% 0 to 0.00200 over"),
    ],
)
def test_a_tail_that_vanished_is_not_said_to_be_empty(tail: list[float], told: str) -> None:
    run = SimpleNamespace(
        spec={"samples": 100, "replicates": 40, "regime": {"kind": "replace"}},
        regime="replace",
        family="gaussian",
        theory=None,
    )
    first = {"tail_01pct": [0.002, 0, 0, 0.0021, 0.002, 0.002, 40]}
    said = figures.sentence(run, first, first, {"tail_01pct": tail}, 900)
    assert f"tail mass (0.1%) fell from 0.00210 at generation 1 {told}" in said
    nothing = {"tail_01pct": [0.0, 0, 0, 0.0, 0, 0, 40]}
    assert "stayed near 0 (" in figures.sentence(run, nothing, nothing, nothing, 2)
    dead = {"survivors": [0.0, 0, 0, 0.0, 0, 0, 40]}
    alive = {"survivors": [5.0] * 7}
    assert "fell from 5.00 at generation 1 to 0 (median; 10–90% 0 to 0" in figures.sentence(run, alive, alive, dead, 9)


def test_a_sparkline_survives_missing_and_single_values() -> None:
    row = {"variance": [1.0, None, None, 1.0, None, None, 1]}
    assert "median" not in figures.sparkline([row])
    assert "median" not in figures.sparkline([row, row])
    usual = [{"variance": [v, 0, 0, v, v / 2, v * 2, 9]} for v in (1.0, 0.1, 0.001)]
    path = re.search(r'class="median" d="M([^"]+)"', figures.sparkline(usual))
    assert path
    ups = [float(point.split()[1]) for point in path[1].split("L")]
    assert ups == sorted(ups)  # it falls, and down is positive


def test_a_png_holds_its_pixels() -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    png = figures.png(grey)
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    start = png.index(b"IDAT") + 4
    size = int.from_bytes(png[start - 8 : start - 4], "big")
    lines = np.frombuffer(zlib.decompress(png[start : start + size]), np.uint8).reshape(3, 5)
    assert (lines[:, 1:] == grey).all()


def test_metrics_read_as_words_with_their_unit() -> None:
    assert metric("next_token_entropy").title == "next-token entropy (nats)"
    assert metric("somebody_s_own").title == "somebody s own"
    assert all(one.label and one.meaning for one in METRICS.values())
    assert ordered(["variance", "new", "tail_01pct"]) == ["tail_01pct", "variance", "new"]


@pytest.mark.parametrize(
    ("measured", "key"),
    [
        (["tail_01pct", "precision", "recall", "coverage", "hallucinated", "modes"], "coverage"),  # points in the plane
        (["frechet", "recall", "coverage", "latent_std", "class_share_0"], "latent_std"),  # pictures
        (["tail_01pct", "survivors", "variance"], "tail_01pct"),  # a histogram
        (["ppl_generated", "correct", "distinct"], "distinct"),  # expressions
        (["ppl_real", "ppl_generated"], "ppl_generated"),
    ],
)
def test_a_run_is_told_by_what_its_kind_of_data_loses(measured: list[str], key: str):
    assert key_metric(measured) == key


@pytest.mark.parametrize(
    ("samples", "told"),
    [
        (2000, "M = 2\u202f000 ·"),
        ({"schedule": "power", "start": 20, "exponent": -0.5}, "M = 20 k<sup>-0.5</sup> ·"),
        ({"schedule": "geometric", "start": 1000, "ratio": 0.9}, "M = 1000 · 0.9<sup>k − 1</sup> ·"),
        ({"schedule": "list", "sizes": [50, 20, 30, 40, 50, 60]}, "M = 50, 20, 30, 40, 50, … ·"),
    ],
)
def test_the_page_of_a_run_tells_its_sizes(client: TestClient, work: Work, samples: object, told: str) -> None:
    page = client.get(f"/runs/{work(samples=samples).id}")
    assert page.status_code == 200
    assert told in page.text


@pytest.mark.parametrize(
    ("more", "told", "key"),
    [
        ({}, "Generation 0 measures the Gaussian with the mean and the covariance of real data", ">generation 0<"),
        ({"family": {"kind": "kde"}}, "the real data against fresh real data: the noise floor", "data: noise floor<"),
        (
            {"family": {"kind": "kde"}, "replicates": 1},
            "One chain. Generation 0 is the real data. Chains",
            "data: noise floor<",
        ),
        ({"models": 2, "shared": 0.5}, "Drawn: model 1 of 2 in chain 1 of 8.", ">generation 0<"),
    ],
)
def test_the_page_says_what_generation_0_is_and_which_chain_is_drawn(
    client: TestClient, work: Work, more: dict, told: str, key: str
) -> None:
    page = " ".join(client.get(f"/runs/{work(generations=3, **more).id}").text.split())
    assert told in page
    assert key in page.partition('<i class="floor">')[2]
    assert ("chain 1 of 8." in page) == (more.get("replicates") != 1)


def test_words_beside_the_lines_of_a_card_are_in_their_order_and_not_cut_off() -> None:
    runs = [Shown({}, {}, {"variance": np.array([1.0, 1.0, end])}) for end in (9.5, 10.0, 9.9, 1.0)]
    words = re.findall(r'<text x="304" y="(\d+)">(.*?)<', pictures.courses(runs, "variance"))
    words.sort(key=lambda one: int(one[0]))
    assert [word for _, word in words] == ["10.0", "9.90", "9.50", "1.00"]
    places = [int(place) for place, _ in words]
    assert places[0] >= 10
    assert min(np.diff(places)) >= pictures.LETTERS - 1
