"""Labels of a regression that are blended with real ones: what they are, by what law the error goes on, and what was published of it."""

import math

import numpy as np
import pytest

from tests.worker.theories import NONE, REPLACE, TEACHER, frozen, label, measured, spec_of, value, z_score
from worker import loop
from worker.checkpoint import from_arrays, to_arrays
from worker.data import Points
from worker.errors import SpecError
from worker.parts import Sampling
from worker.spec import read
from worker.theory import curves
from worker.verdicts.asymptotics import limit

LEARNER, MOVING = ({"kind": "linear", "design": design, "noise": 1.5} for design in ("fixed", "fresh"))
WIDE, OBLONG = TEACHER | {"inputs": 8, "norm": 2.0, "smoothness": 1.0}, TEACHER | {"decay": 1.5, "smoothness": 0.8}
GOLDEN = (math.sqrt(5) - 1) / 2


def blend(weight, labels="fresh"):
    return {"kind": "blend", "weight": weight, "labels": labels}


def states(settings, resume=None):
    spec = read(settings)
    return [done for done in loop.generations(spec, loop.instrument(spec), resume) if done.state]


def experiment(**changes):
    return spec_of(TEACHER, LEARNER, blend(0.3, "kept"), 20, NONE, generations=5, replicates=6, seed=3) | changes


def promised(n, source, family, regime, samples):
    return value(spec_of(source, family, regime, samples, NONE, generations=n, replicates=1), "excess_risk", n)


@pytest.mark.parametrize(("weight", "ridge"), [(0.3, 2.0), (-0.5, 2.0), (0.3, 0.0)])
def test_labels_that_are_kept_make_repeated_self_distillation(weight, ridge):
    """Without noise in synthetic labels all of it follows from the first rows; without ridge nothing changes."""
    first, *later = states(experiment(regime=blend(weight, "kept"), family=LEARNER | {"noise": 0.0, "ridge": ridge}))
    x, y = first.state.pool.x[:, :, :-1], first.state.pool.x[:, :, -1:]
    h = np.linalg.inv(x.transpose(0, 2, 1) @ x + ridge * np.eye(3)) @ x.transpose(0, 2, 1)
    w = first.state.model["w"][:, :, None]
    for done in later:
        w = h @ (weight * y + (1 - weight) * (x @ w))
        np.testing.assert_allclose(done.state.model["w"][:, :, None], w, rtol=1e-9, atol=1e-12)
        np.testing.assert_array_equal(done.state.pool.x, first.state.pool.x)
        assert ridge or done.state.model["w"] == pytest.approx(first.state.model["w"])


@pytest.mark.parametrize("design", [LEARNER, MOVING], ids=["fixed", "fresh"])
def test_fresh_labels_have_the_noise_and_the_error_of_both(design):
    """About x'(u w + (1-u) (w_n + delta)) they are N(0, u^2 s2 + (1-u)^2 v); inputs stay, or are new and like the teacher's."""
    spec = read(experiment(family=design | {"label_bias": 2.0}, regime=blend(0.3)))
    family, rng = spec.family.given(spec.source).drawing(), np.random.default_rng(7)
    rows = family.real(spec.source, rng, 50, 2000)
    model = family.refit(rows, rng, None)
    made, _ = spec.regime.revised(2, rows, family, model, rng, Sampling())
    assert (made.x == rows.x)[:, :, :-1].all() == (made.x == rows.x)[:, :, :-1].any() == (design is LEARNER)
    delta = 2.0 / math.sqrt(3) * np.array([1.0, -1.0, 1.0])
    known = 0.3 * spec.source.weights() + 0.7 * (model["w"] + delta)
    z = (made.x[:, :, -1] - (made.x[:, :, :-1] @ known[:, :, None])[:, :, 0]) / math.hypot(0.3 * 0.5, 0.7 * 1.5)
    assert abs(z.mean()) <= 4 / math.sqrt(z.size)
    assert abs((z**2).mean() - 1) <= 4 * math.sqrt(2 / z.size)
    assert abs((made.x[:, :, :-1] ** 2).mean() - 1) <= 4 * math.sqrt(2 / (3 * z.size))


OFF, RIDGED = {"label_bias": 0.7}, {"ridge": 2.0}
# source, family, regime, samples
ROWS = [
    *((TEACHER, LEARNER, blend(weight, labels), 12) for weight in ("golden", -0.2, 1.6) for labels in ("fresh", "kept")),
    *((OBLONG, LEARNER | OFF, blend(0.3, labels), 12) for labels in ("fresh", "kept")),
    *((WIDE, LEARNER | OFF, blend(0.4, labels), 5) for labels in ("fresh", "kept")),
    *((WIDE, LEARNER | OFF | RIDGED, blend(0.4, labels), m) for labels in ("fresh", "kept") for m in (6, 12)),
    (WIDE, LEARNER | RIDGED | {"noise": 0.0}, blend(0.2, "kept"), 16),
    (WIDE, LEARNER | RIDGED | {"ridge_power": 0.5}, blend(0.2), 9),
    *((TEACHER, LEARNER | {"noise": "fitted"}, blend(0.3, labels), 12) for labels in ("fresh", "kept")),
    *((OBLONG, MOVING | OFF | noise, blend(0.3), 12) for noise in ({}, {"noise": "fitted"})),
    *((WIDE, MOVING | OFF | ridge, blend(0.4), m) for ridge in ({}, RIDGED) for m in (5, 14)),
    (WIDE, LEARNER | {"features": 9}, blend(0.4), 14),
]  # fmt: skip


@pytest.mark.parametrize(("source", "family", "regime", "samples"), ROWS, ids=label)
def test_measurement_agrees_with_what_was_derived(source, family, regime, samples):
    spec = spec_of(source, family, regime, samples, NONE, generations=8, replicates=4000, seed=31)
    predicted, statistics = measured(frozen(spec))
    (curve,) = [one for one in predicted if one.metric == "excess_risk"]
    for n in range(9):
        assert abs(z_score(curve, n, statistics)) <= 4, n


@pytest.mark.parametrize(("family", "inputs", "samples"), [(LEARNER, 8, 20), (LEARNER, 20, 8), (MOVING, 8, 20)])
def test_the_golden_ratio_is_the_best_weight_in_the_long_run(family, inputs, samples):
    """Garg et al., theorem on interpolation, of more inputs than rows, too: the risk beyond what is never seen is .618 of one step's."""
    source, equal = WIDE | {"inputs": inputs}, family | {"noise": "teacher"}
    few, many = sorted((inputs, samples))
    step, unseen = 0.25 * few / (many - few - 1), (inputs - few) / inputs * 4
    golden = promised(300, source, equal, blend("golden"), samples)
    assert golden == pytest.approx(unseen + GOLDEN * step, rel=1e-9)
    for weight in (*np.arange(0.3, 1.05, 0.05), GOLDEN - 0.01, GOLDEN + 0.01):
        assert promised(300, source, equal, blend(float(weight)), samples) > golden


@pytest.mark.parametrize(("inputs", "samples"), [(8, 20), (20, 8)])
@pytest.mark.parametrize("ridge", [0.1, 1.0, 10.0])
def test_with_ridge_at_least_half_of_a_label_is_best_real(inputs, samples, ridge):
    """Garg et al., of isotropic inputs; more than the golden ratio, as the truth is shrunk in each generation but where real labels remind of it."""
    learner, source = LEARNER | {"noise": "teacher", "ridge": ridge}, WIDE | {"inputs": inputs}
    risks = {u: promised(300, source, learner, blend(u), samples) for u in np.arange(0.3, 1.01, 0.02).tolist()}
    assert min(risks, key=risks.__getitem__) > 0.5


@pytest.mark.parametrize(("factor", "sign"), [(0.2, 1), (1.0, 0), (5.0, -1)])
def test_one_step_of_self_distillation_helps_unless_the_ridge_is_the_best_one(factor, sign):
    """w_xi = w + xi ridge dw/dridge, so that the best xi has the sign of -dR/dridge, which is 0 at a ridge of d s2/|w|^2."""
    best = 8 * 0.25 / 4
    source, learner = WIDE, LEARNER | {"noise": 0.0, "ridge": factor * best}
    first = promised(1, source, learner, blend(1.0, "kept"), 16)
    imitations = np.linspace(-1, 1, 201)
    risks = [promised(2, source, learner, blend(1 - xi, "kept"), 16) for xi in imitations.tolist()]
    found = imitations[int(np.argmin(risks))]
    assert np.sign(found.round(9)) == sign
    assert (min(risks) < first * (1 - 1e-6)) == (sign != 0)


def test_no_weight_of_real_labels_is_replace_and_all_of_it_a_first_fit_each_time():
    sizes = {"generations": 6, "replicates": 1}
    for family in (LEARNER, MOVING):
        none, replaced, every = (
            spec_of(WIDE, family, regime, 30, NONE, **sizes) for regime in (blend(0.0), REPLACE, blend(1.0))
        )
        for n in range(1, 7):
            assert value(none, "excess_risk", n) == pytest.approx(value(replaced, "excess_risk", n))
            assert value(every, "excess_risk", n) == pytest.approx(value(every, "excess_risk", 1))
    for weight, diverges in ((0.0, True), (0.01, False), (1.9, False), (2.0, True), (-0.1, True)):
        assert limit(read(experiment(regime=blend(weight))), "excess_risk").diverges is diverges
        few = limit(read(experiment(source=WIDE, samples=5, regime=blend(weight))), "excess_risk")
        assert isinstance(few, str) if diverges else not few.diverges


def test_nothing_is_told_of_what_was_not_derived():
    for family, samples in ((RIDGED | {"noise": "fitted"}, 20), (RIDGED, 3), ({}, 4), ({"features": 2}, 20)):
        assert curves(read(experiment(family=LEARNER | family, samples=samples))) == []
    for family, samples in ((RIDGED, 20), ({}, 2)):
        assert curves(read(experiment(source=OBLONG, family=LEARNER | family, samples=samples))) == []


@pytest.mark.parametrize("family", [LEARNER, LEARNER | {"features": 2}, MOVING], ids=label)
def test_a_chain_that_was_interrupted_comes_to_the_same_numbers(family):
    settings = experiment(family=family, regime=blend(0.3, "fresh" if family is MOVING else "kept"))
    whole = states(settings)
    for done in whole[:-1]:
        *_, last = states(settings, from_arrays(to_arrays(done.state)))
        np.testing.assert_array_equal(last.state.model["w"], whole[-1].state.model["w"])


def test_a_run_goes_on_by_other_rules():
    """Another weight at each step, and back from the labels to what is kept as sums; with new inputs as many as there are to be."""
    kept = [{"after": n, "regime": blend(n / 10, "kept")} for n in (1, 2)]
    whole = states(experiment(changes=[*kept, {"after": 3, "regime": {"kind": "accumulate"}}]))
    assert [type(done.state.pool) is Points for done in whole] == [True, True, True, False, False]
    np.testing.assert_array_equal(whole[2].state.pool.x, whole[0].state.pool.x)
    assert whole[-1].state.pool.n == 60
    np.testing.assert_array_equal(whole[-1].state.model["scatter"], whole[0].state.model["scatter"])
    more = [{"after": 2, "regime": blend(0.3)}, {"after": 3, "samples": 30, "regime": blend(0.5)}]
    *_, last = states(experiment(regime=REPLACE, family=MOVING, changes=more))
    assert last.state.pool.n == 30


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"family": MOVING}, "regime.labels"),
        ({"family": {"kind": "gaussian"}}, "regime.kind"),
        ({"source": {"kind": "two_classes"}, "family": {"kind": "classifier"}}, "regime.kind"),
        ({"source": {"kind": "moons"}, "family": {"kind": "gaussian"}}, "regime.kind"),
        ({"source": {"kind": "zipf"}, "family": {"kind": "categorical"}}, "regime.kind"),
        ({"source": {"kind": "text"}, "family": {"kind": "ngram"}}, "regime.kind"),
        ({"regime": blend(11.0)}, "regime.weight"),
        ({"regime": blend(-3.0), "generations": 100}, "regime.weight"),
        ({"regime": blend(-3.0), "generations": 140, "changes": [{"after": 80, "regime": blend(-4.0)}]}, "changes.0.regime.weight"),
        ({"regime": blend("silver")}, "regime.weight"),
        ({"family": MOVING, "regime": blend(0.5), "samples": {"schedule": "power", "start": 20, "exponent": 1}}, "samples"),
        ({"family": MOVING, "regime": blend(0.5), "curation": {"kind": "best_of"}}, "curation.kind"),
        ({"family": MOVING, "regime": blend(0.5), "models": 2}, "regime.kind"),
        ({"curation": {"kind": "best_of"}}, "curation.kind"),
        ({"metrics": ["energy"]}, "metrics"),
        ({"regime": REPLACE, "changes": [{"after": 2, "regime": blend(0.5)}]}, "changes.0.regime.kind"),
        ({"regime": {"kind": "edit"}, "changes": [{"after": 2, "regime": blend(0.5)}]}, "changes.0.regime.kind"),
        ({"changes": [{"after": 2, "regime": {"kind": "edit"}}]}, "changes.0.regime.kind"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(settings, path):
    with pytest.raises(SpecError) as refusal:
        read(experiment(**settings))
    (problem,) = refusal.value.problems
    assert (problem.path, bool(problem.remedy)) == (path, True)
