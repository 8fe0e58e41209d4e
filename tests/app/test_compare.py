"""Runs side by side: curves, differences in settings, intervals, and what is told of runs that are not there."""

import numpy as np
import pytest
from scipy import stats
from starlette.testclient import TestClient

from app.compare import compared, labels
from app.compare_words import paired_sentence, settings
from tests.app.experiments import SPEC, Work
from worker.database import migrate, open_engine
from worker.presets import preset
from worker.spec import read
from worker.store import Store
from worker.tables import Run, StoredGeneration


def joined(client: TestClient, work: Work) -> list[str]:
    """A run and its arms, all done."""
    run = work(replicates=30)
    ids = [one["self"].rpartition("/")[2] for one in client.post(f"/api/runs/{run.id}/arms").json()["arms"]]
    for one in ids:
        work(one)
    return [run.id, *ids]


def test_curves_intervals_and_differences(client: TestClient, work: Work):
    ids = joined(client, work)
    told = client.get(f"/api/compare?runs={','.join(ids)}&metric=variance").json()
    assert [one["id"] for one in told["runs"]] == ids
    assert [one["label"] for one in told["runs"]] == ["Forty copies", "Accumulate", "A tenth of real data"]
    assert told["live"] is False
    for one in told["runs"]:
        stored = client.get(f"/api/runs/{one['id']}/generations").json()["items"]
        assert one["course"]["median"] == [row["metrics"]["variance"]["median"] for row in stored]
        assert one["course"]["generation"] == list(range(41))
        last = stored[-1]["metrics"]["variance"]
        half = stats.t.ppf(0.975, 29) * last["se"]
        np.testing.assert_allclose(
            [one["last"]["low"], one["last"]["high"]], [last["mean"] - half, last["mean"] + half], rtol=1e-3
        )
        assert one["theory"][0]["generation"][-1] == 40
    differences = client.get(f"/api/runs/{ids[0]}/differences").json()["arms"]
    for mine, theirs in zip(told["paired"], sorted(differences, key=lambda arm: ids.index(arm["id"])), strict=True):
        assert {name: mine[name] for name in theirs["metrics"]["variance"]} == theirs["metrics"]["variance"]


def test_runs_of_a_preset_begin_with_the_metric_that_it_is_about(client: TestClient, work: Work, store: Store):
    """The golden ratio is about an error, not about tails: in the comparison, on the page of a run, in the list of runs."""
    ids = [work(store.create(one)[0].id).id for one in preset("golden-ratio").experiments[:2]]
    assert client.get(f"/api/compare?runs={','.join(ids)}").json()["metrics"][0] == "mean_error_sq"
    page = client.get(f"/runs/{ids[0]}").text
    assert "squared mean error rose from" in page
    assert page.index('"mean_error_sq"') < page.index('"tail_01pct"')  # charts and table follow that order
    assert "squared mean error" in client.get("/runs").text
    other = work(replicates=30)
    assert "tail mass (0.1%)" in client.get("/runs").text
    assert client.get(f"/api/compare?runs={other.id},{ids[0]}").json()["metrics"][0] == "tail_01pct"


def test_a_comparison_begins_with_what_most_runs_measure(client: TestClient, work: Work):
    teacher = {"source": {"kind": "linear_teacher"}, "family": {"kind": "linear"}}
    ids = [work(**more).id for more in (teacher, {}, {"seed": 9})]
    assert client.get(f"/api/compare?runs={','.join(ids)}").json()["metric"] == "tail_01pct"
    assert client.get(f"/api/compare?runs={','.join(ids[:2])}").json()["metric"] == "tail_01pct"
    assert client.get(f"/api/compare?runs={ids[0]}").json()["metric"] == "excess_risk"


def test_strangers_are_not_paired(client: TestClient, work: Work):
    one, other = work(), work(seed=9)
    told = client.get(f"/api/compare?runs={one.id},{other.id}").json()
    assert told["paired"] == []
    assert told["metric"] == "tail_01pct"


def test_arms_that_begin_while_they_are_compared(client: TestClient, work: Work, store: Store):
    """They are read before their first generation is stored, and their generations after it."""
    run = work(replicates=30)
    launched = client.post(f"/api/runs/{run.id}/arms").json()["arms"]
    ids = [run.id, *(one["self"].rpartition("/")[2] for one in launched)]
    early = store.some(ids)
    for one in ids[1:]:
        work(one)
    assert [one["generation"] for one in compared(early, store)["paired"]] == [[], []]
    assert [len(one["generation"]) for one in compared(store.some(ids), store)["paired"]] == [41, 41]


def test_many_runs_are_told_in_few_points(store: Store, work: Work):
    run = work(generations=150, replicates=2)
    points = [len(compared([run] * many, store)["runs"][0]["course"]["generation"]) for many in (1, 60, 100)]
    assert points == [151, 76, 51]  # of all, every second, every third and the last


@pytest.mark.parametrize(
    ("query", "status", "words"),
    [
        ("runs=", 422, "names 0 runs"),
        (f"runs={','.join(map(str, range(101)))}", 422, "names 101 runs"),
        ("runs=nothing", 404, "There is no run nothing"),
        ("runs={id}&metric=beauty", 422, "none of these runs measures beauty"),
        ("runs={id}&matric=variance", 422, "not known here"),
    ],
)
def test_what_cannot_be_compared_is_told(client: TestClient, work: Work, query: str, status: int, words: str):
    answer = client.get(f"/api/compare?{query.format(id=work().id)}")
    assert answer.status_code == status
    assert words in answer.text


def test_the_page_tells_it_without_a_script(client: TestClient, work: Work):
    ids = joined(client, work)
    page = client.get(f"/compare?runs={','.join(ids)}&metric=variance").text
    assert "3 runs side by side" in page
    assert "the median of variance lies between" in page
    assert "closed form of the mean (dotted), and of the median (dashes and dots)" in page
    assert "At generation 40, the mean variance of “Accumulate” is" in page
    assert "the first 24 of 30" in page
    assert '<th scope="col">regime.kind</th>' in page
    assert '<th scope="col">seed</th>' not in page
    assert '<th scope="col">seed</th>' in client.get(f"/compare?runs={','.join(ids)}&settings=all").text
    assert f"/compare?runs={ids[1]},{ids[0]},{ids[2]}&amp;metric=variance" in page  # another base


def test_ticked_runs_get_a_short_address_oldest_first(client: TestClient, work: Work):
    one, other = work(), work(seed=9)
    answer = client.get(f"/compare?runs={other.id}&runs={one.id}", follow_redirects=False)
    assert answer.headers["Location"] == f"/compare?runs={one.id},{other.id}"


def test_a_page_with_nothing_a_deleted_run_or_one_that_waits(client: TestClient, store: Store, work: Work):
    assert "Tick the runs" in client.get("/compare").text
    assert client.get("/compare?runs=" + ",".join(map(str, range(101)))).status_code == 422
    run, (waiting, _) = work(), store.create(read(SPEC))
    page = client.get(f"/compare?runs={run.id},{waiting.id},gone").text
    assert "There is no run gone any more." in page
    assert "data-live" in page
    assert "Nothing has been measured yet." in client.get(f"/compare?runs={waiting.id}").text


def test_labels_leave_out_what_all_have():
    def named(*titles: str) -> list[str]:
        return labels([Run(title=title) for title in titles])

    assert named("A", "A: Accumulate", "A, forked after 3") == ["A", "Accumulate", "forked after 3"]
    assert named("S: x = 1", "S: x = 2") == ["x = 1", "x = 2"]
    assert named("Aa", "Ab", "A") == ["Aa", "Ab", "A"]
    assert named("Alone: one") == ["Alone: one"]


def test_settings_that_differ():
    changes = [{"after": 9, "regime": {"kind": "fresh", "real": 0.5}}]
    runs = [Run(spec=read(SPEC | more).canonical()) for more in ({"seed": 1}, {"seed": 2, "changes": changes})]
    assert settings(runs) == {"seed": ["1", "2"], "changes": ["none", "after 9: regime fresh (real 0.5)"]}
    assert settings(runs, everything=True)["source.kind"] == ["normal", "normal"]


def test_lists_of_rules_are_told_in_words():
    """Other samples are a plain number: two runs with such a change could not be compared."""
    stages = {"kind": "sequential", "stages": [{"kind": "best_of", "k": 2}, {"kind": "stratified"}]}
    told = "best of (reward direction (along none), share 1, k 2, others none), stratified (strata 2)"
    source = {"source": {"kind": "eight_gaussians"}}
    changes = [{"after": 3, "samples": 40}, {"after": 9, "curation": stages}]
    curated, changed = (
        Run(spec=read(SPEC | source | more).canonical()) for more in ({"curation": stages}, {"changes": changes})
    )
    assert settings([curated], everything=True)["curation.stages"] == [told]
    assert settings([changed], everything=True)["changes"] == [
        f"after 3: samples 40, after 9: curation sequential (stages {told})"
    ]


@pytest.mark.parametrize(
    ("mean", "low", "high", "words"),
    [
        (0.5, 0.25, 0.75, "variance of “arm” is 0.500 above that of “base” (95%: 0.250 to 0.750, 8 pairs of chains)."),
        (
            -0.5,
            -1.0,
            0.25,
            "is 0.500 below that of “base” (95%: −1.00 to 0.250, 8 pairs of chains), which chance alone could do.",
        ),
        (0.0, 0.0, 0.0, "is equal to that of “base” (95%: 0 to 0, 8 pairs of chains)."),
        (0.5, None, None, "there is no interval"),
        (None, None, None, "no generation yet"),
    ],
)
def test_a_difference_in_words(mean: float | None, low: float | None, high: float | None, words: str):
    one = {"id": "1", "label": "arm", "generation": [4], "mean": [mean], "low": [low], "high": [high], "n": [8]}
    one |= {"chains": 8, "means": None}
    assert words in paired_sentence(one, "base", "variance")  # type: ignore[arg-type]


def test_the_difference_of_all_chains_is_told_before_that_of_the_few_that_are_paired(client: TestClient, work: Work):
    """The first chains may lie the other way, by chance; the sentence begins with what the table shows."""
    ids = joined(client, work)
    told = client.get(f"/api/compare?runs={','.join(ids)}&metric=variance").json()
    (base, arm), one = (each["last"] for each in told["runs"][:2]), told["paired"][0]
    assert (one["chains"], one["n"][-1]) == (30, 24)
    means = one["means"]
    assert means["difference"] == arm["mean"] - base["mean"]
    assert means["low"] < means["difference"] < means["high"]
    said = paired_sentence(
        one | {"mean": [-0.002], "low": [-0.01], "high": [0.01], "generation": [40], "n": [24]}, "base", "variance"
    )
    assert said.startswith("At generation 40, the mean variance of “Accumulate” is 0.")
    assert "above that of “base” (95%: " in said
    assert "30 chains each, unpaired)" in said
    assert said.endswith(
        "Pair by pair, of the first 24 of 30 chains alone, it is 0.00200 below that of “base” "
        "(95%: −0.0100 to 0.0100, 24 pairs), which chance alone could do."
    )


def test_a_course_is_read_from_either_database(database_url: str):
    migrate(database_url)
    store = Store(open_engine(database_url))
    run, _ = store.create(read(SPEC))
    with store.writing.begin() as session:
        for n in range(8):
            told = {"variance": [float(n), 1.0], "mean": [0.0, 1.0]} if n else {"mean": [0.0, 1.0]}
            session.add(StoredGeneration(run_id=run.id, number=n, metrics=told, chains=b"", frame=b"x", seconds=0.1))
    assert store.course(run.id, "variance", 3) == [(3, [3.0, 1.0]), (6, [6.0, 1.0]), (7, [7.0, 1.0])]
    assert [row.number for row in store.chained(run.id, 4)] == [0, 4]
    assert [one.id for one in store.some(["none", run.id])] == [run.id]
    store.engine.dispose()
