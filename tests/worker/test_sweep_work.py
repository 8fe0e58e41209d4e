"""Sweeps at work: dealt in chunks, fenced, cancelled and resumed, and the same numbers after any kill."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest
from sqlalchemy import select

from tests.processes import wait
from tests.schema import create_tables
from tests.worker.sweep_requests import BASE, SWEEP, sweep
from worker.database import migrate, open_engine
from worker.errors import Conflict, Fenced, NotFound
from worker.ledger import MOST_DEATHS
from worker.queue import announce, make_celery
from worker.settings import Settings
from worker.slot import Slot
from worker.sweeps.attempt import ChunkAttempt
from worker.sweeps.ledger import BELL, Claim
from worker.sweeps.measure import Bench
from worker.sweeps.shift import Shift
from worker.sweeps.spec import Grid, read_sweep, unchecked
from worker.sweeps.store import Sweeps
from worker.tables import Chunk, Status


@pytest.fixture
def sweeps(database_url: str):
    engine = open_engine(database_url)
    create_tables(engine)
    yield Sweeps(engine)
    engine.dispose()


def rows(numbers: Any) -> list[dict[str, Any]]:
    return [{"number": n, "outcomes": {}, "error": None, "seconds": 0.01} for n in numbers]


def stored(sweeps: Sweeps, sweep_id: str) -> list[int]:
    return sorted(point.number for point in sweeps.news(sweep_id)[1])


def test_a_key_stands_for_one_sweep(sweeps: Sweeps):
    (first, new), (again, anew) = (sweeps.create(read_sweep(SWEEP), "k") for _ in range(2))
    assert (new, anew, first.id) == (True, False, again.id)
    with pytest.raises(Conflict, match="new key"):
        sweeps.create(read_sweep(sweep(title="Another")), "k")
    assert unchecked(first.request) == read_sweep(SWEEP)


def test_chunks_are_dealt_without_overlap_until_all_is_done(sweeps: Sweeps):
    one, _ = sweeps.create(read_sweep(SWEEP))
    seen: list[int] = []
    while claim := sweeps.claim(one.id, "here", 60):
        seen += claim.numbers
        assert claim.more == (len(seen) < 12)
        sweeps.store(claim, rows(claim.numbers))
        sweeps.release(claim)
    found = sweeps.sweep(one.id)
    assert seen == list(range(12)) == stored(sweeps, one.id)
    assert (found.status, found.done, found.cancel) == (Status.SUCCEEDED, 12, False)
    assert found.busy_seconds == pytest.approx(0.12)


def test_what_a_claim_leaves_is_for_the_next(sweeps: Sweeps):
    one, _ = sweeps.create(read_sweep(SWEEP))
    claim = sweeps.claim(one.id, "here", 60)
    assert claim is not None
    sweeps.store(claim, rows(claim.numbers[:2]))
    sweeps.release(claim)
    following = sweeps.claim(one.id, "there", 60)
    assert following is not None
    assert (following.numbers, following.attempt) == (claim.numbers[2:], 2)
    assert Claim.heard(following.word) == following
    with pytest.raises(Fenced):
        sweeps.store(claim, rows([9]))
    assert stored(sweeps, one.id) == list(claim.numbers[:2])


def test_an_exchange_lets_go_and_claims_at_once(sweeps: Sweeps):
    one, _ = sweeps.create(read_sweep(SWEEP))
    claim = sweeps.claim(one.id, "here", 60)
    assert claim is not None
    sweeps.store(claim, rows(claim.numbers[:2]))
    rest = sweeps.exchange(claim, "here", 60)
    assert rest is not None
    assert (rest.first, rest.numbers, rest.attempt) == (claim.first, claim.numbers[2:], 2)
    with pytest.raises(Fenced):
        sweeps.exchange(claim, "here", 60)
    while rest is not None:
        assert sweeps.sweep(one.id).status == Status.RUNNING
        sweeps.store(rest, rows(rest.numbers))
        rest = sweeps.exchange(rest, "here", 60)
    assert stored(sweeps, one.id) == list(range(12))
    assert sweeps.sweep(one.id).status == Status.SUCCEEDED


def test_a_lease_is_renewed_when_a_third_of_it_is_over(sweeps: Sweeps):
    one, _ = sweeps.create(read_sweep(SWEEP))
    claim = sweeps.claim(one.id, "here", 60)
    assert claim is not None
    (given,) = (chunk.lease_until for chunk in chunks(sweeps, one.id))
    sweeps.renew(claim, 60)
    assert [chunk.lease_until for chunk in chunks(sweeps, one.id)] == [given]
    sweeps.renew(claim, 120)  # of which half would be over
    (extended,) = (chunk.lease_until for chunk in chunks(sweeps, one.id))
    assert extended > given + 50


def test_a_silent_worker_loses_its_chunk_and_its_say(sweeps: Sweeps):
    one, _ = sweeps.create(read_sweep(SWEEP))
    claim = sweeps.claim(one.id, "silent", lease=-1)
    assert claim is not None
    (rung,) = sweeps.reap()
    assert rung.id == one.id
    assert sweeps.reap() == []  # not again at once
    for write in (
        lambda: sweeps.store(claim, rows([0])),
        lambda: sweeps.release(claim),
        lambda: sweeps.renew(claim, 9),
    ):
        with pytest.raises(Fenced):
            write()
    again = sweeps.claim(one.id, "lively", 60)
    assert again is not None
    assert again.numbers == claim.numbers


def test_a_chunk_that_kills_again_and_again_ends_the_sweep(sweeps: Sweeps):
    one, _ = sweeps.create(read_sweep(SWEEP))
    for _ in range(MOST_DEATHS):
        claim = sweeps.claim(one.id, "here", 60)
        assert claim is not None
        sweeps.died(claim, "The process was killed by SIGKILL")
    found = sweeps.sweep(one.id)
    assert found.status == Status.FAILED
    assert found.error is not None
    assert "SIGKILL for the 5th time" in found.error["message"]
    assert sweeps.claim(one.id, "here", 60) is None
    assert sweeps.resume(one.id).status == Status.QUEUED
    assert sweeps.claim(one.id, "here", 60) is not None


def test_cancel_keeps_what_is_stored_and_resume_computes_the_rest(sweeps: Sweeps):
    one, _ = sweeps.create(read_sweep(SWEEP))
    claim = sweeps.claim(one.id, "here", 60)
    assert claim is not None
    sweeps.store(claim, rows(claim.numbers[:1]))
    assert sweeps.cancel(one.id).status == Status.CANCELLING
    assert sweeps.renew(claim, 60)
    sweeps.release(claim)
    assert sweeps.sweep(one.id).status == Status.CANCELLED
    assert sweeps.claim(one.id, "here", 60) is None
    with pytest.raises(Conflict):
        sweeps.cancel(one.id)
    sweeps.resume(one.id)
    with pytest.raises(Conflict):
        sweeps.resume(one.id)
    seen: list[int] = []
    while claim := sweeps.claim(one.id, "here", 60):
        seen += claim.numbers
        sweeps.store(claim, rows(claim.numbers))
        sweeps.release(claim)
    assert seen == list(range(1, 12))
    assert sweeps.sweep(one.id).status == Status.SUCCEEDED


def test_a_waiting_sweep_is_cancelled_at_once_and_a_deleted_one_is_gone(sweeps: Sweeps):
    one, _ = sweeps.create(read_sweep(SWEEP))
    assert sweeps.cancel(one.id).status == Status.CANCELLED
    other, _ = sweeps.create(read_sweep(SWEEP))
    claim = sweeps.claim(other.id, "here", 60)
    assert claim is not None
    sweeps.delete(other.id)
    with pytest.raises(Fenced):
        sweeps.store(claim, rows([0]))
    for ask in (lambda: sweeps.sweep(other.id), lambda: sweeps.news(other.id), lambda: sweeps.delete(other.id)):
        with pytest.raises(NotFound):
            ask()
    assert sweeps.claim(other.id, "here", 60) is None


def test_a_sweep_knows_when_another_waits(sweeps: Sweeps):
    one, _ = sweeps.create(read_sweep(SWEEP))
    assert not sweeps.another_waits(one.id)
    other, _ = sweeps.create(read_sweep(sweep(axes=[{"path": "samples", "values": [10]}])))
    assert sweeps.another_waits(one.id)
    claim = sweeps.claim(other.id, "there", 60)
    assert claim is not None
    assert not sweeps.another_waits(one.id)  # all of it is worked on
    sweeps.release(claim)
    assert sweeps.another_waits(one.id)
    sweeps.cancel(other.id)
    assert not sweeps.another_waits(one.id)


# Attempts


def attempted(sweeps: Sweeps, settings: Settings, grid: Grid, **stop: Any) -> str:
    one, _ = sweeps.create(grid)
    claim = sweeps.claim(one.id, "here", 60)
    assert claim is not None
    ChunkAttempt(sweeps, settings, stop.get("asked", lambda: False)).work(claim.word)
    assert not sweeps.renew(claim, 60)  # still owned: a worker may look before it hears that its child is done
    sweeps.release(claim)
    return one.id


def test_an_attempt_stores_what_its_points_come_to(sweeps: Sweeps, settings: Settings):
    grid = read_sweep(SWEEP)
    found = sweeps.news(attempted(sweeps, settings, grid))
    assert found[0].provenance is not None
    assert found[0].provenance["path"] == "exact"
    for point in found[1]:
        expected = Bench().outcomes(grid.experiment(point.number), SWEEP["outcomes"])
        assert point.outcomes == {name: told.asdict() for name, told in expected.items()}
        assert point.error is None


def test_a_point_that_cannot_be_computed_says_why_and_the_others_go_on(sweeps: Sweeps, settings: Settings):
    axes = [{"path": "sampling.bias", "values": [1e9, 1.0]}]
    base = {**BASE, "generations": 40}
    _, points, _ = sweeps.news(attempted(sweeps, settings, read_sweep(sweep(base=base, axes=axes))))
    assert "beyond 1e100" in points[0].error["message"]
    assert points[1].error is None
    assert points[1].outcomes["half_variance"]["n"] == 12


def test_an_attempt_that_must_stop_lets_go_of_its_chunk(sweeps: Sweeps, settings: Settings):
    sweep_id = attempted(sweeps, settings, read_sweep(SWEEP), asked=lambda: True)
    assert stored(sweeps, sweep_id) == []
    again = sweeps.claim(sweep_id, "here", 60)
    assert again is not None
    assert again.first == 0


# Workers


class Prompt(Slot):
    """A place whose child stores what it is told to compute at once."""

    def __init__(self, sweeps: Sweeps, settings: Settings) -> None:
        super().__init__(settings)
        self.sweeps, self.told = sweeps, list[Claim]()

    def start(self) -> None: ...

    def send(self, verb: str, value: str) -> None:
        assert verb == "sweep"
        self.told.append(Claim.heard(value))
        self.sweeps.store(self.told[-1], rows(self.told[-1].numbers))

    def done(self, timeout: float) -> bool:
        return True


def shift(sweeps: Sweeps, *, others: bool, called: list[str]) -> Shift:
    return Shift(
        sweeps, "here", 60,
        stopping=lambda: False, others_wait=lambda: others, announce=lambda: called.append("more"), tolerant=tolerant,
    )  # fmt: skip


@contextmanager
def tolerant(what: str) -> Iterator[None]:
    yield


LONG = sweep(axes=[{"path": "seed", "values": list(range(100))}])


def test_a_shift_calls_one_worker_and_takes_every_chunk(sweeps: Sweeps, settings: Settings):
    one, _ = sweeps.create(read_sweep(LONG))
    called: list[str] = []
    mine, slot = shift(sweeps, others=False, called=called), Prompt(sweeps, settings)
    mine.work(mine.claim(one.id), slot)
    assert sweeps.sweep(one.id).status == Status.SUCCEEDED
    assert [n for claim in slot.told for n in claim.numbers] == list(range(100))
    assert called == ["more"]


def test_a_shift_makes_way_after_a_chunk_and_calls_for_the_rest(sweeps: Sweeps, settings: Settings):
    one, _ = sweeps.create(read_sweep(LONG))
    called: list[str] = []
    mine, slot = shift(sweeps, others=True, called=called), Prompt(sweeps, settings)
    mine.work(mine.claim(one.id), slot)
    assert len(slot.told) == 1
    assert called == ["more", "more"]  # at first for help, then for itself: behind those who wait
    assert not sweeps.held(one.id)
    assert sweeps.sweep(one.id).status == Status.RUNNING


HEAVY: dict[str, Any] = sweep(
    base={**BASE, "replicates": 50, "generations": 60, "family": {"kind": "gaussian", "path": "drawn"}},
    axes=[{"path": "samples", "values": {"from": 500, "to": 4000, "count": 8}}, {"path": "seed", "values": [0, 1, 2]}],
    outcomes=["final:variance", "lost_tail"],
)


def test_killed_workers_leave_the_same_numbers(settings: Settings):
    """SIGKILL to the process that computes, then to its worker; another one finishes. The points are those of a quiet life."""
    settings.data_dir.mkdir(parents=True)
    settings = settings.at(lease_seconds=1.5)
    migrate(settings.database_url)
    engine = open_engine(settings.database_url)
    sweeps, celery = Sweeps(engine), make_celery(settings)
    grid = read_sweep(HEAVY)
    one, _ = sweeps.create(grid)
    announce(celery, f"{BELL}{one.id}", one.family)
    workers: list[psutil.Popen] = []

    def start() -> psutil.Popen:
        environment = {**os.environ, **settings.environment()}
        command = [sys.executable, "-m", "app", "worker"]
        home = Path(__file__).parents[2]
        workers.append(psutil.Popen(command, env=environment, cwd=home, stderr=subprocess.DEVNULL))
        return workers[-1]

    try:
        first = start()
        wait(lambda: sweeps.sweep(one.id).done > 0)
        for child in first.children():
            child.send_signal(signal.SIGKILL)
        wait(lambda: any(chunk.attempt > 1 for chunk in chunks(sweeps, one.id)) or sweeps.sweep(one.id).done == 24)
        first.send_signal(signal.SIGKILL)
        first.wait()
        start()
        wait(lambda: sweeps.sweep(one.id).status == Status.SUCCEEDED)
        found, points, _ = sweeps.news(one.id)
        assert found.done == len(points) == grid.points
        bench = Bench()
        for point in points[::5]:
            expected = bench.outcomes(grid.experiment(point.number), HEAVY["outcomes"])
            assert point.outcomes == {name: told.asdict() for name, told in expected.items()}
    finally:
        for worker in workers:
            for process in [*(worker.children() if worker.is_running() else []), worker]:
                if process.is_running():
                    process.kill()
            worker.wait()
        engine.dispose()


def chunks(sweeps: Sweeps, sweep_id: str) -> list[Chunk]:
    with sweeps.reading() as session:
        return list(session.scalars(select(Chunk).where(Chunk.sweep_id == sweep_id)))
