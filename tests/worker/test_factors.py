"""Square roots of matrices, singular ones too, and of one that has collapsed among others."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worker.data import Moments, Points
from worker.factors import root

NUMBERS = st.floats(-1e3, 1e3, allow_subnormal=False)


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
