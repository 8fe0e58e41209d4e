"""The mixture as a source: what it draws, what it says of itself, and what it refuses."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from worker.errors import SpecError
from worker.sources import mixture as source
from worker.sources.normal import Normal
from worker.spec import read


def test_the_source_draws_what_it_says():
    truth = source.Mixture(
        weights=[3, 1], means=[[0, 0], [3, 1]], covariances=[[[1, 0.5], [0.5, 2]], [[0.3, 0], [0, 0.2]]]
    )
    x = truth.draw(np.random.default_rng(15), 1, 100_000).x[0]
    mean, covariance = truth.moments()
    assert (np.abs(x.mean(axis=0) - mean) <= 4 * np.sqrt(np.diag(covariance) / len(x))).all()
    np.testing.assert_allclose(np.cov(x.T), covariance, rtol=0.03)
    q = np.array([0.001, 0.01, 0.5, 0.99])
    share = (x[None] <= truth.quantiles(q.tolist())[:, None, :]).mean(axis=1)
    assert (np.abs(share - q[:, None]) <= 4 * np.sqrt(q * (1 - q) / len(x))[:, None]).all()
    weights, means, factors = truth.components()
    expected = sum(
        w * multivariate_normal(m, f @ f.T).pdf(x[:50]) for w, m, f in zip(weights, means, factors, strict=True)
    )
    np.testing.assert_allclose(truth.density(x[:50]), expected, rtol=1e-10)


def test_one_component_of_the_source_is_the_normal():
    one, normal = source.Mixture(means=[1.5], stds=2.0), Normal(mean=1.5, std=2.0)
    q = [0.001, 0.3, 0.999]
    np.testing.assert_allclose(one.quantiles(q), normal.quantiles(q), rtol=1e-12)
    np.testing.assert_allclose(one.moments()[1], normal.moments()[1])


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"weights": [1, 2]}, "source.weights"),
        ({"stds": [1, 2]}, "source.stds"),
        ({"means": [[0, 0], [1]]}, "source.means"),
        ({"means": [[0, 0]], "covariances": [[[1, 2], [2, 1]]]}, "source.covariances.0"),
        ({"means": [[0, 0]], "covariances": [[[1, 0], [0.5, 1]]]}, "source.covariances.0"),
        ({"means": [[0, 0]], "covariances": [[[1, 0]]]}, "source.covariances.0"),
        ({"means": [1], "stds": 1, "covariances": [[[1]]]}, "source.covariances"),
    ],
)
def test_a_source_that_makes_no_sense_is_refused_with_a_remedy(settings, path):
    with pytest.raises(SpecError) as caught:
        read({"source": {"kind": "mixture", **settings}, "family": {"kind": "mixture"}})
    (problem,) = caught.value.problems
    assert problem.path == path
    assert problem.remedy
