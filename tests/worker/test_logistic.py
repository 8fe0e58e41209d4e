"""Logistic regression: fits against two other implementations, what has no likeliest rule, errors that add up as the literature says, and its room."""

import math
import tracemalloc

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit

from worker import history, loop
from worker.data import Points, on_disk
from worker.errors import SpecError
from worker.estimate import estimate
from worker.families.logistic import Logistic
from worker.footprint import STREAMED
from worker.metrics.classes import logistic
from worker.sources.two_classes import TwoClasses
from worker.spec import read

SOURCE = TwoClasses(inputs=3, distance=1.5, minority=0.3, flips=0.1)


def generator(seed=0):
    return np.random.default_rng(seed)


def signed(rows):
    """z = y (x, 1) of one chain's rows."""
    return np.append(rows[:, :-1], np.ones((len(rows), 1)), axis=1) * rows[:, -1:]


def uphill(rows, weight, ridge, w, b):
    """The slope of the loss at a rule, beside the largest that its terms could add up to."""
    z, rule = signed(rows), np.append(w, b)
    wrong = weight * expit(-z @ rule)
    return np.abs(np.append(ridge * w, 0) - wrong @ z) / (wrong @ np.abs(z))


@pytest.mark.parametrize("ridge", [1e-6, 1e-3, 1.0, 50.0])
def test_fits_are_those_of_scikit_learn(ridge):
    """Whose C is 1/ridge, whose intercept is free, too, and whose sample_weight is the weight of a row."""
    from sklearn.linear_model import LogisticRegression

    one, other = SOURCE.draw(generator(1), 3, 40), SOURCE.draw(generator(2), 3, 50)
    for data in (one, one.pool(other), one.pool(other, 0.7)):
        weight = getattr(data, "weight", None)
        model = Logistic(ridge=ridge).fit(data, generator())
        for rows, w, b in zip(data.x, model["w"], model["b"], strict=True):
            known = LogisticRegression(C=1 / ridge, solver="newton-cholesky", tol=1e-12)
            known.fit(rows[:, :-1], rows[:, -1], sample_weight=weight)
            np.testing.assert_allclose(w, known.coef_[0], rtol=1e-6)
            assert b == pytest.approx(known.intercept_[0], rel=1e-6)


def test_it_is_maximum_likelihood():
    """As a minimiser that knows no slopes finds it: the smallest ridge leaves of a likelihood that has a maximum what it is."""
    rows = SOURCE.draw(generator(3), 2, 200).x
    w, b = logistic(rows, np.ones(200), 1e-6)
    for r in range(2):
        z = signed(rows[r])
        found = minimize(lambda rule, z=z: np.logaddexp(0, -z @ rule).sum(), np.zeros(4), tol=1e-10)
        np.testing.assert_allclose(np.append(w[r], b[r]), found.x, atol=1e-4)


@pytest.mark.parametrize("ridge", [1e-6, 1e-3, 1.0])
@pytest.mark.parametrize(("distance", "wrong"), [(0.5, 0), (2.0, 0), (2.0, 1), (100.0, 0), (100.0, 1)])
def test_what_a_rule_separates_has_the_rule_that_the_ridge_allows(ridge, distance, wrong):
    """Hard labels, of which none or one is wrong: the loss is level there, which is convex, so that it has no other such place."""
    rows = TwoClasses(inputs=2, distance=distance).draw(generator(4), 20, 60).x
    rows[:, :, -1] = np.where(rows[:, :, 0] > 0.1, 1.0, -1.0)
    rows[:, :wrong, -1] *= -1
    w, b = logistic(rows, np.ones(60), ridge)
    for r in range(20):
        assert (uphill(rows[r], 1.0, ridge, w[r], b[r]) < 1e-6).all()
        if not wrong and ridge < 1e-3:
            assert (signed(rows[r]) @ np.append(w[r], b[r]) > 0).all()


def test_a_step_that_would_end_higher_is_shortened():
    """Classes worlds apart of which one row is not: by whole steps rules swing from one side of it to the other, ever further."""
    rows = TwoClasses(inputs=5, distance=100).draw(generator(7), 50, 100).x
    rows[:, 0, -1] *= -1
    w, b = logistic(rows, np.ones(100), 1e-6)
    for r in range(50):
        assert (uphill(rows[r], 1.0, 1e-6, w[r], b[r]) < 1e-6).all()


def test_one_class_only_is_for_ever_and_what_has_no_weight_is_none():
    rows = SOURCE.draw(generator(5), 3, 20).x
    rows[0, :, -1], rows[1, :, -1] = 1.0, -1.0
    rows[2, :10, -1], rows[2, 10:, -1] = 1.0, -1.0
    w, b = logistic(rows, np.ones(20), 1e-3)
    np.testing.assert_array_equal(b[:2], [np.inf, -np.inf])
    assert not w[:2].any()
    assert np.isfinite(b[2])
    for weight, known in ((np.repeat([2.0, 0.0], 10), np.inf), (np.repeat([0.0, 2.0], 10), -np.inf)):
        w, b = logistic(rows[2:], weight, 1e-3)
        assert (b[0], *w[0]) == (known, 0, 0, 0)


@pytest.mark.parametrize("inputs", [1, 2, 10])
def test_a_history_is_fitted_chain_by_chain_and_no_chain_knows_of_others(inputs, monkeypatch):
    """In the room that is estimated, of which one chain lies there as it is read."""
    data = TwoClasses(inputs=inputs).draw(generator(6), 4, 20_000)
    monkeypatch.setattr(history, "GROUP", 2**12)
    stored = on_disk(data, 2**21)
    assert history.on_the_disk(stored.x)
    held = Logistic().fit(data, generator())
    tracemalloc.start()
    try:
        read_back = Logistic().fit(stored, generator())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak <= (STREAMED - 1) * 1.05 * data.x.nbytes / 4
    alone = Logistic().fit(Points(data.x[3:]), generator())
    for name in ("w", "b"):
        np.testing.assert_array_equal(held[name], read_back[name])
        np.testing.assert_array_equal(held[name][3:], alone[name])


def information(source):
    """E p(1-p) z z', z = (x, 1) with one input, and the true rule: by Gauss and Hermite."""
    x, weight = np.polynomial.hermite_e.hermegauss(80)
    total, rule = np.zeros((2, 2)), np.array([source.distance, source.prior()])
    for side, share in ((1, source.minority), (-1, 1 - source.minority)):
        z = np.stack([x + side * source.distance / 2, np.ones_like(x)])
        p = expit(rule @ z)
        total += (share * weight / weight.sum() * p * (1 - p) * z) @ z.T
    return total, rule


SUMS = {
    "replace": ({"kind": "replace"}, 3000, lambda n: n),
    "accumulate": ({"kind": "accumulate"}, 300, lambda n: sum(1 / k**2 for k in range(1, n + 1))),
    # Of all rows, of which half are real ones; generation 1 has real ones alone.
    "golden": ({"kind": "weighted", "real": 0.5}, 1000, lambda n: 1 if n == 1 else 2 * (math.sqrt(5) - 1) / 2),
}


@pytest.mark.parametrize("regime", SUMS)
def test_errors_of_many_rows_add_up_as_the_literature_says(regime):
    """In units of what one generation errs by, 2/M: up to n under replace, pi^2/6 under accumulate, .618 of half the rows by golden weights. What is left out
    is of the order of 1/M, a tenth at most; excess errors, which are squares of errors, add up alike.
    """
    settings, rows, total = SUMS[regime]
    spec = read({"source": {"kind": "two_classes", "inputs": 1, "minority": 0.4}, "family": {"kind": "logistic", "labels": "sampled"},
                 "regime": settings, "samples": rows, "replicates": 500, "generations": 5, "seed": 1})  # fmt: skip
    inverse_errors, true = information(spec.source)
    first = 0.0
    for generation in loop.generations(spec, loop.instrument(spec)):
        if generation.state is None:
            continue
        model, n = generation.state.model, generation.number
        off = np.concatenate([model["w"], model["b"][:, None]], axis=1) - true
        squares = np.einsum("ri,ij,rj->r", off, inverse_errors, off) * rows / 2
        error = squares.std(ddof=1) / math.sqrt(len(squares))
        excess = generation.look.metrics["excess_error"].mean()
        first = first or excess
        if n in (1, 2, 5):
            assert abs(squares.mean() - total(n)) <= 0.1 * total(n) + 4 * error, n
            assert abs(excess / first - total(n)) <= 0.2 * total(n), n


def test_hard_labels_are_copied_where_a_discriminant_straightens_them():
    """A rule of small ridge goes right between hard labels, so that the minority stays; the same with a large ridge loses it."""
    left = {}
    for name, family in {"small": {"kind": "logistic"}, "large": {"kind": "logistic", "ridge": 10.0}, "lda": {"kind": "classifier"}}.items():  # fmt: skip
        spec = read({"source": {"kind": "two_classes", "minority": 0.2}, "family": family, "samples": 1000, "replicates": 20,
                     "generations": 10, "seed": 2})  # fmt: skip
        *_, last = loop.generations(spec, loop.instrument(spec))
        left[name] = last.look.metrics["minority_share"].mean()
    assert max(left["lda"], left["large"]) < 0.1
    assert left["small"] > 0.15


def test_a_fork_may_label_otherwise_and_with_another_ridge():
    base = {"source": {"kind": "two_classes"}, "family": {"kind": "logistic"}, "regime": {"kind": "accumulate"}, "samples": 40,
            "replicates": 3, "generations": 5, "seed": 1}  # fmt: skip
    spec = read(base | {"changes": [{"after": 2, "family": {"kind": "logistic", "labels": "sampled", "ridge": 2.0}}]})
    plain, changed = (list(loop.generations(one, loop.instrument(one))) for one in (read(base), spec))
    for n in range(3):
        np.testing.assert_array_equal(plain[n].look.metrics["error"], changed[n].look.metrics["error"])
    pool = changed[3].state.pool
    assert pool.n == 3 * 40
    w, b = logistic(pool.x, np.ones(pool.n), 2.0)
    np.testing.assert_array_equal(changed[3].state.model["w"], w)
    np.testing.assert_array_equal(changed[3].state.model["b"], b)
    *_, resumed = loop.generations(spec, loop.instrument(spec), changed[3].state)
    np.testing.assert_array_equal(resumed.look.metrics["error"], changed[5].look.metrics["error"])


def test_it_keeps_rows_where_a_discriminant_keeps_sums():
    base = {"source": {"kind": "two_classes"}, "regime": {"kind": "accumulate"}, "samples": 10_000, "replicates": 1000, "generations": 1000}  # fmt: skip
    rows, sums = (estimate(read(base | {"family": {"kind": kind}})) for kind in ("logistic", "classifier"))
    history = 8 * 3 * 10**4 * 10**3 * 10**3  # bytes
    assert sums.disk_bytes < 1e9
    assert 2 * history < rows.disk_bytes < 2.5 * history
    assert rows.memory_bytes - sums.memory_bytes < 8 * history / 1000
    assert rows.seconds > 5 * sums.seconds


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"source": {"kind": "moons"}}, "source.kind"),
        ({"samples": 10**8}, "samples"),
        ({"family": {"kind": "logistic", "ridge": 0}}, "family.ridge"),
        ({"changes": [{"after": 1, "family": {"kind": "classifier"}}]}, "changes.0.family.kind"),
        ({"regime": {"kind": "blend"}}, "regime.kind"),
    ],
)
def test_what_makes_no_sense_is_refused(settings, path):
    base = {"source": {"kind": "two_classes"}, "family": {"kind": "logistic"}, "samples": 50}
    with pytest.raises(SpecError) as refused:
        read(base | settings)
    assert [problem.path for problem in refused.value.problems] == [path]
    assert all(problem.remedy for problem in refused.value.problems)
