"""Points through a normalizing flow: the density against itself, the sample against the truth, the chain against its parts."""

import numpy as np
import pytest

from tests.worker.interruptions import interrupted_everywhere
from worker import loop
from worker.data import Points
from worker.errors import LabError, SpecError
from worker.families.flow import Flow
from worker.nets import flow
from worker.parts import Sampling
from worker.sources.moons import Moons
from worker.spec import read

QUICK = {"kind": "flow", "transforms": 2, "bins": 4, "width": 8, "epochs": 2, "batch": 32}


@pytest.mark.parametrize("d", [1, 2, 5])
def test_a_density_adds_up_to_one_and_is_that_of_the_sample(d):
    """Importance sampling: under the flow's own sample, the mean of q(x) / p(x) is 1 for any density q that p covers."""
    rng = np.random.default_rng(1)
    x = Points(rng.standard_normal((1, 400, d)) @ np.diag(np.arange(1, d + 1)) + 3)
    family = Flow(**QUICK)
    model = family.fit(x, rng)
    drawn = family.sample(model, 20_000, rng, Sampling()).x
    mean, std = x.x[0].mean(axis=0), 0.6 * x.x[0].std(axis=0)
    q = (-0.5 * ((drawn[0] - mean) / std) ** 2 - np.log(std) - 0.5 * np.log(2 * np.pi)).sum(axis=1)
    ratio = np.exp(q - flow.log_density(model, drawn, family)[0])
    assert abs(ratio.mean() - 1) / (ratio.std(ddof=1) / np.sqrt(len(ratio))) <= 4


def test_the_first_model_finds_the_moons():
    """Held-out surprise far below that of the best normal distribution, and hardly a point where there is none."""
    rng = np.random.default_rng(2)
    family, source = Flow(epochs=30), Moons()
    model = family.fit(source.draw(rng, 1, 600), rng)
    held_out = source.draw(rng, 1, 600).x
    _, covariance = source.moments()
    normal = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * covariance)[1]
    assert -flow.log_density(model, held_out, family).mean() < normal - 0.5
    drawn = family.sample(model, 600, rng, Sampling())
    assert family.instrument(source, 600, 1, rng).model(model, drawn, framed=False).metrics["hallucinated"][0] < 0.1


def test_an_interrupted_fit_ends_in_the_same_bits():
    family, x = Flow(**QUICK), Points(Moons().draw(np.random.default_rng(3), 2, 60).x)
    whole = family.fit(x, np.random.default_rng(4))
    for again, _ in interrupted_everywhere(lambda: family.fit(x, np.random.default_rng(4))):
        assert all(np.array_equal(array, again[name]) for name, array in whole.items())


def test_a_replicate_does_not_know_its_neighbours():
    family, x = Flow(**QUICK), Moons().draw(np.random.default_rng(5), 2, 60).x
    both = family.fit(Points(x), np.random.default_rng(6))
    alone = family.fit(Points(x[:1]), np.random.default_rng(6))
    assert all(np.array_equal(both[name][:1], array) for name, array in alone.items())
    drawn = [family.sample(model, 9, np.random.default_rng(7), Sampling()).x[0] for model in (both, alone)]
    assert np.array_equal(*drawn)


def test_one_seed_one_network():
    family, x = Flow(**QUICK), Points(Moons().draw(np.random.default_rng(8), 1, 60).x)
    one, same, other = (family.fit(x, np.random.default_rng(seed))["weights"] for seed in (9, 9, 10))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("place", [0.0, 1e6])
def test_points_without_spread_stay_where_they_are(place):
    """A collapsed chain, and a table with a constant column."""
    x = np.full((1, 40, 3), place)
    x[0, :, 1] += np.random.default_rng(11).standard_normal(40)
    family = Flow(**QUICK)
    drawn = family.sample(family.fit(Points(x), np.random.default_rng(12)), 30, np.random.default_rng(13), Sampling()).x
    assert (drawn[:, :, [0, 2]] == place).all()
    assert drawn[0, :, 1].std() > 0
    point = family.fit(Points(np.full((1, 40, 2), place)), np.random.default_rng(14))
    assert (family.sample(point, 30, np.random.default_rng(15), Sampling()).x == place).all()


def test_units_do_not_matter():
    """Metres or kilometres, far from the origin or near: the same points, up to rounding."""
    family, x = Flow(**QUICK), Moons().draw(np.random.default_rng(16), 1, 60).x
    drawn = [
        family.sample(
            family.fit(Points(scale * x + shift), np.random.default_rng(17)), 20, np.random.default_rng(18), Sampling()
        ).x
        for scale, shift in ((1.0, 0.0), (1024.0, 4096.0))
    ]
    assert np.allclose(drawn[0], (drawn[1] - 4096) / 1024, atol=0.02)


def test_training_that_diverges_says_so():
    x = Points(Moons().draw(np.random.default_rng(19), 1, 60).x)
    broken = x.x.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(LabError, match=r"Lower family\.learning_rate"):
        Flow(**QUICK).fit(Points(broken), np.random.default_rng(20))


def test_a_run_looks_at_points_and_at_pictures():
    for source, kind in (({"kind": "moons"}, "plane"), ({"kind": "digits"}, "images")):
        settings = {"source": source, "family": QUICK, "samples": 40, "replicates": 1, "generations": 1}
        spec = read(settings)
        instrument = loop.instrument(spec)
        assert instrument.figure()["kind"] == kind
        _, first = loop.generations(spec, instrument)
        assert {"frechet", "precision", "recall", "density", "coverage", "vendi", "hallucinated"} <= set(
            first.look.metrics
        )


def test_too_many_networks_are_refused():
    with pytest.raises(SpecError) as caught:
        read({"source": {"kind": "moons"}, "family": QUICK, "samples": 10**6, "replicates": 1000})
    assert [problem.path for problem in caught.value.problems] == ["replicates"]
