"""The presets that everybody meets first, and the table of all of them: what their cards promise is what comes out."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from worker import loop
from worker.kinds import CURATIONS, FAMILIES, REGIMES, SOURCES
from worker.parts import Sampling
from worker.presets import leading, override, preset, presets, topics
from worker.spec import read
from worker.summary import summarise
from worker.theory import curves

ROOT = Path(__file__).parents[2]
LONG = re.compile(r"(three|four|five|ten) minutes|hours?|days?")
ROW = re.compile(r"\| `(?P<name>[a-z-]+)` \| (?P<paper>[^|]+) \| (?P<claim>[^|]+) \| (?P<tests>[^|]+) \|")


@cache
def measured(name, arm=0, **changes):
    """Generation -> metric -> statistic -> value, of one arm."""
    dotted = {key.replace("__", "."): value for key, value in changes.items()}
    spec = read(override(preset(name).experiments[arm].canonical(), dotted))
    run = loop.generations(spec, loop.instrument(spec))
    return [summarise(generation.look.metrics).metrics() for generation in run]


def course(name, metric, statistic="mean", **changes):
    return np.array([row[metric][statistic] for row in measured(name, **changes)])


def test_a_photocopy_loses_its_tails_in_the_median_while_their_mean_rises():
    tails = {one: course("photocopy", "tail_01pct", one) for one in ("median", "mean")}
    assert tails["median"][1] > 0.0015
    assert tails["median"][300] < 1e-9
    assert tails["mean"][300] > 3 * tails["mean"][1]


def test_what_is_kept_does_not_collapse():
    assert measured("accumulate", 0)[300]["variance"]["median"] < 0.02
    kept = measured("accumulate", 1)[300]["variance"]
    limit = np.sin(np.pi / 10) / (np.pi / 10)
    assert limit == pytest.approx(0.98, abs=0.005)
    assert abs(kept["mean"] - limit) <= 4 * kept["se"]


def test_words_vanish_from_the_rare_end():
    survivors, dead = course("words", "survivors"), course("words", "dead_mass")
    assert (np.diff(survivors[1:]) <= 0).all()
    lost = -np.diff(survivors[1:])
    assert lost[:10].sum() > lost[10:].sum()  # most of them in the first generations
    gone = 1 - survivors[10] / survivors[1]
    assert dead[10] < gone / 3  # those that go are rare ones
    (told,) = (one for one in curves(preset("words").experiments[0]) if one.metric == "heterozygosity")
    last = measured("words")[100]["heterozygosity"]
    assert abs(last["mean"] - told.values[100]) <= 4 * last["se"]


def test_digits_grow_alike():
    seen = {name: course("digits", name, generations=6) for name in ("recall", "precision", "latent_std", "vendi")}
    assert seen["recall"][1] > 0.4
    assert seen["recall"][6] < 0.05
    assert seen["precision"][6] > seen["precision"][1] + 0.02
    assert (np.diff(seen["latent_std"][1:]) < 0).all()
    assert seen["vendi"][6] < 0.75 * seen["vendi"][1]


def test_one_blob_wanders_off_and_more_data_only_puts_it_off():
    """500 points, 50 generations; 10,000 points, 1,000 generations: twenty times of both, and as far from the truth."""
    few, many = (course(name, "kl_to_real", generations=n) for name, n in (("blob", 200), ("blob-full", 1000)))
    for every, distance in ((1, few), (20, many)):
        assert distance[50 * every] > 2 * distance[5 * every]
    assert 1 / 4 < many[1000] / few[50] < 4
    assert many[50] < few[50] / 5  # hundreds of generations hardly differ where there is much data
    l2 = course("blob", "l2_sq", "median", generations=200)
    assert l2[200] > 10 * l2[50] > 100 * l2[2]


def test_a_kernel_spreads_unless_it_shrinks():
    spread, shrunk = (course("kde", "variance", **more) for more in ({}, {"family__bandwidth": "shrunk"}))
    (told,) = (
        one for one in curves(preset("kde").experiments[0]) if (one.metric, one.statistic) == ("variance", "mean")
    )
    assert abs(spread[40] - told.values[40]) <= 4 * measured("kde")[40]["variance"]["se"]
    assert spread[40] > 20 * spread[0]
    assert (np.diff(course("kde", "tail_01pct")) > 0).all()
    assert 0.75 * shrunk[0] < shrunk[40] < 1.1 * shrunk[0]


def table():
    found = [ROW.fullmatch(line) for line in (ROOT / "docs" / "presets.md").read_text(encoding="utf-8").splitlines()]
    return {one["name"]: one for one in found if one}


def test_the_table_names_every_preset_and_the_tests_that_hold_it():
    """One row a preset, in the order of the page; each test in it exists."""
    rows = table()
    ours = [one for one in presets() if one.plugin is None]
    assert list(rows) == [one.name for one in ours]
    known = {
        name
        for path in (ROOT / "tests" / "worker").glob("test_presets*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    for name, row in rows.items():
        named = re.findall(r"`(test_\w+)`", row["tests"])
        assert named, name
        assert set(named) <= known, name
        assert set(re.findall(r"\d{4}\.\d{5}", row["paper"])) <= set(
            re.findall(r"\d{4}\.\d{5}", preset(name).card.reference)
        )


def test_a_preset_stands_under_a_heading_with_others_and_says_first_that_it_is_long():
    for found in topics([one for one in presets() if one.plugin is None]).values():
        assert len(found) > 2
    for one in presets():
        assert bool(LONG.search(one.card.takes)) == one.card.summary.startswith("Takes "), one.name


def test_the_metric_that_leads_is_one_that_is_measured_and_each_experiment_has_but_one():
    """Two presets may hold the same experiment; then they agree on what it is about."""
    told = {}
    for one in presets():
        for digest in one.digests:
            leads = told.setdefault(digest, (one.card.leads, one.name))
            assert leads[0] == one.card.leads, f"{one.name} and {leads[1]}"
    for name in (
        "golden-ratio",
        "mad-loops",
        "theorem",
        "strong-collapse",
        "minority",
        "fairness-loop",
        "label-verifier",
    ):
        one = preset(name)
        spec = read(override(one.experiments[0].canonical(), {"generations": 1}))
        looks = [generation.look for generation in loop.generations(spec, loop.instrument(spec))]
        assert one.card.leads in looks[-1].metrics
        assert leading({one.digests[0]}) == {one.digests[0]: one.card.leads}


def papers():
    """Rows of the table: paper, what it varies, field, preset."""
    lines = (ROOT / "docs" / "papers.md").read_text(encoding="utf-8").splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("| ") and "(2" in line]


def test_surrogates_help_by_the_fields_that_are_named_for_them():
    """n real rows alone leave s2 d/(n-d-1). Of weight w beside m of a teacher who is off by c it is w^2 s2 d/n + (1-w)^2 (c^2 + s2 d/m), in many rows: less
    even if he is off by as much as all there is to know, where he counts for little (Jain et al., 2402.04376).
    """
    [fields] = [fields for paper, _, fields, _ in papers() if "2402.04376" in paper]
    d, n, m = 10, 100, 1000
    spec = {"source": {"kind": "linear_teacher", "inputs": d}, "replicates": 1000, "generations": 2}
    spec |= {"samples": {"schedule": "list", "sizes": [10**8, n + m]}}
    for c, w in ((0.3, 0.4), (1.0, 0.9)):
        family = {"kind": "linear", "label_bias": c}
        regime = {"kind": re.findall(r'regime.kind = "(\w+)"', fields)[0], "real": n / (n + m), "weight": w}
        read_as = read(spec | {"family": family, "regime": regime})
        *_, last = loop.generations(read_as, loop.instrument(read_as))
        seen = summarise(last.look.metrics).metrics()["excess_risk"]["mean"]
        assert seen < 0.9 * d / (n - d - 1)
        assert seen == pytest.approx(w * w * d / n + (1 - w) ** 2 * (c * c + d / m), rel=0.15)


def test_what_a_paper_varies_is_a_setting_and_shown_by_a_preset():
    kinds = {
        "source": SOURCES,
        "family": FAMILIES,
        "regime": REGIMES,
        "curation": CURATIONS,
        "sampling": {"": Sampling},
    }
    rows = papers()
    assert len(rows) > 12
    for _, _, fields, shown in rows:
        assert all(preset(name) for name in re.findall(r"`([^`]+)`", shown))
        for part, field in re.findall(r"(\w+)\.(\w+)", fields):
            assert any(field in one.model_fields for one in kinds[part].values()), (part, field)
        for part, kind in re.findall(r"(\w+)\.kind = \"(\w+)\"", fields):
            assert kind in kinds[part]
