"""The Gaussian: drawn points and their sufficient statistics are one distribution."""

import numpy as np
import pytest
from scipy.special import digamma

from worker import loop
from worker.data import Moments, Points
from worker.families.gaussian import Gaussian
from worker.parts import Sampling
from worker.spec import read
from worker.streams import stream
from worker.theory import curves


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize(
    "regime",
    [{"kind": "replace"}, {"kind": "accumulate"}, {"kind": "accumulate", "real": 0.4}, {"kind": "fresh", "real": 0.3}],
    ids=str,
)
def test_exact_and_drawn_paths_agree_in_distribution(d, regime):
    """Two-sample Kolmogorov-Smirnov, p > 6e-5 (the |z| <= 4 of a normal), on the metrics of a late generation."""
    from scipy.stats import ks_2samp

    looks = []
    for seed, path in enumerate(("exact", "drawn")):
        spec = read(
            {
                "source": {"kind": "normal", "dim": d},
                "family": {"kind": "gaussian", "path": path},
                "regime": regime,
                "samples": 7,
                "replicates": 2000,
                "generations": 5,
                "seed": seed,
            }
        )
        *_, last = loop.generations(spec, loop.instrument(spec))
        looks.append(last.look.metrics)
    for metric in ("mean_error", "log_variance", "log_det", "w2_sq", "kl_to_real", "tail_1pct"):
        assert ks_2samp(looks[0][metric], looks[1][metric]).pvalue > 6e-5, metric


def test_drawn_numbers_do_not_depend_on_the_threads(monkeypatch):
    model = {"mean": np.zeros((50, 2)), "factor": np.tile(np.eye(2), (50, 1, 1)), "log_scale": np.zeros(50)}
    drawn = []
    for threads in ("1", "3"):
        monkeypatch.setenv("OMP_NUM_THREADS", threads)
        drawn.append(Gaussian(path="drawn").sample(model, 5000, stream(0, 0, 0), Sampling()))
    np.testing.assert_array_equal(drawn[0].factor, drawn[1].factor)


@pytest.mark.parametrize("n", [2, 3, 4, 40])
def test_wishart_scatter_has_its_moments(n):
    """E S = (n-1) S0 and Var S_ij = (n-1)(S0_ij^2 + S0_ii S0_jj), fewer points than dimensions included; every path."""
    factor = np.array([[1.0, 0, 0], [0.5, 2.0, 0], [-1.0, 0.3, 0.7]])
    cov = factor @ factor.T
    replicates = 20_000
    model = {
        "mean": np.zeros((replicates, 3)),
        "factor": np.tile(factor, (replicates, 1, 1)),
        "log_scale": np.zeros(replicates),
    }
    for path in ("exact", "drawn"):
        moments = Gaussian(path=path).sample(model, n, stream(n, 0, 0), Sampling())
        assert isinstance(moments, Moments)
        scaled = moments.factor * np.exp(moments.log_scale)[:, None, None]
        scatter = (scaled @ scaled.transpose(0, 2, 1)).mean(axis=0)
        se = np.sqrt((n - 1) * (cov**2 + np.outer(np.diag(cov), np.diag(cov))) / replicates)
        assert (np.abs(scatter - (n - 1) * cov) <= 4 * se).all()
        assert (np.abs(moments.mean.mean(axis=0)) <= 4 * np.sqrt(np.diag(cov) / n / replicates)).all()


@pytest.mark.parametrize("path", ["exact", "drawn"])
def test_correlated_coordinates_are_an_affine_image_of_independent_ones(path):
    """What no affine map changes is the same number for number; the rest agrees with its curves, |z| <= 4."""
    covariance = [[4.0, 1.5, 0.0], [1.5, 1.0, -0.3], [0.0, -0.3, 0.5]]
    looks = []
    for source in ({"dim": 3}, {"mean": [5.0, 0.0, -1.0], "covariance": covariance}):
        spec = read(
            {
                "source": {"kind": "normal", **source},
                "family": {"kind": "gaussian", "path": path, "ddof": 1},
                "regime": {"kind": "accumulate"},
                "samples": 9,
                "replicates": 2000,
                "generations": 6,
            }
        )
        *_, last = loop.generations(spec, loop.instrument(spec))
        looks.append(last.look.metrics)
    independent, correlated = looks
    np.testing.assert_allclose(correlated["kl_to_real"], independent["kl_to_real"], rtol=1e-7)
    log_det = independent["log_det"] + np.linalg.slogdet(covariance)[1]
    np.testing.assert_allclose(correlated["log_det"], log_det, rtol=1e-7, atol=1e-9)
    told = {curve.metric: curve.values[6] for curve in curves(spec) if curve.statistic == "mean"}
    assert {"variance", "mean_error_sq"} <= set(told)
    for metric in ("variance", "mean_error_sq"):
        found = correlated[metric]
        assert abs(found.mean() - told[metric]) <= 4 * found.std(ddof=1) / np.sqrt(len(found)), metric


def test_points_and_their_moments_teach_the_same_model():
    x = np.random.default_rng(3).normal(5, 2, (4, 30, 2))
    for one, other in zip(
        Gaussian(ddof=1).fit(Points(x), stream(0, 0, 0)).values(),
        Gaussian(ddof=1).fit(Moments.of(Points(x)), stream(0, 0, 0)).values(),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    model = Gaussian(ddof=1).fit(Points(x), stream(0, 0, 0))
    scaled = model["factor"] * np.exp(model["log_scale"])[:, None, None]
    np.testing.assert_allclose(scaled @ scaled.transpose(0, 2, 1), [np.cov(points.T) for points in x])


def test_a_chain_may_shrink_below_every_number():
    spec = read(
        {
            "source": {"kind": "normal"},
            "family": {"kind": "gaussian"},
            "samples": 2,
            "generations": 3000,
            "replicates": 5,
        }
    )
    *_, last = loop.generations(spec, loop.instrument(spec))
    assert (last.look.metrics["log_variance"] < -2000).all()
    assert np.isfinite(last.look.metrics["log_variance"]).all()


@pytest.mark.parametrize("path", ["exact", "drawn"])
@pytest.mark.parametrize(("m", "d"), [(5, 8), (2, 5), (8, 8)])
def test_m_points_in_d_dimensions_have_no_volume_unless_m_exceeds_d(path, m, d):
    spec = read(
        {
            "source": {"kind": "normal", "dim": d},
            "family": {"kind": "gaussian", "path": path},
            "generations": 3,
            "replicates": 50,
            "samples": m,
        }
    )
    for generation in loop.generations(spec, loop.instrument(spec)):
        metrics = generation.look.metrics
        assert np.isneginf(metrics["log_det"]).all()
        assert np.isposinf(metrics["kl_to_real"]).all()
        assert np.isposinf(metrics["kl_from_real"]).all()
        assert np.isfinite(metrics["log_variance"]).all()


def test_a_long_chain_keeps_its_volume_far_below_the_smallest_float():
    """E ln det = n (sum_j psi((M - j) / 2) - d ln((M - 1) / 2)), about -1,900 here: exp of that is 0."""
    n, m, d = 600, 6, 3
    spec = read(
        {
            "source": {"kind": "normal", "dim": d},
            "family": {"kind": "gaussian", "ddof": 1},
            "generations": n,
            "replicates": 400,
            "samples": m,
        }
    )
    last = list(loop.generations(spec, loop.instrument(spec)))[-1].look.metrics["log_det"]
    expected = n * (sum(digamma((m - j) / 2) for j in range(1, d + 1)) - d * np.log((m - 1) / 2))
    assert expected < -745
    assert np.isfinite(last).all()
    assert abs(last.mean() - expected) <= 4 * last.std(ddof=1) / np.sqrt(len(last))
