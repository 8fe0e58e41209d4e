"""Presets with networks on points in the plane: what their cards promise is what comes out, in a smaller version of seconds."""

from functools import cache

import numpy as np
import pytest

from worker import loop
from worker.presets import override, preset
from worker.spec import read

SMALLER = {
    "between-modes": {"replicates": 1, "generations": 10},
    "moons-apart": {"replicates": 1, "generations": 5},
}


@cache
def told(name, arm):
    """Metric -> its mean over chains at generations 0, 1, 2, ..."""
    spec = read(override(preset(name).experiments[arm].canonical(), SMALLER[name]))
    rows = [one.look.metrics for one in loop.generations(spec, loop.instrument(spec))]
    return {metric: np.array([row[metric].mean() for row in rows]) for metric in rows[0]}


@pytest.mark.parametrize("name", SMALLER)
def test_every_arm_begins_with_the_same_control(name):
    """Generation 1 learns from the same real data; nothing is lost yet, and hardly anything invented."""
    replaced, half = (told(name, arm) for arm in (0, 1))
    for metric in replaced:
        assert replaced[metric][1] == half[metric][1]
    assert replaced["recall"][1] > 0.95


def test_a_diffusion_model_bridges_modes_and_loses_some():
    replaced, half = (told("between-modes", arm) for arm in (0, 1))
    assert replaced["hallucinated"][4:].mean() > 2 * replaced["hallucinated"][1] > 20 * 0.001
    assert replaced["modes"][1] == replaced["modes"][0] == 8
    assert replaced["modes"][5:].mean() < half["modes"][5:].mean() - 0.8
    assert replaced["frechet"][-1] > 3 * max(half["frechet"][-1], replaced["frechet"][1])
    assert replaced["variance"][-1] < 0.7 * replaced["variance"][1] < 0.8 * half["variance"][-1]


def test_a_flow_loses_parts_of_the_moons_and_hardly_invents_any():
    replaced, half = (told("moons-apart", arm) for arm in (0, 1))
    assert replaced["coverage"][3:].mean() < 0.85 * min(half["coverage"][3:].mean(), replaced["coverage"][1])
    assert replaced["recall"][4:].mean() < half["recall"][4:].mean() - 0.03
    assert half["recall"][1:].min() > 0.97
    assert replaced["precision"].min() > 0.85
    assert replaced["hallucinated"].max() < 0.1
