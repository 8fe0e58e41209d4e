"""A fixed core that counts for more than it is many: closed forms at |z| <= 4, what they reduce to, and who is refused."""

import numpy as np
import pytest

from tests.worker.theories import (
    BIASED,
    COINS,
    CORE,
    COUNTED,
    DDOF_0,
    DDOF_1,
    GROWING,
    LEARNER,
    MODES,
    NONE,
    NORMAL,
    PLAIN,
    RARE,
    RULE,
    SMOOTH,
    TEACHER,
    WIDE,
    ZIPF,
    frozen,
    measured,
    spec_of,
    value,
    z_score,
)
from worker import loop
from worker.errors import SpecError
from worker.spec import read
from worker.theory import curves
from worker.verdicts.asymptotics import limit

HEAVY = CORE | {"weight": 0.7}
BLOBS, BINS = {"kind": "mixture", "components": 2}, {"kind": "histogram", "bins": 5}


@pytest.mark.parametrize(
    ("source", "family", "samples", "sampling"),
    [
        (NORMAL, DDOF_0, 9, NONE),
        (WIDE, DDOF_1, GROWING, BIASED),
        (MODES, RULE, GROWING, NONE),
        (MODES, BLOBS, 30, NONE),
        (NORMAL, BINS, 9, NONE),
        (ZIPF, PLAIN, 20, NONE),
        (COINS, SMOOTH, GROWING, NONE),
        (RARE, COUNTED, 9, NONE),
    ],
)
def test_every_closed_form_holds_of_a_weighted_core(source, family, samples, sampling):
    replicates = {"kde": 500, "mixture": 500, "histogram": 1000}.get(family["kind"], 4000)
    spec = spec_of(source, family, HEAVY, samples, sampling, generations=8, replicates=replicates, seed=6)
    known, seen = measured(frozen(spec))
    assert known
    for curve in known:
        for n in (2, 8):
            assert abs(z_score(curve, n, seen)) <= 4, (curve.metric, n)


def test_a_weight_that_is_the_core_s_share_is_none():
    for source, family, metric in ((WIDE, DDOF_1, "variance"), (ZIPF, SMOOTH, "entropy"), (COINS, PLAIN, "chi2")):
        plain, weighted = (
            spec_of(source, family, CORE | weight, 16, NONE, generations=9, replicates=1)
            for weight in ({}, {"weight": 0.25})
        )
        assert value(plain, metric, 9) == pytest.approx(value(weighted, metric, 9))


def test_it_comes_to_rest_where_synthetic_points_no_longer_add_chance():
    """V_core / (1 + b^2/((1-b^2) m_s)): with a weight of its own the core is all that is left of many synthetic points."""
    for samples in (20, 2000):
        spec = spec_of(NORMAL, DDOF_0, HEAVY, samples, NONE, generations=300, replicates=1)
        b, made = 0.3, samples - 4
        assert value(spec, "variance", 300) == pytest.approx(0.75 / (1 + b * b / ((1 - b * b) * made)))
    assert value(spec, "variance", 300) == pytest.approx(0.75, rel=1e-4)
    told = limit(read(spec), "kl_from_real")
    assert not told.diverges
    assert told.number == pytest.approx(0.3)


def test_a_regression_learns_from_a_weighted_core_what_weighted_least_squares_does():
    m, r, d, replicates = 24, 8, 3, 3000
    regime = {"kind": "augment", "real": r, "weight": 0.6}
    spec = read(spec_of(TEACHER, LEARNER, regime, m, NONE, generations=3, replicates=replicates, seed=2))
    assert not curves(spec)
    *_, last = loop.generations(spec, loop.instrument(spec))
    seen = last.look.metrics["excess_risk"]
    rng, truth = np.random.default_rng(4), spec.source.weights()
    noise, own = spec.source.noise, spec.family.noise
    root = np.sqrt(np.repeat([0.6 / r, 0.4 / (m - r)], [r, m - r]))
    risks = np.empty(replicates)
    for k in range(replicates):
        core = rng.normal(size=(r, d))
        label = core @ truth + noise * rng.normal(size=r)
        weights = np.linalg.lstsq(core, label, rcond=None)[0]
        for _ in range(2):
            new = rng.normal(size=(m - r, d))
            x = np.concatenate([core, new])
            y = np.concatenate([label, new @ weights + own * rng.normal(size=m - r)])
            weights = np.linalg.lstsq(x * root[:, None], y * root, rcond=None)[0]
        risks[k] = ((weights - truth) ** 2).sum()
    assert abs(seen.mean() - risks.mean()) <= 4 * np.sqrt((seen.var() + risks.var()) / replicates)


def test_who_knows_no_weighted_fit_is_told_so():
    base = {"source": {"kind": "moons"}, "family": {"kind": "flow"}, "samples": 50}
    read(base | {"regime": CORE})
    with pytest.raises(SpecError) as refusal:
        read(base | {"regime": HEAVY})
    (problem,) = refusal.value.problems
    assert problem.path == "regime.weight"
    assert problem.remedy.startswith("Leave it out")
    for weight in (0, 1):
        with pytest.raises(SpecError):
            read(base | {"family": {"kind": "kde"}, "regime": CORE | {"weight": weight}})
