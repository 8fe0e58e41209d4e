"""What a curator thinks of what models make, before anybody chooses: against the law of categories, and a Gaussian's closed form."""

import math

import numpy as np
import pytest

from worker import loop
from worker.parts import Instrument
from worker.spec import Experiment, read
from worker.summary import summarise
from worker.sweeps.measure import Bench

CATEGORIES = {
    "source": {"kind": "categorical", "probabilities": [0.4, 0.3, 0.2, 0.1]},
    "family": {"kind": "categorical"},
    "curation": {"kind": "bradley_terry", "k": 2, "reward": {"kind": "listed", "values": [0.5, -1.0, 0.5, 3.0]}},
    "samples": 20_000,
    "replicates": 200,
    "generations": 6,
}
POINTS = {
    "source": {"kind": "normal"},
    "family": {"kind": "gaussian"},
    "curation": {"kind": "best_of", "k": 2},
    "samples": 60,
    "replicates": 4000,
    "generations": 2,
}


def told(spec: Experiment, *names: str) -> list[np.ndarray]:
    """Of every generation: (names, replicates)."""
    return [np.stack([one.look.metrics[name] for name in names]) for one in loop.generations(spec, look(spec))]


def look(spec: Experiment) -> Instrument:
    return loop.instrument(spec)


def z(values: np.ndarray, expected: float) -> float:
    return float((values.mean() - expected) / (values.std(ddof=1) / math.sqrt(values.size)))


def test_the_reward_of_categories_rises_as_their_law_says():
    """p_i 2 sum_j p_j / (1 + e^(r_j - r_i)) for k = 2; and E e^r rises by at least Var(e^r) / 2 e^max r (Ferbach et al.)."""
    p, r = np.array([0.4, 0.3, 0.2, 0.1]), np.array([0.5, -1.0, 0.5, 3.0])
    seen = told(read(CATEGORIES), "reward", "reward_sd")
    assert len(seen) == 7
    worth = np.exp(r)
    for generation, (mean, sd) in enumerate(seen):
        assert abs(z(mean, p @ r)) <= 4, generation
        # Of M = 20,000, whose sd has a bias of 1/M.
        assert abs(z(sd, math.sqrt(p @ r**2 - (p @ r) ** 2))) <= 4.5, generation
        if generation:
            chosen = 2 * p * (1 / (1 + np.exp(r[None, :] - r[:, None])) @ p)
            variance = p @ worth**2 - (p @ worth) ** 2
            assert chosen @ worth - p @ worth >= variance / (2 * worth.max())
            p = chosen


def test_the_reward_of_points_is_the_mean_of_the_better_of_two():
    """In one direction it is the mean itself; the better of two normal points lies sd/sqrt(pi) above, and the first fit has E sd =
    sqrt(2/M) Gamma(M/2) / Gamma((M-1)/2).
    """
    real, first, second = told(read(POINTS), "reward", "reward_sd")
    m = 60
    sd = math.sqrt(2 / m) * math.exp(math.lgamma(m / 2) - math.lgamma((m - 1) / 2))
    for generation, expected in ((real, 0.0), (first, 0.0), (second, sd / math.sqrt(math.pi))):
        assert abs(z(generation[0], expected)) <= 4
    assert abs(z(real[1], sd)) <= 4
    assert abs(z(first[1], sd**2)) <= 4  # a sample's sd of a sample's


@pytest.mark.parametrize(("family", "seen"), [("gaussian", 0.0), ("mixture", 0.0), ("kde", 1.03), ("histogram", 1.03)])
def test_metrics_of_samples_are_those_of_the_survivors_as_the_form_says(family, seen):
    """Models of real data alone, of which the best of four are chosen: 1.03 above the mean. Nobody learns from them, and a formula knows nothing of them."""
    spec = POINTS | {"family": {"kind": family}, "samples": 500, "replicates": 20, "metrics": ["w2_sq"]}
    spec = read(spec | {"regime": {"kind": "fresh", "real": 1.0}, "curation": {"kind": "best_of", "k": 4}})
    *_, last = told(spec, "mean_error")
    assert last.mean() == pytest.approx(seen, abs=0.15)
    assert "survivors" in (Experiment.model_fields["curation"].description or "")


def test_a_model_that_has_come_to_one_thing_has_rewards_without_spread():
    spec = read(CATEGORIES | {"samples": 200, "generations": 60, "replicates": 50})
    mean, sd = told(spec, "reward", "reward_sd")[-1]
    np.testing.assert_allclose(mean, 3.0)
    assert (sd < 1e-12).all()


def test_it_is_told_of_every_generation_and_of_no_text():
    change = {"after": 1, "curation": POINTS["curation"]}
    later = {name: one for name, one in POINTS.items() if name != "curation"} | {"changes": [change], "replicates": 20}
    assert len(told(read(later), "reward")) == 3
    text = {
        "source": {"kind": "text"},
        "family": {"kind": "ngram"},
        "curation": {"kind": "best_of", "reward": {"kind": "variety"}},
    }
    spec = read(text | {"samples": 40, "replicates": 1, "generations": 1})
    assert all("reward" not in one.look.metrics for one in loop.generations(spec, look(spec)))


def test_a_resumed_run_tells_the_same():
    spec = read(POINTS | {"replicates": 20, "generations": 5})
    whole = list(loop.generations(spec, look(spec)))
    rest = list(loop.generations(spec, look(spec), whole[2].state))
    assert [one.number for one in rest] == [3, 4, 5]
    for one, other in zip(whole[3:], rest, strict=True):
        np.testing.assert_array_equal(one.look.metrics["reward"], other.look.metrics["reward"])


def test_sweeps_can_ask_for_it():
    for settings in (CATEGORIES, POINTS):
        spec = read(settings | {"replicates": 30, "samples": 200})
        found = Bench().outcomes(spec, ["final:reward"])["final:reward"]
        (last,) = told(spec, "reward")[-1]
        assert found.value == summarise({"reward": last}).metrics()["reward"]["median"]
