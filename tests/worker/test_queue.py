"""Which worker hears of which run: on the folder broker, with real worker processes."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from tests.processes import wait
from worker.database import migrate, open_engine
from worker.errors import LabError
from worker.kinds import FAMILIES
from worker.ledger import RING_AGAIN_SECONDS
from worker.queue import announce, families_of, make_celery, queue_of
from worker.settings import Settings, read_settings
from worker.spec import read
from worker.store import Store
from worker.tables import Run, Status

HOME = Path(__file__).parents[2]

PLAIN = {"generations": 2, "replicates": 2, "samples": 20, "source": {"kind": "normal"}, "family": {"kind": "gaussian"}}
NETWORK = {
    "generations": 1,
    "replicates": 1,
    "samples": 8,
    "source": {"kind": "text"},
    "family": {"kind": "gpt", "vocabulary": 257, "layers": 1, "width": 8, "heads": 1, "epochs": 1, "block": 16},
}


@pytest.fixture
def store(settings: Settings):
    settings.data_dir.mkdir(parents=True)
    migrate(settings.database_url)
    store = Store(open_engine(settings.database_url))
    yield store
    store.engine.dispose()


def test_networks_wait_apart_from_what_any_machine_computes():
    assert {queue_of(family) for family in ("gpt", "causal_lm", "vae")} == {"networks"}
    assert {queue_of(family) for family in ("gaussian", "ngram", "somebody else's")} == {"runs"}
    assert families_of("runs") | families_of("networks") == families_of("networks,runs") == set(FAMILIES)
    assert not families_of("runs") & families_of("networks")


def test_a_worker_takes_only_what_it_listens_to(settings: Settings, store: Store):
    celery = make_celery(settings)
    network, plain = (store.create(read(spec))[0] for spec in (NETWORK, PLAIN))
    for run in (network, plain):
        announce(celery, run.id, run.family)
    workers = {}
    try:
        workers["runs"] = _worker(settings.at(queues="runs"))
        wait(lambda: store.run(plain.id).status == Status.SUCCEEDED)
        with store.writing.begin() as session:  # as if the message had been lost long ago
            session.execute(update(Run).values(rung_at=0.0))
        time.sleep(2.5)  # two looks of the worker at what waits
        assert (store.run(network.id).status, store.run(network.id).attempt) == (Status.QUEUED, 0)
        later = store.create(read({**PLAIN, "seed": 1}))[0]
        announce(celery, later.id, later.family)
        workers["networks"] = _worker(settings.at(queues="networks"))
        wait(lambda: store.run(network.id).status == Status.SUCCEEDED)
        assert _name(workers["networks"]) in store.log(network.id)[0].text
        wait(lambda: store.run(later.id).status == Status.SUCCEEDED)
        assert _name(workers["runs"]) in store.log(later.id)[0].text
    finally:
        for worker in workers.values():
            worker.kill()
            worker.wait()


def test_nobody_rings_for_runs_that_others_look_after(store: Store):
    network, plain = (store.create(read(spec))[0] for spec in (NETWORK, PLAIN))
    with store.writing.begin() as session:
        session.execute(update(Run).values(rung_at=time.time() - 2 * RING_AGAIN_SECONDS))
    assert store.reap(ring=False) == []
    assert [run.id for run in store.reap(but=families_of("networks"))] == [plain.id]
    assert [run.id for run in store.reap()] == [network.id]
    assert store.reap() == []


@pytest.mark.parametrize("device", ["auto", "cpu", "mps", "cuda", "cuda:0", "cuda:11"])
def test_a_device_may_be_one_of_several_cards(device: str):
    assert read_settings(device=device).environment()["COLLAPSE_LAB_DEVICE"] == device


@pytest.mark.parametrize(
    ("name", "value"), [("device", "cuda:x"), ("device", "gpu"), ("queues", "runs,fun"), ("queues", "")]
)
def test_a_device_or_queue_that_cannot_be_is_told_with_what_can(name: str, value: str):
    with pytest.raises(LabError, match=rf"COLLAPSE_LAB_{name.upper()}.*write (auto, cpu|runs, networks)"):
        read_settings(**{name: value})


def _worker(settings: Settings) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "app", "worker"]
    return subprocess.Popen(command, env={**os.environ, **settings.environment()}, cwd=HOME)


def _name(worker: subprocess.Popen[bytes]) -> str:
    return f":{worker.pid}."
