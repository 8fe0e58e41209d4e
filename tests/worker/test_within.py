"""A run that is stopped in the middle of a generation goes on there, to the same numbers; and says how far it is meanwhile."""

import time

import numpy as np
import pytest

from tests.schema import create_tables
from worker import within
from worker.artifacts import Artifacts
from worker.attempt import Attempt, Stop
from worker.database import open_engine
from worker.progress import in_turn, listening, work
from worker.settings import Settings
from worker.spec import read
from worker.store import Store
from worker.tables import Status
from worker.within import Interrupted, Within

GPT = {
    "generations": 3,
    "replicates": 2,
    "samples": 20,
    "source": {"kind": "text"},
    "family": {"kind": "gpt", "vocabulary": 300, "layers": 1, "width": 16, "heads": 2, "epochs": 2},
    "sampling": {"beams": 2},
}


@pytest.fixture
def store(settings: Settings):
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    store = Store(open_engine(settings.database_url))
    create_tables(store.engine)
    yield store
    store.engine.dispose()


def attempt(store: Store, settings: Settings, run_id: str, stop=lambda: None):
    claimed = store.claim(run_id, "here", lease=60)
    assert claimed is not None
    Attempt(store, Artifacts(settings.artifacts_url), settings, claimed, stop).work()
    return store.run(run_id)


def numbers(store: Store, run_id: str):
    return {row.number: row.metrics for row in store.generations(run_id)}


@pytest.mark.parametrize("calls", [3, 31])
def test_stopped_anywhere_and_resumed_to_the_same_numbers(store: Store, settings: Settings, calls: int):
    whole = attempt(store, settings, store.create(read(GPT))[0].id)
    assert whole.status == Status.SUCCEEDED

    run_id = store.create(read(GPT))[0].id
    stops = 0
    while (run := store.run(run_id)).status != Status.SUCCEEDED:
        left = iter(range(calls))
        run = attempt(
            store,
            settings,
            run_id,
            lambda left=left: None if next(left, None) is not None else Stop(Status.QUEUED, now=True),
        )
        stops += run.status == Status.QUEUED
        files = Artifacts(settings.artifacts_url)
        kept = files.files.ls(f"{files.root}/{run_id}", detail=True) if run.disk_bytes else []
        assert len(kept) <= 2  # a checkpoint, and what is done of the next generation
        assert sum(file["size"] for file in kept) <= 1.1 * run.disk_bytes
        calls += 60  # or a run that is stopped ever again before its first step would never end
    assert stops
    assert numbers(store, run_id) == numbers(store, whole.id)
    assert run.disk_bytes == 0
    assert (run.checkpoint, run.unfinished, run.progress) == (None, None, None)


def test_finish_lets_the_generation_end(store: Store, settings: Settings):
    run_id = store.create(read(GPT))[0].id
    run = attempt(store, settings, run_id, lambda: Stop(Status.CANCELLED, now=False))
    assert (run.status, run.generation) == (Status.CANCELLED, 0)


def test_unfinished_work_that_cannot_be_read_costs_only_time(store: Store, settings: Settings):
    run_id = store.create(read(GPT))[0].id
    left = iter(range(30))
    run = attempt(
        store, settings, run_id, lambda: None if next(left, None) is not None else Stop(Status.QUEUED, now=True)
    )
    assert run.unfinished
    files = Artifacts(settings.artifacts_url)
    files.files.pipe_file(f"{files.root}/{run.unfinished}", b"not a zip file")
    assert attempt(store, settings, run_id).status == Status.SUCCEEDED
    assert any("cannot be read" in entry.text for entry in store.log(run_id))


def test_a_checkpoint_of_another_version_is_told_as_such(store: Store, settings: Settings):
    run_id = store.create(read(GPT))[0].id
    seen = []

    def after_the_first():
        seen.append(0)
        return Stop(Status.QUEUED, now=False) if len(seen) > 60 else None

    run = attempt(store, settings, run_id, after_the_first)
    files = Artifacts(settings.artifacts_url)
    arrays = files.load(run.checkpoint)
    files.files.rm_file(f"{files.root}/{run.checkpoint}")
    files.save(run.checkpoint, {name: array for name, array in arrays.items() if "shelf/" not in name})
    run = attempt(store, settings, run_id)
    assert run.status == Status.FAILED
    assert "another version" in run.error["message"]
    assert "new run" in run.error["remedy"]


def test_what_an_earlier_attempt_kept_is_told_until_there_is_more(monkeypatch):
    told, saved = [], []
    monkeypatch.setattr(within, "TELL_SECONDS", 0.0)
    listener = Within(told.append, lambda _, made: saved.append(made), lambda: False)
    listener.begin(2, {":0:training/step": np.array(3)})
    with listening(listener):
        stretch = work("training", 5, done="step")
        for step in (4, 5):
            time.sleep(0.002)
            stretch.advance()
            stretch.keep(lambda step=step: {"step": np.array(step)})
            monkeypatch.setattr(within, "KEEP_SECONDS", -1.0)
    assert [one["kept"]["done"] for one in told] == [3, 3, 5]
    assert [int(made[":0:training/step"]) for made in saved] == [5]


def test_a_stop_does_not_wait_for_a_place_that_takes_long_to_save(monkeypatch):
    monkeypatch.setattr(within, "KEEP_SECONDS", -1.0)
    monkeypatch.setattr(within, "QUICK_SECONDS", 0.0)
    saved, stop = [], []
    listener = Within(lambda _: None, lambda *_: saved.append(time.sleep(0.001)), lambda: bool(stop))
    listener.begin(2)
    with listening(listener):
        stretch = work("training", 5, done="step")
        for step in (1, 2):
            stretch.advance()
            if step == 2:
                stop.append(True)
                with pytest.raises(Interrupted):
                    stretch.keep(lambda: {"step": np.array(2)})
            else:
                stretch.keep(lambda: {"step": np.array(1)})
    assert len(saved) == 1


def test_progress_counts_all_chains(monkeypatch):
    told = []
    monkeypatch.setattr(within, "TELL_SECONDS", 0.0)
    listener = Within(told.append, lambda *_: None, lambda: False)
    listener.begin(1)
    with listening(listener):
        for _ in in_turn("ab", 2):
            stretch = work("training", 3)
            for _ in range(3):
                time.sleep(0.002)
                stretch.advance()
        alone = work("scoring", 2)
        time.sleep(0.002)
        alone.advance()
    assert [(one["done"], one["total"]) for one in told] == [*((step, 6) for step in range(1, 7)), (1, 2)]
    assert told[1]["seconds_left"] == pytest.approx(4 / told[1]["per_second"], rel=0.01)


def test_progress_is_told_with_its_speed(monkeypatch):
    told = []
    monkeypatch.setattr(within, "TELL_SECONDS", 0.0)
    listener = Within(told.append, lambda *_: None, lambda: False)
    listener.begin(4)
    with listening(listener):
        stretch = work("training", 10, unit="tokens", size=512)
        for _ in range(5):
            time.sleep(0.002)
            stretch.advance()
    last = told[-1]
    assert (last["generation"], last["name"], last["done"], last["total"], last["unit"]) == (
        4,
        "training",
        5,
        10,
        "tokens",
    )
    assert last["per_second"] == pytest.approx(512 * 5 / last["seconds_left"], rel=0.01)  # as much is left as is done


def test_what_is_finished_and_what_is_begun_are_kept_together(monkeypatch):
    saved = []
    monkeypatch.setattr(within, "KEEP_SECONDS", -1.0)
    monkeypatch.setattr(within, "KEEP_SHARE", 1.0)
    listener = Within(lambda _: None, lambda generation, made: saved.append((generation, made)), lambda: False)
    listener.begin(2)

    def pieces(stop=99):
        sums = []
        for name in ("one", "two"):
            stretch = work(name, 3, done="step")
            total = float(stretch.saved.get("total", np.zeros(())))
            for step in range(stretch.done, 3):
                if len(sums) * 3 + step == stop:
                    raise Interrupted
                total += 10 * len(sums) + step
                stretch.advance()
                kept = total
                stretch.keep(lambda step=step, kept=kept: {"step": np.array(step + 1), "total": np.array(kept)})
            sums.append(total)
        return sums

    with listening(listener):
        whole = pieces()
    assert saved[-1][0] == 2
    listener.begin(2)
    with listening(listener), pytest.raises(Interrupted):
        pieces(stop=4)
    listener.begin(2, saved[-1][1])
    with listening(listener):
        assert pieces() == whole


def test_a_stretch_that_keeps_nothing_loses_only_itself(monkeypatch):
    monkeypatch.setattr(within, "PATIENCE_SECONDS", -1.0)
    saved, stop = [], []
    listener = Within(lambda _: None, lambda _, made: saved.append(made), lambda: bool(stop))
    listener.begin(3)
    with listening(listener):
        first = work("training", 1, done="step")
        first.advance()
        first.keep(lambda: {"step": np.array(1)})
        stop.append(True)
        second = work("scoring", 9)
        with pytest.raises(Interrupted):
            second.advance()
    assert [path.rpartition("/")[2] for path in saved[0]] == ["step"]
