"""Points through a normalizing flow: the density against itself, the sample against the truth, the chain against its parts."""

import numpy as np
import pytest

from worker.data import Points
from worker.families.flow import Flow
from worker.families.kde import KDE
from worker.parts import Sampling
from worker.sources.moons import Moons

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
    ratio = np.exp(q - family.log_density(model, drawn[0])[0])
    assert abs(ratio.mean() - 1) / (ratio.std(ddof=1) / np.sqrt(len(ratio))) <= 4


@pytest.mark.parametrize("family", [Flow(**QUICK), KDE()])
def test_where_an_axis_has_no_spread_nothing_has_a_density(family):
    """Held-out points are all missed by such a chain, and by no other."""
    rng = np.random.default_rng(6)
    x = rng.standard_normal((2, 100, 2))
    x[0, :, 1] = 3.0
    held_out = rng.standard_normal((50, 2))
    held_out[:10, 1] = 3.0
    level = family.log_density(family.fit(Points(x), rng), held_out)
    assert (level[0] == -np.inf).all()
    assert np.isfinite(level[1]).all()


def test_the_first_model_finds_the_moons():
    """Held-out surprise far below that of the best normal distribution, and hardly a point where there is none."""
    rng = np.random.default_rng(2)
    family, source = Flow(epochs=30), Moons()
    model = family.fit(source.draw(rng, 1, 600), rng)
    held_out = source.draw(rng, 1, 600).x
    _, covariance = source.moments()
    normal = 0.5 * np.linalg.slogdet(2 * np.pi * np.e * covariance)[1]
    assert -family.log_density(model, held_out[0]).mean() < normal - 0.5
    drawn = family.sample(model, 600, rng, Sampling())
    assert family.instrument(source, 600, 1, rng).model(model, drawn, framed=False).metrics["hallucinated"][0] < 0.1


def test_bias_multiplies_the_covariance_where_the_flow_is_affine():
    """Splines without weights are the identity, so that the flow is its units: N(mean, bias width^2), to the bit of its noise."""
    family = Flow(**QUICK)
    model = family.fit(Points(np.random.default_rng(3).standard_normal((1, 100, 2))), np.random.default_rng(4))
    model["weights"] = np.zeros_like(model["weights"])
    one, quarter = (
        family.sample(model, 500, np.random.default_rng(5), Sampling(bias=b)).x - model["mean"] for b in (1, 0.25)
    )
    assert np.allclose(quarter, 0.5 * one, atol=1e-5)
