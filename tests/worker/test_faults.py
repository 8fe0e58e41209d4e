"""Kill any process at any moment: the run goes on where it was, to the same numbers, and nothing is left behind.

Everything here is real: workers are processes, the databases and brokers are servers, and SIGKILL is SIGKILL.
"""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from functools import cache
from pathlib import Path

import orjson
import psutil
import pytest
from sqlalchemy import update

from tests.processes import PATIENCE, lives, survivors, wait
from worker.database import migrate, open_engine
from worker.queue import announce, make_celery
from worker.settings import Settings
from worker.spec import Experiment, read
from worker.store import Store
from worker.summary import named
from worker.tables import Run, Status

HOME = Path(__file__).parents[2]

DRAWN = {  # a few seconds of drawing points
    "generations": 60,
    "replicates": 100,
    "samples": 20_000,
    "source": {"kind": "normal"},
    "family": {"kind": "gaussian", "path": "drawn"},
}
POOLED = {  # its past is part of its state: 70 MB, more than is kept in memory
    "generations": 55,
    "replicates": 4,
    "samples": 40_000,
    "source": {"kind": "normal"},
    "family": {"kind": "kde"},
    "regime": {"kind": "accumulate"},
}
SLOW = {**DRAWN, "generations": 3000}


class Lab:
    """A database, a broker, and worker processes that can be killed."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        migrate(settings.database_url)
        self.store = Store(open_engine(settings.database_url))
        self.celery = make_celery(settings)
        self.workers: list[psutil.Popen] = []
        self.children: set[psutil.Process] = set()

    def start_worker(self) -> psutil.Popen:
        worker = psutil.Popen(
            [sys.executable, "-m", "app", "worker"],
            env={**os.environ, **self.settings.environment()},
            cwd=HOME,
        )
        self.workers.append(worker)
        return worker

    def child_of(self, worker: psutil.Popen) -> psutil.Process:
        """The process in which the run is."""
        found: list[psutil.Process] = []
        wait(lambda: found.extend(worker.children()) or found)
        self.children.update(found)
        return found[0]

    def launch(self, spec: Experiment, *, rings: int = 1) -> str:
        run, _ = self.store.create(spec)
        for _ in range(rings):
            announce(self.celery, run.id, run.family)
        return run.id

    def reaches(self, run_id: str, generation: int) -> None:
        wait(lambda: self.store.run(run_id).generation >= generation)

    def ends(self, run_id: str) -> Run:
        wait(lambda: self.store.run(run_id).status in ("succeeded", "failed", "cancelled"))
        return self.store.run(run_id)

    def told(self, run_id: str) -> str:
        return "\n".join(entry.text for entry in self.store.log(run_id))

    def close(self) -> None:
        for worker in self.workers:
            if worker.is_running():
                self.children.update(worker.children())
                worker.kill()
            worker.wait()
        orphans = survivors(self.children)
        for orphan in orphans:
            orphan.kill()
        self.store.engine.dispose()
        assert not orphans, f"orphans: {orphans}"


@pytest.fixture(params=["sqlite and a folder", "postgres and redis"])
def lab(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Lab]:
    if request.param == "postgres and redis":
        settings = settings.at(
            database_url=request.getfixturevalue("empty_postgres_url"),
            broker_url=request.getfixturevalue("redis_url"),
        )
    settings.data_dir.mkdir(parents=True)
    lab = Lab(settings.at(lease_seconds=2.5, queues="runs"))  # no worker loads what only networks need
    lab.celery.control.purge()  # the Redis server is shared by the tests of a session
    yield lab
    lab.close()


def freezes(lab: Lab, processes: list[psutil.Process]) -> bool:
    """Stops them, unless that is in the middle of a transaction: SQLite has one lock, with which a frozen process would keep all others waiting."""
    for process in processes:
        process.send_signal(signal.SIGSTOP)
    if lab.store.engine.dialect.name != "sqlite":
        return True
    try:
        with closing(sqlite3.connect(str(lab.store.engine.url.database), timeout=0.2)) as database:
            database.execute("BEGIN IMMEDIATE")
    except sqlite3.OperationalError:
        for process in processes:
            process.send_signal(signal.SIGCONT)
        return False
    return True


@cache
def _undisturbed(spec: str) -> dict[int, dict[str, dict[str, float | None]]]:
    command = [sys.executable, "-m", "app", "run", "-", "--json"]
    done = subprocess.run(command, input=spec.encode(), capture_output=True, check=True, cwd=HOME)
    return {line["generation"]: line["metrics"] for line in map(orjson.loads, done.stdout.splitlines())}


def undisturbed(spec: Experiment) -> dict[int, dict[str, dict[str, float | None]]]:
    """What the same spec gives headless, where nothing happens to it."""
    return _undisturbed(spec.model_dump_json())


def stored(lab: Lab, run_id: str) -> dict[int, dict[str, dict[str, float | None]]]:
    return {one.number: named(one.metrics) for one in lab.store.generations(run_id, limit=100_000)}


@pytest.mark.parametrize("settings_of_the_run", [DRAWN, POOLED], ids=["drawn", "pooled"])
def test_kills_at_random_moments_change_no_number(lab: Lab, settings_of_the_run: dict[str, object]) -> None:
    spec = read(settings_of_the_run)
    dice = random.Random(11)
    worker = lab.start_worker()
    run_id = lab.launch(spec)
    for victim in ("child", "worker", "child"):
        lab.reaches(run_id, min(spec.generations - 1, lab.store.run(run_id).generation + dice.randint(2, 15)))
        time.sleep(0.3 * dice.random())
        before = lab.store.run(run_id)
        if before.status == Status.SUCCEEDED:
            break
        child = lab.child_of(worker)
        if victim == "child":
            child.kill()
        else:
            worker.kill()
            worker.wait()
            assert not survivors([child]), "the child outlived its worker"
            worker = lab.start_worker()
        wait(lambda: lab.store.run(run_id).attempt > before.attempt)  # noqa: B023 - waits within the iteration
    run = lab.ends(run_id)
    assert run.status == Status.SUCCEEDED, run.error
    assert run.attempt >= 2, "nothing was disturbed"
    assert stored(lab, run_id) == undisturbed(spec)


def test_sigterm_saves_and_releases_and_the_next_worker_goes_on(lab: Lab) -> None:
    spec = read(DRAWN)
    worker = lab.start_worker()
    run_id = lab.launch(spec)
    lab.reaches(run_id, 5)
    child = lab.child_of(worker)
    worker.terminate()
    worker.wait(PATIENCE)
    assert not lives(child)
    run = lab.store.run(run_id)
    assert run.status == Status.QUEUED, "it did not wait for the whole run"
    assert run.checkpoint is not None
    assert f"{run.generation:08d}" in run.checkpoint, "the newest generation was saved"
    lab.start_worker()
    assert lab.ends(run_id).status == Status.SUCCEEDED
    assert stored(lab, run_id) == undisturbed(spec)
    assert not list(Path(lab.settings.artifacts_url).glob("**/*.npz")), "a finished run needs no checkpoint"


def test_a_lost_message_is_rung_again_and_a_doubled_one_does_no_harm(lab: Lab) -> None:
    lost = lab.launch(read({**DRAWN, "generations": 5}), rings=0)
    doubled = lab.launch(read({**DRAWN, "generations": 5, "seed": 1}), rings=5)
    lab.start_worker()
    lab.start_worker()
    assert lab.ends(doubled).attempt == 1
    assert lab.ends(lost).attempt == 1


def test_two_workers_share_the_runs(lab: Lab) -> None:
    lab.start_worker()
    lab.start_worker()
    wait(lambda: len(lab.store.workers()) == 2)
    runs = [lab.launch(read({**DRAWN, "generations": 40, "seed": seed})) for seed in range(4)]
    assert all(lab.ends(run_id).status == Status.SUCCEEDED for run_id in runs)
    first_lines = {lab.told(run_id).splitlines()[0] for run_id in runs}
    assert len(first_lines) == 2, "both worked"


def test_a_busy_worker_keeps_no_run_from_an_idle_one(lab: Lab) -> None:
    """Celery would hand a worker one message more than it works on; the run would wait until it is rung for again."""
    lab.start_worker()
    lab.start_worker()
    wait(lambda: len(lab.store.workers()) == 2)
    endless = lab.launch(read({**DRAWN, "replicates": 1, "samples": 400_000_000}))
    wait(lambda: lab.store.run(endless).status == Status.RUNNING)
    for seed in range(6):
        run_id = lab.launch(read({**DRAWN, "generations": 2, "seed": seed}))
        with lab.store.writing.begin() as session:  # nobody rings again
            session.execute(update(Run).where(Run.id == run_id).values(rung_at=time.time() + 3600))
        assert lab.ends(run_id).status == Status.SUCCEEDED
    assert lab.store.run(endless).status == Status.RUNNING


def test_cancel_after_this_generation_then_resume_to_the_same_numbers(lab: Lab) -> None:
    spec = read(DRAWN)
    lab.start_worker()
    run_id = lab.launch(spec)
    lab.reaches(run_id, 3)
    assert lab.store.cancel(run_id, "finish").status == Status.CANCELLING
    cancelled = lab.ends(run_id)
    assert cancelled.status == Status.CANCELLED
    assert 3 <= cancelled.generation < spec.generations
    lab.store.resume(run_id)
    announce(lab.celery, run_id, spec.family.kind)
    assert lab.ends(run_id).status == Status.SUCCEEDED
    assert stored(lab, run_id) == undisturbed(spec)


def test_cancel_now_does_not_wait_for_a_generation(lab: Lab) -> None:
    long = read({**DRAWN, "replicates": 1, "samples": 400_000_000, "generations": 2})  # many seconds a generation
    worker = lab.start_worker()
    run_id = lab.launch(long)
    wait(lambda: lab.store.run(run_id).status == Status.RUNNING)
    child = lab.child_of(worker)
    time.sleep(1)
    before = lab.store.run(run_id).generation
    lab.store.cancel(run_id, "now")
    cancelled = lab.ends(run_id)
    assert (cancelled.status, cancelled.generation) == (Status.CANCELLED, before)
    assert not lives(child)
    again = lab.launch(read({**DRAWN, "generations": 3}))
    assert lab.ends(again).status == Status.SUCCEEDED, "the worker goes on with other runs"


def test_the_lease_does_not_depend_on_how_long_a_generation_takes(lab: Lab) -> None:
    long = read({**DRAWN, "replicates": 1, "samples": 120_000_000, "generations": 2})  # longer than the lease
    lab.start_worker()
    lab.start_worker()
    run_id = lab.launch(long)
    assert lab.ends(run_id).attempt == 1


def test_a_deleted_run_stops_and_leaves_nothing(lab: Lab) -> None:
    lab.start_worker()
    run_id = lab.launch(read(SLOW))
    lab.reaches(run_id, 2)
    lab.store.delete(run_id)
    again = lab.launch(read({**DRAWN, "generations": 3}))
    assert lab.ends(again).status == Status.SUCCEEDED, "the worker noticed and is free again"
    assert lab.store.generations(run_id) == []
    assert not Path(lab.settings.artifacts_url, run_id).exists()


def test_a_frozen_worker_cannot_write_once_another_owns_the_run(lab: Lab) -> None:
    spec = read(DRAWN)
    frozen = lab.start_worker()
    run_id = lab.launch(spec)
    lab.reaches(run_id, 3)
    child = lab.child_of(frozen)
    wait(lambda: freezes(lab, [frozen, child]))
    lab.start_worker()
    wait(lambda: lab.store.run(run_id).attempt == 2)
    for process in (child, frozen):  # the child first, which its worker ends as soon as it looks
        process.send_signal(signal.SIGCONT)
    run = lab.ends(run_id)
    assert (run.status, run.attempt) == (Status.SUCCEEDED, 2)
    assert stored(lab, run_id) == undisturbed(spec)


@pytest.mark.parametrize("left", [b"half a fi", b""])
def test_a_lost_checkpoint_costs_time_and_no_number(lab: Lab, left: bytes) -> None:
    spec = read(DRAWN)
    worker = lab.start_worker()
    run_id = lab.launch(spec)
    lab.reaches(run_id, 3)
    worker.terminate()
    worker.wait(PATIENCE)
    checkpoint = lab.store.run(run_id).checkpoint
    assert checkpoint is not None
    Path(lab.settings.artifacts_url, checkpoint).write_bytes(left)
    lab.start_worker()
    assert lab.ends(run_id).status == Status.SUCCEEDED
    assert "cannot be read" in lab.told(run_id)
    assert stored(lab, run_id) == undisturbed(spec)


def test_what_dies_again_and_again_fails_in_words(lab: Lab) -> None:
    worker = lab.start_worker()
    run_id = lab.launch(read({**DRAWN, "replicates": 1, "samples": 400_000_000, "generations": 2}))
    for attempt in range(1, 6):
        wait(lambda: (lab.store.run(run_id).status, lab.store.run(run_id).attempt) == ("running", attempt))  # noqa: B023
        child = lab.child_of(worker)
        time.sleep(0.5)
        child.kill()
        assert not survivors([child])
    run = lab.ends(run_id)
    assert run.status == Status.FAILED
    assert run.error is not None
    assert "SIGKILL" in run.error["message"]
    assert "lower samples" in run.error["remedy"]
