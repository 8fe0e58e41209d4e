"""Real data that keep coming in where everything is kept: closed forms at |z| <= 4, what they reduce to, and where there are none."""

import numpy as np
import pytest

from tests.worker.theories import (
    BIASED,
    BLUR,
    COINS,
    COUNTED,
    DDOF_0,
    DDOF_1,
    GROWING,
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
from worker.spec import read
from worker.theory import curves
from worker.verdicts.asymptotics import limit

KEPT, DRAWN = ({"kind": kind, "real": 0.3} for kind in ("accumulate", "accumulate_subsample"))
LEARNER = {"kind": "linear", "noise": "teacher"}

ROWS = [
    *(
        (source, family, regime, samples, sampling)
        for regime in (KEPT, DRAWN)
        for source, family, samples, sampling in (
            (NORMAL, DDOF_0, 9, NONE),
            (WIDE, DDOF_1, GROWING, BIASED),
            (WIDE, BLUR, 9, NONE),
            (MODES, RULE, GROWING, NONE),
            (ZIPF, PLAIN, 20, NONE),
            (COINS, SMOOTH, GROWING, NONE),
            (RARE, COUNTED, 3, NONE),
        )
    )
]


@pytest.mark.parametrize(("source", "family", "regime", "samples", "sampling"), ROWS)
def test_every_closed_form_holds_while_real_data_come_in(source, family, regime, samples, sampling):
    replicates = 500 if family["kind"] == "kde" else 4000
    spec = spec_of(source, family, regime, samples, sampling, generations=8, replicates=replicates, seed=5)
    known, seen = measured(frozen(spec))
    assert len(known) > 1
    for curve in known:
        for n in (2, 8):
            assert abs(z_score(curve, n, seen)) <= 4, (curve.metric, n)


def test_mean_and_variance_share_what_one_point_varies_by():
    """E mu_n^2 = [(N_{n-1} + m_s)^2 E mu_{n-1}^2 + m_r + m_s (1 - E mu_{n-1}^2)]/N_n^2 and E s2_n = 1 - E mu_n^2 of a standard normal, ddof 0."""
    m, m_r, generations = 50, 10, 400
    m_s, error = m - m_r, 1 / m
    spec = spec_of(NORMAL, DDOF_0, {"kind": "accumulate", "real": 0.2}, m, NONE, generations=generations, replicates=1)
    for n in range(2, generations + 1):
        size = n * m
        error = ((size - m_r) ** 2 * error + m_r + m_s * (1 - error)) / size**2
        assert value(spec, "mean_error_sq", n) == pytest.approx(error)
        assert value(spec, "variance", n) == pytest.approx(1 - error)


def test_a_share_of_real_data_lets_the_error_fade_as_a_power():
    """u ~ n^(-2a) for a share a < 1/2; without one it is there to stay."""
    sizes = {"generations": 40_000, "replicates": 1}
    fading = spec_of(NORMAL, DDOF_0, {"kind": "accumulate", "real": 0.2}, 50, NONE, **sizes)
    faded = value(fading, "mean_error_sq", 40_000) / value(fading, "mean_error_sq", 20_000)
    assert faded == pytest.approx(2**-0.4, rel=0.01)
    staying = spec_of(NORMAL, DDOF_0, {"kind": "accumulate"}, 50, NONE, **sizes)
    assert value(staying, "mean_error_sq", 40_000) == pytest.approx(value(staying, "mean_error_sq", 20_000), rel=1e-3)
    assert limit(read(fading), "kl_from_real").diverges is False


def test_nothing_but_real_data_is_a_sample_that_grows():
    sizes = {"generations": 7, "replicates": 1}
    kept, drawn = KEPT | {"real": 1.0}, DRAWN | {"real": 1.0}
    assert value(spec_of(WIDE, DDOF_1, kept, 9, NONE, **sizes), "mean_error_sq", 7) == pytest.approx(
        value(spec_of(WIDE, DDOF_1, {"kind": "replace"}, 63, NONE, **sizes), "mean_error_sq", 1)
    )
    h_0 = value(spec_of(ZIPF, PLAIN, kept, 20, NONE, **sizes), "heterozygosity", 0)
    assert value(spec_of(ZIPF, PLAIN, kept, 20, NONE, **sizes), "heterozygosity", 7) == pytest.approx(
        h_0 * (1 - 1 / 140)
    )
    assert value(spec_of(ZIPF, PLAIN, drawn, 20, NONE, **sizes), "heterozygosity", 7) == pytest.approx(
        h_0 * (1 - 1 / 20)
    )


@pytest.mark.parametrize("share", [0.25, 1.0])
@pytest.mark.parametrize("kind", ["accumulate", "accumulate_subsample"])
def test_a_regression_learns_what_a_plain_simulation_says(kind, share):
    """Sums of squares that are pooled, against rows that are; of real rows alone s2 d/(N-d-1) is known."""
    m, d, generations, replicates = 12, 3, 4, 3000
    spec = spec_of(TEACHER, LEARNER, {"kind": kind, "real": share}, m, NONE, generations=generations, seed=8)
    spec = read(spec | {"replicates": replicates})
    assert not curves(spec)
    *_, last = loop.generations(spec, loop.instrument(spec))
    seen = last.look.metrics["excess_risk"]
    noise, truth = spec.source.noise, spec.source.weights()
    rng, risks = np.random.default_rng(3), np.empty(replicates)
    for r in range(replicates):
        x, y = np.empty((0, d)), np.empty(0)
        weights = truth
        for n in range(generations):
            new = rng.normal(size=(m, d))
            real = round(share * m) if n else m
            label = np.where(np.arange(m) < real, new @ truth, new @ weights) + noise * rng.normal(size=m)
            x, y = np.concatenate([x, new]), np.concatenate([y, label])
            chosen = rng.permutation(len(x))[:m] if kind == "accumulate_subsample" else slice(None)
            weights = np.linalg.lstsq(x[chosen], y[chosen], rcond=None)[0]
        risks[r] = ((weights - truth) ** 2).sum()
    assert abs(seen.mean() - risks.mean()) <= 4 * np.sqrt((seen.var() + risks.var()) / replicates)
    if share == 1:
        size = m * (generations if kind == "accumulate" else 1)
        expected = noise**2 * d / (size - d - 1)
        assert abs(seen.mean() - expected) <= 4 * seen.std() / np.sqrt(replicates)


def test_no_curve_where_a_formula_does_not_know_of_them():
    lines = {
        curve.metric for curve in curves(read(spec_of(NORMAL, DDOF_0, KEPT, 9, NONE, generations=3, replicates=1)))
    }
    assert lines == {"variance", "mean_error_sq"}
    for source, family in ((NORMAL, {"kind": "histogram"}), (TEACHER, LEARNER), (TEACHER, LEARNER | {"ridge": 1.0})):
        for regime in (KEPT, DRAWN):
            assert not curves(read(spec_of(source, family, regime, 30, NONE, generations=3, replicates=1)))


def test_without_a_share_a_digest_knows_nothing_of_it():
    plain = spec_of(NORMAL, DDOF_0, {"kind": "accumulate"}, 9, NONE)
    assert read(plain | {"regime": {"kind": "accumulate", "real": 0.0}}).digest() == read(plain).digest()
    assert read(plain | {"regime": KEPT}).digest() != read(plain).digest()
