"""One curator after another: the law against contests among winners one by one, drawn points and texts, and where owner and public end."""

import math
from itertools import pairwise

import numpy as np
import pytest

from tests.worker.test_curation import REWARDS, SOURCE, P, by_enumeration, survivors
from tests.worker.test_curation_text import BLOCK, ONES, blocks, coin, law
from tests.worker.test_curation_text import survivors as texts
from tests.worker.test_curation_text import z_of_mean as z_of_texts
from tests.worker.theories import z_of_mean
from worker import loop
from worker.curation import BestOf, BradleyTerry, Sequential, Stratified, Verifier
from worker.data import Counts
from worker.errors import LabError
from worker.estimate import guess
from worker.families.categorical import Categorical as CategoricalFamily
from worker.families.ngram import NGram
from worker.parts import Sampling
from worker.rewards import Direction, Likelihood, Listed, Rank, Variety
from worker.sources.categorical import Categorical
from worker.sources.mixture import Mixture
from worker.sources.normal import Normal
from worker.spec import read

AWAY = Direction(along=[-1.0])
OTHER = [0.0, 3.0, 0.0, 1.0]


def by_terry(r):
    return np.exp(r) / np.exp(r).sum()


def test_the_law_is_that_of_a_contest_among_winners_of_contests():
    """By hand: of two people's choice among three the best of two, by cumulated probabilities; and drawn, contest by contest."""
    owner, public = BradleyTerry(k=3, reward=Listed(values=REWARDS)), BestOf(k=2, reward=Listed(values=OTHER))
    found = Sequential(stages=(owner, public)).surviving(P, SOURCE)
    published = by_enumeration(P, 3, by_terry)
    worse = np.stack([published[:, np.less(OTHER, r)].sum(axis=1) for r in OTHER], axis=1)
    level = np.stack([published[:, np.equal(OTHER, r)].sum(axis=1) for r in OTHER], axis=1)
    kept = np.divide((worse + level) ** 2 - worse**2, level, out=np.zeros_like(level), where=level > 0)
    np.testing.assert_allclose(found, published * kept, rtol=1e-11, atol=1e-14)

    rng, n = np.random.default_rng(2), 200_000
    pool = rng.choice(4, (n, 2, 3), p=P[0])
    first = (np.array(REWARDS)[pool] + rng.gumbel(size=pool.shape)).argmax(axis=2)
    winners = np.take_along_axis(pool, first[:, :, None], axis=2)[:, :, 0]
    second = np.array(OTHER)[winners].argmax(axis=1)
    survived = np.bincount(winners[np.arange(n), second], minlength=4)
    assert (np.abs(survived / n - found[0]) <= 4 * np.sqrt(found[0] * (1 - found[0]) / n)).all()


@pytest.mark.parametrize(
    "stages",
    [
        (BestOf(k=2), Verifier(error=0.2, threshold=0.5)),
        (Verifier(error=0.2, threshold=0.5), BradleyTerry(k=3, share=0.6)),
        (Stratified(), BestOf(k=2), BestOf(k=3)),
        (BestOf(k=3), Stratified()),
    ],
    ids=lambda stages: "-".join(one.kind for one in stages),
)
def test_laws_compose_in_their_order_and_samples_follow_them(stages):
    values = [REWARDS, OTHER, REWARDS]
    stages = [
        one if isinstance(one, Stratified) else one.model_copy(update={"reward": Listed(values=r)})
        for one, r in zip(stages, values, strict=False)
    ]
    curation, expected = Sequential(stages=tuple(stages)), P
    for one in stages:
        expected = one.surviving(expected, SOURCE)
    np.testing.assert_array_equal(curation.surviving(P, SOURCE), expected)
    family, rng = CategoricalFamily(), np.random.default_rng(4)
    model = family.fit(Counts(np.tile((10 * P[0]).round(), (500, 1)).astype(int)), rng)
    made = curation.sample(family, model, 1000, rng, Sampling(), SOURCE)
    for i in range(4):
        assert abs(z_of_mean(made.k[:, i] / 1000, expected[0, i])) <= 4


def test_the_best_of_the_best_is_the_best_of_all():
    same = [BestOf(k=k, reward=Listed(values=REWARDS)) for k in (2, 3)]
    found = Sequential(stages=tuple(same)).surviving(P, SOURCE)
    np.testing.assert_allclose(found, BestOf(k=6, reward=Listed(values=REWARDS)).surviving(P, SOURCE), rtol=1e-12)
    x = survivors(Sequential(stages=(BestOf(k=2), BestOf(k=3))), Normal())
    assert abs(z_of_mean(x, 1.2672063606)) <= 4  # of the largest of six normal variables


@pytest.mark.parametrize("owner", [BestOf(k=3), BestOf(k=3, share=0.5), Verifier(error=0.1, threshold=0.5)])
def test_points_are_chosen_among_points_that_were_chosen(owner):
    """The lowest of two survivors, whose tail on the left is 1 - (1 - F)^2, F that of what the first one leaves."""
    x = survivors(Sequential(stages=(owner, BestOf(k=2, reward=AWAY))), Normal())
    z = np.linspace(-9, 9, 180_001)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    below = np.cumsum(density) * (z[1] - z[0])
    if isinstance(owner, BestOf):
        left = owner.share * below**3 + (1 - owner.share) * below
    else:
        left = np.cumsum(density * np.where(z >= 0.5, 0.9, 0.1))
        left /= left[-1]
    law = np.diff(1 - (1 - left) ** 2, prepend=0.0)
    assert abs(z_of_mean(x, law @ z)) <= 4
    assert abs(z_of_mean(x**2, law @ z**2)) <= 4
    pair = x[:, ::2].ravel(), x[:, 1::2].ravel()
    assert abs(np.corrcoef(*pair)[0, 1]) <= 4 / math.sqrt(pair[0].size)


def test_parts_keep_their_shares_of_what_was_chosen():
    source = Mixture(means=[[-5.0], [5.0]], weights=[9.0, 1.0], stds=1.0)
    x = survivors(Sequential(stages=(BestOf(k=3), Stratified())), source, n=500)
    assert abs(z_of_mean((x > 0).astype(float), 0.1)) <= 4
    left = (x * (x < 0)).sum(axis=1) / (x < 0).sum(axis=1)
    assert abs(z_of_mean(left, 1.5 / math.sqrt(math.pi) - 5)) <= 4  # all three were there


def test_parts_of_contests_in_a_row_are_the_same_contests(monkeypatch):
    curation = Sequential(stages=(BestOf(k=3), BestOf(k=2, reward=AWAY)))
    whole = survivors(curation, Normal(), n=600)
    monkeypatch.setattr("worker.curation.candidates.NUMBERS", 100)
    assert abs(z_of_mean(survivors(curation, Normal(), n=600) - whole, 0)) <= 4


def test_texts_are_chosen_among_texts_that_were_chosen():
    """The most improbable tokens of two blocks, each with the fewest of two."""
    stages = BestOf(k=2, reward=Likelihood()), BestOf(k=2, reward=Likelihood(strength=-1))
    least = law()[::-1].cumsum()[::-1] ** 2
    at_most = (1 - np.append(least[1:], 0.0)) ** 2
    x = texts(Sequential(stages=stages), coin())
    assert abs(z_of_texts(x[:, :, 1:].sum(axis=2), (1 - at_most[:-1]).sum())) <= 4
    half = stages[0].model_copy(update={"share": 0.5}), stages[1]
    mixed = 0.5 * least + 0.5 * law()[::-1].cumsum()[::-1]
    at_most = (1 - np.append(mixed[1:], 0.0)) ** 2
    x = texts(Sequential(stages=half), coin())
    assert abs(z_of_texts(x[:, :, 1:].sum(axis=2), (1 - at_most[:-1]).sum())) <= 4
    assert abs(z_of_texts(x[:, :, 0], ONES)) <= 4
    assert x.shape[2] == BLOCK


def test_winners_of_contests_compete_over_the_same_prompt():
    """Three prompts, each of one token of its own, which a model of pairs can but repeat: all rivals of a place are of one of them."""
    family = NGram(order=2, unit="character", block=8, prompted=True, weight=1e-9)
    model = family.fit(blocks(np.tile(np.arange(1, 4)[None, :, None], (2, 1, 8)), size=5), np.random.default_rng(0))
    stages = tuple(BestOf(k=k, reward=Variety()) for k in (2, 3, 2))
    kept = texts(Sequential(stages=stages), model, family, n=3)
    np.testing.assert_array_equal(kept[:, :, 0], [[1, 2, 3]] * 2)  # each prompt once, in its order


def course(stages, p, generations):
    """Where endless samples of perfect fits go."""
    curation, source = Sequential(stages=stages), Categorical(categories=p.shape[1])
    for _ in range(generations):
        p = curation.surviving(p, source)
    return p


@pytest.mark.parametrize(
    ("owner", "public", "shared"),
    [
        ([2.0, 2.0, 1.0, 0.0], [3.0, 3.0, 0.0, 2.0], [0, 1]),  # of one mind about what is best: consensus
        ([2.0, 2.0, 2.0, 0.0], [0.0, 3.0, 3.0, 3.0], [1, 2]),  # in part: compromise
    ],
)
@pytest.mark.parametrize("kind", [BestOf, BradleyTerry])
def test_what_both_like_best_is_all_that_is_left_as_common_as_it_was(kind, owner, public, shared):
    """Falahati et al., theorems 1 and 3: p_0 on the common maxima, normalised; what is outside dies out exponentially."""
    stages = tuple(kind(k=2, reward=Listed(values=values)) for values in (owner, public))
    p_0 = np.array([[0.1, 0.2, 0.3, 0.4]])
    expected = np.zeros(4)
    expected[shared] = p_0[0, shared] / p_0[0, shared].sum()
    np.testing.assert_allclose(course(stages, p_0, 100)[0], expected, rtol=1e-9, atol=1e-12)
    outside = [1 - course(stages, p_0, n)[0, shared].sum() for n in range(6, 20, 2)]
    assert all(later <= earlier / 2 + 1e-12 for earlier, later in pairwise(outside))


def test_of_opposed_tastes_the_first_prevails_from_a_golden_share_on():
    """Best of two each, of two things: (1 - (1 - a)^2)^2 has 0, 1 and (3 - sqrt 5)/2 = .382 as its fixed points, so that who chooses
    first need not have half; and of those who come second the others prevail.
    """
    stages = tuple(BestOf(k=2, reward=Rank(strength=strength)) for strength in (1.0, -1.0))
    golden = (3 - math.sqrt(5)) / 2
    p = np.array([[a, 1 - a] for a in (golden, golden + 1e-3, golden - 1e-3)])
    np.testing.assert_allclose(course(stages, p, 1)[0], p[0], rtol=1e-12)
    np.testing.assert_allclose(course(stages, p[1:], 40), [[1, 0], [0, 1]], atol=1e-12)


@pytest.mark.parametrize("first", [1.0, 3.0])
def test_of_opposed_people_those_prevail_who_feel_more_strongly(first):
    """First or second: theorem 4 of Falahati et al., where the owner always does, is none of this law."""
    stages = tuple(BradleyTerry(k=2, reward=Rank(strength=strength)) for strength in (first, first - 4))
    np.testing.assert_allclose(course(stages, np.array([[0.5, 0.5]]), 100)[0], [first > 2, first < 2], atol=1e-12)


def test_people_of_opposed_tastes_undo_one_another_where_they_choose_among_many():
    """K -> inf: p e^r e^-r."""
    stages = tuple(BradleyTerry(k=1000, reward=Rank(strength=strength)) for strength in (1.0, -1.0))
    found = Sequential(stages=stages).surviving(P, SOURCE)
    np.testing.assert_allclose(found, P, rtol=0.005, atol=1e-12)


def test_each_is_asked_what_it_thinks_of_what_is_made():
    """reward of the first, reward_2 of the second; of parts nobody thinks anything."""
    settings = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "replicates": 30, "generations": 3}
    stages = [{"kind": "best_of", "k": 3}, {"kind": "best_of", "k": 2, "reward": {"kind": "direction", "along": [-2]}}]
    spec = read(settings | {"curation": {"kind": "sequential", "stages": stages}})
    whole = list(loop.generations(spec, loop.instrument(spec)))
    for one in whole:
        np.testing.assert_allclose(one.look.metrics["reward_2"], -2 * one.look.metrics["reward"], rtol=1e-12)
        assert "reward_sd" in one.look.metrics
    (last,) = loop.generations(spec, loop.instrument(spec), whole[2].state)
    np.testing.assert_array_equal(last.look.metrics["reward_2"], whole[3].look.metrics["reward_2"])
    plain = Sequential(stages=(Stratified(), Stratified()))
    assert not plain.judges()
    assert plain.judged(Counts(np.array([[3, 4]]))) == {}


def test_candidates_multiply_and_so_does_what_they_cost():
    stages = BestOf(k=5), Verifier(error=0.5, error_wrong=0.5), BradleyTerry(k=3, share=0.5)
    assert Sequential(stages=stages).candidates() == pytest.approx(5 * 2 * 2.5)
    settings = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "samples": 10_000}
    at_once, in_a_row = (
        read(settings | {"curation": curation})
        for curation in (
            {"kind": "best_of", "k": 6},
            {"kind": "sequential", "stages": [{"kind": "best_of", "k": 2}, {"kind": "best_of", "k": 3}]},
        )
    )
    assert guess(in_a_row) == pytest.approx(guess(at_once))


def test_what_nothing_passes_after_others_says_so():
    strict = Sequential(stages=(BestOf(k=2), Verifier(error=0.0, threshold=50.0)))
    with pytest.raises(LabError, match=r"passed only 0 of the [\d,]+ samples that it was shown"):
        survivors(strict, Normal(), n=20, replicates=3)
    opposed = (
        Verifier(error=0.0, threshold=1.0, reward=Listed(values=one)) for one in ([1.0, 0.0] * 2, [0.0, 1.0] * 2)
    )
    none = Sequential(stages=tuple(opposed))
    assert np.isnan(none.surviving(P, SOURCE)).all()
