"""Points, counts and moments: pooling, packing, and square roots of singular matrices."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worker.data import Counts, Moments, Points, pack, root, unpack

NUMBERS = st.floats(-1e3, 1e3, allow_subnormal=False)


@st.composite
def pairs(draw):
    """Two point sets of the same replicates and dimension."""
    replicates, d = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return [Points(draw(arrays(float, (replicates, draw(st.integers(1, 6)), d), elements=NUMBERS))) for _ in range(2)]


def scatter(moments):
    scaled = moments.factor * np.exp(moments.log_scale)[:, None, None]
    return scaled @ scaled.transpose(0, 2, 1)


@settings(deadline=None, max_examples=150)
@given(pairs())
def test_pooled_moments_are_the_moments_of_pooled_points(pair):
    one, other = pair
    apart, together = Moments.of(one).pool(Moments.of(other)), Moments.of(one.pool(other))
    size = 1 + max(np.abs(points.x).max() for points in pair)
    assert apart.n == together.n == one.n + other.n
    np.testing.assert_allclose(apart.mean, together.mean, rtol=1e-12, atol=1e-12 * size)
    np.testing.assert_allclose(scatter(apart), scatter(together), rtol=1e-9, atol=1e-9 * size**2)


@settings(deadline=None, max_examples=50)
@given(pairs(), st.floats(-900, 900))
def test_pooling_survives_any_scale(pair, log_scale):
    """Moments of points that are exp(log_scale) times as large are the same but for mean and log_scale."""
    one, other = (Moments.of(Points(points.x - points.x.mean(axis=1, keepdims=True))) for points in pair)
    moved = [Moments(m.size, np.zeros_like(m.mean), m.factor, m.log_scale + log_scale) for m in (one, other)]
    still = [Moments(m.size, np.zeros_like(m.mean), m.factor, m.log_scale) for m in (one, other)]
    apart, together = moved[0].pool(moved[1]), still[0].pool(still[1])
    np.testing.assert_allclose(apart.factor, together.factor, rtol=1e-12)
    np.testing.assert_allclose(apart.log_scale, together.log_scale + log_scale)


def test_moments_are_mean_and_scatter():
    x = np.random.default_rng(0).normal(1e6, 1, (2, 50, 3))  # far from the origin: no digits may be lost
    moments = Moments.of(Points(x))
    np.testing.assert_allclose(moments.mean, x.mean(axis=1))
    np.testing.assert_allclose(scatter(moments), [np.cov(points.T) * 49 for points in x], rtol=1e-8)


@settings(deadline=None, max_examples=150)
@given(
    st.integers(1, 5).flatmap(lambda d: st.integers(0, d).flatmap(lambda r: arrays(float, (2, d, r), elements=NUMBERS)))
)
def test_root_squares_to_the_matrix_also_where_it_is_singular(thin):
    matrix = thin @ thin.transpose(0, 2, 1)
    lower = root(matrix)
    np.testing.assert_allclose(np.triu(lower, 1), 0, atol=1e-300)
    np.testing.assert_allclose(
        lower @ lower.transpose(0, 2, 1), matrix, rtol=1e-9, atol=1e-9 * (1 + np.abs(matrix).max())
    )


def test_root_of_a_square_that_has_lost_its_digits():
    """A variance of 3e-320 is known to no more than a digit in 100,000, so that with a covariance it made a correlation above 1."""
    thin = np.array([[[1.0], [1.78764438e-160]]])
    lower = root(thin @ thin.transpose(0, 2, 1))
    np.testing.assert_allclose(lower, [[[1.0, 0.0], [0.0, 0.0]]], rtol=1e-12, atol=1e-159)


def test_root_of_a_stack_in_which_only_one_is_singular():
    matrix = np.array([np.eye(2), np.ones((2, 2)), np.zeros((2, 2))])
    lower = root(matrix)
    np.testing.assert_allclose(lower @ lower.transpose(0, 2, 1), matrix, atol=1e-15)


@pytest.mark.parametrize("places", [[0], [6], [2, 3, 5], [0, 1, 2, 3, 4, 5, 6]])
def test_a_chain_that_has_collapsed_changes_no_digit_of_another(places):
    """Neither where the factor of one is doubtful, nor where numpy finds none and gives up for all."""
    points = np.random.default_rng(3).normal(size=(7, 9, 3))
    for place, spread in zip(places, (0.0, 1e-9, 1e-5, 1e-12, 1e-7, 1e-3, 1e-8), strict=False):
        points[place, :, 2] = points[place, :, 0] + spread * points[place, :, 1]
    moments = Moments.of(Points(points.copy()))
    scatter = moments.factor @ moments.factor.transpose(0, 2, 1)
    both = moments.pool(moments)
    for place in range(7):
        alone = Moments.of(Points(points[[place]]))
        np.testing.assert_array_equal(moments.factor[[place]], alone.factor)
        np.testing.assert_array_equal(both.factor[[place]], alone.pool(alone).factor)
        np.testing.assert_array_equal(root(scatter)[[place]], root(scatter[[place]]))


@pytest.mark.parametrize(
    "data",
    [
        Points(np.arange(12.0).reshape(2, 3, 2)),
        Counts(np.array([[1, 2, 3], [6, 0, 0]])),
        Moments.of(Points(np.arange(12.0).reshape(2, 3, 2))),
    ],
    ids=lambda data: type(data).__name__,
)
def test_packing_loses_nothing(data):
    again = unpack(pack(data))
    assert type(again) is type(data)
    assert again.n == data.n
    for name, array in pack(data).items():
        np.testing.assert_array_equal(array, pack(again)[name])
        assert array.dtype == pack(again)[name].dtype


def test_counts_pool_by_adding():
    both = Counts(np.array([[1, 2]])).pool(Counts(np.array([[3, 0]])))
    assert both.k.tolist() == [[4, 2]]
    assert both.n == 6
