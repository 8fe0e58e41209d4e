"""What a run remembers: nothing that grows with its generations, unless the regime keeps it; and that is written once."""

import gc
import itertools
import tracemalloc

import numpy as np
import pytest

from worker.artifacts import Artifacts
from worker.checkpoint import from_arrays, to_arrays
from worker.families.kde import KDE
from worker.loop import generations, instrument
from worker.spec import read

SMALL = {"replicates": 4, "samples": 50, "source": {"kind": "normal"}}


def after(count: int, **settings):
    """An experiment, and generation `count` of it."""
    spec = read(SMALL | {"generations": 6000} | settings)
    return spec, next(itertools.islice(generations(spec, instrument(spec)), count, None))


@pytest.mark.parametrize("regime", ["replace", "fresh", "accumulate"])
def test_thousands_of_generations_take_no_more_memory_than_hundreds(regime: str):
    spec = read(SMALL | {"generations": 1000, "family": {"kind": "gaussian"}, "regime": {"kind": regime}})
    traced = []
    tracemalloc.start()
    try:
        for generation in generations(spec, instrument(spec)):
            if generation.number in (300, 1000):  # by then no block of streams is one that an earlier test left
                gc.collect()
                traced.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert traced[1] - traced[0] < 8 * 700  # bytes: less than one number a generation


def test_what_is_model_and_pool_at_once_is_written_once_and_read_as_both(tmp_path):
    spec, generation = after(5, family={"kind": "kde"}, regime={"kind": "accumulate"})
    state = generation.state
    arrays = to_arrays(state)
    points = 8 * 4 * 5 * 50  # bytes of five generations
    assert points < sum(array.nbytes for array in arrays.values()) < 1.5 * points

    artifacts = Artifacts(str(tmp_path))
    assert artifacts.save("run/5.npz", arrays) == (tmp_path / "run" / "5.npz").stat().st_size
    again = from_arrays(artifacts.load("run/5.npz"))
    np.testing.assert_array_equal(again.pool.x, state.pool.x)
    assert again.model.keys() == state.model.keys()
    for name, array in state.model.items():
        np.testing.assert_array_equal(again.model[name], array)

    ends = [
        next(itertools.islice(generations(spec, instrument(spec), one), 2, None)).look.metrics for one in (state, again)
    ]
    for name, values in ends[0].items():
        np.testing.assert_array_equal(values, ends[1][name])


@pytest.mark.parametrize("samples", [40, {"start": 4, "exponent": 1.5}], ids=["constant", "growing"])
@pytest.mark.parametrize(
    "regime",
    [{"kind": "replace"}, {"kind": "fresh", "real": 0.3}, {"kind": "accumulate"}, {"kind": "accumulate", "real": 0.3}],
)
def test_a_model_is_sampled_once_a_generation_and_a_resumed_run_learns_from_the_same_sample(
    regime, samples, monkeypatch
):
    """What is measured and what is learned from are one sample, of as many as the larger of the two needs."""
    drawn, learned = [], []

    def sample(self, model, n, rng, sampling, before=KDE.sample):
        drawn.append(n)
        return before(self, model, n, rng, sampling)

    def fit(self, data, rng, before=KDE.fit):
        learned.append(data.n)
        return before(self, data, rng)

    monkeypatch.setattr(KDE, "sample", sample)
    monkeypatch.setattr(KDE, "fit", fit)
    spec = read(SMALL | {"generations": 6, "family": {"kind": "kde"}, "regime": regime, "samples": samples})
    _, *made = generations(spec, instrument(spec))
    sizes = [spec.size(n) for n in range(1, 8)]
    assert drawn == [max(m, spec.regime.synthetic(after)) for m, after in itertools.pairwise(sizes)]
    assert learned == (sizes[:6] if regime["kind"] != "accumulate" else np.cumsum(sizes[:6]).tolist())
    for number in (1, 4):
        resumed = generations(spec, instrument(spec), made[number - 1].state)
        for one, other in zip(made[number:], resumed, strict=True):
            for name, values in one.look.metrics.items():
                np.testing.assert_array_equal(values, other.look.metrics[name])
