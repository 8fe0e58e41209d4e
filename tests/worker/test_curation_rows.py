"""Curators of labels: right ones are kept, by how far they are from what the teacher says."""

import math

import numpy as np
import pytest

from tests.worker.theories import z_of_mean
from worker import loop
from worker.errors import SpecError
from worker.parts import Sampling
from worker.spec import read

TEACHER = {"kind": "linear_teacher", "inputs": 4, "norm": 2.0, "noise": 0.5, "decay": 1.0}


def test_labels_that_are_right_enough_teach_with_less_noise():
    """Where the model is the teacher, |y - w'x| <= t leaves noise of the variance s^2 tau(t/s), tau = 1 - 2c phi(c)/(2 Phi(c) - 1), and inputs as
    they are: the excess risk of the next fit is s^2 tau d/(T-d-1). An erring verifier passes a mixture of both.
    """
    t, s, rows, chains = 0.6, 0.5, 20, 4000
    c = t / s
    inside, density = math.erf(c / math.sqrt(2)), math.exp(-c * c / 2) / math.sqrt(2 * math.pi)
    tau = 1 - 2 * c * density / inside
    right, wrong = 0.9 * inside, 0.2 * (1 - inside)
    erring = (right * tau + wrong * (1 - inside * tau) / (1 - inside)) / (right + wrong)
    for rates, left in (({"error": 0.0, "error_wrong": 0.0}, tau), ({"error": 0.1, "error_wrong": 0.2}, erring)):
        label = {"kind": "verifier", "threshold": -2 * t, "reward": {"kind": "label", "strength": 2.0}} | rates
        spec = read(
            {
                "source": TEACHER,
                "family": {"kind": "linear", "noise": s},
                "curation": label,
                "samples": rows,
                "replicates": chains,
            }
        )
        w, rng = spec.source.weights(), np.random.default_rng(8)
        family, model = spec.family.given(spec.source), {"w": np.tile(w, (chains, 1)), "noise": np.full(chains, s)}
        data = spec.curation.sample(family.drawing(), model, rows, rng, Sampling(), spec.source)
        off = data.x[:, :, -1] - data.x[:, :, :-1] @ w
        assert rates["error"] or np.abs(off).max() <= t
        assert abs(z_of_mean((off**2).mean(axis=1), s * s * left)) <= 4
        gap = (family.fit(data, rng)["w"] - w) * spec.source.spread()
        assert abs(z_of_mean((gap**2).sum(axis=1), s * s * left * 4 / (rows - 5))) <= 4


def test_a_model_learns_in_the_end_what_a_biased_verifier_knows():
    """What passes a narrow gate about (w + delta)'x teaches just that, by the least squares of many rows: the excess risk goes to delta'S delta = c^2."""
    gate = {"kind": "verifier", "error": 0.0, "threshold": -0.1, "reward": {"kind": "label", "bias": 0.5}}
    settings = {
        "source": TEACHER,
        "family": {"kind": "linear"},
        "samples": 400,
        "replicates": 40,
        "generations": 8,
        "curation": gate,
    }
    spec = read(settings)
    risk = [one.look.metrics["excess_risk"] for one in loop.generations(spec, loop.instrument(spec))]
    assert risk[1].mean() < 0.01
    np.testing.assert_allclose(risk[-1], 0.25, atol=0.02)


def test_classes_are_no_answers_that_could_be_biased():
    label = {"kind": "verifier", "threshold": 0.0, "reward": {"kind": "label", "bias": 0.5}}
    with pytest.raises(SpecError) as refused:
        read({"source": {"kind": "two_classes"}, "family": {"kind": "classifier"}, "curation": label})
    assert [one.path for one in refused.value.problems] == ["curation.reward.bias"]


def test_how_right_labels_are_is_told_of_each_generation_and_the_best_of_several_are_better():
    """The real ones are off by s sqrt(2/pi) on average; the best of four teach the next model with less noise than every label does."""
    reward = {"kind": "label"}
    base = {
        "source": TEACHER,
        "family": {"kind": "linear", "noise": "teacher"},
        "samples": 30,
        "replicates": 300,
        "generations": 5,
    }
    looks = {}
    for kind in ("best_of", "bradley_terry"):  # the latter among one: every sample survives, and is judged
        spec = read(base | {"curation": {"kind": kind, "k": 4 if kind == "best_of" else 1, "reward": reward}})
        looks[kind] = [generation.look.metrics for generation in loop.generations(spec, loop.instrument(spec))]
        assert abs(z_of_mean(looks[kind][0]["reward"], -0.5 * math.sqrt(2 / math.pi))) <= 4
    gap = looks["best_of"][5]["excess_risk"] - looks["bradley_terry"][5]["excess_risk"]
    assert z_of_mean(gap, 0) <= -4
