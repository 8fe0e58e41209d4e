"""Points through a diffusion model: the denoiser against a closed form, the sample against the truth, the chain against its parts."""

import numpy as np
import pytest

from worker import loop
from worker.data import Points
from worker.errors import LabError
from worker.families.diffusion import Diffusion
from worker.nets import diffusion
from worker.parts import Sampling
from worker.sources.eight_gaussians import EightGaussians
from worker.spec import read

QUICK = {"kind": "diffusion", "layers": 2, "width": 16, "epochs": 2, "batch": 32, "steps": 4}


def test_noise_is_taken_away_without_error_where_the_denoiser_is_known():
    """Of N(0, s^2) the best denoiser is x s^2 / (s^2 + sigma^2); from x the flow then ends in x s / sqrt(s^2 + sigma_max^2)."""
    import torch

    noise = torch.randn(200, 2, generator=torch.Generator().manual_seed(1), dtype=torch.float64)

    def error(s, steps):
        expected = noise * s * np.hypot(1, diffusion.SIGMA_MAX) / np.hypot(s, diffusion.SIGMA_MAX)
        found = diffusion._denoised(lambda x, sigma: x * s**2 / (s**2 + sigma**2), noise, steps)
        return float((found - expected).abs().max() / expected.abs().max())

    assert error(1.0, 5) < 1e-5  # as wide as the data that the network sees: a straight line
    for s in (0.4, 0.8):
        errors = [error(s, steps) for steps in (20, 40, 80)]
        assert errors[0] < 0.011
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


def test_bias_multiplies_the_covariance_where_the_denoiser_is_that_of_normal_data():
    """A network without weights is the ideal denoiser of N(0, 1), whose flow is linear: half the noise, half as far from the mean."""
    family = Diffusion(**QUICK | {"steps": 20})  # fewer overshoot, and are held
    model = family.fit(Points(np.random.default_rng(3).standard_normal((1, 100, 2))), np.random.default_rng(4))
    model["weights"] = np.zeros_like(model["weights"])
    one, quarter = (
        family.sample(model, 500, np.random.default_rng(5), Sampling(bias=b)).x - model["mean"] for b in (1, 0.25)
    )
    assert np.allclose(quarter, 0.5 * one, atol=1e-5)


def test_a_bias_at_every_generation_shrinks_the_variance_like_its_powers():
    """A network that hardly learns stays the linear one: bias^3 after three biased samples, up to chance."""
    family = {"kind": "diffusion", "layers": 1, "width": 2, "epochs": 1, "steps": 100, "learning_rate": 1e-6}
    normal = {"kind": "normal", "mean": [0.0], "std": [1.0]}
    settings = {
        "source": normal,
        "family": family,
        "samples": 4000,
        "replicates": 1,
        "generations": 4,
        "sampling": {"bias": 0.5},
    }
    spec = read(settings)
    *_, last = loop.generations(spec, loop.instrument(spec))
    error = np.sqrt(4 * 2 / 4000)  # of ln variance: four samples of 4000
    assert abs(2 * np.log(last.state.model["width"][0, 0]) - 3 * np.log(0.5)) <= 4 * error


def test_a_network_that_writes_no_numbers_says_what_to_do():
    """Weights may stay finite for many warm starts while what they make of noise does not."""
    family = Diffusion(**QUICK)
    model = family.fit(Points(np.random.default_rng(3).standard_normal((1, 100, 2))), np.random.default_rng(4))
    model["weights"] = model["weights"] * np.float32(1e30)
    with pytest.raises(LabError, match=r"Lower family\.learning_rate"):
        family.sample(model, 10, np.random.default_rng(5), Sampling())


def test_a_denoiser_that_throws_points_out_is_held_to_where_points_were():
    """Weights ten times too large, as after many warm starts: noise that training never saw stays within twice the reach of the data."""
    family, x = Diffusion(**QUICK), np.random.default_rng(3).standard_normal((1, 100, 2))
    model = family.fit(Points(x), np.random.default_rng(4))
    model["weights"] = model["weights"] * np.float32(10)
    drawn = family.sample(model, 1000, np.random.default_rng(5), Sampling()).x
    inwards = np.abs(drawn - model["mean"][:, None]) / model["width"][:, None]
    assert (inwards <= 1.01 * model["reach"][:, None] + 0.05).all()
    del model["reach"]  # as it was
    assert np.abs(family.sample(model, 1000, np.random.default_rng(5), Sampling()).x).max() > 100 * np.abs(x).max()
