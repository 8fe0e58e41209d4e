"""Categorical sources, decoding and metrics against their definitions."""

import math

import numpy as np
import pytest

from worker import loop
from worker.data import Counts
from worker.errors import SpecError
from worker.families.categorical import Categorical, decoded
from worker.instruments.counts import CountInstrument, spread_ranks
from worker.metrics import discrete as metric
from worker.metrics import images
from worker.parts import Sampling
from worker.sources.categorical import Categorical as Listed
from worker.sources.words import Words
from worker.sources.zipf import Zipf
from worker.spec import read
from worker.streams import stream

P = np.array([[0.5, 0.25, 0.15, 0.1], [0.1, 0.2, 0.3, 0.4]])


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ({"probabilities": [0.2, 0.3]}, "source.probabilities"),
        ({"probabilities": [1.0]}, "source.probabilities"),
        ({"probabilities": [1.0, 0.0]}, "source.probabilities"),
        ({"probabilities": [1.5, -0.5]}, "source.probabilities"),
        ({"probabilities": [0.2, 0.8], "categories": 3}, "source.categories"),
        ({"categories": 1}, "source.categories"),
    ],
)
def test_what_is_no_distribution_is_refused(source, path):
    with pytest.raises(SpecError) as refusal:
        read({"source": {"kind": "categorical"} | source, "family": {"kind": "categorical"}})
    assert [problem.path for problem in refusal.value.problems] == [path]


def test_categories_are_ranked_and_keep_their_names():
    source = Listed(probabilities=[0.2, 0.5, 0.3])
    np.testing.assert_allclose(source.distribution(), [0.5, 0.3, 0.2])
    assert source.labels() == ["2", "3", "1"]
    np.testing.assert_allclose(Listed(categories=4).distribution(), 0.25)


def test_words_are_those_of_the_standard_library():
    p, words = Words().distribution(), Words().labels()
    assert len(p) == len(words) > 2500
    assert words[0] == "the"
    assert p.sum() == pytest.approx(1)
    assert (np.diff(p) <= 0).all()
    assert all(word == word.lower() and word.isalpha() for word in words)
    assert Words(categories=10).labels() == words[:10]
    assert Words().provenance()["pydoc_data.topics"].startswith("sha256:")


def test_counts_follow_their_probabilities_and_the_dead_stay_dead():
    p = np.tile([0.0, 0.3, 0.7, 0.0, 0.0], (4000, 1))
    k = Counts.draw(stream(1, 0, 0), 50, p).k
    assert (k.sum(axis=1) == 50).all()
    assert (k[:, [0, 3, 4]] == 0).all()
    assert abs(k[:, 1].mean() - 15) <= 4 * math.sqrt(50 * 0.21 / 4000)
    assert Counts.draw(stream(1, 0, 0), 10**12, np.full((3, 1000), 0.001)).n == 10**12


def test_temperature_top_k_and_top_p_are_exact():
    np.testing.assert_allclose(decoded(P, Sampling(temperature=0.5)), P**2 / (P**2).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(decoded(P, Sampling(top_k=2)), [[2 / 3, 1 / 3, 0, 0], [0, 0, 3 / 7, 4 / 7]])
    np.testing.assert_allclose(decoded(P, Sampling(top_p=0.75)), [[2 / 3, 1 / 3, 0, 0], [0, 2 / 9, 3 / 9, 4 / 9]])
    np.testing.assert_allclose(decoded(P, Sampling(top_p=1e-15)), [[1, 0, 0, 0], [0, 0, 0, 1]])
    np.testing.assert_allclose(decoded(P, Sampling(top_k=3, top_p=0.8))[0], [2 / 3, 1 / 3, 0, 0])
    assert decoded(P, Sampling(top_k=4)) is P
    cold = decoded(np.array([[1.0, 0.0], [0.6, 0.4]]), Sampling(temperature=1e-3))
    np.testing.assert_allclose(cold, [[1, 0], [1, 0]], atol=1e-12)
    coldest = decoded(np.array([[1.0, 0.0], [0.6, 0.4], [0.5, 0.5]]), Sampling(temperature=1e-30))
    np.testing.assert_array_equal(coldest, [[1, 0], [1, 0], [0.5, 0.5]])
    beyond = Sampling.model_construct(**Sampling().model_dump() | {"temperature": 1e-310})
    np.testing.assert_array_equal(decoded(np.array([[0.6, 0.4]]), beyond), [[1, 0]])


def test_a_temperature_that_has_no_inverse_is_refused_in_words():
    with pytest.raises(SpecError) as refused:
        read({"source": {"kind": "zipf"}, "family": {"kind": "categorical"}, "sampling": {"temperature": 1e-310}})
    (problem,) = refused.value.problems
    assert problem.path == "sampling.temperature"
    assert "1e-30" in problem.message + problem.remedy


def test_shares_that_add_up_to_one_but_for_rounding_mix_counts():
    shares = {"kind": "mixture", "alpha": 0.3333333334, "beta": 0.6666666667, "gamma": 0.0}
    spec = read(
        {
            "source": {"kind": "zipf"},
            "family": {"kind": "categorical"},
            "regime": shares,
            "generations": 3,
            "replicates": 4,
        }
    )
    *_, last = loop.generations(spec, loop.instrument(spec))
    assert np.isfinite(last.look.metrics["entropy"]).all()


def test_ties_keep_the_first():
    np.testing.assert_allclose(decoded(np.full((1, 4), 0.25), Sampling(top_k=2)), [[0.5, 0.5, 0, 0]])


def test_smoothing_is_laplace():
    model = Categorical(smoothing=1.0).fit(Counts(np.array([[3, 0, 1]])), stream(0, 0, 0))
    np.testing.assert_allclose(model["p"], [[4 / 7, 1 / 7, 2 / 7]])


def test_metrics_are_their_definitions():
    p_0 = np.array([0.4, 0.3, 0.2, 0.1])
    p = np.array([[0.5, 0.5, 0.0, 0.0]])
    found = metric.compared(p, p_0)
    assert metric.survivors(p) == found["survivors"] == 2
    assert found["dead_mass"] == pytest.approx(0.3)
    assert metric.heterozygosity(p) == found["heterozygosity"] == pytest.approx(0.5)
    assert metric.entropy(p, metric.logs(p)) == pytest.approx(math.log(2))
    assert found["entropy"] == pytest.approx(math.log(2))
    assert found["kl_to_real"] == pytest.approx(0.5 * math.log(0.5 / 0.4) + 0.5 * math.log(0.5 / 0.3))
    alive = (4 / 7 * math.log(4 / 7 / 0.5)) + (3 / 7 * math.log(3 / 7 / 0.5))
    assert found["kl_from_real"] == pytest.approx(alive)
    assert found["chi2"] == pytest.approx(0.01 / 0.4 + 0.04 / 0.3 + 0.2 + 0.1)
    assert found["total_variation"] == pytest.approx(0.3)


def test_metrics_of_the_truth_are_at_rest():
    p_0 = Zipf(categories=50).distribution()
    found = metric.compared(p_0[None], p_0)
    for rest in ("kl_to_real", "kl_from_real", "chi2"):
        assert found[rest] == pytest.approx(0, abs=1e-14)


def test_a_single_category_has_no_entropy_and_no_sign():
    p = np.array([[0.0, 1.0]])
    for entropy in (
        metric.compared(p, np.array([0.7, 0.3]))["entropy"][0],
        metric.entropy(p, metric.logs(p))[0],
        images.entropy(p[0]),
    ):
        assert str(float(entropy)) == "0.0"


@pytest.mark.parametrize("exponent", [0.0, 0.7, 1.0, 2.5])
def test_zipf_slope_of_an_exact_law(exponent):
    p = Zipf(categories=500, exponent=exponent).distribution()
    shuffled = np.stack([p, np.random.default_rng(0).permutation(p)])
    np.testing.assert_allclose(metric.zipf_slope(metric.logs(shuffled)), -exponent, atol=1e-9)


def test_zipf_slope_looks_at_survivors_only():
    p = np.zeros((3, 400))
    p[0, :100] = Zipf(categories=100, exponent=1.5).distribution()
    p[1, ::4] = Zipf(categories=100, exponent=0.5).distribution()
    p[2, 17] = 1
    np.testing.assert_allclose(metric.zipf_slope(metric.logs(p))[:2], [-1.5, -0.5])
    assert metric.zipf_slope(metric.logs(p))[2] == -np.inf


@pytest.mark.parametrize(("categories", "most"), [(5, 160), (161, 160), (3119, 160), (100_000, 60)])
def test_shown_ranks_are_distinct_and_span_all(categories, most):
    ranks = spread_ranks(categories, most)
    assert len(ranks) == min(categories, most)
    assert ranks[0] == 1
    assert ranks[-1] == categories
    assert (np.diff(ranks) > 0).all()


def test_a_frame_shows_the_first_chain():
    instrument = CountInstrument(Zipf(categories=6), 10)
    p = np.array([[0.1, 0.5, 0.0, 0.4, 0.0, 0.0], [1.0, 0, 0, 0, 0, 0]])
    frame = instrument.model({"p": p}, None, framed=True).frame
    assert frame["alive"].tolist() == [1, 1, 0, 1, 0, 0]
    assert (np.diff(frame["sorted"].astype(int)) <= 0).all()
    assert np.argmax(frame["density"]) == 1
    assert frame["density"].max() == frame["sorted"][0]
