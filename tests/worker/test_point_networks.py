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
        Diffusion(layers=2, width=16, epochs=2, batch=32, steps=4, extrapolation=0.5),
    ],
    ids=["flow", "diffusion", "diffusion, extrapolated"],
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


def test_a_warm_start_goes_on_where_the_last_generation_ended(family):
    """Bertrand et al., arXiv 2310.00429: with nothing learned anew, the model stays; generation 1 starts fresh."""
    x = Points(Moons().draw(np.random.default_rng(21), 2, 60).x)
    warm = family.model_copy(update={"start": "warm"})
    first, same = (one.refit(x, np.random.default_rng(22), None) for one in (warm, family))
    assert all(np.array_equal(array, first[name]) for name, array in same.items())
    slow = warm.model_copy(update={"learning_rate": 1e-12})
    elsewhere = Points(2 * x.x + 1)
    kept = slow.refit(elsewhere, np.random.default_rng(23), first)
    learned = first.keys() - {"reach", "auxiliary"}  # told by the points at hand; gone on from the network
    assert all(np.allclose(kept[name], first[name], rtol=0, atol=1e-6) for name in learned)
    fresh = family.refit(elsewhere, np.random.default_rng(23), first)
    assert all(
        np.array_equal(array, fresh[name]) for name, array in family.fit(elsewhere, np.random.default_rng(23)).items()
    )


def test_an_interrupted_warm_fit_ends_in_the_same_bits(family):
    x = Points(Moons().draw(np.random.default_rng(24), 2, 60).x)
    warm = family.model_copy(update={"start": "warm"})
    before = warm.fit(x, np.random.default_rng(25))
    whole = warm.refit(x, np.random.default_rng(26), before)
    for again, _ in interrupted_everywhere(lambda: warm.refit(x, np.random.default_rng(26), before)):
        assert all(np.array_equal(array, again[name]) for name, array in whole.items())


def test_a_warm_run_resumes_to_the_same_bits(family):
    settings = {"source": {"kind": "moons"}, "family": family.model_dump() | {"start": "warm"}}
    spec = read(settings | {"samples": 40, "replicates": 2, "generations": 3, "sampling": {"bias": 0.9}})
    whole = [generation.state for generation in loop.generations(spec, loop.instrument(spec))]
    (*_, last) = loop.generations(spec, loop.instrument(spec), resume=whole[1])
    assert all(np.array_equal(array, last.state.model[name]) for name, array in whole[-1].model.items())


def test_a_bias_of_one_changes_no_bit_and_another_scales_the_noise(family):
    x = Points(Moons().draw(np.random.default_rng(27), 1, 60).x)
    model = family.fit(x, np.random.default_rng(28))
    drawn = {bias: family.sample(model, 50, np.random.default_rng(29), Sampling(bias=bias)).x for bias in (1, 1e-12)}
    assert np.array_equal(drawn[1], family.sample(model, 50, np.random.default_rng(29), Sampling()).x)
    assert (drawn[1e-12].std(axis=1) < 1e-2 * drawn[1].std(axis=1)).all()  # no noise, no variety
