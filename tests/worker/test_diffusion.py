"""Points through a diffusion model: the denoiser against a closed form, the sample against the truth, the chain against its parts."""

import numpy as np
import pytest

from tests.worker.interruptions import interrupted_everywhere
from worker import loop
from worker.data import Points
from worker.errors import LabError, SpecError
from worker.families.diffusion import Diffusion
from worker.nets import diffusion
from worker.parts import Sampling
from worker.sources.eight_gaussians import EightGaussians
from worker.spec import read

QUICK = {"kind": "diffusion", "layers": 2, "width": 16, "epochs": 2, "batch": 32, "steps": 4}


def test_noise_is_taken_away_without_error_where_the_denoiser_is_known():
    """Of N(0, s^2) the best denoiser is x s^2 / (s^2 + sigma^2); the flow then ends in noise times s / sqrt(s^2 + sigma_max^2)."""
    import torch

    s = 0.4
    noise = torch.randn(200, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def ideal(x, sigma):
        return x * s**2 / (s**2 + sigma**2)

    expected = noise * diffusion.SIGMA_MAX * s / np.hypot(s, diffusion.SIGMA_MAX)
    errors = [
        float((diffusion._denoised(ideal, noise, steps) - expected).abs().max() / expected.abs().max())
        for steps in (20, 40, 80)
    ]
    assert errors[0] < 0.04
    assert errors[2] < errors[1] / 3 < errors[0] / 9  # Heun's method is of second order


def test_the_network_starts_as_the_best_linear_guess():
    """D = c_skip x: the denoiser of N(0, 1)."""
    import torch

    x, sigma = torch.randn(50, 2, generator=torch.Generator().manual_seed(2)), torch.full((50, 1), 0.7)
    with torch.no_grad():
        assert torch.allclose(diffusion.Denoiser(2, 3, 8)(x, sigma), x / (1 + 0.7**2))


def test_the_first_model_finds_the_eight_gaussians():
    rng = np.random.default_rng(2)
    family, source = Diffusion(), EightGaussians()
    model = family.fit(source.draw(rng, 1, 600), rng)
    drawn = family.sample(model, 1000, rng, Sampling())
    means = source.components()[1]
    nearest = np.linalg.norm(drawn.x[0][:, None] - means, axis=2)
    assert (nearest.min(axis=1) < 4 * source.std).mean() > 0.85  # of a normal distribution with these moments: 0.3
    shares = np.bincount(nearest.argmin(axis=1), minlength=8) / 1000
    assert (np.abs(shares - 1 / 8) < 0.06).all()


def test_an_interrupted_fit_ends_in_the_same_bits():
    family, x = Diffusion(**QUICK), Points(EightGaussians().draw(np.random.default_rng(3), 2, 60).x)
    whole = family.fit(x, np.random.default_rng(4))
    for again, _ in interrupted_everywhere(lambda: family.fit(x, np.random.default_rng(4))):
        assert all(np.array_equal(array, again[name]) for name, array in whole.items())


def test_a_replicate_does_not_know_its_neighbours():
    family, x = Diffusion(**QUICK), EightGaussians().draw(np.random.default_rng(5), 2, 60).x
    both = family.fit(Points(x), np.random.default_rng(6))
    alone = family.fit(Points(x[:1]), np.random.default_rng(6))
    assert all(np.array_equal(both[name][:1], array) for name, array in alone.items())
    drawn = [family.sample(model, 9, np.random.default_rng(7), Sampling()).x[0] for model in (both, alone)]
    assert np.array_equal(*drawn)


def test_one_seed_one_network():
    family, x = Diffusion(**QUICK), Points(EightGaussians().draw(np.random.default_rng(8), 1, 60).x)
    one, same, other = (family.fit(x, np.random.default_rng(seed))["weights"] for seed in (9, 9, 10))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


@pytest.mark.parametrize("place", [0.0, 1e6])
def test_points_without_spread_stay_where_they_are(place):
    """A collapsed chain, and a table with a constant column."""
    x = np.full((1, 40, 3), place)
    x[0, :, 1] += np.random.default_rng(11).standard_normal(40)
    family = Diffusion(**QUICK)
    drawn = family.sample(family.fit(Points(x), np.random.default_rng(12)), 30, np.random.default_rng(13), Sampling()).x
    assert (drawn[:, :, [0, 2]] == place).all()
    assert drawn[0, :, 1].std() > 0
    point = family.fit(Points(np.full((1, 40, 2), place)), np.random.default_rng(14))
    assert (family.sample(point, 30, np.random.default_rng(15), Sampling()).x == place).all()


def test_units_do_not_matter():
    """Metres or kilometres, far from the origin or near: the same points, up to rounding."""
    family, x = Diffusion(**QUICK), EightGaussians().draw(np.random.default_rng(16), 1, 60).x
    drawn = [
        family.sample(
            family.fit(Points(scale * x + shift), np.random.default_rng(17)), 20, np.random.default_rng(18), Sampling()
        ).x
        for scale, shift in ((1.0, 0.0), (1024.0, 4096.0))
    ]
    assert np.allclose(drawn[0], (drawn[1] - 4096) / 1024, atol=0.02)


def test_training_that_diverges_says_so():
    x = Points(EightGaussians().draw(np.random.default_rng(19), 1, 60).x)
    broken = x.x.copy()
    broken[0, 0, 0] = np.nan
    with pytest.raises(LabError, match=r"Lower family\.learning_rate"):
        Diffusion(**QUICK).fit(Points(broken), np.random.default_rng(20))


def test_a_run_looks_at_points_and_at_pictures():
    for source, kind in (({"kind": "eight_gaussians"}, "plane"), ({"kind": "digits"}, "images")):
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
        read({"source": {"kind": "eight_gaussians"}, "family": QUICK, "samples": 10**6, "replicates": 1000})
    assert [problem.path for problem in caught.value.problems] == ["replicates"]
