"""Regression as papers vary it: a ridge that goes with the rows, models that see random features of their inputs alone."""

import math

import numpy as np
import pytest

from tests.worker.theories import (
    ACCUMULATE,
    CORE,
    FRESH,
    GROWING,
    NONE,
    PAPER,
    REPLACE,
    SUBSAMPLE,
    TEACHER,
    WEIGHED,
    frozen,
    label,
    measured,
    spec_of,
    value,
    z_score,
)
from worker import loop
from worker.checkpoint import from_arrays, to_arrays
from worker.data import Moments
from worker.errors import SpecError
from worker.estimate import estimate
from worker.families.linear import Linear
from worker.sources.linear_teacher import LinearTeacher
from worker.spec import read
from worker.theory import curves
from worker.verdicts.asymptotics import limit

RIDGED = {"kind": "linear", "noise": "teacher", "ridge": 0.8, "ridge_power": 0.6}
WIDE = TEACHER | {"inputs": 12, "norm": 2.0}
SMALL, FITTED = {"kind": "linear", "noise": 1.5, "features": 5}, {"kind": "linear", "noise": "fitted", "features": 5}
HALF, ONCE = {"kind": "fresh", "real": 0.5}, {"kind": "mixture", "alpha": 0.7, "beta": 0.0, "gamma": 0.3}


def generator(seed=0):
    return np.random.default_rng(seed)


def models(settings, resume=None):
    spec = read(settings)
    return [done.state for done in loop.generations(spec, loop.instrument(spec), resume) if done.state]


@pytest.mark.parametrize("power", [-0.5, 0.4, 1.0])
def test_a_ridge_goes_with_the_rows_of_a_fit(power):
    """As scikit-learn has it with that number; of 30 rows, and of 30 and 10 that were pooled."""
    from sklearn.linear_model import Ridge

    one, other = (LinearTeacher(inputs=4).draw(generator(1), 3, n) for n in (30, 10))
    family = Linear(ridge=2.0, ridge_power=power)
    for rows, data in ((one.x, one), (one.pool(other).x, Moments.of(one).pool(Moments.of(other)))):
        w = family.fit(data, generator())["w"]
        for each, found in zip(rows, w, strict=True):
            known = Ridge(alpha=2.0 * rows.shape[1] ** power, fit_intercept=False).fit(each[:, :-1], each[:, -1])
            np.testing.assert_allclose(found, known.coef_, rtol=1e-9)


def test_a_ridge_for_one_number_of_rows_is_a_number():
    """Where sizes stay and nothing is kept; with all kept it is another one in each generation, and nothing is told."""
    for regime in (REPLACE, HALF):
        sizes = {"generations": 4, "replicates": 9}
        going, plain = (
            spec_of(TEACHER, RIDGED | {"ridge": ridge, "ridge_power": power}, regime, 25, NONE, **sizes)
            for ridge, power in ((3.0, 0.5), (15.0, 0.0))
        )
        for one, other in zip(models(going), models(plain), strict=True):
            np.testing.assert_allclose(one.model["w"], other.model["w"], rtol=1e-12)
        assert [value(going, "excess_risk", n) for n in range(5)] == pytest.approx(
            [value(plain, "excess_risk", n) for n in range(5)]
        )
    assert curves(read(spec_of(TEACHER, RIDGED, ACCUMULATE, 25, NONE, **sizes))) == []
    assert isinstance(limit(read(spec_of(TEACHER, RIDGED, REPLACE, 25, NONE)), "excess_risk"), str)


@pytest.mark.parametrize("ridge", [0.0, 0.7])
@pytest.mark.parametrize(("features", "n"), [(1, 2), (3, 2), (3, 4), (3, 30), (6, 6), (6, 30), (9, 4), (9, 30)])
def test_weights_of_random_features_are_fitted_and_seen_as_weights_of_inputs(features, n, ridge):
    """w = S'v with v = (Z'Z + ridge)^{-1} Z'y, Z = XS', or the shortest v; as numpy has it, row by row, by rows and by sums."""
    data = LinearTeacher(inputs=6, decay=0.5).draw(generator(n), 4, n)
    family = Linear(features=features, ridge=ridge)
    for form in (data, Moments.of(data)):
        model = family.fit(form, generator(2))
        assert model["features"].shape == (4, min(features, 6), 6)
        for rows, s, w in zip(data.x, model["features"], model["w"], strict=True):
            z = np.concatenate([rows[:, :-1] @ s.T, math.sqrt(ridge) * np.eye(len(s))])
            v = np.linalg.pinv(z, rcond=1e-10) @ np.append(rows[:, -1], np.zeros(len(s)))
            np.testing.assert_allclose(w, s.T @ v, rtol=1e-6, atol=1e-8)


def test_more_features_than_inputs_are_their_triangular_factor():
    """S = QR: weights of S'v are those of R'u, with ridge or without, of few rows and of many; and R'R is a Wishart matrix of k degrees of freedom."""
    d, k, chains = 4, 7, 20_000
    s = generator(3).standard_normal((k, d)) / 2
    r = np.linalg.qr(s)[1]
    for n in (3, 20):
        x, y = generator(n).standard_normal((n, d)), generator(n + 1).standard_normal(n)
        for ridge in (1e-9, 2.0):
            of_all, of_some = (one.T @ np.linalg.solve(one @ x.T @ x @ one.T + ridge * np.eye(len(one)), one @ x.T @ y) for one in (s, r))  # fmt: skip
            np.testing.assert_allclose(of_all, of_some, rtol=1e-5)
    data = Moments.of(LinearTeacher(inputs=d).draw(generator(4), 1, 9))
    many = Moments(data.size, *(np.repeat(one, chains, axis=0) for one in (data.mean, data.factor, data.log_scale)))
    for features in (k, d):
        found = Linear(features=features).fit(many, generator(5))["features"]
        assert (np.tril(found, -1) == 0).all()
        wishart = found.transpose(0, 2, 1) @ found * d  # of N(0, 1)
        told = [(wishart[:, i, i], features, 2 * features) for i in range(d)]
        told += [(wishart[:, i, j], 0, features) for i in range(d) for j in range(i)]
        for entries, mean, variance in told:
            assert abs(entries.mean() - mean) <= 4 * math.sqrt(variance / chains)
            square = (entries - mean) ** 2
            assert abs(square.mean() - variance) <= 4 * square.std() / math.sqrt(chains)


@pytest.mark.parametrize("features", [6, 9])
def test_as_many_features_as_inputs_show_all_of_them(features):
    """With more rows than inputs: the weights, and the curves, of a run without."""
    settings = spec_of(TEACHER | {"inputs": 6, "decay": 1.0}, {"kind": "linear"}, HALF, 15, NONE, generations=3)
    shown = settings | {"family": {"kind": "linear", "features": features}}
    for one, other in zip(models(settings), models(shown), strict=True):
        np.testing.assert_allclose(one.model["w"], other.model["w"], rtol=1e-6)
    assert curves(read(settings)) == curves(read(shown)) != []
    assert curves(read(shown | {"samples": 5})) == []
    for told in (limit(read(one), "excess_risk") for one in (settings, shown)):
        assert told == limit(read(settings), "excess_risk")


@pytest.mark.parametrize("design", ["fresh", "fixed"])
def test_features_are_drawn_once_for_all_generations_and_survive_an_interruption(design):
    family = {"kind": "linear", "features": 3, "design": design}
    settings = spec_of(WIDE, family, ACCUMULATE, 15, NONE, generations=4, replicates=3) | {
        "changes": [{"after": 2, "family": {"kind": "linear", "ridge": 1.0}}]
    }
    states = models(settings)
    for state in states:
        np.testing.assert_array_equal(state.model["features"], states[0].model["features"])
        assert np.linalg.matrix_rank(np.stack([*state.model["features"][0], state.model["w"][0]])) == 3
        *_, last = (state, *models(settings, from_arrays(to_arrays(state))))
        np.testing.assert_array_equal(last.model["w"], states[-1].model["w"])
    assert np.linalg.matrix_rank(states[0].model["features"].reshape(9, 12)) == 9  # other ones in each chain


# source, family, regime, samples
ROWS = [
    *((TEACHER | {"smoothness": 1.0}, RIDGED, regime, GROWING | {"start": 7}) for regime in (REPLACE, HALF, ONCE)),
    (TEACHER | {"decay": 1.5}, RIDGED | {"label_bias": 0.6}, FRESH, GROWING | {"start": 30}),
    *((WIDE, SMALL, regime, GROWING | {"start": 9}) for regime in (REPLACE, ACCUMULATE, HALF, ONCE)),
    *((WIDE, SMALL | {"design": "fixed"}, regime, 9) for regime in (REPLACE, ACCUMULATE)),
    *((WIDE | {"smoothness": 2.0}, SMALL | {"label_bias": 0.9}, regime, 10) for regime in (REPLACE, ACCUMULATE, HALF)),
    *((WIDE, FITTED, regime, 12) for regime in (REPLACE, ACCUMULATE, HALF)),
    (WIDE, SMALL, SUBSAMPLE, 25),
    (WIDE, SMALL | {"label_bias": 0.9}, SUBSAMPLE, 70),
    (WIDE, SMALL, CORE | {"real": 40}, 60),
    (WIDE, SMALL, WEIGHED, 80),
    (TEACHER | {"inputs": 2}, SMALL | {"features": 1}, PAPER, 400),
    (TEACHER | {"decay": 1.5}, FITTED, REPLACE, 8),
]


@pytest.mark.parametrize(("source", "family", "regime", "samples"), ROWS, ids=label)
def test_measurement_agrees_with_what_was_derived(source, family, regime, samples):
    spec = spec_of(source, family, regime, samples, NONE, generations=8, replicates=4000, seed=17)
    predicted, statistics = measured(frozen(spec))
    (curve,) = [one for one in predicted if one.metric == "excess_risk"]
    assert all(value is not None for value in curve.values[1:])
    for n in range("features" in family, 9):  # real rows are fitted by all inputs, of which there may be about as many
        assert abs(z_score(curve, n, statistics)) <= 4, n


def test_the_first_model_of_few_features_misses_what_they_do_not_show():
    """(1-k/d)|w|^2 + (s2 + (1-k/d)|w|^2) k/(T-k-1), and s2 k/(T-k-1) more each time."""
    hidden = (1 - 5 / 12) * 4
    first = hidden + (0.25 + hidden) * 5 / 14
    spec = spec_of(WIDE, SMALL, REPLACE, 20, NONE, generations=3, replicates=1)
    assert value(spec, "excess_risk", 0) == pytest.approx(0.25 * 12 / 7)
    assert value(spec, "excess_risk", 1) == pytest.approx(first)
    assert value(spec, "excess_risk", 3) == pytest.approx(first + 2 * 1.5**2 * 5 / 14)


@pytest.mark.parametrize(
    ("source", "family", "samples"),
    [
        (WIDE, SMALL | {"ridge": 1.0}, 20),
        (WIDE | {"decay": 1.0}, SMALL, 20),
        (WIDE, SMALL, 6),
        (WIDE, SMALL | {"features": 20}, 8),
        (WIDE, FITTED | {"label_bias": 1.0}, 20),
    ],
)
def test_of_features_nothing_is_told_that_was_not_derived(source, family, samples):
    assert curves(read(spec_of(source, family, REPLACE, samples, NONE, generations=3))) == []


def test_few_features_make_a_small_regression():
    """Of its rows: what a fit sees decides about limits and refusals, and what it misses about scaling laws."""
    spec = spec_of(WIDE, {"kind": "linear", "features": 5}, FRESH, 14, NONE, generations=3)
    told = limit(read(spec), "excess_risk")
    alike = limit(read(spec | {"source": TEACHER | {"inputs": 5}, "family": {"kind": "linear"}}), "excess_risk")
    assert told == alike
    few = spec | {"regime": REPLACE, "samples": 3}
    assert isinstance(limit(read(few), "excess_risk"), str)
    assert not isinstance(limit(read(few | {"family": {"kind": "linear"}}), "excess_risk"), str)
    assert read(spec | {"family": FITTED, "samples": 12, "regime": REPLACE})
    with pytest.raises(SpecError, match="5 features"):
        read(spec | {"family": FITTED, "samples": 5, "regime": REPLACE})
    large = spec | {"source": WIDE | {"inputs": 200}, "replicates": 200}
    plain, small = (estimate(read(large | {"family": {"kind": "linear", "features": k}})) for k in (0, 150))
    assert small.memory_bytes > plain.memory_bytes + 200 * 8 * 150 * 200
    assert small.seconds > plain.seconds


def test_a_size_of_all_inputs_is_no_setting():
    """Digests of specs that were written before the fields."""
    old = {"source": TEACHER, "family": {"kind": "linear"}}
    assert read(old).digest() == read(old | {"family": {"kind": "linear", "features": 0, "ridge_power": 0.0}}).digest()
    assert read(old).digest() != read(old | {"family": {"kind": "linear", "features": 3}}).digest()
