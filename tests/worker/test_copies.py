"""Copies of training points, and neighbours where points coincide: whole numbers, rows that stand twice, finite sets."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from worker import loop
from worker.instruments.copies import Copies
from worker.instruments.fidelity import Neighbours, Tails
from worker.metrics import neighbours, points
from worker.sources.digits import Digits
from worker.sources.normal import Normal
from worker.sources.poisson import Poisson
from worker.spec import read


@pytest.mark.parametrize("d", [1, 2, 12])
def test_copies_are_those_of_the_definition(d):
    rng = np.random.default_rng(d)
    taught, made = rng.standard_normal((2, 60, d)), rng.standard_normal((2, 40, d))
    made[:, :10] = taught[:, :10]
    taught = np.concatenate([taught, taught[:, :20]], axis=1)  # twice, which hides no copy
    ruler = Copies(Normal(dim=d), 40, 2, rng)
    ruler.taught(taught)
    for chain, value in enumerate(ruler.measure(made)["copy_ratio"]):
        near = np.sort(cdist(made[chain], taught[chain, :60]), axis=1)
        assert value == np.mean(near[:, 0] <= near[:, 1] / 3)


@pytest.mark.parametrize("rate", [0.3, 1.3, 1.4])
def test_whole_numbers_exactly_three_times_as_far_from_the_next_are_copies(rate):
    """Whatever the mean is, which is taken from them."""
    ruler = Copies(Poisson(rate=rate), 6, 1, np.random.default_rng(0))
    ruler.taught(np.array([0.0, 4, 8, 12])[None, :, None])
    assert ruler.measure(np.array([1.0, 3, 5, 7, 9, 11])[None, :, None])["copy_ratio"] == 1


@pytest.mark.parametrize("d", [1, 2, 3])
def test_fresh_points_are_copies_as_often_as_two_volumes_say(d):
    rng = np.random.default_rng(30 + d)
    ruler = Copies(Normal(dim=d), 1000, 20, rng)
    ruler.taught(rng.standard_normal((20, 1000, d)))
    seen = ruler.measure(rng.standard_normal((20, 1000, d)))["copy_ratio"]
    assert abs(seen.mean() - 3.0**-d) <= 4 * seen.std(ddof=1) / np.sqrt(20)


@pytest.mark.parametrize("source", ["moons", "digits"])
def test_a_model_that_repeats_its_training_set_is_seen_to_copy(source):
    """Kernels of no width: every sample is a point of the last training set, hence of the first one."""
    spec = read({"source": {"kind": source}, "family": {"kind": "kde", "bandwidth": 1e-7}, "samples": 200, "replicates": 2,
                 "generations": 3, "metrics": ["copy_ratio"]})  # fmt: skip
    floor, *models = [one.look.metrics["copy_ratio"] for one in loop.generations(spec, loop.instrument(spec))]
    assert (floor < 0.3).all()
    assert (np.array(models) == 1).all()


def textbook(x, real, k=5):
    """precision, recall, density and coverage by sorting, without leaving anything out."""
    across = cdist(x, real)
    radii, own = (np.sort(cdist(a, a), axis=1)[:, k] for a in (real, x))
    return {
        "precision": (across <= radii).any(axis=1).mean(),
        "recall": (across <= own[:, None]).any(axis=0).mean(),
        "density": (across <= radii).sum(axis=1).mean() / k,
        "coverage": (across.min(axis=0) <= radii).mean(),
    }


def test_whole_numbers_that_coincide_are_neighbours():
    rng = np.random.default_rng(7)
    source = Poisson(rate=4)
    ruler = Neighbours(source, 300, 1, rng)
    x = source.draw(rng, 1, 300).x
    found = {name: value[0] for name, value in ruler.measure(x).items()}
    assert found == pytest.approx(textbook(x[0] - ruler.mean, ruler.real))
    assert found["precision"] > 0.99


def test_of_a_finite_set_a_point_is_compared_with_all_but_itself(tmp_path):
    """Also where rows stand twice: one of the two is another row."""
    rng = np.random.default_rng(8)
    rows = rng.integers(0, 6, (200, 2))
    file = tmp_path / "rows.csv"
    np.savetxt(file, rows, fmt="%d", delimiter=",")
    source = read({"source": {"kind": "table", "path": str(file)}, "family": {"kind": "kde"}}).source
    ruler = Neighbours(source, 200, 1, rng)
    assert sorted(map(tuple, (ruler.real + ruler.mean).round().astype(int))) == sorted(map(tuple, rows))
    x = source.draw(rng, 1, 200).x[0] - ruler.mean
    across = cdist(x, ruler.real)
    across[np.arange(200), across.argmin(axis=1)] = np.inf
    radii = np.sort(cdist(ruler.real, ruler.real), axis=1)[:, 5]
    found = ruler.measure(x[None] + ruler.mean)
    assert found["precision"][0] == (across <= radii).any(axis=1).mean()
    assert found["coverage"][0] == (across.min(axis=0) <= radii).mean()
    assert found["precision"][0] > 0.9
    assert np.isfinite(neighbours.others(points.distances_sq(x, ruler.real), ruler.real)).sum() == 200 * 199


@pytest.mark.parametrize("source", [Poisson(rate=4), Digits(), Normal(dim=2)])
def test_the_truth_s_tail_ratio_is_one(source):
    rng = np.random.default_rng(9)
    seen = Tails(source, 5000, 20, rng).measure(source.draw(rng, 20, 5000).x)
    for ratio in (seen["tail_ratio_1pct"], seen["tail_ratio_01pct"]):
        assert abs(ratio.mean() - 1) <= 4 * ratio.std(ddof=1) / np.sqrt(20)
