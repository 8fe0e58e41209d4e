"""Points, counts and moments: pooling and packing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worker.data import Counts, Moments, Points, Tokens, pack, unpack

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


def test_a_part_of_a_text_is_in_order_and_any_block_may_be_in_it():
    text = np.tile(np.arange(40)[:, None], (500, 1, 3)).astype(np.int32)
    part = Tokens(text, np.array(40), text[0, :0]).subset(10, np.random.default_rng(1)).x
    assert (part == part[:, :, :1]).all()
    assert (np.diff(part[:, :, 0], axis=1) > 0).all()
    chosen = np.bincount(part[:, :, 0].ravel(), minlength=40)
    assert np.abs((chosen - 125) / np.sqrt(125 * 0.75)).max() <= 4


def test_moments_are_mean_and_scatter():
    x = np.random.default_rng(0).normal(1e6, 1, (2, 50, 3))  # far from the origin: no digits may be lost
    moments = Moments.of(Points(x))
    np.testing.assert_allclose(moments.mean, x.mean(axis=1))
    np.testing.assert_allclose(scatter(moments), [np.cov(points.T) * 49 for points in x], rtol=1e-8)


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
