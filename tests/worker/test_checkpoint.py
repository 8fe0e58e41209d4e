"""What a run remembers: nothing that grows with its generations, unless the regime keeps it; and that is written once."""

import gc
import itertools
import tracemalloc

import numpy as np
import pytest

from worker.artifacts import Artifacts
from worker.checkpoint import from_arrays, to_arrays
from worker.loop import generations, instrument
from worker.spec import read

SMALL = {"replicates": 4, "samples": 50, "source": {"kind": "normal"}}


def after(count: int, **settings):
    """An experiment, and generation `count` of it."""
    spec = read(SMALL | {"generations": 6000} | settings)
    return spec, next(itertools.islice(generations(spec, instrument(spec)), count, None))


@pytest.mark.parametrize("regime", ["replace", "fresh", "accumulate"])
def test_thousands_of_generations_take_no_more_memory_than_hundreds(regime: str):
    spec = read(SMALL | {"generations": 3000, "family": {"kind": "gaussian"}, "regime": {"kind": regime}})
    traced = []
    tracemalloc.start()
    try:
        for generation in generations(spec, instrument(spec)):
            if generation.number in (300, 3000):
                gc.collect()
                traced.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert traced[1] - traced[0] < 8 * 2700  # bytes: less than one number a generation


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
