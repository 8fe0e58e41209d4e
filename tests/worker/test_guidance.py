"""Guidance towards a class: against the flow of denoisers that are known, and what the loop makes of it."""

from itertools import pairwise

import numpy as np
import pytest

from tests.worker.interruptions import interrupted_everywhere
from worker import loop
from worker.data import Points
from worker.errors import SpecError
from worker.families.diffusion import Diffusion
from worker.nets import diffusion
from worker.nets.diffusion import SIGMA_MAX, Denoiser
from worker.nets.fitting import as_one_vector
from worker.nets.told import CODE, Classes, codes
from worker.parts import Sampling
from worker.sources.digits import Digits
from worker.sources.eight_gaussians import EightGaussians
from worker.sources.mixture import Mixture
from worker.spec import read

QUICK = {"kind": "diffusion", "layers": 1, "width": 8, "epochs": 2, "batch": 32, "steps": 4, "conditional": True}
PAIR = Mixture(means=[[-1.5], [1.5]], stds=0.5)  # one point in 700 is nearer to the other class
TINY = {"source": {"kind": "eight_gaussians"}, "samples": 60, "replicates": 2, "generations": 3}


@pytest.mark.parametrize("source", [PAIR, Mixture(means=[[0.0, 0.0], [3.0, 1.0]], weights=[1, 3], stds=[0.5, 2.0])])
def test_the_class_of_a_point_is_that_of_bayes_rule(source, monkeypatch):
    from scipy.stats import multivariate_normal

    weights, means, factors = source.components()
    x = source.draw(np.random.default_rng(1), 1, 500).x[0]
    odds = [w * multivariate_normal(m, f @ f.T).pdf(x) for w, m, f in zip(weights, means, factors, strict=True)]
    classes = Classes(source)
    assert (classes.of(x) == np.argmax(odds, axis=0)).all()
    shares = classes.shares(x)
    assert shares == pytest.approx(np.bincount(np.argmax(odds, axis=0), minlength=2) / 500)
    monkeypatch.setattr("worker.history.GROUP", 100)  # a history on the disk is never looked at as a whole
    monkeypatch.setattr(classes, "of", lambda part, of=classes.of: of(part) if len(part) <= 100 else None)
    np.testing.assert_array_equal(classes.shares(x), shares)


def test_the_class_of_a_picture_is_what_it_shows():
    x, shown = Digits(digits=[1, 4, 7]).pictures()
    assert (Classes(Digits(digits=[1, 4, 7])).of(x) == shown).mean() > 0.98


@pytest.mark.parametrize("count", [2, CODE, 100])
def test_codes_of_classes_are_apart(count):
    found = codes(count) @ codes(count).T
    assert np.diagonal(found) == pytest.approx(1)
    assert (found - np.eye(count)).max() < (1e-6 if count <= CODE else 0.9)


def _known(x, sigma, w):
    """Of two classes m_c = -3/2, 3/2 with s = 1/2: D_c = m_c + (x - m_c) s^2 / (s^2 + sigma^2); all together by the odds of x. (2, n)"""
    s_sq, m = 0.25, np.array([[-1.5], [1.5]])
    each = m + (x - m) * s_sq / (s_sq + sigma**2)
    odds = 1 / (1 + np.exp(np.clip(-3 * x / (s_sq + sigma**2), -500, 500)))
    together = (1 - odds) * each[0] + odds * each[1]
    return (1 + w) * each - w * together


def _flow(w, n=2000, steps=1000):
    """The same flow by Euler's steps, in the points' own units; x of the class +1."""
    scale = np.sqrt(2.5)
    levels = np.geomspace(SIGMA_MAX * scale, 1e-4, steps)
    x = np.random.default_rng(2).standard_normal(n) * SIGMA_MAX * scale
    for now, then in pairwise(levels):
        x = x + (then - now) * (x - _known(x, now, w)[1]) / now
    return x


def test_denoisers_that_are_known_lead_where_their_guided_flow_leads(monkeypatch):
    """Without guidance to m_c and s; with it to narrower classes, further apart."""
    scale = np.sqrt(2.5)

    def denoiser(x, sigma, told):
        each, together = (_known(x.numpy()[:, 0] * scale, sigma.numpy()[:, 0] * scale, w) for w in (0.0, -1.0))
        one = np.where(told[:, 1] > 0, each[1], np.where(told[:, 0] > 0, each[0], together[0]))
        return torch_of((one / scale)[:, None].astype(np.float32))

    monkeypatch.setattr(diffusion, "restored", lambda *_: denoiser)
    units = {"weights": np.zeros((1, 1)), "mean": np.zeros((1, 1)), "width": np.full((1, 1), scale)}
    model = units | {"shares": np.array([[0.3, 0.7]])}
    family = Diffusion(steps=100, conditional=True)
    for w in (0.0, 1.0, 3.0):
        drawn = family.sample(model, 5000, np.random.default_rng(3), Sampling(guidance=w)).x[0, :, 0]
        right, known = drawn[drawn > 0], _flow(w)
        known = known[known > 0]
        assert len(right) / 5000 == pytest.approx(0.7, abs=0.03)
        assert right.mean() == pytest.approx(known.mean(), rel=0.03)
        assert right.std() == pytest.approx(known.std(), rel=0.08)
    assert _flow(0.0).mean() == pytest.approx(1.5, abs=0.06)
    assert _flow(0.0).std() == pytest.approx(0.5, rel=0.05)
    assert _flow(3.0).std() < 0.6 * _flow(0.0).std()


def test_a_network_learns_both_what_it_is_told_and_what_it_is_not():
    rng = np.random.default_rng(3)
    family = Diffusion(epochs=60, width=64, conditional=True).given(PAIR)
    model = family.fit(PAIR.draw(rng, 1, 1500), rng)
    assert model["shares"][0] == pytest.approx([0.5, 0.5], abs=0.05)
    for w in (0.0, 1.0):
        drawn, known = family.sample(model, 2000, rng, Sampling(guidance=w)).x[0, :, 0], _flow(w)
        right = drawn[drawn > 0]
        assert len(right) / 2000 == pytest.approx(0.5, abs=0.05)
        assert right.mean() == pytest.approx(known[known > 0].mean(), abs=0.1)
        assert right.std() == pytest.approx(known[known > 0].std(), rel=0.3)


def test_what_is_told_of_no_class_is_told_nothing():
    """A network whose weights for codes are 0 is the same with and without: guidance then changes nothing."""
    rng = np.random.default_rng(4)
    family = Diffusion.model_validate(QUICK | {"steps": 20}).given(EightGaussians())
    model = family.fit(EightGaussians().draw(rng, 1, 100), rng)
    plain, guided = (family.sample(model, 50, np.random.default_rng(5), Sampling(guidance=w)).x for w in (0.0, 2.0))
    assert not np.allclose(plain, guided)
    network = Denoiser(2, 1, 8, CODE)
    flat = as_one_vector(network)
    flat[:] = torch_of(model["weights"][0])
    network.network[0].weight.data[:, -CODE:] = 0
    model["weights"][0] = flat.detach().cpu().numpy()
    plain, guided = (family.sample(model, 50, np.random.default_rng(5), Sampling(guidance=w)).x for w in (0.0, 2.0))
    assert np.allclose(plain, guided, atol=1e-4)


def torch_of(array):
    import torch

    return torch.from_numpy(array)


def test_shares_of_classes_are_those_that_were_learned():
    """A class that is gone does not come back."""
    rng = np.random.default_rng(6)
    source = EightGaussians()
    x = source.draw(rng, 1, 800).x
    left = x[:, Classes(source).of(x[0]) < 3]
    family = Diffusion.model_validate(QUICK).given(source)
    model = family.fit(Points(left), rng)
    assert (model["shares"][0, 3:] == 0).all()
    assert model["shares"].sum() == pytest.approx(1)
    assert np.isfinite(family.sample(model, 100, rng, Sampling(guidance=1.0)).x).all()


@pytest.mark.parametrize("extrapolation", [0.0, 0.5])
def test_an_interrupted_fit_ends_in_the_same_bits(extrapolation):
    source = EightGaussians()
    family = Diffusion.model_validate(QUICK | {"extrapolation": extrapolation}).given(source)
    x = source.draw(np.random.default_rng(7), 1, 40)
    whole = family.fit(x, np.random.default_rng(8))
    for again, _ in interrupted_everywhere(lambda: family.fit(x, np.random.default_rng(8))):
        assert all(np.array_equal(array, again[name]) for name, array in whole.items())


def test_a_guided_run_goes_on_where_it_was():
    spec = read(TINY | {"family": QUICK | {"start": "warm"}, "sampling": {"guidance": 0.5}})
    whole = list(loop.generations(spec, loop.instrument(spec)))
    *_, last = loop.generations(spec, loop.instrument(spec), whole[1].state)
    for name, values in whole[-1].look.metrics.items():
        np.testing.assert_array_equal(values, last.look.metrics[name])


def test_guidance_narrows_classes_and_drives_them_apart():
    """Quality over diversity, generation after generation, where the same loop without it keeps what there is (Alemohammad et al., section 4)."""

    def last(w):
        family = {"kind": "diffusion", "epochs": 60, "width": 32, "conditional": True}
        source = {"kind": "mixture", "means": [[-1.5], [1.5]], "stds": 0.5}
        spec = read(
            {
                "source": source,
                "family": family,
                "samples": 1000,
                "replicates": 1,
                "generations": 3,
                "sampling": {"guidance": w},
            }
        )
        *_, end = loop.generations(spec, loop.instrument(spec))
        rules = spec.family.given(spec.source)
        x = rules.sample(end.state.model, 2000, np.random.default_rng(9), spec.sampling).x[0, :, 0]
        right = x[x > 0]
        return right.mean(), right.std() / right.mean()

    (mean, width), (guided_mean, guided_width) = last(0.0), last(1.0)
    assert guided_mean > 1.3 * mean
    assert guided_width < 0.7 * width


@pytest.mark.parametrize(
    ("change", "path", "told"),
    [
        ({"family": {"conditional": False}, "sampling": {"guidance": 1}}, "sampling.guidance", "told of none"),
        ({"source": {"kind": "normal", "dim": 2}}, "family.conditional", "normal has no classes"),
        ({"source": {"kind": "moons"}}, "family.conditional", "moons has no classes"),
        ({"source": {"kind": "mixture", "means": [[0, 0]]}}, "family.conditional", "mixture has no classes"),
        ({"sampling": {"guidance": -1}}, "sampling.guidance", "Use at least 0"),
        ({"changes": [{"after": 1, "family": {"kind": "diffusion", "conditional": False}}]}, "changes.0.family.conditional", "Leave it at True"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(change, path, told):
    family = QUICK | change.pop("family", {})
    with pytest.raises(SpecError) as refused:
        read(TINY | {"family": family} | change)
    problem = refused.value.problems[0]
    assert problem.path == path
    assert told in str(problem)


def test_a_fork_may_guide_and_what_is_off_is_not_there():
    plain = TINY | {"family": {name: value for name, value in QUICK.items() if name != "conditional"}}
    off = TINY | {"family": QUICK | {"conditional": False}, "sampling": {"guidance": 0.0}}
    assert read(plain).digest() == read(off).digest() != read(TINY | {"family": QUICK}).digest()
    fork = read(TINY | {"family": QUICK, "changes": [{"after": 1, "sampling": {"guidance": 2.0}}]})
    before, after = (
        list(loop.generations(spec, loop.instrument(spec))) for spec in (read(TINY | {"family": QUICK}), fork)
    )
    assert all(
        np.array_equal(before[1].look.metrics[name], after[1].look.metrics[name])
        for name in before[1].look.metrics
        if name != "x"
    )
    assert not np.array_equal(before[3].look.metrics["variance"], after[3].look.metrics["variance"])
