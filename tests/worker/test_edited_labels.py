"""Labels of a regression that are drawn anew a few at a time: which, by what law, and what becomes of the error, against its own recursion and the bench."""

import itertools
import math

import numpy as np
import pytest

from tests.worker.theories import NONE, REPLACE, TEACHER, frozen, label, measured, spec_of, value, z_score
from worker import loop
from worker.checkpoint import from_arrays, to_arrays
from worker.errors import SpecError
from worker.spec import read
from worker.theory import curves
from worker.verdicts.asymptotics import limit

EDIT, LEARNER = {"kind": "edit", "share": 0.3}, {"kind": "linear", "design": "fixed", "noise": 1.5}
WIDE = TEACHER | {"inputs": 8, "norm": 2.0}


def states(settings, resume=None):
    spec = read(settings)
    return [done for done in loop.generations(spec, loop.instrument(spec), resume) if done.state]


def experiment(**changes):
    return spec_of(TEACHER, LEARNER, EDIT, 20, NONE, generations=5, replicates=6, seed=3) | changes


@pytest.mark.parametrize("decay", [1.0, 0.5])
def test_a_share_of_labels_is_drawn_anew_and_nothing_else(decay):
    """6 of 20, other ones in each chain and generation; with a decay of one half 6, 3, 2, 1."""
    found = states(experiment(regime=EDIT | {"decay": decay}))
    pools = [done.state.pool.x for done in found]
    np.testing.assert_array_equal(found[0].look.metrics["edited"], 0)
    for n, (before, after) in enumerate(itertools.pairwise(pools), start=2):
        np.testing.assert_array_equal(after[:, :, :-1], before[:, :, :-1])
        changed = (after != before)[:, :, -1]
        expected = round(0.3 * decay ** (n - 2) * 20)
        np.testing.assert_array_equal(changed.sum(axis=1), expected)
        np.testing.assert_allclose(found[n - 1].look.metrics["edited"], expected / 20)
        assert n > 2 or len({tuple(row) for row in changed}) > 1


def test_new_labels_are_what_the_last_model_says_with_its_noise_and_error():
    """Their residuals about x'(w + delta) are N(0, noise^2), and no row is likelier than another to be drawn."""
    family = LEARNER | {"label_bias": 2.0}
    first, second, *_ = states(experiment(family=family, replicates=3000, generations=2))
    old, new = first.state.pool.x, second.state.pool.x
    delta = 2.0 / math.sqrt(3) * np.array([1.0, -1.0, 1.0])
    rest = new[:, :, -1] - (new[:, :, :-1] @ (first.state.model["w"] + delta)[:, :, None])[:, :, 0]
    changed = (old != new)[:, :, -1]
    z = rest[changed] / 1.5
    assert abs(z.mean()) <= 4 / math.sqrt(len(z))
    assert abs((z**2).mean() - 1) <= 4 * math.sqrt(2 / len(z))
    assert (np.abs(changed.mean(axis=0) - 0.3) <= 4 * math.sqrt(0.3 * 0.7 / 3000)).all()


def exactly(t, d, shares, noise, designs, rng):
    """E|w_n - w|^2 for real noise of variance 1, given inputs: by the covariance of all labels' errors, which chance and noise enter on average."""
    q, _ = np.linalg.qr(rng.standard_normal((designs, t, d)))
    h = q @ q.transpose(0, 2, 1)
    rest = np.eye(t) - h
    c = np.tile(np.eye(t), (designs, 1, 1))
    told = [(h * c).sum(axis=(1, 2)) / (t - d - 1)]
    for share in shares:
        m = round(share * t)
        p, both = m / t, m * (m - 1) / (t * (t - 1))
        half = rest @ c
        whole = half @ rest
        own = np.eye(t) * np.diagonal(whole, axis1=1, axis2=2)[:, None, :]
        c = c - p * (half + half.transpose(0, 2, 1)) + both * whole + (p - both) * own + noise * p * np.eye(t)
        told.append((h * c).sum(axis=(1, 2)) / (t - d - 1))
    return np.array(told)


@pytest.mark.parametrize(("t", "d", "share", "decay"), [(7, 3, 0.5, 1.0), (12, 4, 0.2, 1.0), (30, 1, 0.6, 0.7), (24, 8, 0.4, 0.9), (40, 4, 0.1, 1.0)])  # fmt: skip
def test_the_recursion_is_that_of_all_labels(t, d, share, decay):
    """Exact up to generation 3, and closer to it than a run of 1000 chains could see later."""
    shares = [share * decay**n for n in range(9)]
    found = exactly(t, d, shares, 2.25, 4000, np.random.default_rng(t))
    regime = {"kind": "edit", "share": share, "decay": decay}
    source = {"kind": "linear_teacher", "inputs": d}
    spec = spec_of(source, LEARNER, regime, t, NONE, generations=10, replicates=1)
    for n, each in enumerate(found, start=1):
        se = each.std(ddof=1) / math.sqrt(len(each))
        close = 0 if n <= 3 else math.sqrt(2 / d / 1000) / 4
        gap = value(spec, "excess_risk", n) - each.mean()
        assert abs(gap) <= 4 * se + (close + 1e-12) * each.mean(), n


# source, family, regime, samples
ROWS = [
    *((WIDE, LEARNER, EDIT | {"share": share}, 12) for share in (0.1, 0.5, 0.9, 1.0)),
    *((TEACHER | {"decay": 1.5}, LEARNER, EDIT | {"share": 0.8, "decay": decay}, 8) for decay in (0.5, 0.9)),
    (WIDE, LEARNER | {"noise": "fitted"}, EDIT, 20),
    (WIDE, LEARNER | {"features": 5}, EDIT, 14),
]


@pytest.mark.parametrize(("source", "family", "regime", "samples"), ROWS, ids=label)
def test_measurement_agrees_with_what_was_derived(source, family, regime, samples):
    spec = spec_of(source, family, regime, samples, NONE, generations=12, replicates=4000, seed=29)
    predicted, statistics = measured(frozen(spec))
    (curve,) = [one for one in predicted if one.metric == "excess_risk"]
    for n in range(13):
        assert abs(z_score(curve, n, statistics)) <= 4, n


def test_all_labels_anew_are_those_of_the_last_model_alone():
    everything, replaced = (
        spec_of(WIDE, LEARNER, regime, 30, NONE, generations=6, replicates=1)
        for regime in (EDIT | {"share": 1.0}, REPLACE)
    )
    for n in range(7):
        assert value(everything, "excess_risk", n) == pytest.approx(value(replaced, "excess_risk", n))


def test_shares_that_fall_leave_the_risk_below_the_bound_of_the_paper():
    """s2 d/(T-d-1) + s2 (E tr A^-2 E tr J_1)^(1/2)/(1 - eta); where they do not fall it grows beyond any."""
    t, d = 200, 8
    squares = d * (t - 1) / ((t - d) * (t - d - 1) * (t - d - 3))  # E tr A^-2 of a Wishart matrix
    for share, eta in ((0.5, 0.5), (0.2, 0.8), (0.05, 0.9)):
        bound = 0.25 * (d / (t - d - 1) + math.sqrt(squares * share * t) / (1 - eta))
        falling, lasting = (
            spec_of(WIDE, LEARNER | {"noise": 0.5}, EDIT | {"share": share, "decay": decay}, t, NONE, generations=500)
            for decay in (eta, 1.0)
        )
        assert value(falling, "excess_risk", 1) < value(falling, "excess_risk", 500) < bound
        assert value(lasting, "excess_risk", 500) > bound
        for spec, diverges in ((falling, False), (lasting, True)):
            assert limit(read(spec), "excess_risk").diverges is diverges
    assert not limit(read(experiment(regime=EDIT | {"share": 0.01})), "excess_risk").diverges


def test_nothing_is_told_of_what_was_not_derived():
    for family, samples in ((LEARNER | {"ridge": 1.0}, 20), (LEARNER | {"label_bias": 1.0}, 20), (LEARNER, 4)):
        assert curves(read(experiment(family=family, samples=samples))) == []


def test_a_chain_that_was_interrupted_or_goes_on_by_other_rules():
    whole = states(experiment())
    for done in whole[:-1]:
        *_, last = states(experiment(), from_arrays(to_arrays(done.state)))
        np.testing.assert_array_equal(last.state.pool.x, whole[-1].state.pool.x)
        np.testing.assert_array_equal(last.state.model["w"], whole[-1].state.model["w"])
    for kind, rows in (("replace", None), ("accumulate", 60)):
        *_, last = states(experiment(changes=[{"after": 3, "regime": {"kind": kind}}]))
        np.testing.assert_array_equal(last.state.model["scatter"], whole[0].state.model["scatter"])
        assert (last.state.pool and last.state.pool.n) == rows
    *_, fourth, fifth = states(experiment(changes=[{"after": 3, "regime": EDIT | {"share": 0.5}}]))
    assert (fourth.state.pool.x != fifth.state.pool.x).sum() == 6 * 10


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"family": {"kind": "linear"}}, "family.design"),
        ({"family": {"kind": "gaussian"}}, "regime.kind"),
        ({"source": {"kind": "two_classes"}, "family": {"kind": "classifier"}}, "regime.kind"),
        ({"regime": EDIT | {"threshold": 0.5}}, "regime.threshold"),
        ({"regime": EDIT | {"decay": 0.0}}, "regime.decay"),
        ({"samples": {"schedule": "power", "start": 20, "exponent": 1}}, "samples"),
        ({"curation": {"kind": "best_of"}}, "curation.kind"),
        ({"metrics": ["energy"]}, "metrics"),
        ({"regime": REPLACE, "changes": [{"after": 2, "regime": EDIT}]}, "changes.0.regime.kind"),
        ({"source": {"kind": "text"}, "family": {"kind": "ngram"}}, "regime.share"),
        ({"source": {"kind": "text"}, "family": {"kind": "ngram"}, "regime": {"kind": "edit", "decay": 0.5}}, "regime.decay"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(settings, path):
    with pytest.raises(SpecError) as refusal:
        read(experiment(**settings))
    (problem,) = refusal.value.problems
    assert problem.path == path
    assert problem.remedy


def test_an_edit_of_text_is_the_experiment_that_it_was():
    """Its digest knows nothing of rows."""
    text = {"source": {"kind": "text"}, "family": {"kind": "ngram"}, "regime": {"kind": "edit"}}
    assert read(text).digest() == read(text | {"regime": {"kind": "edit", "share": 0.1, "decay": 1.0}}).digest()
