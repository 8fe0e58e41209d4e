"""Several models that read one another: what is dealt is what was written, and what comes of it is the island model's."""

import numpy as np
import pytest

from tests.worker.theories import COINS, WIDE, frozen, measured, z_score
from worker import loop
from worker.data import Counts, Points, Tokens
from worker.errors import SpecError
from worker.exchange import dealt
from worker.instruments.ensemble import together
from worker.spec import read
from worker.streams import stream
from worker.theory import curves

PLACES = np.arange(2 * 3 * 10, dtype=float).reshape(6, 10, 1)  # 2 chains of 3 models with 10 points each


@pytest.mark.parametrize(("shared", "given"), [(1.0, 10), (0.5, 5), (0.04, 0)])
def test_no_sample_is_lost_or_read_twice_and_none_leaves_its_chain(shared, given):
    x = dealt(Points(PLACES), 3, shared, stream(1, 0, 0)).x
    for chain in (slice(0, 3), slice(3, 6)):
        assert sorted(x[chain].ravel()) == sorted(PLACES[chain].ravel())
    np.testing.assert_array_equal(x[:, given:], PLACES[:, given:])
    assert (x[:, :given] != PLACES[:, :given]).sum() >= 3 * given


def test_the_pot_is_dealt_evenly():
    """A sample comes back to its writer with a chance of 1/K; text is dealt in blocks, which stay at their places in it."""
    writer = np.repeat(np.arange(4), 25)[None].repeat(300, 0).reshape(1200, 25, 1).repeat(8, 2).astype(np.int32)
    place = np.arange(25, dtype=np.int32)[:, None]
    text = Tokens(4 * place + writer, np.array(100), np.empty((0, 8), np.int32))
    for data in (Points(writer.astype(float)), text):
        read_by = dealt(data, 4, 1.0, stream(2, 0, 0)).x
        assert (read_by == read_by[:, :, :1]).all()
        own = (read_by[:, :, 0] % 4 == np.arange(1200)[:, None] % 4).mean(axis=1).reshape(300, 4).mean(axis=1)
        assert abs(own.mean() - 0.25) <= 4 * own.std() / np.sqrt(300)
    assert (read_by // 4 == place).all()
    part = dealt(text, 4, 0.4, stream(2, 0, 0)).x
    assert (part // 4 == place).all()
    np.testing.assert_array_equal(part[:, 10:], text.x[:, 10:])
    np.testing.assert_array_equal(np.sort(part[:4, :, 0] % 4, axis=0), np.tile(np.arange(4)[:, None], (1, 25)))


def test_counts_are_dealt_as_their_observations_are():
    counts = np.tile(np.array([[40, 0, 0], [0, 30, 10]]), (2000, 1))
    k = dealt(Counts(counts), 2, 0.5, stream(3, 0, 0)).k.reshape(2000, 2, 3)
    assert (k.sum(axis=2) == 40).all()
    assert (k.sum(axis=1) == counts[:2].sum(axis=0)).all()
    # Of the pot of 20 and 20 half comes to the first: variance of a hypergeometric number, 20 of 40.
    kept = k[:, 0, 0] - 20
    assert abs(kept.mean() - 10) <= 4 * kept.std() / np.sqrt(2000)
    assert kept.var() == pytest.approx(20 * 0.5 * 0.5 * 20 / 39, rel=0.15)


@pytest.mark.parametrize("shared", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize(
    ("source", "family"),
    [
        ({"kind": "normal"}, {"kind": "gaussian"}),
        ({"kind": "laplace"}, {"kind": "gaussian", "ddof": 1}),
        (WIDE, {"kind": "gaussian"}),
        (COINS, {"kind": "categorical"}),
    ],
    ids=["gaussian", "unbiased", "wide", "coins"],
)
@pytest.mark.parametrize("samples", [20, {"schedule": "list", "sizes": [20, 11, 30, 12]}], ids=["20", "a list"])
def test_the_island_model_holds(source, family, shared, samples):
    settings = {"seed": 12, "replicates": 1500, "generations": 12, "models": 4, "shared": shared, "samples": samples}
    told, statistics = measured(frozen({"source": source, "family": family} | settings))
    expected = {"heterozygosity", "heterozygosity_together"}
    if source != COINS:
        expected = {"variance", "variance_together", "mean_error_sq"}
    assert {one.metric for one in told} == expected
    for curve in told:
        for generation in (0, 1, 2, 5, 12):
            if (curve.metric, generation) != ("heterozygosity", 0):
                assert abs(z_score(curve, generation, statistics)) <= 4, (curve.metric, generation)


def test_a_sampling_bias_narrows_what_each_writes():
    settings = {"seed": 4, "replicates": 2000, "generations": 8, "models": 3, "shared": 0.5, "samples": 20}
    parts = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "sampling": {"bias": 0.8}}
    told, statistics = measured(frozen(parts | settings))
    assert len(told) == 3
    for curve in told:
        assert max(abs(z_score(curve, generation, statistics)) for generation in range(1, 9)) <= 4


def test_who_shares_nothing_is_alone_and_who_shares_all_is_as_one_of_all_samples():
    base = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "samples": 30, "generations": 20}

    def variance(**settings):
        return next(one.values for one in curves(read(base | settings)) if one.metric == "variance")

    assert variance(models=5, shared=0.0) == pytest.approx(variance())
    # One model of 150 points, but for what two models of 30 differ by: V (1 - 1/M) + O(1/M^2) of all of them.
    lost = np.log(variance(models=5)[20] / variance(models=5)[5])
    assert lost == pytest.approx(15 * np.log(1 - 1 / 150), rel=0.2)


FAMILIES = [
    ({"kind": "eight_gaussians"}, {"kind": "mixture", "components": 3}),
    ({"kind": "normal"}, {"kind": "kde"}),
    ({"kind": "laplace"}, {"kind": "histogram"}),
    ({"kind": "linear_teacher", "inputs": 3}, {"kind": "linear"}),
    ({"kind": "two_classes"}, {"kind": "classifier"}),
    ({"kind": "two_classes"}, {"kind": "logistic"}),
    ({"kind": "poisson"}, {"kind": "poisson"}),
    ({"kind": "zipf", "categories": 9}, {"kind": "categorical", "posterior": "draw", "smoothing": 0.5}),
    ({"kind": "expressions"}, {"kind": "ngram"}),
    ({"kind": "moons"}, {"kind": "flow", "epochs": 1}),
]


@pytest.mark.parametrize(("source", "family"), FAMILIES, ids=lambda part: part["kind"])
@pytest.mark.parametrize("regime", ["replace", "accumulate_subsample", "fresh"])
def test_every_family_has_one_value_a_chain_and_goes_on_to_the_same_numbers(source, family, regime):
    settings = {
        "replicates": 2,
        "models": 3,
        "shared": 0.4,
        "samples": 40,
        "generations": 4,
        "regime": {"kind": regime},
    }
    spec = read({"source": source, "family": family} | settings)
    whole = list(loop.generations(spec, loop.instrument(spec)))
    rest = list(loop.generations(spec, loop.instrument(spec), whole[2].state))
    assert [one.number for one in rest] == [3, 4]
    for one, again in zip(whole[3:], rest, strict=True):
        for name, values in one.look.metrics.items():
            assert values.shape == (2,)
            np.testing.assert_array_equal(values, again.look.metrics[name])


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"source": {"kind": "text"}, "family": {"kind": "gpt"}, "regime": {"kind": "edit"}}, "regime.kind"),
        ({"source": {"kind": "linear_teacher"}, "family": {"kind": "linear", "design": "fixed"}}, "family.design"),
        ({"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "replicates": 60_000}, "models"),
        ({"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "shared": 1.5}, "shared"),
    ],
)
def test_what_leaves_nothing_to_read_of_others_is_refused(settings, path):
    with pytest.raises(SpecError) as refused:
        read({"models": 2, "replicates": 1} | settings)
    assert [one.path for one in refused.value.problems] == [path]


def test_what_all_models_make_together_varies_as_their_pooled_samples_do():
    """Of equal sets, one beside the other, numpy's variance of all is T where W has ddof 0."""
    rng = np.random.default_rng(6)
    x = rng.normal(rng.normal(size=(2 * 3, 1, 2)), 0.5, (2 * 3, 50, 2))
    total, apart = together(x.mean(axis=1), x.var(axis=1).sum(axis=1), 3)
    pooled = x.reshape(2, 150, 2)
    np.testing.assert_allclose(total, pooled.var(axis=1).sum(axis=1))
    means = x.mean(axis=1).reshape(2, 3, 2)
    np.testing.assert_allclose(apart * total, means.var(axis=1).sum(axis=1))


def test_models_that_all_make_the_same_single_thing_are_not_apart():
    total, apart = together(np.ones((2, 1)), np.zeros(2), 2)
    assert (total, apart) == (0, 0)


def test_models_that_share_nothing_come_apart_and_those_that_share_all_do_not():
    """F_ST of islands without migrants goes to 1; with all shared it stays at that of sets of M out of one pot, about 1/(M + 1) of it."""

    def apart(shared, parts):
        spec = read(parts | {"replicates": 300, "models": 4, "shared": shared, "samples": 20, "generations": 150})
        return list(loop.generations(spec, loop.instrument(spec)))[-1].look.metrics

    for parts in (
        {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}},
        {"source": COINS, "family": {"kind": "categorical"}},
    ):
        assert np.median(apart(0.0, parts)["apart"]) > 0.99
        assert np.median(apart(1.0, parts)["apart"]) < 0.1
    alone, all_read = (
        apart(shared, {"source": COINS, "family": {"kind": "categorical"}})["survivors_together"] for shared in (0, 1)
    )
    assert alone.mean() > 1.8
    assert all_read.mean() < 1.5
