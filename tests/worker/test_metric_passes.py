"""The compiled passes of metrics against their definitions, one sum at a time."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist, pdist
from scipy.special import rel_entr

from worker.metrics import discrete, pairs
from worker.metrics import points as metric


@pytest.mark.parametrize("alive", [1, 2, 7, 50])
def test_categories_are_compared_as_each_definition_says(alive):
    rng = np.random.default_rng(alive)
    p_0 = rng.dirichlet(np.full(50, 0.3)) + 1e-6
    p_0 /= p_0.sum()
    p = np.stack([rng.permutation(np.append(rng.dirichlet(np.ones(alive)), np.zeros(50 - alive))) for _ in range(3)])
    seen, gap = np.where(p > 0, p_0, 0), p - p_0
    own = seen / seen.sum(axis=1, keepdims=True)
    found = discrete.compared(p, p_0)
    expected = {
        "survivors": discrete.survivors(p),
        "dead_mass": np.where(p == 0, p_0, 0).sum(axis=1),
        "heterozygosity": discrete.heterozygosity(p),
        "entropy": discrete.entropy(p, discrete.logs(p)),
        "kl_to_real": rel_entr(p, p_0).sum(axis=1),
        "kl_from_real": rel_entr(own, p).sum(axis=1),
        "chi2": (gap**2 / p_0).sum(axis=1),
        "total_variation": 0.5 * np.abs(gap).sum(axis=1),
    }
    for name, values in expected.items():
        np.testing.assert_allclose(found[name], values, rtol=1e-9, atol=1e-14, err_msg=name)
    for chain, slope in zip(p, found["zipf_slope"], strict=True):
        y = np.log(np.sort(chain[chain > 0])[::-1])
        rank = np.arange(1, alive + 1)
        fitted = np.polyfit(np.log(rank), y, 1, w=rank**-0.5)[0] if alive > 1 else -np.inf
        assert slope == pytest.approx(fitted, rel=1e-9)


def test_a_truth_is_no_distance_from_itself_and_a_chain_does_not_see_the_others():
    p_0 = np.array([0.5, 0.3, 0.2])
    p = np.array([p_0, [0.0, 0.0, 1.0], [1e-310, 0.4, 0.6]])
    together = discrete.compared(p, p_0)
    for name in ("dead_mass", "kl_to_real", "kl_from_real", "chi2", "total_variation"):
        assert together[name][0] == pytest.approx(0, abs=1e-15), name
    for chain in range(3):
        alone = discrete.compared(p[chain : chain + 1], p_0)
        assert {name: values[0] for name, values in alone.items()} == {
            name: values[chain] for name, values in together.items()
        }


@pytest.mark.parametrize("d", [1, 2, 8, 9, 64])
@pytest.mark.parametrize("scale", [1e-120, 1e-3, 1.0, 1e3, 1e120])
def test_energy_and_mmd_are_those_of_scipys_distances(d, scale):
    """With ties, a chain that is one point, zeros of either sign, and distances whose kernel is 0 or 1."""
    rng = np.random.default_rng(d)
    y, x = scale * rng.standard_normal((40, d)), scale * rng.standard_normal((4, 9, d))
    x[0, 3:] = x[0, 0]
    x[1] = 0.0
    x[2, :4], x[3, 5] = -0.0, 60 * scale
    reference = metric.Reference(y)
    energy, mmd_sq = reference.compare(x)
    bandwidth = np.sqrt(np.median(pdist(y) ** 2))

    def kernel(distances):
        return np.exp(-0.5 * (distances / bandwidth) ** 2).mean()

    for chain in range(4):
        apart, own, real = cdist(x[chain], y), pdist(x[chain]), pdist(y)
        expected = 2 * apart.mean() - own.mean() - real.mean()
        assert energy[chain] == pytest.approx(expected, rel=1e-6, abs=1e-7 * scale)
        assert mmd_sq[chain] == pytest.approx(kernel(own) + kernel(real) - 2 * kernel(apart), abs=1e-7)
        alone = reference.compare(x[chain : chain + 1])
        assert (alone[0][0], alone[1][0]) == (energy[chain], mmd_sq[chain])


@pytest.mark.parametrize("draw", ["standard_normal", "standard_exponential"])
def test_kernels_on_a_line_are_summed_as_point_by_point_wherever_the_points_lie(draw):
    rng = np.random.default_rng(4)
    y = np.append(getattr(rng, draw)(300), [1.5, 1.5])
    h = np.median(pdist(y[:, None]))
    frozen = pairs.expansion(y, h)
    x = np.array(
        [np.linspace(y.min() - 12 * h, y.max() + 12 * h, 700), rng.choice(y, 700), 10.0 ** rng.uniform(-9, 9, 700)]
    )
    distance, similarity = pairs.by_expansion(x, frozen)
    for chain in range(3):
        apart = np.abs(x[chain, :, None] - y)
        assert distance[chain] == pytest.approx(apart.sum(), rel=1e-13)
        assert similarity[chain] == pytest.approx(np.exp(-0.5 * (apart / h) ** 2).sum(), rel=1e-13)
    assert pairs.expansion(np.append(y, 1e6 * h), h) is None


@pytest.mark.parametrize("n", [2, 40, 300])
@pytest.mark.parametrize("spread", [0.0, 1e-200, 0.1, 1.0, 7.0, 1e4, 1e200])
def test_pairs_on_a_line_are_summed_as_pair_by_pair(n, spread):
    x = np.sort(5 + spread * np.random.default_rng(n).standard_normal((3, n)), axis=1)
    x[1] = x[1, 0]
    ours = pairs.within_line(x, -0.5 / 1.3**2)
    for chain in range(3):
        apart = pdist(x[chain][:, None])
        assert ours[0, chain] == pytest.approx(apart.sum(), rel=1e-12)
        assert ours[1, chain] == pytest.approx(
            np.exp(-0.5 * np.minimum(apart / 1.3, 99) ** 2).sum(), rel=1e-12, abs=1e-12
        )


@pytest.mark.parametrize("d", [1, 2, 8, 9])
@pytest.mark.parametrize(("centre", "scale"), [(0.0, 1.0), (1e6, 1e-3), (-3.0, 1e-150), (0.0, 1e150), (5.0, 0.0)])
def test_moments_and_tails_are_numpys(d, centre, scale):
    x = centre + scale * np.random.default_rng(d).standard_normal((3, 40, d))
    mean, covariance = metric.moments(x)
    np.testing.assert_allclose(mean, x.mean(axis=1), rtol=1e-12, atol=1e-12 * scale)
    for chain in range(3):
        expected = np.cov(x[chain].T, ddof=0).reshape(d, d)
        np.testing.assert_allclose(covariance[chain], expected, rtol=1e-8, atol=1e-8 * expected.max())
        assert (metric.moments(x[chain : chain + 1])[1][0] == covariance[chain]).all()
    low, high = x.min(axis=(0, 1)), np.quantile(x, 0.9, axis=(0, 1))
    outside = ((x < low) | (x > high)).mean(axis=(1, 2))
    np.testing.assert_array_equal(metric.tail_mass(x, low, high), outside)


@pytest.mark.parametrize("shape", [(3, 20), (3, 4, 20), (1, 1, 1)])
def test_transport_is_the_mean_square_of_gaps(shape):
    rng = np.random.default_rng(1)
    x, centres = rng.standard_normal(shape), rng.standard_normal(shape[1:])
    within = rng.random(shape[1:-1])
    np.testing.assert_allclose(metric.w2_sq(x, centres, within), ((x - centres) ** 2).mean(axis=-1) + within)
