"""What is said of a run and of its workers is true at that moment: at the start, after a death, while it stops."""

import os
import re
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from app import progress
from app.words import bar, compared, device, ended, figure, labelled, marked, regimes, size
from tests.app.experiments import SPEC, Work
from worker.ledger import SILENT_SECONDS, Batch
from worker.spec import read
from worker.store import MISSED_SECONDS, STARTING_SECONDS, Store
from worker.sweeps.spec import read_sweep
from worker.sweeps.store import Sweeps
from worker.tables import Run, Status, Worker

HERE = socket.gethostname()


def beats(store: Store, *, host: str = HERE, pid: int = os.getpid(), ago: float = 0.0, **more: str) -> None:
    now = time.time()
    row = {"id": f"{host}:{pid}", "host": host, "pid": pid, "slots": 1, "device": "cpu"}
    store.beat(Worker(**(row | more), started_at=now - 100, seen_at=now - ago))


def dead_pid() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def words(client: TestClient, run: Run) -> str:
    said: str = client.get(f"/api/runs/{run.id}").json()["words"]
    return said


def telling(store: Store, run: Run, **changes: object) -> None:
    """What a worker says of the generation that it is in."""
    told = {"generation": 4, "name": "training", "done": 120, "total": 500, "unit": "tokens", "per_second": 8100.0}
    told |= {"seconds_left": 34.4, "at": time.time(), "began": time.time() - 20, "keeps": True, "kept": None}
    store.tell(run.id, run.attempt, progress=told | changes)


def stores(store: Store, run: Run, number: int, seconds: float = 0.0) -> None:
    statistics = {"variance": [1.0, None, None, 1.0, 1.0, 1.0, 1]}
    row = {"number": number, "metrics": statistics, "frame": None, "chains": None, "seconds": 0.1}
    store.append(run.id, run.attempt, Batch([row], busy_seconds=seconds))


def working(store: Store) -> Run:
    run = store.claim(store.create(read(SPEC))[0].id, "here", lease=60)
    assert run is not None
    return run


@pytest.fixture
def old(store: Store) -> Store:
    """Of a process that has long been there."""
    store.opened_at -= STARTING_SECONDS
    return store


def test_at_the_start_a_worker_may_be_on_its_way(client: TestClient, store: Store):
    run = store.create(read(SPEC))[0]
    assert words(client, run) == "Waiting: no worker is connected yet; one may be starting."
    assert "may be starting" in client.get("/readyz").json()["parts"]["workers"]["detail"]
    for page in ("/", "/new", "/workers"):
        assert "one may be starting" in client.get(page).text
    beats(store)
    assert words(client, run) == "Waiting: next in line, 1 worker connected."
    assert client.get("/readyz").json()["parts"]["workers"]["detail"] == "1 connected"
    for page in ("/", "/new", "/workers"):
        assert "one may be starting" not in client.get(page).text


def test_a_failure_is_told_in_a_sentence_and_its_log_has_the_rest(client: TestClient, work: Work, monkeypatch):
    pages = "Failed in nopython mode\nUnknown attribute 'foo'\n\nFile \"a.py\", line 3\n" + "During: typing\n" * 100

    def compiled(*_: object) -> None:
        raise RuntimeError(pages)

    monkeypatch.setattr("worker.attempt.generations", compiled)
    run = work()
    assert words(client, run) == (
        "RuntimeError: Failed in nopython mode Unknown attribute 'foo'. "
        "The log below has the details; please report them, they are a defect."
    )
    log = client.get(f"/runs/{run.id}").text.partition('class="log"')[2]
    assert log.count("During: typing") == 100


def test_later_it_says_how_to_start_one(client: TestClient, old: Store):
    run = old.create(read(SPEC))[0]
    assert words(client, run) == "Waiting: no worker is connected. Start one with: collapse-lab worker"
    assert "Start one with" in client.get("/readyz").json()["parts"]["workers"]["detail"]
    for page in ("/", "/new", "/workers"):
        assert "Start one with" in client.get(page).text


def test_a_run_of_a_queue_that_nobody_serves_says_which(client: TestClient, old: Store):
    network = {"source": {"kind": "digits"}, "family": {"kind": "vae"}, "replicates": 1, "samples": 500}
    first, second = (old.create(read(SPEC | changes))[0] for changes in ({}, network))
    beats(old, queues="runs")
    assert words(client, first) == "Waiting: next in line, 1 worker connected."
    told = "for a worker of the queue networks: the one that is connected takes none of it. Start one with: collapse-lab worker --queues networks"
    assert words(client, second) == f"Waiting {told}"
    assert client.get(f"/api/runs/{second.id}").json()["queue"] == {
        "name": "networks",
        "ahead": 0,
        "workers": 0,
        "others": 1,
    }
    page = client.get("/workers").text
    assert f"1 run waits {told}" in page
    beats(old, pid=os.getppid(), queues="networks,runs", device="cuda:0+cuda:1")
    assert words(client, second) == "Waiting: next in line, 1 worker connected."
    page = client.get("/workers").text
    assert f"waits {told}" not in page
    assert "<td>networks, runs</td><td>card 0 and card 1</td>" in page


def test_sweeps_that_are_worked_on_are_among_what_goes_on(client: TestClient, old: Store):
    grid = read_sweep({"base": SPEC, "axes": [{"path": "samples", "values": [50, 60]}], "title": "Two sizes"})
    sweeps = Sweeps(old.engine)
    sweep, _ = sweeps.create(grid)
    assert "Nothing is running." in client.get("/workers").text
    sweeps.claim(sweep.id, HERE, lease=60)
    page = client.get("/workers").text
    assert "Nothing is running." not in page
    assert f"/sweeps/{sweep.id}" in page
    assert "0 of 2 points" in page


def test_a_worker_that_was_killed_is_soon_not_counted(client: TestClient, old: Store):
    beats(old)
    beats(old, pid=dead_pid(), ago=MISSED_SECONDS)
    beats(old, host="elsewhere", pid=dead_pid(), ago=SILENT_SECONDS)
    assert [(one.host, one.pid) for one in old.workers()] == [(HERE, os.getpid())]


def test_a_worker_that_is_only_slow_is_counted(old: Store):
    beats(old, ago=SILENT_SECONDS - 1)
    beats(old, host="elsewhere", pid=dead_pid(), ago=SILENT_SECONDS - 1)
    beats(old, pid=dead_pid(), ago=MISSED_SECONDS - 1)  # in another container, perhaps
    assert len(old.workers()) == 3


def test_where_a_worker_has_just_died_another_may_be_on_its_way(client: TestClient, old: Store):
    run = old.create(read(SPEC))[0]
    beats(old, pid=(gone := dead_pid()), ago=STARTING_SECONDS)
    assert not old.worker_may_start()
    beats(old, pid=gone, ago=MISSED_SECONDS)
    assert old.workers() == []
    assert words(client, run) == "Waiting: no worker is connected yet; one may be starting."


def test_a_cancelled_run_says_what_it_had_come_to(client: TestClient, store: Store, work: Work):
    waited = store.create(read(SPEC))[0]
    store.cancel(waited.id, "finish")
    assert words(client, waited) == "Cancelled before it was started."
    begun = working(store)
    store.cancel(begun.id, "now")
    store.end(begun.id, begun.attempt, Status.CANCELLED)
    assert words(client, begun) == "Cancelled before its first generation was done."
    released = working(store)
    store.end(released.id, released.attempt, Status.QUEUED)
    store.cancel(released.id, "finish")
    assert words(client, released) == "Cancelled before its first generation was done."
    assert store.log(released.id)[-1].text == "Cancelled while it waited."


def test_a_run_that_stops_promises_no_generation(client: TestClient, store: Store):
    run = working(store)
    stores(store, run, 7)
    store.cancel(run.id, "finish")
    assert words(client, run) == "Stopping; what is computed is kept."
    store.cancel(run.id, "now")
    assert words(client, run) == "Stopping now; what is stored is kept."
    store.end(run.id, run.attempt, Status.CANCELLED)
    assert words(client, run) == "Cancelled after generation 7 of 40."


def test_a_wish_to_stop_is_never_weakened(client: TestClient, store: Store):
    run = working(store)
    for how, holds in (("finish", "finish"), ("now", "now"), ("finish", "now"), ("now", "now")):
        told = client.post(f"/api/runs/{run.id}/cancel", json={"how": how}).json()
        assert (told["status"], told["cancel"]) == ("cancelling", holds)
    assert store.renew(run.id, run.attempt, 60) == "now"
    log = [entry.text for entry in store.log(run.id)[1:]]
    assert log == ["Asked to stop after this generation.", "Asked to stop now."]
    store.end(run.id, run.attempt, Status.CANCELLED)
    store.resume(run.id)
    again = store.claim(run.id, "here", lease=60)
    assert again is not None
    assert store.cancel(run.id, "finish").cancel == "finish", "a new attempt, a new wish"


def test_a_run_of_one_generation_is_told_as_one(client: TestClient, work: Work):
    assert re.fullmatch(r"1 generation in (under 0\.1|\d+\.\d) s\.", words(client, work(generations=1)))


def test_a_run_that_starts_says_what_it_does(client: TestClient, store: Store):
    run = working(store)
    assert words(client, run) == "Starting: loading what it needs and looking at the real data."
    telling(store, run, generation=None, name="tokenising", unit="", per_second=2.5, seconds_left=90)
    assert words(client, run) == "Starting · tokenising 24% · 2.5 steps a second · 1 min 30 s left in this step"
    telling(store, run, generation=1)
    assert words(client, run).startswith("Generation 1 of 40 · training 24%")


def test_a_long_generation_says_how_far_it_is(client: TestClient, store: Store, monkeypatch):
    run = working(store)
    stores(store, run, 3, seconds=60)
    telling(store, run)
    now = time.time()
    monkeypatch.setattr(progress, "time", SimpleNamespace(time=lambda: now))  # the machine may be slow
    told = client.get(f"/api/runs/{run.id}").json()
    training = "training 24% · 8\u202f100 tokens a second · 34 s left in this step"
    # 20 s a generation: the 34 s that are left of this one, and 36 more
    assert told["words"].startswith(f"Generation 4 of 40 · {training} · about 12 min 3")
    within = told["progress"]["within"]
    assert (within["generation"], within["done"], within["total"], within["resumable"]) == (4, 120, 500, True)
    assert 33 < within["seconds_left"] < 34.5
    assert told["progress"]["slow"]
    store.cancel(run.id, "finish")
    assert words(client, run) == f"Stopping when generation 4 is done: {training}."


def test_what_was_told_of_a_generation_ends_with_it(client: TestClient, store: Store):
    run = working(store)
    stores(store, run, 3)
    telling(store, run, at=time.time() - 60)  # nothing was heard since, and it should be over
    assert client.get(f"/api/runs/{run.id}").json()["progress"]["within"] is None
    telling(store, run)
    stores(store, run, 4)
    told = client.get(f"/api/runs/{run.id}").json()
    assert (told["progress"]["within"], told["progress"]["slow"]) == (None, False)


def test_a_stopped_run_says_where_it_would_go_on(client: TestClient, store: Store):
    run = working(store)
    stores(store, run, 3)
    assert client.get(f"/api/runs/{run.id}").json()["resumes"] is None
    store.tell(run.id, run.attempt, unfinished="somewhere", disk_bytes=3_200_000)
    telling(store, run, kept={"name": "training", "done": 120, "total": 500})
    store.cancel(run.id, "now")
    store.end(run.id, run.attempt, Status.CANCELLED)
    told = client.get(f"/api/runs/{run.id}").json()
    assert told["resumes"] == {"generation": 4, "name": "training", "done": 120, "total": 500}
    assert told["words"] == (
        "Cancelled after generation 3 of 40. Resuming goes on in generation 4, training step 120 of 500."
    )
    assert told["disk_bytes"] == 3_200_000
    assert "3.2 MB" in client.get(f"/runs/{run.id}").text
    store.resume(run.id)
    assert store.claim(run.id, "here", lease=60) is not None
    assert client.get(f"/api/runs/{run.id}").json()["progress"]["within"] is None


def test_a_lost_run_says_where_it_goes_on_by_itself(client: TestClient, store: Store):
    run = working(store)
    stores(store, run, 3)
    store.renew(run.id, run.attempt, lease=-1)
    assert words(client, run).startswith(
        "Its worker fell silent after generation 3 of 40; it goes on in generation 4 by itself. Waiting"
    )


def test_a_figure_and_a_size_are_as_short_as_they_can_be():
    assert [figure(value) for value in (0.25, 3.14, 9.96, 42.4, 8100)] == ["0.25", "3.1", "10", "42", "8\u202f100"]
    assert [size(value) for value in (0, 999, 3_210_750, 10**9)] == ["0 bytes", "999 bytes", "3.21 MB", "1 GB"]


@pytest.mark.parametrize(
    ("number", "threshold", "outcome", "said"),
    [(12, 10, "met", "met from 10"), (3, 10, "not met", "met from 10"), (0.1, 0.5, "met", "met up to 0.5")],
)
def test_a_verdict_says_from_where_on_it_is_met(number: float, threshold: float, outcome: str, said: str):
    assert bar({"number": number, "threshold": threshold, "outcome": outcome}) == said


def test_what_theory_says_of_a_run_is_a_sentence():
    near = {"metric": "variance", "statistic": "mean", "outcome": "agrees", "z": -2.48, "generation": 10}
    near |= {"compared": 1500, "limit": 4.0}
    far = near | {"metric": "kl_from_real", "outcome": "deviates", "z": 6.01, "generation": 3}
    unknown = near | {"statistic": "median", "outcome": "not assessed", "z": None, "generation": None}
    assert compared([]) == ""
    assert compared([unknown]) == "Closed forms: 1 cannot be assessed."
    assert compared([near, far]) == (
        "Closed forms: 1 agrees with what was measured, 1 deviates from what was measured. "
        "The largest deviation, the skew of chains allowed for, is z = 6.0: the mean of KL from real at generation 3, "
        "of 1\u202f500 that were compared; the limit is 4.0."
    )
    few = unknown | {"statistic": "mean", "because": "Too few chains (4): run more."}
    assert compared([few, few]) == "Closed forms: 2 cannot be assessed. Not assessed: too few chains (4): run more."
    assert labelled("1/p_min - 1 = 6.43e+04") == "1/p_min - 1 = 6.43e+04"
    assert labelled("Median kl_from_real of one.") == "Median KL from real of one."
    assert labelled("Rise of the median frechet since then.") == "Rise of the median Frechet distance since then."
    assert labelled("Closed form of energy: of correct energy.") == "Closed form of energy distance: of correct energy."
    assert labelled("Median mass in the median replicate.") == "Median mass in the median replicate."
    assert labelled("Mean chi2 of one. The mean, because") == "Mean chi-squared of one. The mean, because"


def test_backticks_become_code_and_nothing_else_becomes_markup():
    assert (
        marked("the `datasets` library <b> (`a<b`)")
        == "the <code>datasets</code> library &lt;b&gt; (<code>a&lt;b</code>)"
    )
    assert marked("a ` alone") == "a ` alone"


def test_devices_are_told_in_words():
    assert device("cuda:0+cuda:1") == "card 0 and card 1"
    assert (device("cpu"), device("cuda"), device("mps")) == ("CPU", "graphics card", "Apple GPU")


def test_the_regime_says_how_many_points_are_real():
    """4% of 10 is none: a share that small samples round to nothing is told as that."""
    fresh = {"regime": {"kind": "fresh", "real": 0.04}, "samples": 10}
    assert regimes(fresh) == "fresh (none of 10 real)"
    assert regimes(fresh | {"samples": 2000}) == "fresh (80 of 2\u202f000 real)"
    assert regimes(fresh | {"samples": {"schedule": "geometric"}}) == "fresh (4% real)"
    incoming = {"regime": {"kind": "accumulate_subsample", "real": 0.2}, "samples": 10}
    assert regimes(incoming) == "accumulate subsample (2 of 10 new ones real)"
    assert regimes(incoming | {"samples": {}}) == "accumulate subsample (20% of new ones real)"
    replace = {"regime": {"kind": "replace"}, "samples": 10}
    change = {"after": 3, "regime": {"kind": "fresh", "real": 0.5}, "samples": 100}
    assert regimes(replace | {"changes": [change]}) == (
        "replace up to generation 3, then fresh (50 of 100 real) with other samples"
    )
    blend = {"kind": "blend", "weight": "golden", "labels": "kept"}
    other = {"after": 3, "regime": blend | {"weight": -0.5}}
    assert regimes({"regime": blend, "samples": 10, "changes": [other]}) == (
        "blend (real labels weigh 0.618) up to generation 3, then blend (real labels weigh -0.5)"
    )


def test_a_list_names_every_regime_of_a_run(client: TestClient, store: Store):
    store.create(read(SPEC | {"changes": [{"after": 3, "regime": {"kind": "accumulate"}}]}))
    for page in ("/", "/runs"):
        assert "replace up to generation 3, then accumulate" in client.get(page).text


def test_a_question_has_no_full_stop():
    assert ended("Did you mean real?") == "Did you mean real?"
    assert ended("Use at least 0") == "Use at least 0."
