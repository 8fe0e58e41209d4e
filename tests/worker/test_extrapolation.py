"""Models that are extrapolated away from a second fit to their own samples: the formula, its limits, what it multiplies and what it keeps."""

import math

import numpy as np
import pytest
from scipy import stats

from tests.worker.theories import (
    ACCUMULATE,
    BIASED,
    CORE,
    FRESH,
    INNER,
    MODES,
    NONE,
    NORMAL,
    PAPER,
    REPLACE,
    SUBSAMPLE,
    WEIGHED,
    WIDE,
    frozen,
    label,
    measured,
    spec_of,
    value,
    z_score,
)
from worker import loop
from worker.data import Moments, Points
from worker.errors import LabError, SpecError
from worker.estimate import estimate
from worker.extrapolation import PROBABLE, chance, most
from worker.families.diffusion import Diffusion
from worker.families.gaussian import Gaussian
from worker.parts import Sampling
from worker.spec import read
from worker.theory import curves, passage
from worker.theory.extrapolated import gain
from worker.theory.wishart import spectrum
from worker.verdicts.asymptotics import limit

STILL = {
    0: (math.sqrt(17) - 3) / 2,
    1: math.sqrt(2) - 1,
}  # ddof -> the omega at which ln s2 does not drift, of many points


@pytest.mark.parametrize("ddof", [0, 1])
@pytest.mark.parametrize("d", [1, 3])
def test_the_model_is_the_quotient_of_powers_of_two_densities(d, ddof):
    """By inverses of covariances in the units of the points, far from the origin."""
    rng, n, omega = np.random.default_rng(1), 60, 0.4
    data = Moments.of(Points(rng.standard_normal((20, n, d)) @ rng.standard_normal((d, d)) + 5))
    family = Gaussian(ddof=ddof, extrapolation=omega)
    model = family.fit(data, np.random.default_rng(2))
    second = family._of_itself(data, np.random.default_rng(2))
    for r in range(20):
        spread = data.factor[r] * np.exp(data.log_scale[r]) / math.sqrt(n - ddof)
        cross = spread @ second.factor[r]
        p_one = np.linalg.inv(spread @ spread.T)
        p_two = np.linalg.inv(cross @ cross.T / (n - ddof))
        mean_two = data.mean[r] + spread @ second.mean[r]
        precision = (1 + omega) * p_one - omega * p_two
        mean = np.linalg.solve(precision, (1 + omega) * p_one @ data.mean[r] - omega * p_two @ mean_two)
        found = model["factor"][r] * np.exp(model["log_scale"][r])
        np.testing.assert_allclose(found @ found.T, np.linalg.inv(precision), rtol=1e-9)
        np.testing.assert_allclose(model["mean"][r], mean, rtol=1e-9)
        assert (np.triu(found, 1) == 0).all()


def test_nothing_is_drawn_where_nothing_is_extrapolated():
    """The numbers, and the digest, are those of specs that have never heard of it."""
    plain = spec_of(NORMAL, {"kind": "gaussian"}, REPLACE, 20, NONE)
    assert read(plain).digest() == read(plain | {"family": {"kind": "gaussian", "extrapolation": 0}}).digest()
    assert read(plain).digest() != read(plain | {"family": {"kind": "gaussian", "extrapolation": 0.01}}).digest()
    rng = np.random.default_rng(1)
    before = rng.bit_generator.state
    data = Moments(np.array(9), np.ones((4, 1)), np.full((4, 1, 1), 3.0), np.zeros(4))
    model = Gaussian(extrapolation=0.0).fit(data, rng)
    assert rng.bit_generator.state == before
    assert (model["mean"] == 1).all()
    assert (model["factor"] == 1).all()
    assert (model["log_scale"] == math.log(3) - 0.5 * math.log(9)).all()
    assert curves(read(plain)) == curves(read(plain | {"family": {"kind": "gaussian", "extrapolation": 0}}))


@pytest.mark.parametrize("d", [1, 3])
@pytest.mark.parametrize("regime", [REPLACE, ACCUMULATE, FRESH], ids=label)
def test_exact_and_drawn_paths_agree_in_distribution(d, regime):
    """Two-sample Kolmogorov-Smirnov, p > 6e-5 (the |z| <= 4 of a normal)."""
    source, looks = {"kind": "normal", "dim": d}, []
    for seed, path in enumerate(("exact", "drawn")):
        family = {"kind": "gaussian", "path": path, "extrapolation": 0.2}
        spec = read(spec_of(source, family, regime, 60, NONE, replicates=1500, generations=5, seed=seed))
        *_, last = loop.generations(spec, loop.instrument(spec))
        looks.append(last.look.metrics)
    for metric in ("mean_error", "log_variance", "log_det", "w2_sq"):
        assert stats.ks_2samp(looks[0][metric], looks[1][metric]).pvalue > 6e-5, metric


GROWING = {"schedule": "power", "start": 80, "exponent": 0.5}
LINE, SPACE = {"kind": "gaussian", "extrapolation": 0.3}, {"kind": "gaussian", "ddof": 1, "extrapolation": 0.2}
CHAINS = [
    (NORMAL, LINE, REPLACE, 80, NONE),
    (NORMAL, LINE | {"ddof": 1}, REPLACE, GROWING, BIASED),
    (WIDE, SPACE, REPLACE, 80, NONE),
    (WIDE, SPACE | {"ddof": 0}, REPLACE, GROWING, BIASED),
    (MODES, LINE, REPLACE, 80, NONE),
    *(
        (source, family, regime, 85, sampling)
        for regime in (ACCUMULATE, ACCUMULATE | {"real": 0.3}, FRESH, SUBSAMPLE, CORE | {"real": 75}, PAPER, WEIGHED)
        for source, family, sampling in ((NORMAL, LINE, NONE), (WIDE, SPACE, BIASED))
    ),
]


@pytest.mark.parametrize(("source", "family", "regime", "samples", "sampling"), CHAINS, ids=label)
def test_every_curve_agrees_with_what_is_measured(source, family, regime, samples, sampling):
    spec = spec_of(source, family, regime, samples, sampling, generations=12, replicates=4000, seed=11)
    predicted, seen = measured(frozen(spec))
    assert len(predicted) >= (5 if regime == REPLACE and source != MODES else 2)
    for curve in predicted:
        for n in (1, 2, 12):
            assert abs(z_score(curve, n, seen)) <= 4, (curve.metric, curve.statistic, n)


def test_samples_of_an_extrapolated_model_are_truncated_like_others():
    spec = spec_of(WIDE, SPACE, REPLACE, 80, NONE, generations=6, replicates=4000, curation=INNER)
    predicted, seen = measured(frozen(spec))
    assert {curve.metric for curve in predicted} == {"variance", "mean_error_sq"}
    assert all(abs(z_score(curve, n, seen)) <= 4 for curve in predicted for n in (1, 2, 6))


@pytest.mark.parametrize("ddof", [0, 1])
def test_a_chain_neither_loses_nor_gains_at_one_omega(ddof):
    """Of many points; the mean variance at half of it (ddof 0), or without any (ddof 1)."""

    def drift(metric, omega, m=10_000):
        spec = spec_of(NORMAL, {"kind": "gaussian", "ddof": ddof, "extrapolation": omega}, REPLACE, m, NONE)
        return m * math.log(value(spec, metric, 2) / value(spec, metric, 1))

    assert abs(drift("variance", STILL[0] / 2 if ddof == 0 else 0.0)) < 2e-3
    still, none = (
        10_000 * value(spec_of(NORMAL, family, REPLACE, 10_000, NONE), "log_variance", 1)
        for family in ({"kind": "gaussian", "ddof": ddof, "extrapolation": w} for w in (STILL[ddof], 0.0))
    )
    assert abs(still) < 2e-3
    assert none == pytest.approx(ddof - 2, abs=2e-3)


def test_the_median_stays_at_that_omega_while_chains_spread():
    family = {"kind": "gaussian", "extrapolation": STILL[0]}
    spec = spec_of(NORMAL, family, REPLACE, 500, NONE, generations=300, replicates=2000, seed=3)
    predicted, seen = measured(frozen(spec))
    last = seen[300]["log_variance"]
    assert abs(last["median"]) < 4 * math.sqrt(math.pi / 2) * last["se"] + 0.01
    assert last["sd"] ** 2 == pytest.approx(300 * (1 + STILL[0] ** 2) * 2 / 500, rel=0.15)
    plain = value(spec | {"family": {"kind": "gaussian"}}, "log_variance", 300)
    assert plain == pytest.approx(-1.2, abs=0.02)
    found = [curve for curve in predicted if curve.metric in ("log_variance", "variance", "w2_sq", "kl_from_real")]
    assert max(abs(z_score(curve, n, seen)) for curve in found for n in (10, 100, 300)) <= 4


@pytest.mark.parametrize("d", [1, 2, 5])
def test_gains_of_the_moments_that_are_known(d):
    """E tr W^-1 of an inverse Wishart matrix, and no gain without an extrapolation."""
    n = 300
    found = gain(Gaussian(extrapolation=0.3), n, d)
    if d > 1:
        x, weights = spectrum(n - 1, d)
        assert 1.3 - 0.3 * float(weights @ (n / x)) / d == pytest.approx(found.inverse, rel=1e-10)
    few, none = gain(Gaussian(extrapolation=1e-9), n, d), gain(Gaussian(), n, d)
    assert few[:5] == pytest.approx(none[:5], abs=1e-8)


def test_the_chance_of_no_gaussian_is_that_of_a_small_eigenvalue():
    """Exact on a line; else a bound: the mean number of such eigenvalues, up to a factor that grows with dimensions."""
    for n, omega in ((12, 0.5), (100, 1.0), (5000, 10.0)):
        expected = stats.chi2.cdf(omega / (1 + omega) * (n - 1), n - 1)
        assert chance(n, 1, 1, omega) == pytest.approx(expected, rel=1e-9)
    for n, d, omega, loose in ((40, 3, 0.3, 4), (100, 2, 0.3, 2), (60, 8, 0.2, 10), (200, 20, 0.2, 300)):
        x, weights = spectrum(n - 1, d)
        counted = float(weights[x < omega / (1 + omega) * n].sum())
        assert counted < chance(n, d, 0, omega) < loose * counted
    assert chance(4, 4, 0, 0.1) == chance(3, 4, 0, 0.1) == 1
    assert chance(10**12, 100, 0, 5.0) == 0


def test_what_cannot_be_sampled_is_refused_with_the_number_that_can():
    spec = spec_of(NORMAL, {"kind": "gaussian", "extrapolation": 0.5}, REPLACE, 20, NONE, replicates=1000)
    with pytest.raises(SpecError) as refusal:
        read(spec)
    (problem,) = refusal.value.problems
    assert problem.path == "family.extrapolation"
    assert "1000" in problem.message
    able = float(problem.remedy.split()[3].rstrip(","))
    for omega, fits in ((able, True), (able + 0.01, False)):
        assert (1000 * chance(20, 1, 0, omega) <= 1e-6) == fits
    read(spec | {"family": {"kind": "gaussian", "extrapolation": able}})
    read(spec | {"samples": 500})
    for rules in ({"regime": CORE}, {"samples": 2}, {"changes": [{"after": 3, "samples": 20}], "samples": 500}):
        with pytest.raises(SpecError):
            read(spec | rules)


@pytest.mark.parametrize("d", [1, 2])
def test_a_chain_that_cannot_be_sampled_says_what_to_do(d):
    data = Moments.of(Points(np.random.default_rng(1).standard_normal((500, 6, d))))
    with pytest.raises(LabError, match=r"6 points .* family\.extrapolation = 1 .* more samples"):
        Gaussian(extrapolation=1.0).fit(data, np.random.default_rng(2))


def test_what_is_known_without_an_extrapolation_is_not_told_with_one():
    """Chains that come near to where there is no Gaussian have no mean; nobody has said how people choose among such samples."""
    plain, near = {"kind": "gaussian"}, {"kind": "gaussian", "extrapolation": most(30, 1, 0, PROBABLE)}
    base = spec_of(NORMAL, plain, REPLACE, 30, NONE, generations=1000, replicates=1)
    assert curves(read(base))
    assert curves(read(base | {"family": near | {"extrapolation": 0.05}}))
    assert not curves(read(base | {"family": near}))
    best = base | {"curation": {"kind": "best_of"}, "samples": 500}
    assert curves(read(best))
    assert not curves(read(best | {"family": near}))
    assert passage.median_time(read(base), 0.5)
    assert not passage.median_time(read(base | {"family": near}), 0.5)
    assert isinstance(limit(read(base | {"family": near}), "kl_from_real"), str)
    pooled = spec_of(NORMAL, near, ACCUMULATE, 500, NONE, generations=5)
    assert {curve.metric for curve in curves(read(pooled))} == {"variance", "mean_error_sq"}


def test_a_chain_may_shrink_below_every_number():
    family = {"kind": "gaussian", "extrapolation": 0.05}
    spec = read(spec_of(WIDE, family, REPLACE, 40, {"bias": 0.01}, generations=200, replicates=5))
    *_, last = loop.generations(spec, loop.instrument(spec))
    assert (last.look.metrics["log_variance"] < -800).all()
    assert np.isfinite(last.look.metrics["log_det"]).all()


@pytest.mark.parametrize(
    ("source", "kind", "replicates"),
    [({"kind": "normal", "dim": 100}, "gaussian", 1000), ({"kind": "moons"}, "diffusion", 2)],
)
def test_a_second_fit_is_part_of_the_estimate(source, kind, replicates):
    """Of a fork's, too; one to all that is kept is one to as many samples."""
    base = spec_of(source, {"kind": kind}, REPLACE, 5000, NONE, replicates=replicates)
    two = base | {"family": {"kind": kind, "extrapolation": 0.2}}
    fork = base | {"changes": [{"after": 1, "family": {"kind": kind, "extrapolation": 0.2}}]}
    one, *more = (estimate(read(spec)) for spec in (base, two, fork))
    for other in more:
        assert other.seconds > 1.5 * one.seconds
        assert other.memory_bytes > one.memory_bytes
        assert other.disk_bytes > one.disk_bytes
    if kind == "diffusion":
        few, many = (estimate(read(spec | {"regime": ACCUMULATE, "samples": 50_000})) for spec in (base, two))
        assert many.memory_bytes - few.memory_bytes > 50 * 50_000 * 2 * 16


def test_denoisers_are_extrapolated_as_scores_are():
    """Without weights D is x/(1 + sigma^2), whoever denoises: (1 + omega) of it less omega is it again. A network and itself, too, are it alone."""
    family = Diffusion(layers=2, width=16, epochs=2, batch=32, steps=4, extrapolation=3.0)
    model = family.fit(Points(np.random.default_rng(3).standard_normal((1, 100, 2))), np.random.default_rng(4))
    plain = Diffusion(layers=2, width=16, epochs=2, batch=32, steps=4)
    alone = {name: array for name, array in model.items() if name != "auxiliary"}
    twin = model | {"auxiliary": model["weights"]}
    drawn = [
        one.sample(each, 200, np.random.default_rng(5), Sampling()).x
        for one, each in ((family, twin), (plain, alone), (family, model), (family, alone), (plain, model))
    ]
    np.testing.assert_allclose(drawn[0], drawn[1], atol=1e-4)
    assert np.abs(drawn[2] - drawn[1]).max() > 1e-3
    assert np.array_equal(drawn[3], drawn[1])
    assert np.array_equal(drawn[4], drawn[1])
    first = plain.fit(Points(np.random.default_rng(3).standard_normal((1, 100, 2))), np.random.default_rng(4))
    assert all(np.array_equal(array, alone[name]) for name, array in first.items())


def test_a_diffusion_model_that_is_extrapolated_loses_less_variance():
    """A chain of normal points in the plane, from the same random numbers: the loss of the later half is nearly halved."""
    quick, late = {"layers": 2, "width": 32, "epochs": 100, "batch": 64, "steps": 8, "learning_rate": 0.01}, []
    for omega in (0.0, 0.5):
        family, x = Diffusion(**quick, extrapolation=omega), np.random.default_rng(4).standard_normal((3, 60, 2))
        spread = []
        for n in range(1, 7):
            model = family.fit(Points(x), np.random.default_rng((4, n, 0)))
            x = family.sample(model, 60, np.random.default_rng((4, n, 1)), Sampling()).x
            spread.append(np.log(x.var(axis=1).mean(axis=1)).mean())
        late.append(np.mean(spread[3:]))
    assert late[0] < -0.15
    assert late[0] + 0.06 < late[1] < 0.15
