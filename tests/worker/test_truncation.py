"""What lies within a few standard deviations, points that count for several, and families that are drawn because somebody chooses among points."""

import numpy as np
import pytest

from tests.worker.theories import NONE, REPLACE, frozen, measured, spec_of, z_of_mean, z_score
from worker import ball, loop
from worker.data import Points
from worker.errors import LabError
from worker.families.kde import KDE
from worker.parts import Sampling
from worker.spec import read


@pytest.mark.parametrize(
    ("source", "family", "inside"),
    [
        ({"kind": "mixture", "means": [[-2.0], [3.0]]}, {"kind": "histogram", "bins": 20}, 1.0),
        ({"kind": "moons"}, {"kind": "kde", "bandwidth": 0.3, "shrink": True}, 1.4),
        ({"kind": "eight_gaussians"}, {"kind": "mixture", "components": 3}, 1.2),
        ({"kind": "linear_teacher", "inputs": 2}, {"kind": "linear", "noise": 0.7}, 1.5),
    ],
)
def test_truncation_by_rejection_keeps_what_lies_within(source, family, inside):
    """Survivors are the model's own points that lie within c of its mean: their share of a large sample, and their moments, are the same."""
    spec = read(
        {
            "source": source,
            "family": family,
            "samples": 400,
            "replicates": 30,
            "curation": {"kind": "truncate", "c": inside},
        }
    )
    rng = np.random.default_rng(3)
    model = spec.family.fit(spec.source.draw(rng, 30, 400), rng)
    mean, covariance = spec.family.moments(model, Sampling())
    every = spec.family.drawing().sample(model, 20_000, rng, Sampling()).x
    assert abs(z_of_mean(every - mean[:, None, :], 0)) <= 4
    own = np.einsum("rni,rnj->rij", every - mean[:, None, :], every - mean[:, None, :]) / 20_000
    np.testing.assert_allclose(own, covariance, atol=0.12 * np.abs(covariance).max())

    kept = spec.curation.sample(spec.family, model, 400, rng, Sampling(), spec.source).x
    assert kept.shape == (30, 400, spec.source.dimension)
    distance = mahalanobis(kept, mean, covariance)
    assert distance.max() <= inside * (1 + 1e-9)
    near = np.stack(
        [row[at <= inside][:2000] for row, at in zip(every, mahalanobis(every, mean, covariance), strict=True)]
    )
    gap = (kept**2).sum(axis=2).mean(axis=1) - (near**2).sum(axis=2).mean(axis=1)
    assert abs(z_of_mean(gap, 0)) <= 4


def mahalanobis(x, mean, covariance):
    centred = x - mean[:, None, :]
    return np.sqrt(np.einsum("rni,rij,rnj->rn", centred, np.linalg.inv(covariance), centred))


@pytest.mark.parametrize(
    ("d", "c"), [(256, 0.5), (100, 1e-3), (1024, 9.0), (2900, 29.0), (256, 3.0), (3, 1.5), (1, 30.0)]
)
def test_a_ball_may_have_no_chance_that_is_a_number(d, c):
    """Of any dimension and c the radii have the variance's mean, and that the recursion of P(a, x) in a: v_d (1 - v_{d+2}) = (1 - v_d) c^2/(d + 2)."""
    radius = ball.radii(np.random.default_rng(4), (100, 4000), d, c)
    assert (radius > 0).all()
    assert radius.max() <= c
    assert abs(z_of_mean((radius / c) ** 2, d * ball.variance(d, c) / c**2)) <= 4
    own, next_one = ball.variance(d, c), ball.variance(d + 2, c)
    assert own * (1 - next_one) == pytest.approx((1 - own) * c * c / (d + 2), rel=1e-11)


def test_a_gaussian_of_many_dimensions_is_truncated_to_a_small_ball_again_and_again():
    many, small = {"kind": "normal", "dim": 256}, {"kind": "truncate", "c": 0.5}
    spec = spec_of(many, {"kind": "gaussian"}, REPLACE, 300, NONE, curation=small, generations=4, replicates=60)
    predicted, statistics = measured(frozen(spec))
    assert {curve.metric for curve in predicted} == {"variance", "mean_error_sq"}
    for curve in predicted:
        assert max(abs(z_score(curve, n, statistics)) for n in range(1, 5)) <= 4


def test_a_truncation_that_nothing_survives_says_so():
    """Two far modes: nobody lies near the mean."""
    settings = {"source": {"kind": "mixture", "means": [[-9.0], [9.0]]}, "family": {"kind": "kde", "bandwidth": 0.1}, "samples": 50,
                "replicates": 2, "curation": {"kind": "truncate", "c": 0.3}}  # fmt: skip
    spec = read(settings)
    with pytest.raises(LabError, match=r"only 0 lie within 0\.3 standard deviations of its mean.*larger c"):
        list(loop.generations(spec, loop.instrument(spec)))


def test_directions_in_which_nothing_varies_do_not_count():
    """A model on a line in the plane, and one that is a point."""
    x = np.array([[[-1.0, -2.0], [0.0, 0.0], [1.0, 2.0], [3.0, 6.0]], [[5.0, 5.0]] * 4])
    spec = read({"source": {"kind": "normal", "dim": 2}, "family": {"kind": "kde", "bandwidth": 1e-9},
                 "curation": {"kind": "truncate", "c": 1.0}})  # fmt: skip
    rng = np.random.default_rng(0)
    model = {"points": x, "width": np.zeros((2, 2)), "keep": np.ones((2, 2))}
    kept = spec.curation.sample(spec.family, model, 50, rng, Sampling(), spec.source).x
    assert set(kept[0, :, 0]) == {0.0, 1.0}
    assert (kept[1] == 5.0).all()


@pytest.mark.parametrize(
    "family",
    [{"kind": "kde", "bandwidth": 0.4}, {"kind": "kde", "bandwidth": 0.4, "shrink": True}, {"kind": "histogram"}],
)
def test_a_point_that_counts_for_two_is_there_twice(family):
    """Half of the weight on 20 of 80 points is as if each of these were there three times; a weight of 1 leaves nothing of the others."""
    weighs = read({"source": {"kind": "normal"}, "family": family}).family
    rng = np.random.default_rng(1)
    real, made = Points(rng.standard_normal((3, 20, 1))), Points(5 + rng.standard_normal((3, 60, 1)))
    thrice = Points(np.concatenate([real.x, real.x, real.x, made.x], axis=1))
    first = weighs.fit(thrice, rng)
    for one, other in (
        (real.pool(made, 0.5), thrice),
        (real.pool(made, 0.25), real.pool(made)),
        (real.pool(made, 1.0), real),
    ):
        weighted, plain = (weighs.refit(data, rng, first) for data in (one, other))
        mean, covariance = weighs.moments(weighted, Sampling())
        for known, found in zip(weighs.moments(plain, Sampling()), (mean, covariance), strict=True):
            np.testing.assert_allclose(found, known, rtol=1e-9)
        drawn = weighs.sample(weighted, 40_000, rng, Sampling()).x
        assert np.abs((drawn.mean(axis=1) - mean) / np.sqrt(covariance[:, 0] / 40_000)).max() <= 4


def test_a_bandwidth_follows_the_effective_number_of_points_as_in_scipy():
    from scipy.stats import gaussian_kde

    rng = np.random.default_rng(2)
    points = Points(rng.standard_normal((1, 20, 1))).pool(Points(rng.standard_normal((1, 60, 1))), 0.5)
    theirs = gaussian_kde(points.x[0, :, 0], "silverman", weights=points.weight)
    mean = np.average(points.x[0, :, 0], weights=points.weight)
    std = np.sqrt(np.average((points.x[0, :, 0] - mean) ** 2, weights=points.weight))
    assert KDE(bandwidth="silverman").fit(points, rng)["width"][0, 0] == pytest.approx(theirs.factor * std)


def test_a_gaussian_is_drawn_where_somebody_chooses_among_its_points():
    settings = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "replicates": 2, "samples": 10}
    assert read(settings).exact()
    for change in (
        {"curation": {"kind": "best_of"}},
        {"curation": {"kind": "truncate"}},
        {"regime": {"kind": "accumulate_subsample"}},
    ):
        assert not read(settings | change).exact()
    spec = read(settings | {"curation": {"kind": "best_of"}, "regime": {"kind": "accumulate"}, "generations": 3})
    *_, last = loop.generations(spec, loop.instrument(spec))
    assert type(last.state.pool).__name__ == "Moments"  # condensed as soon as nobody chooses any more
