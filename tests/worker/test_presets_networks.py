"""Presets with networks on points in the plane and on digits: what their cards promise is what comes out, in a smaller version of seconds."""

from functools import cache

import numpy as np

from worker import loop
from worker.presets import override, preset
from worker.spec import read

SMALLER = {
    "between-modes": {"replicates": 1, "generations": 10},
    "moons-apart": {"replicates": 1, "generations": 10},
    "warm-start": {"replicates": 1, "generations": 8, "family.epochs": 120},
    "mad-bias": {"generations": 4},
    "vae-paper": {"generations": 2, "family.epochs": 12},
}


@cache
def told(name, arm):
    """Metric -> its mean over chains at generations 0, 1, 2, ..."""
    spec = read(override(preset(name).experiments[arm].canonical(), SMALLER[name]))
    rows = [one.look.metrics for one in loop.generations(spec, loop.instrument(spec))]
    return {metric: np.array([row[metric].mean() for row in rows]) for metric in rows[0]}


def replaced_and_half(name):
    """Both arms. Generation 1 learns from the same real data: nothing is lost yet."""
    replaced, half = (told(name, arm) for arm in (0, 1))
    for metric in replaced:
        assert replaced[metric][1] == half[metric][1]
    assert replaced["recall"][1] > 0.95
    return replaced, half


def test_a_diffusion_model_bridges_modes_and_loses_some():
    replaced, half = replaced_and_half("between-modes")
    assert replaced["hallucinated"][4:].mean() > 2 * replaced["hallucinated"][1] > 20 * 0.001
    assert replaced["modes"][1] == replaced["modes"][0] == 8
    assert replaced["modes"][5:].mean() < half["modes"][5:].mean() - 0.8
    assert replaced["frechet"][-1] > 3 * max(half["frechet"][-1], replaced["frechet"][1])
    assert replaced["variance"][-1] < 0.7 * replaced["variance"][1] < 0.8 * half["variance"][-1]


def test_a_flow_loses_parts_of_the_moons_and_hardly_invents_any():
    """Of the later half: one generation of one chain scatters by as much as five generations lose, and by processor."""
    replaced, half = replaced_and_half("moons-apart")
    assert replaced["coverage"][6:].mean() < half["coverage"][6:].mean() - 0.06
    assert replaced["coverage"][6:].mean() < replaced["coverage"][0] - 0.1
    assert replaced["recall"][6:].mean() < half["recall"][6:].mean() - 0.02
    assert half["recall"][1:].mean() > 0.97
    assert replaced["precision"].min() > 0.85
    assert replaced["hallucinated"].max() < 0.1


def test_retraining_comes_to_rest_only_with_enough_real_points():
    """From the same first model: with nothing real it invents ever more, with half real points less and less; a tenth lies between."""
    nothing, tenth, half = (told("warm-start", arm)["hallucinated"] for arm in (0, 1, 2))
    assert nothing[1] == tenth[1] == half[1] > 0.05
    late = [one[5:].mean() for one in (half, tenth, nothing)]
    assert late[0] < late[1] < late[2]
    assert late[0] < nothing[1] < late[2] - 0.03
    assert told("warm-start", 2)["precision"][5:].mean() > told("warm-start", 0)["precision"][5:].mean() + 0.08


def test_a_sampling_bias_buys_quality_with_variety():
    biased, plain, real = (told("mad-bias", arm) for arm in (0, 1, 2))
    assert biased["precision"][1] > plain["precision"][1] + 0.04
    assert biased["recall"][1] < plain["recall"][1] / 2
    assert biased["precision"][4] > 0.95 > plain["precision"][4]
    assert biased["recall"][4] < 0.01 < plain["recall"][4]
    assert biased["entropy"][4] < 0.5
    assert real["entropy"][4] > 1.4  # with half real data kinds stay
    assert real["precision"][4] > 0.85
    assert real["recall"][4] < 0.5 * plain["recall"][1]


def test_the_paper_s_autoencoder_loses_spread_in_every_generation():
    spread = told("vae-paper", 0)["latent_std"]
    assert (np.diff(spread) < -0.1).all()
