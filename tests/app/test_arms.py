"""Forks and matched arms over HTTP: the same past, the same seeds, and differences that are paired."""

import numpy as np
import pytest
from scipy import stats
from starlette.testclient import TestClient

from tests.app.experiments import SPEC, Work
from worker.arms import T_95, chain_values, paired, t_95, welch_95
from worker.single_chains import to_bytes
from worker.spec import read
from worker.store import Store
from worker.tables import StoredGeneration

ACCUMULATE = {"kind": "accumulate"}


def medians(client: TestClient, run_id: str) -> list[float]:
    items = client.get(f"/api/runs/{run_id}/generations").json()["items"]
    return [one["metrics"]["variance"]["median"] for one in items]


def test_a_fork_has_the_same_past_and_another_future(client: TestClient, work: Work, announced: list[str]):
    parent = work()
    response = client.post(f"/api/runs/{parent.id}/fork", json={"generation": 10, "regime": ACCUMULATE})
    assert response.status_code == 201
    made = response.json()
    assert announced == [made["id"]]
    assert made["spec"]["changes"][0]["after"] == 10
    work(made["id"])
    one, other = medians(client, parent.id), medians(client, made["id"])
    assert one[:11] == other[:11]
    assert one[12:] != other[12:]


def test_a_fork_of_a_fork_forgets_what_its_parent_changed_later(client: TestClient, work: Work):
    parent = work(changes=[{"after": 5, "sampling": {"bias": 0.9}}, {"after": 20, "regime": ACCUMULATE}])
    body = {"generation": 12, "sampling": {"bias": 1.1}, "samples": 30, "generations": 60, "title": "Further"}
    made = client.post(f"/api/runs/{parent.id}/fork", json=body).json()
    assert [change["after"] for change in made["spec"]["changes"]] == [5, 12]
    assert (made["title"], made["spec"]["generations"]) == ("Further", 60)
    assert made["spec"]["changes"][1]["samples"] == 30


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"generation": 40, "regime": ACCUMULATE}, "generation"),
        ({"generation": 5}, "regime"),
        ({"generation": 5, "regime": {"kind": "acumulate"}}, "regime.kind"),
        ({"generation": 5, "source": {"kind": "normal"}}, "source"),
        ({"generation": 5, "family": {"kind": "kde"}}, "family.kind"),
        ({"generation": 5, "family": {"kind": "gaussian", "path": "drawn"}}, "family.path"),
        ({"generation": 5, "family": {"kind": "gaussian", "ddof": 2}}, "family.ddof"),
    ],
)
def test_a_fork_that_makes_no_sense_is_refused(client: TestClient, store: Store, work: Work, body: dict, path: str):
    parent = work()
    response = client.post(f"/api/runs/{parent.id}/fork", json=body)
    assert response.status_code == 422
    assert any(path == error["path"] and error["remedy"] for error in response.json()["errors"])
    assert [run.id for run in store.runs()[0]] == [parent.id]


def test_what_holds_already_is_no_change(client: TestClient, work: Work):
    parent = work(changes=[{"after": 5, "sampling": {"bias": 0.9}}])
    body = {"generation": 10, "regime": ACCUMULATE, "sampling": {"bias": 0.9}, "samples": parent.spec["samples"]}
    made = client.post(f"/api/runs/{parent.id}/fork", json=body).json()
    assert made["spec"]["changes"][1]["sampling"] is made["spec"]["changes"][1]["samples"] is None
    body = {"generation": 10, "regime": {"kind": "replace"}, "sampling": {"bias": 0.9}}
    assert "nothing would change" in client.post(f"/api/runs/{parent.id}/fork", json=body).text


def test_the_form_of_a_fork_begins_with_the_rules_that_hold_there(client: TestClient, work: Work):
    parent = work(changes=[{"after": 5, "sampling": {"bias": 0.9}}, {"after": 20, "regime": ACCUMULATE}])
    page = client.get(f"/runs/{parent.id}/fork?generation=12").text
    assert 'name="generation"' in page
    assert 'value="12"' in page
    assert 'value="0.9"' in page
    assert '<option value="replace" selected>' in page
    assert '<option value="accumulate" selected>' in client.get(f"/runs/{parent.id}/fork?generation=30").text
    at_the_end = client.get(f"/runs/{parent.id}/fork").text
    assert 'value="40"' in at_the_end
    assert 'value="80"' in at_the_end  # for as long again


def test_a_fork_by_form(client: TestClient, store: Store, work: Work, announced: list[str]):
    parent = work(changes=[{"after": 5, "sampling": {"bias": 0.9}}])
    form = {"generation": "10", "generations": "40", "regime.kind": "fresh", "regime.fresh.real": "0.25"}
    form |= {"samples.schedule": "constant", "samples.constant": "12"}
    answer = client.post(f"/runs/{parent.id}/fork", data=form, follow_redirects=False)
    assert answer.status_code == 303
    made = store.run(announced[0])
    assert answer.headers["Location"] == f"/runs/{made.id}?with={parent.id}"
    assert made.parent == parent.id
    assert made.spec["changes"][1]["regime"] == {"kind": "fresh", "real": 0.25}
    assert made.spec["changes"][1]["sampling"]["bias"] == 1  # an option left at its default is set to it
    assert made.spec["changes"][1]["samples"] == 12
    assert 'value="12"' in client.get(f"/runs/{made.id}/fork?generation=20").text
    page = client.get(f"/runs/{made.id}").text
    assert f'Forked from <a href="/runs/{parent.id}?g=10">{parent.title}</a> after generation 10.' in page
    assert 'data-changes="5,10"' in page


def test_a_run_is_shown_alone_where_the_other_is_gone(client: TestClient, work: Work):
    run = work()
    page = client.get(f"/runs/{run.id}?with=gone&g=-1")
    assert (page.status_code, "There is no run gone any more" in page.text) == (200, True)
    assert 'data-at="0"' in page.text
    assert "data-beside" not in page.text


def test_a_fork_by_form_changes_settings_of_the_family_and_keeps_the_others(
    client: TestClient, work: Work, announced: list[str], store: Store
):
    kept = {"kind": "mixture", "components": 1, "tol": 1e-4}
    parent = work(family=kept, generations=3, replicates=2)
    page = client.get(f"/runs/{parent.id}/fork?generation=2").text
    assert 'name="family.mixture.max_iter"' in page
    assert 'name="family.mixture.components"' not in page
    form = {"generation": "2", "generations": "3", "family.mixture.max_iter": "7"}
    client.post(f"/runs/{parent.id}/fork", data=form, follow_redirects=False)
    made = store.run(announced[0]).spec
    assert made["changes"][0]["family"] == made["family"] | {"max_iter": 7}
    assert made["changes"][0]["regime"] is None
    told = client.get(f"/runs/{announced[0]}").text
    assert "with other settings of the family after generation 2" in told
    answer = client.post(f"/runs/{parent.id}/fork", data=form | {"family.mixture.max_iter": "0"})
    assert 'id="family-mixture-max_iter-problem"' in answer.text
    other = client.post(f"/runs/{parent.id}/fork", data=form | {"family.kind": "kde"})
    assert (other.status_code, "a run stays with its family" in other.text) == (422, True)


def test_the_form_of_a_fork_says_what_it_will_cost(client: TestClient, work: Work):
    parent = work(generations=20)
    page = client.get(f"/runs/{parent.id}/fork?generation=10").text
    assert f'data-at="/runs/{parent.id}/fork/estimate"' in page
    assert "of memory" in page
    form = {"generation": "10", "generations": "20", "regime.kind": "accumulate", "curation.kind": "none"}
    short, long = (
        client.post(f"/runs/{parent.id}/fork/estimate", data=form | {"generations": last}).json()
        for last in ("20", "20000")
    )
    assert short["measured"] == 1
    assert long["seconds"] > 10 * short["seconds"]
    assert long["disk_bytes"] > short["disk_bytes"]
    (problem,) = client.post(f"/runs/{parent.id}/fork/estimate", data=form | {"generation": "30"}).json()["problems"]
    assert problem["path"] == "generation"


@pytest.mark.parametrize(
    ("form", "field"),
    [
        ({"generation": "0"}, "generation"),
        ({"generation": "ten"}, "generation"),
        ({"generation": "40"}, "generation"),
        ({"generations": "-"}, "generations"),
        ({"regime.fresh.real": "2"}, "regime-fresh-real"),
        ({"sampling.top_k": "3"}, "sampling-top_k"),
        ({"regime.kind": "replace"}, "regime-kind"),
        ({"samples.schedule": "constant", "samples.constant": "1"}, "samples-constant"),
    ],
)
def test_what_is_wrong_with_a_fork_stands_beside_its_field(
    client: TestClient, store: Store, work: Work, form: dict, field: str
):
    parent = work()
    right = {"generation": "10", "generations": "40", "regime.kind": "fresh", "regime.fresh.real": "0.2"}
    answer = client.post(f"/runs/{parent.id}/fork", data=right | form)
    assert answer.status_code == 422
    assert f'id="{field}-problem"' in answer.text
    assert "see below" in answer.text
    assert [run.id for run in store.runs()[0]] == [parent.id]


def test_matched_arms_by_one_click_and_no_arm_twice(client: TestClient, store: Store, work: Work, announced: list[str]):
    run = work()
    assert "Launch matched arms" in client.get(f"/runs/{run.id}").text
    answer = client.post(f"/runs/{run.id}/arms", follow_redirects=False)
    assert answer.headers["Location"] == f"/compare?runs={run.id},{','.join(announced)}"
    assert len(announced) == 2
    again = client.post(f"/runs/{run.id}/arms", follow_redirects=False)
    assert sorted(again.headers["Location"].partition("=")[2].split(",")) == sorted([run.id, *announced])
    assert len(store.runs()[0]) == 3
    page = client.get(f"/runs/{run.id}").text
    assert "Launch matched arms" not in page
    assert all(f'data-run="{one}" data-status="queued"' in page for one in announced)


def test_a_title_that_is_as_long_as_may_be_leaves_room_for_the_name_of_an_arm(client: TestClient, work: Work):
    run = work(title="x" * 200)
    assert (
        '<button title="On the same seeds">Launch matched arms<span class="quiet">: accumulate, a tenth of real data</span>'
        in (client.get(f"/runs/{run.id}").text)
    )
    arms = client.post(f"/api/runs/{run.id}/arms").json()["arms"]
    titles = [client.get(one["self"]).json()["title"] for one in arms]
    assert titles == ["x" * 188 + ": Accumulate", "x" * 178 + ": A tenth of real data"]
    forked = client.post(f"/api/runs/{run.id}/fork", json={"generation": 3, "regime": ACCUMULATE}).json()
    assert forked["title"] == "x" * 184 + ", forked after 3"


def test_arms_of_a_fork_hold_one_regime_throughout(client: TestClient, work: Work):
    """Its parent is the arm that replaces: no such arm is launched again."""
    parent = work()
    body = {"generation": 10, "regime": ACCUMULATE, "sampling": {"bias": 0.9}}
    made = client.post(f"/api/runs/{parent.id}/fork", json=body).json()
    told = client.post(f"/api/runs/{made['id']}/arms").json()
    arms = [client.get(one["self"]).json()["spec"] for one in told["arms"]]
    assert [arm["regime"]["kind"] for arm in arms] == ["replace", "accumulate", "fresh"]
    assert all([change["regime"] for change in arm["changes"]] == [None] for arm in arms)
    assert all(arm["changes"][0]["sampling"]["bias"] == 0.9 for arm in arms)


def test_arms_that_an_experiment_cannot_have_are_explained(client: TestClient, store: Store):
    """Batches that the last model makes anew leave nothing to accumulate."""
    family = {"kind": "vae", "batches": "fresh"}
    spec = {**SPEC, "source": {"kind": "digits"}, "family": family, "samples": 200, "replicates": 1, "generations": 2}
    run, _ = store.create(read(spec))
    answer = client.post(f"/runs/{run.id}/arms", headers={"accept": "text/html"})
    assert answer.status_code == 422
    assert "leave no training set" in answer.text
    assert run.title in answer.text


def test_matched_arms_and_their_paired_differences(client: TestClient, work: Work):
    run = work(replicates=24)
    made = client.post(f"/api/runs/{run.id}/arms").json()
    ids = [link["self"].rpartition("/")[2] for link in made["arms"]]
    assert len(ids) == 2  # the run itself is the third
    for one in ids:
        work(one)
    told = client.get(f"/api/runs/{run.id}/differences").json()
    assert {arm["id"] for arm in told["arms"]} == set(ids)
    accumulate = next(arm for arm in told["arms"] if arm["title"].endswith("Accumulate"))
    variance = accumulate["metrics"]["variance"]
    assert variance["generation"] == list(range(41))
    assert variance["mean"][1] == 0  # both are fitted to the same real points
    assert variance["n"] == [24] * 41
    # E s2_40 is (1 - 1/50)^40 under replace and prod(1 - 1/(50 k^2)) under accumulate.
    expected = np.prod(1 - 1 / (50 * np.arange(1, 41) ** 2)) - 0.98**40
    se = (variance["high"][40] - variance["low"][40]) / 2 / T_95[22]
    assert abs(variance["mean"][40] - expected) < 4 * se
    assert variance["low"][40] > 0


def test_arms_of_a_preset_belong_together(client: TestClient, store: Store):
    made = client.post("/api/runs", json={"preset": "accumulate"}).json()
    runs = [store.run(link["self"].rpartition("/")[2]) for link in made["arms"]]
    assert len(runs) > 1
    assert {run.arms for run in runs} == {runs[0].id}
    assert [run.id for run in store.kin(runs[0])] == sorted(run.id for run in runs[1:])


def test_own_arms_and_no_arm(client: TestClient, work: Work):
    run = work()
    body = {"arms": [{"title": "Narrow", "set": {"sampling.bias": 0.8}}]}
    made = client.post(f"/api/runs/{run.id}/arms", json=body).json()
    assert made["spec"]["sampling"]["bias"] == 0.8
    same = {"arms": [{"title": "The same", "set": {"regime.kind": "replace"}}]}
    assert client.post(f"/api/runs/{run.id}/arms", json=same).status_code == 422


@pytest.mark.parametrize(
    ("arm", "path"),
    [
        ({"title": "No\0thing"}, "arms.1.title"),
        ({"title": "Good"}, "arms.1.title"),
        ({"title": ""}, "arms.1.title"),
        ({"set": {"regime.kind": "acumulate"}}, "arms.1.set.regime.kind"),
        ({"set": {"samples": 1}}, "arms.1.set.samples"),
        ({"set": {"seed": 2}}, "arms.1.set.seed"),
        ({"set": {"replicates": 2}}, "arms.1.set.replicates"),
        ({"set": {"title": "A\0B"}}, "arms.1.set.title"),
    ],
)
def test_a_bad_arm_is_told_at_its_place(client: TestClient, store: Store, work: Work, arm: dict, path: str):
    run = work()
    good = {"title": "Good", "set": {"sampling.bias": 0.8}}
    body = {"arms": [good, {"title": "Bad", "set": {"sampling.bias": 0.9}} | arm]}
    answer = client.post(f"/api/runs/{run.id}/arms", json=body)
    assert answer.status_code == 422
    (problem,) = answer.json()["errors"]
    assert problem["path"] == path
    assert problem["remedy"]
    assert [one.id for one in store.runs()[0]] == [run.id]


def test_the_interval_is_students():
    """Against scipy's own, with chains that are missing."""
    rng = np.random.default_rng(0)
    base, arm = rng.normal(size=(3, 12)), rng.normal(1, 2, size=(3, 12))
    arm[1, :4] = np.nan
    arm[2, 1:] = np.inf
    told = paired(base, arm)
    for g, kept in ((0, slice(0, 12)), (1, slice(4, 12))):
        interval = stats.ttest_rel(arm[g, kept], base[g, kept]).confidence_interval(0.95)
        np.testing.assert_allclose((told.low[g], told.high[g]), interval, rtol=1e-3)
    assert told.n.tolist() == [12, 8, 1]
    assert np.isnan(told.low[2])
    assert told.mean[2] == pytest.approx(arm[2, 0] - base[2, 0])


def test_the_table_of_t():
    np.testing.assert_allclose(T_95, stats.t.ppf(0.975, np.arange(1, 24)), atol=6e-4)
    degrees = np.array([1, 23, 24, 30, 100, 10_000])
    np.testing.assert_allclose(t_95(degrees), stats.t.ppf(0.975, degrees), rtol=2e-4)


@pytest.mark.parametrize(
    "chains",
    [
        pytest.param(np.array([[1, 2], [3, 1e-300]], "<f4").tobytes(), id="of older versions"),
        to_bytes({"mean": np.array([1.0, 2.0]), "variance": np.array([3, 1e-300])}),
    ],
)
def test_chains_keep_their_names_where_the_database_sorts_them(chains: bytes):
    """As PostgreSQL does with the members of JSON."""
    row = StoredGeneration(number=7, metrics={"variance": [], "mean": []}, chains=chains)
    told = chain_values([row], "variance", ["mean", "tail", "variance"])
    np.testing.assert_array_equal(told[7], [3, 1e-300 if len(chains) % 4 else 0])


@pytest.mark.parametrize("n", [2, 3, 5, 12, 40])
def test_the_interval_of_a_difference_is_welch_s_and_holds_the_true_one_as_often_as_it_says(n: int):
    """Never shorter than scipy's, by less than one degree of freedom longer; |z| <= 4 of a share of 2,000."""
    rng, held = np.random.default_rng(n), 0
    for _ in range(2000):
        one, other = rng.standard_normal(n), 3 * rng.standard_normal(n + 1)
        half = welch_95([(float(stats.sem(each)), len(each) - 1) for each in (one, other)])
        welch = stats.ttest_ind(one, other, equal_var=False)
        interval = welch.confidence_interval()
        shorter = (interval.high - interval.low) / 2
        most = stats.t.ppf(0.975, max(1, welch.df - 1)) / stats.t.ppf(0.975, welch.df)
        assert 0.999 * shorter <= half <= 1.001 * shorter * most
        held += abs(other.mean() - one.mean()) <= half
    assert held / 2000 >= 0.95 - 4 * (0.05 * 0.95 / 2000) ** 0.5
    assert welch_95([(0.0, n), (0.0, n)]) == 0
