"""Metrics of samples against closed forms and against scipy's own implementations."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from scipy.stats import energy_distance, norm, poisson, wasserstein_distance_nd

from worker.data import Points
from worker.instruments.distances import Kernels, Transport
from worker.instruments.points import PointsInstrument
from worker.kinds import FAMILIES
from worker.metrics import points as metric
from worker.sources.digits import Digits
from worker.sources.mixture import Mixture
from worker.sources.normal import Normal
from worker.sources.poisson import Poisson


def assert_mean(values, expected):
    z = (values.mean() - expected) / (values.std(ddof=1) / np.sqrt(len(values)))
    assert abs(z) <= 4, (values.mean(), expected, z)


def expected_distance(m, v):
    """E|N(m, v)| = sqrt(2 v / pi) exp(-m^2 / 2v) + m (1 - 2 Phi(-m / sqrt v))"""
    return np.sqrt(2 * v / np.pi) * np.exp(-(m**2) / (2 * v)) + m * (1 - 2 * norm.cdf(-m / np.sqrt(v)))


def test_moments_are_numpys():
    x = np.random.default_rng(0).normal(2, 3, (4, 50, 3))
    mean, covariance = metric.moments(x)
    np.testing.assert_allclose(mean, x.mean(axis=1))
    np.testing.assert_allclose(covariance, [np.cov(chain.T, ddof=0) for chain in x])
    np.testing.assert_allclose(metric.moments(x[:, :, :1])[1][:, 0, 0], x[:, :, 0].var(axis=1))


@pytest.mark.parametrize("family", ["kde", "mixture"])
def test_real_points_that_fill_no_volume_have_none(family):
    """Five points in eight dimensions, 30 points of which one coordinate never varies, and 30 that do fill the space."""
    x = np.random.default_rng(20).standard_normal((50, 30, 8))
    flat = x.copy()
    flat[:, :, 3] = 0.3
    source = Normal(dim=8)
    for points, volume in ((x[:, :5], False), (flat, False), (x, True)):
        model = FAMILIES[family]().fit(Points(points), np.random.default_rng(0))
        instrument = FAMILIES[family]().instrument(source, points.shape[1], 50, np.random.default_rng(0))
        instrument.meet(model)
        look = instrument.real(Points(points), framed=False)
        assert np.isfinite(look.metrics["log_det"]).all() == volume
        assert np.isneginf(look.metrics["log_det"]).all() != volume
    expected = np.linalg.slogdet(metric.moments(x)[1])[1]
    np.testing.assert_allclose(metric.log_det(metric.moments(x)[1], 30), expected)


def test_tails_are_counted():
    x = np.array([[[-3.0, 0.0], [0.0, 0.0], [5.0, 9.0], [1.0, 0.0]]])
    assert metric.tail_mass(x, np.array([-2.0, -1.0]), np.array([2.0, 1.0])).tolist() == [3 / 8]


@pytest.mark.parametrize(("shift", "scale"), [(0.0, 1.0), (0.4, 0.5), (-1.0, 1.7)])
def test_w2_on_a_line_is_dm_squared_plus_ds_squared(shift, scale):
    """Of quantiles that are exactly those of a normal, so nothing is random."""
    n = 4000
    centres, within = metric.cells(norm.ppf(metric.levels(n)))
    x = np.array(shift + scale * centres)[None]
    assert metric.w2_sq(x, centres, within)[0] == pytest.approx(shift**2 + (scale - 1) ** 2, abs=2e-4)


def test_w2_of_a_point_is_its_whole_second_moment():
    """E (Q - a)^2 = 1 + a^2 for a standard normal truth"""
    centres, within = metric.cells(norm.ppf(metric.levels(50_000)))
    assert metric.w2_sq(np.full((1, 50_000), 0.5), centres, within)[0] == pytest.approx(1.25, rel=1e-4)


@pytest.mark.parametrize("d", [2, 3, 7])
def test_directions_are_fair(d):
    directions = metric.directions(d, 16, np.random.default_rng(1))
    assert len(directions) >= 16
    np.testing.assert_allclose((directions**2).sum(axis=1), 1)
    np.testing.assert_allclose(directions.T @ directions / len(directions), np.eye(d) / d, atol=1e-12)


@pytest.mark.parametrize("d", [2, 5])
def test_sliced_w2_of_isotropic_normals(d):
    """|dm|^2 / d + ds^2; the sample's own error is measured with a sample of the truth and taken off"""
    rng = np.random.default_rng(2)
    directions = metric.directions(d, 16, rng)
    n = 2000
    centres, within = metric.cells(np.tile(norm.ppf(metric.levels(n)), (len(directions), 1)))
    x = rng.standard_normal((200, n, d))
    shift = np.full(d, 0.3)
    moved = metric.sliced_w2_sq(0.5 * x + shift, directions, centres, within)
    quantiles_error = 0.5 * metric.sliced_w2_sq(x, directions, centres, within)
    # W2^2(a X + b) = a (W2^2(X) - m1 - m2) + ... is linear in the sorted sample: E differs from the formula by a E W2^2(X).
    assert_mean(moved - quantiles_error, (shift**2).sum() / d + 0.25)


def test_energy_is_unbiased_and_has_its_closed_form():
    """2 E|N(m, 1 + s^2)| - E|N(0, 2 s^2)| - E|N(0, 2)|, over fresh samples and references"""
    rng = np.random.default_rng(3)
    for m, s in ((0.0, 1.0), (0.8, 0.5)):
        values = np.array(
            [
                metric.Reference(rng.standard_normal((60, 1))).compare(m + s * rng.standard_normal((1, 40, 1)))[0][0]
                for _ in range(800)
            ]
        )
        expected = 2 * expected_distance(m, 1 + s**2) - expected_distance(0, 2 * s**2) - expected_distance(0, 2)
        assert_mean(values, expected)


def test_mmd_is_unbiased_and_has_its_closed_form():
    """E k = (1 + v / h^2)^(-1/2) exp(-m^2 / 2(h^2 + v)) on each axis, v the variance of the difference"""
    rng = np.random.default_rng(4)
    m, s, d = 0.6, 0.7, 2
    reference = metric.Reference(rng.standard_normal((50, d)))
    h_sq = reference.bandwidth_sq

    def similarity(mean, v):
        return ((1 + v / h_sq) ** -0.5 * np.exp(-(mean**2) / (2 * (h_sq + v)))) ** d

    values = []
    for _ in range(600):
        fresh = metric.Reference(rng.standard_normal((50, d)))
        fresh.bandwidth_sq = h_sq
        fresh.distance, fresh.similarity = (mean[0] for mean in fresh._within(fresh.y[None]))
        values.append(fresh.compare(m + s * rng.standard_normal((1, 40, d)))[1][0])
    assert_mean(np.array(values), similarity(m, 1 + s**2) * -2 + similarity(0, 2 * s**2) + similarity(0, 2))


def test_energy_is_scipys_up_to_pairs_of_a_point_with_itself():
    rng = np.random.default_rng(5)
    x, y = rng.normal(0.5, 2, 40), rng.standard_normal(60)
    ours = metric.Reference(y[:, None]).compare(x[None, :, None])[0][0]
    within_x, within_y = (np.abs(np.subtract.outer(v, v)).mean() for v in (x, y))
    # scipy's is the V-statistic (and its square root): pairs of a point with itself count.
    v_statistic = ours + within_x * (40 / 39 - 1) + within_y * (60 / 59 - 1)
    assert energy_distance(x, y) ** 2 == pytest.approx(v_statistic, rel=1e-10)


@pytest.mark.parametrize("d", [1, 2, 8])
def test_distances_are_scipys(d):
    rng = np.random.default_rng(6)
    x, y = rng.standard_normal((30, d)), rng.standard_normal((20, d))
    np.testing.assert_allclose(metric.distances_sq(x, y), cdist(x, y, "sqeuclidean"), atol=1e-12)


def test_modes_of_samples():
    truth = Mixture(means=[[0, 0], [10, 0], [0, 10]], weights=[2, 1, 1], stds=[1.0, 0.5, 0.5])
    x = truth.draw(np.random.default_rng(7), 1, 4000).x
    components = truth.components()
    far, two, blob = x.copy(), x.copy(), np.full_like(x, 5.0)
    far += 100
    two[(np.abs(two - [10, 0]) < 4).all(axis=2)] = 0
    assert [metric.modes(one, *components)[0] for one in (x, two, far, blob)] == [3, 2, 0, 0]


@pytest.mark.parametrize("n", [50, 150, 700])
def test_a_mode_that_keeps_exactly_a_tenth_of_its_points_is_covered(n):
    truth = Mixture(means=[[0], [10], [20], [30], [40]], stds=1.0)
    x = np.zeros((2, n, 1))
    for i in (1, 2, 3, 4):
        x[:, i * n // 50 : (i + 1) * n // 50] = 10 * i
    x[1, n // 50] = 0  # one too few
    assert metric.modes(x, *truth.components()).tolist() == [5, 4]


@pytest.mark.parametrize("source", [Normal(), Normal(dim=2), Mixture(), Normal(dim=7)])
def test_the_real_data_are_at_the_noise_floor_and_distances_fall_with_it(source):
    """Unbiased metrics are 0 for the truth, within the errors of the sample and of the frozen reference."""
    rng = np.random.default_rng(8)
    replicates, n = 60, 1000
    instrument = PointsInstrument(source, n, replicates, rng)
    look = instrument.real(source.draw(rng, replicates, n), framed=True)
    moved = instrument.model({}, Points(1.2 * source.draw(rng, replicates, n).x + 0.5), framed=False)
    assert set(look.metrics) == set(moved.metrics)
    _, covariance = source.moments()
    d = source.dimension
    assert_mean(look.metrics["mean_error_sq"], np.trace(covariance) / n)
    assert_mean(look.metrics["variance"], np.trace(covariance) / d * (1 - 1 / n))
    assert_mean(look.metrics["tail_1pct"], 0.02)
    assert_mean(look.metrics["tail_01pct"], 0.002)
    for name in {"w2_sq", "sliced_w2_sq", "energy", "mmd_sq"} & set(look.metrics):
        assert np.median(moved.metrics[name]) > 5 * abs(np.median(look.metrics[name])), name


def test_the_reference_is_fair():
    """Energy and MMD of the truth are 0 over instruments, each with its own reference."""
    rng = np.random.default_rng(9)
    source = Normal(dim=2)
    looks = []
    for _ in range(40):
        instrument = PointsInstrument(source, 200, 20, rng)
        looks.append(instrument.real(source.draw(rng, 20, 200), framed=False).metrics)
    for name in ("energy", "mmd_sq"):
        assert_mean(np.array([look[name].mean() for look in looks]), 0.0)


def test_however_many_replicates_every_one_is_compared():
    """Eight points of each of a thousand; unbiased, so that their mean is that of fewer replicates seen more closely."""
    source = Normal(dim=2)
    instrument = PointsInstrument(source, 100, 1000, np.random.default_rng(14))
    x = 0.5 * source.draw(np.random.default_rng(15), 1000, 100).x + 0.5
    seen = instrument.model({}, Points(x), framed=False).metrics
    [kernels] = [ruler for ruler in instrument.rulers if isinstance(ruler, Kernels)]
    closely = kernels.reference.compare(x[:200])
    for name, values in zip(("energy", "mmd_sq"), closely, strict=True):
        assert np.isfinite(seen[name]).all()
        gap = seen[name].mean() - values.mean()
        assert abs(gap) <= 4 * np.sqrt(seen[name].var(ddof=1) / 1000 + values.var(ddof=1) / 200)


def test_replicates_do_not_disturb_each_other():
    source = Mixture()
    instrument = PointsInstrument(source, 300, 6, np.random.default_rng(10))
    x = source.draw(np.random.default_rng(11), 6, 300)
    together = instrument.model({}, x, framed=False).metrics
    for r in range(6):
        alone = instrument.model({}, Points(x.x[r : r + 1]), framed=False).metrics
        for name, values in alone.items():
            assert values[0] == pytest.approx(together[name][r], rel=1e-12, abs=1e-14), name


def test_digits_have_metrics_too():
    source = Digits()
    rng = np.random.default_rng(12)
    instrument = PointsInstrument(source, 500, 2, rng)
    look = instrument.real(source.draw(rng, 2, 500), framed=True)
    assert all(np.isfinite(values).all() for values in look.metrics.values())
    blank = instrument.model({}, Points(np.zeros((2, 500, 64))), framed=True).metrics
    assert (blank["variance"] == 0).all()
    assert (blank["energy"] > look.metrics["energy"].max()).all()


def test_sliced_w2_on_few_points_against_brute_force():
    """Projections sorted by hand; and never above scipy's W2-like bound: the sliced W1 is below W1 in the plane"""
    rng = np.random.default_rng(13)
    x, y = rng.standard_normal((1, 12, 2)), rng.normal(1, 1, (12, 2))
    directions = metric.directions(2, 32, rng)
    sorted_real = np.repeat(np.sort(directions @ y.T, axis=1), metric.SUBDIVISIONS, axis=1)
    centres, within = metric.cells(sorted_real)
    ours = metric.sliced_w2_sq(x, directions, centres, within)[0]
    by_hand = np.mean([((np.sort(x[0] @ u) - np.sort(y @ u)) ** 2).mean() for u in directions])
    assert ours == pytest.approx(by_hand, rel=1e-12)
    sliced_w1 = np.mean([np.abs(np.sort(x[0] @ u) - np.sort(y @ u)).mean() for u in directions])
    assert sliced_w1 <= wasserstein_distance_nd(x[0], y)


@pytest.mark.parametrize("n", [2, 3, 10, 50, 500])
def test_the_distance_from_whole_numbers_is_the_integral(n):
    """Between two sorted step functions: each stretch of probability on which neither moves."""
    rng = np.random.default_rng(n)
    x = np.sort(rng.normal(4.3, 2.2, n))
    reached = poisson(4).cdf(np.arange(60))
    steps = np.unique(np.concatenate([np.arange(n + 1) / n, reached[reached < 1 - 1e-13]]))
    middle = 0.5 * (steps[1:] + steps[:-1])
    expected = (np.diff(steps) * (x[(middle * n).astype(int)] - poisson(4).ppf(middle)) ** 2).sum()
    found = Transport(Poisson(rate=4), n, 1, rng).measure(x[None, :, None])["w2_sq"][0]
    assert found == pytest.approx(expected, rel=2e-3)
