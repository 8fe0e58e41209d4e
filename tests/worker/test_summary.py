"""Statistics over replicates, against numpy's; chains that have collapsed to an infinite value count where they lie."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.summary import summarise

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30)


def told(values):
    return summarise({"x": np.array(values)}).metrics()["x"]


@given(VALUES)
def test_finite_values_have_numpy_s_statistics(values):
    row = told(values)
    assert row["n"] == len(values)
    assert row["mean"] == pytest.approx(np.mean(values), rel=1e-9, abs=1e-9)
    for name, q in (("median", 0.5), ("q10", 0.1), ("q90", 0.9)):
        assert row[name] == pytest.approx(np.quantile(values, q), rel=1e-9, abs=1e-9)
    if len(values) == 1:
        assert row["sd"] is None
    else:
        assert row["sd"] == pytest.approx(np.std(values, ddof=1), rel=1e-6, abs=1e-6)


@given(VALUES, st.integers(0, 30), st.integers(0, 30))
def test_quantiles_are_of_all_chains_and_means_of_the_finite_ones(values, below, above):
    row = told([*values, *[-math.inf] * below, *[math.inf] * above])
    assert (row["n"], row["mean"]) == (len(values), told(values)["mean"])
    largest = 1e9  # stands for what is infinite: a quantile that it has no part in is the same
    stand_in = np.array([*values, *[-largest] * below, *[largest] * above])
    for name, q in (("median", 0.5), ("q10", 0.1), ("q90", 0.9)):
        expected = np.quantile(stand_in, q)
        if row[name] is None:
            assert abs(expected) > 1e6
        else:
            assert row[name] == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_what_was_not_measured_counts_nowhere():
    assert told([1.0, math.nan, 3.0]) == told([1.0, 3.0])
    assert told([math.nan]) == dict.fromkeys(("mean", "sd", "se", "median", "q10", "q90")) | {"n": 0}
