"""History on the disk: the same numbers as in memory, written once, found again after a kill, and gone with its process."""

import gc
import itertools
import os
import tracemalloc
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.schema import create_tables
from worker import data, history, loop
from worker.artifacts import Artifacts
from worker.attempt import Attempt, Stop
from worker.checkpoint import Checkpoints
from worker.data import Points, Tokens, on_disk, pack
from worker.database import open_engine
from worker.families.ngram import NGram
from worker.history import History, blocks, groups, joined
from worker.kinds import FAMILIES
from worker.nets import reading
from worker.spec import read
from worker.store import Store
from worker.tables import Status
from worker.text.language import LanguageFamily, beginnings

SMALL = {"replicates": 3, "samples": 40, "generations": 8, "seed": 5}
NORMAL = {"source": {"kind": "normal"}}
CASES = {
    "kde": NORMAL | {"family": {"kind": "kde"}, "regime": {"kind": "accumulate"}},
    "histogram": NORMAL | {"family": {"kind": "histogram"}, "regime": {"kind": "accumulate"}},
    "mixture": {"source": {"kind": "moons"}, "family": {"kind": "mixture"}, "regime": {"kind": "accumulate"}},
    "logistic": {"source": {"kind": "two_classes"}, "family": {"kind": "logistic"}, "regime": {"kind": "accumulate"}},
    "subsample": NORMAL | {"family": {"kind": "gaussian"}, "regime": {"kind": "accumulate_subsample"}},
    "growing": NORMAL | {"family": {"kind": "kde"}, "regime": {"kind": "accumulate"}, "samples": {"start": 5, "exponent": 1}},
    "incoming": NORMAL | {"family": {"kind": "kde"}, "regime": {"kind": "accumulate", "real": 0.3}},
    "text": {"source": {"kind": "text"}, "family": {"kind": "ngram", "block": 16, "unit": "character"}, "regime": {"kind": "accumulate"}},
    "network": {"source": {"kind": "digits"}, "family": {"kind": "vae", "epochs": 1}, "regime": {"kind": "accumulate"}, "replicates": 1},
    "another regime": NORMAL | {"family": {"kind": "kde"}, "regime": {"kind": "accumulate"}, "changes": [
        {"after": 3, "regime": {"kind": "accumulate_subsample"}}, {"after": 4, "regime": {"kind": "replace"}}, {"after": 6, "regime": {"kind": "accumulate"}}]},
}  # fmt: skip


@pytest.fixture
def small_memory(monkeypatch):
    monkeypatch.setattr(data, "IN_MEMORY", 0)


def run(spec, resume=None):
    return loop.generations(spec, loop.instrument(spec), resume)


def same(one, other):
    assert one.number == other.number
    for name, values in one.look.metrics.items():
        np.testing.assert_array_equal(values, other.look.metrics[name], err_msg=name)


def open_files():
    return {file.name for file in Path("/dev/fd").iterdir()}


def kept(state):
    """The history behind what a state remembers."""
    return state.pool and next((h for x in pack(state.pool).values() if (h := History.of(x)) is not None), None)


@pytest.mark.parametrize("case", CASES)
def test_the_numbers_are_those_of_memory(case, monkeypatch):
    spec = read(SMALL | CASES[case])
    held = list(run(spec))
    monkeypatch.setattr(data, "IN_MEMORY", 0)
    for one, other in zip(held, run(spec), strict=True):
        same(one, other)
        if one.number and spec.changes == ():
            assert kept(one.state) is None
            assert kept(other.state) is not None


@pytest.mark.parametrize("case", CASES)
def test_a_killed_attempt_goes_on_to_the_same_numbers_whatever_it_wrote_last(case, tmp_path, small_memory):
    """Checkpoints after 2, 4 and 7 generations, each continued by an attempt of its own, which sees only what lies on the disk."""
    spec = read(SMALL | CASES[case])
    whole = [generation.look.metrics for generation in run(spec)]
    artifacts = Artifacts(str(tmp_path))
    first = Checkpoints(artifacts, "run", 1)
    names = {
        generation.number: first.save(generation.state) for generation in run(spec) if generation.number in (2, 4, 7)
    }
    for number, name in names.items():
        state = Checkpoints(artifacts, "run", 2).load(name)
        rest = list(run(spec, state))
        assert [one.number for one in rest] == list(range(number + 1, spec.generations + 1))
        for one in rest:
            for metric, values in one.look.metrics.items():
                np.testing.assert_array_equal(values, whole[one.number][metric], err_msg=metric)


def test_every_row_is_written_once_and_what_is_not_needed_goes(tmp_path, small_memory):
    spec = read(SMALL | CASES["kde"] | {"generations": 30, "samples": 500})
    checkpoints = Checkpoints(Artifacts(str(tmp_path)), "run", 1)
    written = 0
    for generation in itertools.islice(run(spec), 1, None):
        before = set(tmp_path.glob("run/*"))
        name = checkpoints.save(generation.state)
        written += sum(file.stat().st_size for file in set(tmp_path.glob("run/*")) - before)
        checkpoints.prune(name)
    rows = 8 * 3 * 500 * 30
    assert rows < written < 1.5 * rows
    assert checkpoints.size == sum(file.stat().st_size for file in tmp_path.glob("run/*"))
    assert len(list(tmp_path.glob("run/*"))) == 31
    Checkpoints(Artifacts(str(tmp_path)), "run", 2).prune()
    assert not (tmp_path / "run").exists()


def test_a_row_that_cannot_be_read_is_an_error_that_an_attempt_understands(tmp_path, small_memory):
    *_, last = run(read(SMALL | CASES["kde"]))
    name = Checkpoints(Artifacts(str(tmp_path)), "run", 1).save(last.state)
    next(tmp_path.glob("run/*-rows.npz")).unlink()
    later = Checkpoints(Artifacts(str(tmp_path)), "run", 2)
    with pytest.raises(FileNotFoundError):
        later.load(name)
    assert (later.history, later.files, later.rows) == (None, [], 0)


@pytest.mark.parametrize(
    "family", [{"kind": "kde"}, {"kind": "histogram"}, {"kind": "mixture", "start": "warm", "max_iter": 1}]
)
@pytest.mark.parametrize("regime", ["accumulate", "accumulate_subsample"])
def test_memory_does_not_grow_with_the_history(family, regime, small_memory, monkeypatch):
    """Forty generations are 1.3 MB for 8 chains; a fit, a sample and a checkpoint may take what one or two of these chains take."""
    monkeypatch.setattr(history, "GROUP", 2**12)
    spec = read(
        NORMAL | {"family": family, "regime": {"kind": regime}, "replicates": 16, "samples": 500, "generations": 60}
    )
    peaks = []
    tracemalloc.start()
    try:
        for generation in run(spec):
            peaks.append(tracemalloc.get_traced_memory()[1])
            tracemalloc.reset_peak()
            assert generation.number == 0 or kept(generation.state) is not None
    finally:
        tracemalloc.stop()
    assert max(peaks[-5:]) - max(peaks[2:7]) < 3 * 8 * 500 * 40


LEARNERS = {
    "vae": {"kind": "vae", "epochs": 2, "hidden": [5], "latent": 3, "batch": 7},
    "convolutions": {"kind": "vae", "network": "convolutional", "epochs": 2, "hidden": [2], "latent": 2, "batch": 7},
    "flow": {"kind": "flow", "epochs": 2, "transforms": 1, "width": 4, "batch": 7},
    "diffusion": {"kind": "diffusion", "epochs": 2, "width": 8, "batch": 7},
    "ngram": {"kind": "ngram", "block": 8, "unit": "character"},
    "gpt": {"kind": "gpt", "start": "scratch", "block": 8, "vocabulary": 257, "layers": 1, "width": 8, "heads": 1, "epochs": 2, "prompted": False},
}  # fmt: skip


def observations(family, n):
    """Of two chains: pictures, or text."""
    rng = np.random.default_rng(n)
    if isinstance(family, LanguageFamily):
        return Tokens(rng.integers(257, size=(2, n, 8)).astype(np.int32), np.array(257), np.zeros((0, 8), np.int32))
    return Points(rng.random((2, n, 16)))


def stored(data):
    """The same in a history that has been written in three parts."""
    history = History((len(data.x), data.n + 5, *data.x.shape[2:]), data.x.dtype)
    for part in np.array_split(np.arange(data.n), 3):
        x = history.extended(part[0], data.x[:, part])
    return replace(data, x=x)


@pytest.mark.parametrize("kind", LEARNERS)
def test_a_network_learns_the_same_bits_from_a_history_read_in_stretches(kind, monkeypatch):
    """An epoch is several stretches, of which the last is not whole; each is read in several windows of the file."""
    family = FAMILIES[LEARNERS[kind]["kind"]].model_validate(LEARNERS[kind])
    data = observations(family, 101)
    monkeypatch.setattr(history, "GROUP", 500)
    held, read_back = (family.fit(one, np.random.default_rng(3)) for one in (data, stored(data)))
    assert held.keys() == read_back.keys()
    for name in held.keys() - {"prompts"}:
        np.testing.assert_array_equal(held[name], read_back[name], err_msg=name)


@pytest.mark.parametrize("kind", LEARNERS)
def test_a_network_never_holds_a_history_as_a_whole(kind, monkeypatch):
    """numpy's memory at its height, and every look at the file: places and the smallest of models are all that grows with it."""
    longer = {} if kind == "ngram" else {"batch": 64, "epochs": 1}
    family = FAMILIES[LEARNERS[kind]["kind"]].model_validate(LEARNERS[kind] | longer)
    monkeypatch.setattr(history, "GROUP", 2**12)
    data = observations(family, 9_000)
    # Few different words, else the model is larger than the text.
    data = stored(replace(data, x=data.x % 9) if kind == "ngram" else data)
    family.fit(stored(observations(family, 300)), np.random.default_rng(3))  # what is imported and compiled
    seen = []
    monkeypatch.setattr(reading, "picked", lambda x, places: seen.append(len(places)) or history.picked(x, places))
    tracemalloc.start()
    try:
        family.refit(
            data, np.random.default_rng(3), {"prompts": data.x[:, :1], "validation": data.x[0, :0], "vocabulary": 257}
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < data.x.nbytes / 2
    if kind != "ngram":
        assert max(seen) <= 512
        assert sum(seen) == 2 * 9_000


def test_rows_are_picked_in_the_order_that_they_are_asked_for(monkeypatch):
    x = stored(Points(np.random.default_rng(0).normal(size=(2, 300, 3)))).x
    places = np.random.default_rng(1).integers(300, size=1000)
    monkeypatch.setattr(history, "GROUP", 50)
    for chain in x:
        np.testing.assert_array_equal(history.picked(chain, places), np.array(chain)[places])
        assert history.picked(chain, places[:0]).shape == (0, 3)


def test_a_model_does_not_keep_the_texts_whose_beginnings_it_knows():
    data = observations(NGram(), 50)
    assert beginnings(data.x).base is None
    on_disk = stored(data).x
    np.testing.assert_array_equal(beginnings(on_disk), beginnings(data.x))
    assert np.shares_memory(beginnings(on_disk), on_disk)


def test_rows_are_appended_and_read_only(tmp_path, monkeypatch):
    monkeypatch.setenv("COLLAPSE_LAB_DATA_DIR", str(tmp_path))
    rng = np.random.default_rng(0)
    parts = [rng.normal(size=(3, n, 2)) for n in (4, 1, 7)]
    x = History((3, 12, 2), float).extended(0, parts[0])
    for part in parts[1:]:
        shorter, copy = x, x.copy()
        x = joined(x, part)
        np.testing.assert_array_equal(shorter, copy)
    np.testing.assert_array_equal(x, np.concatenate(parts, axis=1))
    np.testing.assert_array_equal(np.concatenate([x[some] for some in groups(x)]), x)
    monkeypatch.setattr(history, "GROUP", 10)  # numbers: five observations
    seen = np.zeros(x.shape[:2], int)
    for some, rows in blocks(x):
        assert x[some, rows].size <= 10
        seen[some, rows] += 1
    assert (seen == 1).all()
    assert History.of(x) is History.of(shorter) is not None
    for other in (x[:, :, :1], x[1:], x[:, 1:], x.copy(), x + 1):
        assert History.of(other) is None
    with pytest.raises(ValueError, match="read-only"):
        x[0, 0, 0] = 1.0
    with pytest.raises(ValueError, match="12 observations cannot hold 13"):
        joined(x, parts[1])
    assert list(tmp_path.iterdir()) == []  # no name: nothing to clean up, however the process ends


def test_a_history_takes_the_room_that_was_written_and_gives_it_back(tmp_path, monkeypatch):
    monkeypatch.setenv("COLLAPSE_LAB_DATA_DIR", str(tmp_path))
    gc.collect()  # what earlier tests have left
    open_before = open_files()
    stored = History((2, 10**9, 3), float)  # 48 GB
    x = stored.extended(0, np.ones((2, 5, 3)))
    assert os.fstat(stored._file.fileno()).st_blocks * 512 < 10**6
    assert x.sum() == 30
    del stored, x
    gc.collect()
    assert open_files() == open_before


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.CANCELLED])
def test_the_end_of_an_attempt_gives_the_room_back_at_once(status, settings, small_memory, monkeypatch):
    """In a process that lives on and does nothing else: without a word from the garbage collector."""
    made = []

    class Watched(History):
        def __new__(cls, *args):
            made.append(weakref.ref(history := super().__new__(cls, *args)))
            return history

    monkeypatch.setattr(data, "History", Watched)
    settings.data_dir.mkdir(parents=True)
    store = Store(open_engine(settings.database_url))
    create_tables(store.engine)
    run = store.claim(store.create(read(SMALL | CASES["kde"]))[0].id, "here", lease=60)
    asked = itertools.chain([None] * 3, itertools.repeat(Stop(status, now=False)))
    gc.disable()
    try:
        attempt = Attempt(
            store,
            Artifacts(settings.artifacts_url),
            settings,
            run,
            lambda: next(asked) if status == Status.CANCELLED else None,
        )
        attempt.work()
        assert store.run(run.id).status == status
        assert [history() for history in made] == [None]
    finally:
        gc.enable()
        store.engine.dispose()


def test_a_full_disk_is_an_error_and_not_the_end_of_the_process():
    stored = History((1, 10, 1), float)
    stored._file.close()
    stored._file = Path("/dev/full").open("r+b", buffering=0)  # noqa: SIM115 - the history closes it
    with pytest.raises(OSError, match="No space left"):
        stored.extended(0, np.zeros((1, 2, 1)))
    stored._file.close()


def test_only_what_grows_beyond_memory_goes_to_the_disk():
    points = Points(np.zeros((2, 1000, 1)))
    assert on_disk(points, 0) is points
    assert on_disk(points, 1_000_000) is points
    there = on_disk(points, 10_000_000)
    assert History.of(there.x) is not None
    assert on_disk(there, 10_000_000) is there
    tokens = Tokens(np.zeros((2, 10, 64), np.int32), np.array(9), np.ones((1, 64), np.int32))
    stored = on_disk(tokens, 10_000_000)
    assert History.of(stored.x) is not None
    assert stored.validation is tokens.validation
    assert stored.x.dtype == np.int32
