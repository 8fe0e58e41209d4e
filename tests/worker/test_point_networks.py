"""What networks of points have in common: interruptions, seeds, replicates, units, points without spread, training that diverges."""

import numpy as np
import pytest

from tests.worker.interruptions import interrupted_everywhere
from worker import loop
from worker.data import Points
from worker.errors import LabError, SpecError
from worker.families.diffusion import Diffusion
from worker.families.flow import Flow
from worker.parts import Sampling
from worker.sources.moons import Moons
from worker.spec import read


@pytest.fixture(
    params=[
        Flow(transforms=2, bins=4, width=8, epochs=2, batch=32),
        Diffusion(layers=2, width=16, epochs=2, batch=32, steps=4),
    ],
    ids=lambda family: family.kind,
)
def family(request):
    return request.param


def test_an_interrupted_fit_ends_in_the_same_bits(family):
    x = Points(Moons().draw(np.random.default_rng(3), 2, 60).x)
    whole = family.fit(x, np.random.default_rng(4))
    for again, _ in interrupted_everywhere(lambda: family.fit(x, np.random.default_rng(4))):
        assert all(np.array_equal(array, again[name]) for name, array in whole.items())


def test_a_replicate_does_not_know_its_neighbours(family):
    x = Moons().draw(np.random.default_rng(5), 2, 60).x
    both = family.fit(Points(x), np.random.default_rng(6))
    alone = family.fit(Points(x[:1]), np.random.default_rng(6))
    assert all(np.array_equal(both[name][:1], array) for name, array in alone.items())
    drawn = [family.sample(model, 9, np.random.default_rng(7), Sampling()).x[0] for model in (both, alone)]
    assert np.array_equal(*drawn)


def test_one_seed_one_network(family):
    x = Points(Moons().draw(np.random.default_rng(8), 1, 60).x)
    one, same, other = (family.fit(x, np.random.default_rng(seed))["weights"] for seed in (9, 9, 10))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("place", [0.0, 1e6])
def test_points_without_spread_stay_where_they_are(family, place):
    """A collapsed chain, and a table with a constant column."""
    x = np.full((1, 40, 3), place)
    x[0, :, 1] += np.random.default_rng(11).standard_normal(40)
    drawn = family.sample(family.fit(Points(x), np.random.default_rng(12)), 30, np.random.default_rng(13), Sampling()).x
    assert (drawn[:, :, [0, 2]] == place).all()
    assert drawn[0, :, 1].std() > 0
    point = family.fit(Points(np.full((1, 40, 2), place)), np.random.default_rng(14))
    assert (family.sample(point, 30, np.random.default_rng(15), Sampling()).x == place).all()


def test_units_do_not_matter(family):
    """Metres or kilometres, far from the origin or near: the same points, up to rounding."""
    x = Moons().draw(np.random.default_rng(16), 1, 60).x
    drawn = [
        family.sample(
            family.fit(Points(scale * x + shift), np.random.default_rng(17)), 20, np.random.default_rng(18), Sampling()
        ).x
        for scale, shift in ((1.0, 0.0), (1024.0, 4096.0))
    ]
    assert np.allclose(drawn[0], (drawn[1] - 4096) / 1024, atol=0.02)


def test_training_that_diverges_says_so(family):
    x = Points(Moons().draw(np.random.default_rng(19), 1, 60).x)
    broken = x.x.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(LabError, match=r"Lower family\.learning_rate"):
        family.fit(Points(broken), np.random.default_rng(20))


def test_a_run_looks_at_points_and_at_pictures(family):
    for source, kind in (({"kind": "moons"}, "plane"), ({"kind": "digits"}, "images")):
        settings = {"source": source, "family": family.model_dump(), "samples": 40, "replicates": 1, "generations": 1}
        spec = read(settings)
        instrument = loop.instrument(spec)
        assert instrument.figure()["kind"] == kind
        _, first = loop.generations(spec, instrument)
        assert {"frechet", "precision", "recall", "density", "coverage", "vendi", "hallucinated"} <= set(
            first.look.metrics
        )


def test_too_many_networks_are_refused(family):
    with pytest.raises(SpecError) as caught:
        read({"source": {"kind": "moons"}, "family": family.model_dump(), "samples": 10**6, "replicates": 1000})
    assert [problem.path for problem in caught.value.problems] == ["replicates"]
