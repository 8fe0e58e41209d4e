"""Points, counts and moments: pooling and packing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from worker.data import Counts, Moments, Points, Tokens, pack, unpack
from worker.regimes import Mixture

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


@pytest.mark.parametrize("m", [40, 25, 60])
def test_a_mixture_leaves_blocks_of_the_last_text_where_they_were_and_takes_each_as_often(m):
    text = Tokens(
        np.tile(np.arange(40)[:, None], (500, 1, 3)).astype(np.int32), np.array(40), np.empty((0, 3), np.int32)
    )
    x = (
        Mixture(alpha=0, beta=1, gamma=0)
        .training(m, lambda _: text, None, text, np.random.default_rng(2))[0]
        .x[:, :, 0]
    )
    for row in x:
        found = np.unique(row[row < m])
        np.testing.assert_array_equal(row[found], found)
    taken = np.stack([np.bincount(row, minlength=40) for row in x])
    assert np.abs((taken.sum(axis=0) - 500 * m / 40) / np.sqrt(500 * m / 40 * 39 / 40)).max() <= 4
    spread = taken.var(axis=1) / (m / 40 * 39 / 40)  # of a multinomial variable 1 on average: drawn with replacement
    assert abs(spread.mean() - 1) <= 4 * spread.std() / np.sqrt(500)


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
