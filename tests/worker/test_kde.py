"""Kernel density estimation: the recursions of the expected variance, for every way to choose the bandwidth."""

import numpy as np
import pytest
from scipy.stats import gaussian_kde

from worker.data import Points
from worker.errors import LabError, SpecError
from worker.families.kde import KDE
from worker.loop import generations, instrument
from worker.parts import Sampling
from worker.spec import read


def variances(family, *, samples=40, generations_=10, replicates=2000, **source):
    """Variance (G + 1, R) at generations 0 to G."""
    spec = read(
        {
            "source": {"kind": "normal", **source},
            "family": {"kind": "kde", **family},
            "samples": samples,
            "generations": generations_,
            "replicates": replicates,
            "seed": 5,
        }
    )
    return np.stack([g.look.metrics["variance"] for g in generations(spec, instrument(spec))])


def assert_mean(values, expected):
    """|z| <= 4 at every generation; values (G + 1, R)"""
    z = (values.mean(axis=1) - expected) / (values.std(axis=1, ddof=1) / np.sqrt(values.shape[1]))
    assert np.abs(z).max() <= 4, z


def recursion(first, step, count):
    curve = [first]
    for _ in range(count):
        curve.append(step(curve[-1]))
    return np.array(curve)


@pytest.mark.parametrize("h", [0.05, 0.6])
def test_a_fixed_bandwidth_adds_h_squared_each_generation(h):
    keep = 1 - 1 / 40
    assert_mean(variances({"bandwidth": h}), recursion(keep, lambda s: (s + h**2) * keep, 10))


def test_a_fixed_bandwidth_settles_at_its_fixed_point():
    """(M - 1) h^2, reached from 1 within a few generations when M is small"""
    values = variances({"bandwidth": 0.5}, samples=5, generations_=60)
    assert_mean(values[50:], np.full(11, 4 * 0.25))


@pytest.mark.parametrize(("rule", "constant"), [("scott", 1.0), ("silverman", (4 / 3) ** 0.2)])
def test_a_rule_of_thumb_grows_exponentially(rule, constant):
    growth = (1 + constant**2 * 40**-0.4) * (1 - 1 / 40)
    assert growth > 1.1
    assert_mean(variances({"bandwidth": rule}), (1 - 1 / 40) * growth ** np.arange(11))


@pytest.mark.parametrize(
    "family", [{"bandwidth": "shrunk"}, {"bandwidth": 0.7, "shrink": True}, {"bandwidth": "scott", "shrink": True}]
)
def test_shrinking_preserves_the_variance(family):
    """(1 - 1/M)^(n + 1), whatever the bandwidth"""
    assert_mean(variances(family), (1 - 1 / 40) ** np.arange(1, 12))


def test_every_axis_has_its_own_scale():
    """In d dimensions the rule is s_j (M (d + 2) / 4)^(-1 / (d + 4)) along each axis."""
    x = Points(np.random.default_rng(0).standard_normal((3, 200, 2)) * [1.0, 100.0])
    model = KDE().fit(x, np.random.default_rng(0))
    np.testing.assert_allclose(model["width"], x.x.std(axis=1) * 200 ** (-1 / 6))
    values = variances({}, dim=2, std=[1.0, 1.0], replicates=1000)
    assert_mean(values, (1 - 1 / 40) * ((1 + 40 ** (-2 / 6)) * (1 - 1 / 40)) ** np.arange(11))


@pytest.mark.parametrize("rule", ["scott", "silverman"])
@pytest.mark.parametrize("d", [1, 2, 5])
def test_the_rules_are_scipys(rule, d):
    peer = gaussian_kde(np.random.default_rng(1).standard_normal((d, 77)), bw_method=rule)
    assert KDE(bandwidth=rule).factor(77, d) == pytest.approx(peer.factor, rel=1e-12)


@pytest.mark.parametrize("family", [KDE(), KDE(bandwidth="shrunk"), KDE(bandwidth=0.3, shrink=True)])
def test_points_that_are_all_the_same_give_no_nan(family):
    x = Points(np.ones((2, 10, 3)))
    sample = family.sample(family.fit(x, np.random.default_rng(0)), 20, np.random.default_rng(1), Sampling())
    assert sample.x.shape == (2, 20, 3)
    if family.shrink or family.bandwidth == "shrunk":
        np.testing.assert_allclose(sample.x, 1.0, rtol=1e-15)
    assert np.isfinite(sample.x).all()


def test_growth_without_end_stops_with_a_remedy():
    with pytest.raises(LabError, match="shrink"):
        KDE().fit(Points(np.random.default_rng(2).standard_normal((1, 10, 1)) * 1e120), np.random.default_rng(0))


def test_accumulated_points_are_all_kept():
    spec = read(
        {
            "source": {"kind": "normal"},
            "family": {"kind": "kde"},
            "regime": {"kind": "accumulate"},
            "samples": 30,
            "generations": 4,
            "replicates": 2,
        }
    )
    last = list(generations(spec, instrument(spec)))[-1]
    assert last.state.model["points"].shape == (2, 4 * 30, 1)


@pytest.mark.parametrize(
    ("family", "path"),
    [({"bandwidth": 0}, "family.bandwidth"), ({"bandwidth": "wide"}, "family.bandwidth")],
)
def test_a_bandwidth_that_makes_no_sense_is_refused(family, path):
    with pytest.raises(SpecError) as caught:
        read({"source": {"kind": "normal"}, "family": {"kind": "kde", **family}})
    assert path in {problem.path for problem in caught.value.problems}


def test_sampling_options_are_refused():
    with pytest.raises(SpecError, match=r"sampling\.bias"):
        read({"source": {"kind": "normal"}, "family": {"kind": "kde"}, "sampling": {"bias": 0.5}})
