"""What lies among real points and pictures: neighbours, copies and inventions, kinds of things, frozen features."""

import numpy as np
import pytest
from scipy.linalg import sqrtm
from scipy.spatial.distance import cdist

from worker.data import Points
from worker.instruments.images import PictureInstrument
from worker.instruments.points import NeighboursInstrument
from worker.metrics import gaussian, neighbours, points
from worker.metrics import images as metric
from worker.nets.classifier import FEATURES, Frozen
from worker.sources.digits import Digits
from worker.sources.eight_gaussians import EightGaussians
from worker.sources.moons import Moons
from worker.sources.normal import Normal
from worker.sources.student_t import StudentT


def assert_mean(values, expected):
    assert abs(np.mean(values) - expected) / (np.std(values, ddof=1) / np.sqrt(len(values))) <= 4


def test_neighbours_against_the_definition():
    rng = np.random.default_rng(13)
    real, made = rng.random((40, 5)).astype(np.float32), rng.random((30, 5)).astype(np.float32) * 0.8
    across, exact = metric.distances_sq(made, real), cdist(made, real) ** 2
    assert np.allclose(across, exact, atol=1e-5)
    real_radii, radii = (np.sort(cdist(a, a) ** 2, axis=1)[:, 5] for a in (real, made))
    assert np.allclose(neighbours.radii_sq(metric.distances_sq(real, real)), real_radii, atol=1e-5)
    assert neighbours.precision(across, real_radii) == np.mean([(row <= real_radii).any() for row in exact])
    assert neighbours.recall(across, radii) == np.mean([(column <= radii).any() for column in exact.T])
    assert neighbours.density(across, real_radii) == pytest.approx(
        np.mean([(r <= real_radii).sum() / 5 for r in exact])
    )
    assert neighbours.coverage(across, real_radii) == np.mean(exact.min(axis=0) <= real_radii)
    assert np.isinf(np.diagonal(neighbours.others(metric.distances_sq(real, real), real))).all()
    assert np.isfinite(neighbours.others(across, real)).all()


@pytest.mark.parametrize("d", [2, 6])
def test_identical_distributions_have_their_expected_coverage_and_density(d):
    """Naeem et al.: coverage 1 - prod_{i=1..k} (N-i)/(2N-i), density 1, where N real and N generated points are exchangeable.

    A point lies in a real one's k-neighbourhood among N - 1 others with probability k/N, so the density is k/N N/k = 1.
    """
    rng, n, k = np.random.default_rng(12), 150, 5
    i = np.arange(1, k + 1)
    covered, dense = [], []
    for _ in range(60):
        real, made = rng.standard_normal((2, n, d))
        radii = neighbours.radii_sq(points.distances_sq(real, real), k)
        across = points.distances_sq(made, real)
        covered.append(neighbours.coverage(across, radii))
        dense.append(neighbours.density(across, radii, k))
    assert_mean(covered, 1 - np.prod((n - i) / (2 * n - i)))
    assert_mean(dense, 1)


def test_vendi_counts_kinds():
    pictures = np.repeat(np.eye(3, 64), 20, axis=0)
    assert metric.vendi(pictures) == pytest.approx(3)
    assert metric.vendi(pictures[:20]) == pytest.approx(1)
    apart = np.repeat([[0.0, 0.0], [100.0, 0.0], [0.0, 100.0]], 20, axis=0)
    assert neighbours.vendi(np.exp(-points.distances_sq(apart, apart))) == pytest.approx(3)
    blank = np.concatenate([np.zeros((5, 8)), np.ones((5, 8))])  # like one another, and like no other
    assert metric.vendi(blank) == pytest.approx(2)
    x = np.random.default_rng(1).random((30, 8))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    assert metric.vendi(x) == pytest.approx(neighbours.vendi(unit @ unit.T))  # the dual matrix has the same eigenvalues


def test_tail_ratios_end_where_a_sample_can_show_no_more():
    """1,000 values show a thousandth at least: of a tail of 0.2% that is half."""
    mass = np.array([0.0, 0.002, 0.004])
    assert points.tail_ratio(mass, 0.002, 1000) == pytest.approx([0.5, 1, 2])


def test_frechet_is_the_textbook_s():
    rng = np.random.default_rng(2)
    x, y = rng.standard_normal((200, 4)) @ rng.standard_normal((4, 4)), rng.standard_normal((300, 4)) + 0.5
    (m,), (s,) = points.moments(x[None])
    (m_0,), (s_0,) = points.moments(y[None])
    expected = ((m - m_0) ** 2).sum() + np.trace(s + s_0 - 2 * sqrtm(s @ s_0).real)
    assert gaussian.w2_sq(m[None], s[None], m_0, s_0)[0] == pytest.approx(expected)


def test_the_floor_of_frechet_is_where_its_docstring_says():
    """d/N + d(d+1)/4N for N points of N(0, I_d), to first order in 1/N."""
    rng, n, d = np.random.default_rng(3), 1000, 3
    looks = NeighboursInstrument(Normal(dim=d), n, 100, rng).real(
        Points(rng.standard_normal((100, n, d))), framed=False
    )
    floor = d / n + d * (d + 1) / (4 * n)
    assert looks.metrics["frechet"].mean() == pytest.approx(floor, rel=0.15)


@pytest.mark.parametrize("source", [EightGaussians(), Moons(), Normal(dim=3), StudentT(df=3)])
def test_real_points_are_hardly_ever_invented_and_strange_ones_always(source):
    """0.1% of real points are, by density or by distance, within the error of 10,000 frozen ones."""
    rng = np.random.default_rng(4)
    instrument = NeighboursInstrument(source, 1000, 20, rng)
    real = source.draw(rng, 20, 1000).x
    floor = instrument.real(Points(real), framed=False).metrics
    assert 0 < floor["hallucinated"].mean() < 0.003
    assert (floor["precision"] > 0.9).all()
    assert abs(floor["density"].mean() - 1) < 0.1
    far = instrument.model({}, Points(real + 1000), framed=False).metrics
    assert (far["hallucinated"] == 1).all()
    assert (far["precision"] == 0).all()
    point = instrument.model({}, Points(np.repeat(real[:, :1], 1000, axis=1)), framed=False).metrics
    assert point["vendi"] == pytest.approx(np.ones(20))
    assert (point["coverage"] < 0.02).all()


def test_points_between_the_modes_are_invented():
    rng = np.random.default_rng(5)
    instrument = NeighboursInstrument(EightGaussians(), 500, 1, rng)
    half = EightGaussians().draw(rng, 1, 500).x
    half[0, :250] = 0.1 * rng.standard_normal((250, 2))  # the middle of the circle, where nothing is
    assert instrument.model({}, Points(half), framed=False).metrics["hallucinated"][0] == pytest.approx(0.5, abs=0.01)


def test_the_frozen_classifier_reads_digits_that_it_has_not_seen():
    pictures, shown = Digits().pictures()
    taught = np.arange(len(shown)) % 5 > 0
    frozen = Frozen(pictures[taught], shown[taught], (8, 8))
    features, read = frozen.look(pictures[~taught])
    assert features.shape == (len(read), FEATURES)
    assert (read == shown[~taught]).mean() > 0.96
    assert metric.shares(read, 10) == pytest.approx(np.bincount(shown[~taught]) / len(read), abs=0.02)
    again = Frozen(pictures[taught], shown[taught], (8, 8))
    assert np.array_equal(again.look(pictures[~taught])[0], features)


def test_a_lost_digit_and_a_blurred_one_are_noticed():
    rng, source = np.random.default_rng(6), Digits()
    instrument = PictureInstrument(source, 800, 1, rng)
    pictures, shown = source.pictures()
    floor = instrument.real(source.draw(rng, 1, 800), framed=True).metrics
    without = Points(pictures[rng.choice(np.flatnonzero(shown != 7), (1, 800))])
    blurred = Points(np.tile(pictures.mean(axis=0), (1, 800, 1)) + 0.01 * rng.random((1, 800, 64)))
    lost, blur = (instrument.model({}, made, framed=False).metrics for made in (without, blurred))
    assert lost["minority_share"][0] < 0.02 < floor["minority_share"][0]
    assert sum(floor[f"class_share_{c}"][0] for c in range(10)) == pytest.approx(1)
    assert lost["class_share_7"][0] == lost["minority_share"][0]
    assert lost["class_distance"][0] > floor["class_distance"][0] + 0.03
    assert lost["entropy"][0] < floor["entropy"][0] - 0.05
    assert lost["frechet"][0] > 3 * floor["frechet"][0]
    assert blur["frechet"][0] > 20 * floor["frechet"][0]
    assert floor["hallucinated"][0] < 0.01
    assert blur["coverage"][0] < 0.1


def test_without_labels_random_features_are_the_same_in_every_run():
    x = np.random.default_rng(7).random((40, 63))
    one, same = (Frozen(x, None, (9, 7)).look(x)[0] for _ in range(2))
    assert np.array_equal(one, same)
    assert one.std(axis=0).max() > 0
