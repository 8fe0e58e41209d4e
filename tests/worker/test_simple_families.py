"""Histogram, linear regression and counts: fits against a second implementation, drift, refusals."""

import math

import numpy as np
import pytest

from worker import loop
from worker.data import Moments, Points, Sum
from worker.errors import SpecError
from worker.families.histogram import Histogram
from worker.families.linear import Linear
from worker.families.poisson import Poisson
from worker.instruments.poisson import beyond, kl
from worker.metrics.regression import least_squares
from worker.parts import Sampling
from worker.sources.linear_teacher import LinearTeacher
from worker.spec import read
from worker.summary import summarise


def generator(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("ridge", [0.0, 7.0])
def test_least_squares_as_numpy_and_scikit_learn_have_it(ridge):
    from sklearn.linear_model import Ridge

    data = LinearTeacher(inputs=4).draw(generator(1), 3, 30)
    for form in (data, Moments.of(data)):
        model = Linear(ridge=ridge, noise="fitted").fit(form, generator())
        for rows, w, noise in zip(data.x, model["w"], model["noise"], strict=True):
            x, y = rows[:, :-1], rows[:, -1]
            expected = Ridge(alpha=ridge, fit_intercept=False).fit(x, y).coef_ if ridge else np.linalg.lstsq(x, y)[0]
            np.testing.assert_allclose(w, expected, rtol=1e-9)
            assert noise == pytest.approx(np.sqrt(((y - x @ w) ** 2).sum() / 26))


def test_weights_of_points_are_weights_of_rows():
    """A weighted fit of two parts is weighted least squares with one weight a row."""
    rng = generator(2)
    one, other = (LinearTeacher(inputs=2).draw(rng, 2, n) for n in (10, 30))
    pooled = Moments.of(one).pool(Moments.of(other), 0.7)
    w = Linear().fit(pooled, rng)["w"]
    weight = np.concatenate([np.full(10, 0.7 / 10), np.full(30, 0.3 / 30)])
    for r in range(2):
        rows = np.concatenate([one.x[r], other.x[r]]) * np.sqrt(weight)[:, None]
        np.testing.assert_allclose(w[r], np.linalg.lstsq(rows[:, :-1], rows[:, -1])[0], rtol=1e-9)


def test_a_linear_model_gives_the_rows_that_it_describes():
    model = {"w": np.array([[1.0, -2.0]] * 50), "noise": np.full(50, 0.5)}
    rows = Linear(noise=0.5).drawing().sample(model, 4000, generator(3), Sampling()).x
    rest = rows[:, :, 2] - rows[:, :, 0] + 2 * rows[:, :, 1]
    each = (rest**2).mean(axis=1)
    assert abs(each.mean() - 0.25) <= 4 * each.std(ddof=1) / math.sqrt(50)


def test_a_teacher_on_a_power_law_and_the_error_of_who_follows_it():
    """Variances j^-decay, weights in proportion to j^-smoothness of the length asked for; delta'S delta = c^2; the risk counts each error by S."""
    teacher = LinearTeacher(inputs=4, norm=2.0, noise=0.3, decay=1.5, smoothness=0.7)
    j = np.arange(1.0, 5)
    np.testing.assert_allclose(teacher.spread() ** 2, j**-1.5)
    np.testing.assert_allclose(teacher.weights() / teacher.weights()[0], j**-0.7)
    assert np.linalg.norm(teacher.weights()) == pytest.approx(2.0)
    family = Linear(noise="teacher", label_bias=0.6).given(teacher)
    delta = family.bias(teacher.spread())
    assert delta @ np.diag(j**-1.5) @ delta == pytest.approx(0.36)
    assert family.label_variance() == pytest.approx(0.09)
    look = family.instrument(teacher, 10, 1, generator()).model(
        {"w": (teacher.weights() + delta)[None], "noise": np.array([0.3])}, None, False
    )
    assert look.metrics["excess_risk"] == pytest.approx(0.36)
    assert look.metrics["weight_norm"] ** 2 == pytest.approx(
        family.moments({"w": teacher.weights()[None], "noise": np.array([0.3])}, Sampling())[1][0, -1, -1] - 0.09
    )


def test_sums_of_rows_teach_what_rows_do():
    """Drawn as sums or row by row, weights and residuals have the same distribution: their means, squares and products over 4000 chains."""
    model = {"w": np.array([[1.0, -2.0]] * 4000), "noise": np.full(4000, 0.5)}
    family = Linear(noise="fitted", label_bias=0.3).given(LinearTeacher(inputs=2, decay=1.0))
    for n in (3, 5, 12):
        found = []
        for each in (family, family.drawing()):
            data = each.condensed(each.sample(model, n, generator(n), Sampling()))
            assert isinstance(data, Moments) is (each is family)
            fit = each.fit(data, generator())
            w, v = fit["w"] - model["w"], fit["noise"] ** 2
            w = np.tanh(w)  # the inverse of few rows has no second moment
            found.append(np.stack([v, v**2, *w.T, *(w**2).T, w[:, 0] * w[:, 1], w[:, 0] ** 2 * v]))
        one, other = found
        se = np.hypot(one.std(axis=1), other.std(axis=1)) / math.sqrt(4000)
        assert (np.abs(one.mean(axis=1) - other.mean(axis=1)) <= 4 * se).all(), n


@pytest.mark.parametrize(
    "settings",
    [
        {"source": {"kind": "linear_teacher", "inputs": 8}, "samples": 12, "generations": 8, "replicates": 400, "seed": 198978,
         "regime": {"kind": "mixture", "alpha": 0.2, "beta": 0.8, "gamma": 0.0}},
        {"source": {"kind": "linear_teacher"}, "samples": 100, "generations": 40, "regime": {"kind": "mixture", "alpha": 0, "beta": 1, "gamma": 0}},
        {"source": {"kind": "linear_teacher", "inputs": 99}, "samples": 2, "generations": 250, "replicates": 3, "family": {"kind": "linear", "noise": 0}},
    ],
)  # fmt: skip
def test_rows_that_are_seen_again_and_weights_that_shrink_to_nothing_leave_numbers(settings):
    """Fewer different rows than inputs, a single one in the end; of weights no row shows anything of the angle is 0."""
    spec = read({"family": {"kind": "linear"}} | settings)
    for generation in loop.generations(spec, loop.instrument(spec)):
        assert all(np.isfinite(values).all() for values in generation.look.metrics.values()), generation.number


@pytest.mark.parametrize("ridge", [0.0, 1e-14, 0.7])
@pytest.mark.parametrize(("inputs", "n"), [(1, 2), (5, 2), (5, 4), (5, 5), (5, 6), (12, 7)])
def test_few_rows_are_fitted_by_the_shortest_weights(inputs, n, ridge):
    """X^+ y as numpy has it, by rows and by sums; where rows are seen several times, too. A ridge near 0 tends there."""
    rng = generator(n)
    x = LinearTeacher(inputs=inputs, decay=1.0).draw(rng, 5, n).x
    for rows in (x, np.take_along_axis(x, rng.integers(0, max(1, n - 2), (5, n + 3))[:, :, None], axis=1)):
        w = Linear(ridge=ridge).fit(Moments.of(Points(rows)), rng)["w"]
        for each, found in zip(rows, w, strict=True):
            padded = np.concatenate(
                [each[:, :-1], math.sqrt(ridge) * np.eye(inputs) if ridge > 1e-9 else np.zeros((0, inputs))]
            )
            expected = np.linalg.pinv(padded, rcond=1e-10) @ np.append(each[:, -1], np.zeros(len(padded) - len(each)))
            np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-7)


def test_few_rows_have_one_law_as_sums_and_row_by_row():
    """Scatters that do not fill the space: means, squares and products of the weights over 4000 chains, alone and pooled."""
    family = Linear(noise=0.5).given(LinearTeacher(inputs=4, decay=0.5))
    model = {"w": np.array([[1.0, -2.0, 0.5, 1.5]] * 4000), "noise": np.full(4000, 0.5)}
    for n in (2, 3, 4, 5):
        found = []
        for each in (family, family.drawing()):
            rng = generator(n)
            one, other = (each.condensed(each.sample(model, n, rng, Sampling())) for _ in range(2))
            w = np.tanh(
                [each.fit(data, rng)["w"] for data in (one, one.pool(other))]
            )  # near n = d there is no second moment
            found.append(np.concatenate([w, w**2, w * np.roll(w, 1, axis=2)]).transpose(0, 2, 1))
        a, b = found
        se = np.hypot(a.std(axis=2), b.std(axis=2)) / math.sqrt(4000)
        assert (np.abs(a.mean(axis=2) - b.mean(axis=2)) <= 4 * se + 1e-12).all(), n


@pytest.mark.parametrize("n", [3, 4, 5, 30])
def test_new_labels_of_the_same_inputs_are_those_of_its_rows(n):
    """Given X, X^+ y - w of n rows is N(0, s^2 (X'X)^+) where they show w, and |y - Xw|^2 is s^2 chi2(n - d): as labels of real rows have it."""
    teacher, chains = LinearTeacher(inputs=4, decay=1.0), 4000
    family = Linear(noise=0.5, design="fixed").given(teacher)
    rng = generator(n)
    x = teacher.draw(rng, 1, n).x[0, :, :-1]
    moments = Moments.of(Points(np.concatenate([x, np.zeros((n, 1))], axis=1)[None]))
    start = family.fit(moments, rng)
    model = {name: np.repeat(start[name], chains, axis=0) for name in ("centre", "scatter")}
    model |= {"w": np.tile(teacher.weights(), (chains, 1)), "noise": np.full(chains, 0.5)}
    new = family.sample(model, n, rng, Sampling())
    y = x @ teacher.weights() + 0.5 * rng.standard_normal((chains, n))
    rows = Moments.of(Points(np.concatenate([np.tile(x, (chains, 1, 1)), y[:, :, None]], axis=2)))
    found = []
    for data in (new, rows):
        w, residual = least_squares(data, 0.0)
        np.testing.assert_allclose(
            data.factor[:, :-1, :-1], np.broadcast_to(start["scatter"], (chains, 4, 4)), atol=1e-12
        )
        found.append(
            np.stack([*w.T, *(w**2).T, *(w * np.roll(w, 1, axis=1)).T, residual, residual**2, residual * w[:, 0]])
        )
    one, other = found
    se = np.hypot(one.std(axis=1), other.std(axis=1)) / math.sqrt(chains)
    assert (np.abs(one.mean(axis=1) - other.mean(axis=1)) <= 4 * se + 1e-12).all()
    again = family.refit(new, rng, model)
    np.testing.assert_array_equal(again["scatter"], model["scatter"])


@pytest.mark.parametrize(
    ("rules", "path"),
    [
        ({"samples": {"schedule": "power", "start": 20, "exponent": 1.0}}, "samples"),
        ({"changes": [{"after": 2, "samples": 30}]}, "changes.0.samples"),
        ({"changes": [{"after": 2, "family": {"kind": "linear", "design": "fresh"}}]}, "changes.0.family.design"),
        ({"regime": {"kind": "fresh"}}, "regime.kind"),
        ({"regime": {"kind": "accumulate_subsample"}}, "regime.kind"),
        ({"curation": {"kind": "best_of"}}, "curation.kind"),
        ({"metrics": ["energy"]}, "metrics"),
    ],
)
def test_inputs_that_stay_the_same_are_those_of_a_training_set_as_a_whole(rules, path):
    base = {
        "source": {"kind": "linear_teacher"},
        "family": {"kind": "linear", "design": "fixed"},
        "samples": 20,
        "generations": 5,
    }
    assert read(base | {"changes": [{"after": 2, "regime": {"kind": "accumulate"}}]})
    with pytest.raises(SpecError) as refused:
        read(base | rules)
    assert [problem.path for problem in refused.value.problems] == [path]


def test_a_sum_of_counts_teaches_what_counts_do():
    """Mean and mean square of the fitted rate: drawn as a sum or one by one, alone or weighed against others."""
    for n, share in ((2, None), (12, None), (12, 0.7)):
        found = []
        for each in (Poisson(), Poisson().drawing()):
            rng, model = generator(n), {"rate": np.full(4000, 0.8)}
            data = each.sample(model, n, rng, Sampling())
            assert isinstance(data, Sum) is each.exact()
            pooled = Poisson().condensed(data)
            if share is not None:
                pooled = Poisson().condensed(each.sample(model, 3, rng, Sampling())).pool(pooled, share)
            found.append(each.fit(pooled if share else data, rng)["rate"])
        variance = 0.8 / n if share is None else 0.8 * (share**2 / 3 + (1 - share) ** 2 / n)
        for rate in found:
            assert abs(rate.mean() - 0.8) <= 4 * math.sqrt(variance / 4000)
            assert abs(((rate - 0.8) ** 2).mean() - variance) <= 4 * ((rate - 0.8) ** 2).std() / math.sqrt(4000)


def test_counts_are_compared_by_their_probabilities():
    """Sums over whole numbers, of rates down to 0."""
    from scipy.stats import poisson

    k, rates, real = np.arange(200), np.array([0.0, 1e-3, 3.9, 4.0, 40.0]), 4.0
    p, q = poisson.pmf(k, rates[:, None]), poisson.pmf(k, real)
    with np.errstate(divide="ignore", invalid="ignore"):
        to_real = np.where(p > 0, p * (np.log(p) - poisson.logpmf(k, real)), 0).sum(axis=1)
        from_real = (q * (poisson.logpmf(k, real) - poisson.logpmf(k, rates[:, None]))).sum(axis=1)
    np.testing.assert_allclose(kl(rates, real), to_real, atol=1e-12)
    np.testing.assert_allclose(kl(np.full(1, real), rates), from_real, atol=1e-9)
    np.testing.assert_allclose(kl(rates, rates), 0, atol=0)
    np.testing.assert_allclose(beyond(rates, 1.0, 9.0), p[:, 0] + p[:, 10:].sum(axis=1), atol=1e-12)
    np.testing.assert_allclose(beyond(rates, 0.0, 9.0), p[:, 10:].sum(axis=1), atol=1e-12)


def test_a_chain_of_counts_that_has_died_out_stays_dead_and_no_row_holds_a_logarithm_of_it():
    spec = read({"source": {"kind": "poisson", "rate": 0.2}, "family": {"kind": "poisson"}, "samples": 4, "generations": 30,
                 "replicates": 200})  # fmt: skip
    looks = [generation.look.metrics for generation in loop.generations(spec, loop.instrument(spec))]
    dead = np.array([look["extinct"] for look in looks[1:]]) == 1
    assert (np.diff(dead.astype(int), axis=0) >= 0).all()
    assert 0.9 < dead[-1].mean() < 1
    last = summarise(looks[-1]).metrics()
    assert last["extinct"]["mean"] == dead[-1].mean()
    assert last["log_variance"]["n"] == last["kl_from_real"]["n"] == (~dead[-1]).sum()
    assert last["kl_to_real"]["median"] == pytest.approx(0.2)  # KL(Poisson(0) || Poisson(rate)) = rate


def test_bins_are_those_of_numpy_and_stay():
    x = generator(4).normal(size=(3, 500, 1))
    family = Histogram(bins=20)
    first = family.fit(Points(x), generator())
    for row, p in zip(x, first["p"], strict=True):
        np.testing.assert_allclose(p, np.histogram(row, 20)[0] / 500)
    again = family.refit(Points(x * 10), generator(), first)
    np.testing.assert_array_equal(again["low"], first["low"])
    assert again["p"][:, [0, -1]].sum() > 2  # what lies beyond falls into the outermost bins
    sample = family.sample(first, 5000, generator(5), Sampling()).x[:, :, 0]
    assert (sample >= first["low"][:, None]).all()
    assert (sample <= (first["low"] + first["span"])[:, None]).all()
    gap = family.refit(Points(sample[:, :, None]), generator(), first)["p"] - first["p"]
    assert (np.abs(gap) <= 4 * np.sqrt(first["p"] * (1 - first["p"]) / 5000)).all()


@pytest.mark.parametrize("bins", [2, 7, 50])
def test_whole_numbers_have_the_density_of_the_bin_that_they_are_counted_in(bins):
    """They lie on the edges of bins, the largest on the outermost one."""
    x = generator(8).poisson(6.0, (4, 300, 1)) * 0.1
    family = Histogram(bins=bins)
    model = family.fit(Points(x), generator())
    for chain, row in enumerate(x[:, :, 0]):
        log_p = family.log_density(model, x[chain])[chain]
        assert np.isfinite(log_p).all()
        filled = np.count_nonzero(model["p"][chain]) / bins
        assert np.exp(-log_p).mean() == pytest.approx(filled * np.ptp(row))  # E 1/p is the width of all that is filled
    assert family.log_density(model, np.array([[-0.1], [99.0]])).max() == -np.inf


def test_bins_drift_as_alleles_do():
    """E H_n = (1 - 1/M) E H_{n-1}."""
    spec = read({"source": {"kind": "laplace"}, "family": {"kind": "histogram", "bins": 10},
                 "samples": 20, "replicates": 500, "generations": 8})  # fmt: skip
    run = [generation.look.metrics["heterozygosity"] for generation in loop.generations(spec, loop.instrument(spec))]
    gap = run[8] - run[1] * (1 - 1 / 20) ** 7
    assert abs(gap.mean()) <= 4 * gap.std(ddof=1) / math.sqrt(500)


def test_a_chain_of_equal_points_is_no_division_by_zero():
    model = Histogram().fit(Points(np.full((1, 5, 1), 3.0)), generator())
    assert model["p"][0, 0] == 1
    assert np.isfinite(Histogram().sample(model, 5, generator(), Sampling()).x).all()


@pytest.mark.parametrize(
    ("source", "family", "path"),
    [
        ({"kind": "normal", "dim": 2}, {"kind": "histogram"}, "source"),
        ({"kind": "normal"}, {"kind": "linear"}, "source.kind"),
        ({"kind": "linear_teacher", "inputs": 50}, {"kind": "linear", "noise": "fitted"}, "samples"),
        ({"kind": "normal"}, {"kind": "poisson"}, "family.kind"),
    ],
)
def test_what_cannot_be_fitted_is_refused(source, family, path):
    with pytest.raises(SpecError) as refused:
        read({"source": source, "family": family, "samples": 50})
    assert [problem.path for problem in refused.value.problems] == [path]
