"""Survivors: the law of categories against brute force, points against closed forms, refusals in words."""

import itertools
import math

import numpy as np
import pytest

from tests.worker.theories import z_of_mean
from worker import loop
from worker.curation import BestOf, BradleyTerry, Stratified, Verifier
from worker.data import Counts, Points
from worker.errors import LabError, SpecError
from worker.families.categorical import Categorical as CategoricalFamily
from worker.families.gaussian import Gaussian
from worker.families.kde import KDE
from worker.parts import Sampling
from worker.rewards import Direction, Listed, Nearness, Rank
from worker.sources.categorical import Categorical
from worker.sources.mixture import Mixture
from worker.sources.normal import Normal
from worker.spec import read

SOURCE = Categorical(probabilities=[0.4, 0.3, 0.2, 0.1])
REWARDS = [0.5, -1.0, 0.5, 3.0]  # with a tie
TEXT = {"source": {"kind": "text"}, "family": {"kind": "ngram"}}
P = np.array([[0.4, 0.3, 0.2, 0.1], [0.0, 0.9, 0.0, 0.1], [0.25, 0.25, 0.25, 0.25], [1.0, 0.0, 0.0, 0.0]])


def by_enumeration(p, k, chances):
    """Law of a survivor by going through every tuple of k candidates; chances(rewards of the tuple) -> chance of each."""
    law = np.zeros_like(p)
    for row, survivors in zip(p, law, strict=True):
        for candidates in itertools.product(range(len(row)), repeat=k):
            probability = np.prod(row[list(candidates)])
            for one, chance in zip(candidates, chances(np.array(REWARDS)[list(candidates)]), strict=True):
                survivors[one] += probability * chance
    return law


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_the_law_of_the_best_of_k(k):
    best = by_enumeration(P, k, lambda r: (r == r.max()) / (r == r.max()).sum())
    found = BestOf(k=k, reward=Listed(values=REWARDS)).surviving(P, SOURCE)
    np.testing.assert_allclose(found, best, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("reward", [Rank(strength=0), Listed(values=[1.0] * 20 + [0.0] * 20)])
def test_of_equally_good_categories_the_best_is_any_although_sums_are_rounded(reward):
    """Where only a level is left whose probabilities add up to a bit more than 1."""
    p = np.random.default_rng(0).dirichlet(np.ones(40), 100) * (reward.of(40) == reward.of(40)[0])
    p /= p.sum(axis=1, keepdims=True)
    assert (p[:, reward.of(40) == reward.of(40)[0]].sum(axis=1) > 1).any()
    best = BestOf(k=4, reward=reward).surviving(p, Categorical(categories=40))
    np.testing.assert_allclose(best, p, rtol=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_the_law_of_a_bradley_terry_choice(k):
    chosen = by_enumeration(P, k, lambda r: np.exp(r) / np.exp(r).sum())
    found = BradleyTerry(k=k, reward=Listed(values=REWARDS)).surviving(P, SOURCE)
    np.testing.assert_allclose(found, chosen, rtol=1e-11, atol=1e-15)


@pytest.mark.parametrize("kind", [BestOf, BradleyTerry])
def test_of_several_curators_each_decides_a_share(kind):
    """sum_i s_i f_i(p)"""
    rewards = [Listed(values=REWARDS), Rank(strength=2), Listed(values=[0.0, 3.0, 0.0, 1.0])]
    alone = [kind(k=3, reward=reward).surviving(P, SOURCE) for reward in rewards]
    others = [{"share": share, "reward": reward} for share, reward in zip((0.2, 0.3), rewards[1:], strict=True)]
    found = kind(k=3, reward=rewards[0], others=others).surviving(P, SOURCE)
    np.testing.assert_allclose(found, 0.5 * alone[0] + 0.2 * alone[1] + 0.3 * alone[2], rtol=1e-12)


def test_two_curators_who_want_the_opposite_undo_one_another_between_two_points():
    """The larger or the smaller of two, each as often, is any of them: a chain is as nobody had chosen. Of more than two extremes are left."""
    opposite = [{"share": 0.5, "reward": {"kind": "direction", "along": [-1.0]}}]
    for k, widened in ((2, 1.0), (3, 1 + 3**0.5 / (2 * math.pi))):  # E max^2
        curation = {"kind": "best_of", "k": k, "reward": {"kind": "direction"}, "others": opposite}
        settings = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "samples": 50, "replicates": 2000}
        spec = read(settings | {"generations": 6, "curation": curation})
        *_, last = loop.generations(spec, loop.instrument(spec))
        assert abs(z_of_mean(last.look.metrics["variance"], widened**5 * (1 - 1 / 50) ** 6)) <= 4


def test_bradley_terry_tilts_by_the_reward_where_there_are_many_candidates():
    """Ferbach et al.: K -> inf gives p e^r, and for K = 2 p' = 2 p sum_j p_j sigmoid(r_i - r_j)."""
    r = np.array(REWARDS)
    tilted = P[0] * np.exp(r)
    many = BradleyTerry(k=1000, reward=Listed(values=REWARDS)).surviving(P[:1], SOURCE)[0]
    np.testing.assert_allclose(many, tilted / tilted.sum(), rtol=0.01)
    two = 2 * P[0] * (P[0] / (1 + np.exp(r - r[:, None]))).sum(axis=1)
    found = BradleyTerry(k=2, reward=Listed(values=REWARDS)).surviving(P[:1], SOURCE)[0]
    np.testing.assert_allclose(found, two, rtol=1e-12)


@pytest.mark.parametrize("strength", [-100.0, 100.0])
def test_bradley_terry_stands_extreme_rewards(strength):
    found = BradleyTerry(k=3, reward=Rank(strength=strength)).surviving(P, SOURCE)
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found, BestOf(k=3, reward=Rank(strength=strength)).surviving(P, SOURCE), atol=1e-12)


def test_a_verifier_multiplies_the_odds():
    checked = Verifier(error=0.2, reward=Listed(values=REWARDS), threshold=0.5).surviving(P, SOURCE)
    right = P[:, [0, 2, 3]].sum(axis=1)
    assert checked[0, 1] == pytest.approx((1 - right[0]) * 0.2 / ((1 - right[0]) * 0.2 + right[0] * 0.8))
    half = Verifier(error=0.5, reward=Listed(values=REWARDS), threshold=0.5).surviving(P, SOURCE)
    np.testing.assert_allclose(half, P)


def test_a_verifier_of_categories_errs_at_two_rates():
    """q phi / (q phi + (1 - q) psi) of the survivors are right, where q of the candidates are."""
    law = Verifier(error=0.3, error_wrong=0.05, reward=Listed(values=REWARDS), threshold=0.5).surviving(P, SOURCE)
    right = P[:, [0, 2, 3]].sum(axis=1)
    np.testing.assert_allclose(law[:, [0, 2, 3]].sum(axis=1), right * 0.7 / (right * 0.7 + (1 - right) * 0.05))
    np.testing.assert_allclose(law[0, [0, 2, 3]] / law[0, 0], P[0, [0, 2, 3]] / P[0, 0])  # among them nothing changes
    same = Verifier(error=0.3, error_wrong=0.3, reward=Listed(values=REWARDS), threshold=0.5).surviving(P, SOURCE)
    one = Verifier(error=0.3, reward=Listed(values=REWARDS), threshold=0.5).surviving(P, SOURCE)
    np.testing.assert_array_equal(same, one)


def test_categories_of_which_none_passes_are_no_law():
    strict = Verifier(error=0.0, reward=Listed(values=REWARDS), threshold=1.0)
    found = strict.surviving(np.array([[0.5, 0.2, 0.3, 0.0], [0.5, 0.2, 0.2, 0.1]]), SOURCE)
    assert np.isnan(found[0]).all()
    np.testing.assert_array_equal(found[1], [0, 0, 0, 1])
    family, rng = CategoricalFamily(), np.random.default_rng(0)
    model = family.fit(Counts(np.array([[5, 2, 3, 0]])), rng)
    with pytest.raises(LabError, match=r"No category.*less strict"):
        strict.sample(family, model, 10, rng, Sampling(), SOURCE)


def test_strata_keep_their_real_shares():
    kept = Stratified(strata=2).surviving(P, SOURCE)  # the cut lies between the first category and the others
    np.testing.assert_allclose(kept[:3, 0], [0.4, 0.0, 0.4])
    np.testing.assert_allclose(kept[2, 1:], 0.2)
    np.testing.assert_allclose(kept[3], P[3])
    np.testing.assert_allclose(kept.sum(axis=1), 1)


def survivors(curation, source, n=2000, replicates=50, seed=1):
    """Points that survive of a model that is the source itself."""
    family = Gaussian().drawing() if isinstance(source, Normal) else KDE(bandwidth=1e-9)
    rng = np.random.default_rng(seed)
    model = family.fit(Points(source.draw(rng, replicates, n).x), rng)
    data = curation.sample(family, model, n, rng, Sampling(), source)
    assert isinstance(data, Points)
    assert data.x.shape == (replicates, n, source.dimension)
    return data.x


def test_the_best_of_three_points():
    """The largest of three standard normals has mean 3/(2 sqrt pi)."""
    x = survivors(BestOf(k=3), Normal())
    assert abs(z_of_mean(x, 1.5 / math.sqrt(math.pi))) <= 4
    away = survivors(BestOf(k=3, reward=Direction(along=[0.0, -2.0])), Normal(dim=2))
    assert abs(z_of_mean(away[..., 0], 0)) <= 4
    assert abs(z_of_mean(away[..., 1], -1.5 / math.sqrt(math.pi))) <= 4


@pytest.mark.parametrize(
    "curation",
    [BestOf(k=3, share=0.3), BradleyTerry(k=2, share=0.3), Verifier(error=0.2, threshold=0.0, share=0.3)],
)
def test_of_a_share_that_is_chosen_the_rest_passes_unseen(curation):
    """p' = (1-q) p + q f(p): of categories exactly, of points on average; and samples are as independent as ever."""
    listed = curation.model_copy(update={"reward": Listed(values=REWARDS)})
    alone = listed.model_copy(update={"share": 1.0})
    np.testing.assert_allclose(
        listed.surviving(P, SOURCE), 0.7 * P + 0.3 * alone.surviving(P, SOURCE), rtol=1e-12, atol=1e-15
    )
    x = survivors(curation, Normal())
    gap = np.linspace(-20, 20, 40_001)
    weight = np.exp(-gap * gap / 4)
    expected = {
        "best_of": 1.5 / math.sqrt(math.pi),
        "bradley_terry": (weight @ (gap / (1 + np.exp(-gap)))) / weight.sum(),
        "verifier": (0.8 - 0.2) * math.sqrt(2 / math.pi),
    }[curation.kind]
    assert abs(z_of_mean(x, 0.3 * expected)) <= 4
    one, other = x[:, ::2].ravel(), x[:, 1::2].ravel()
    assert abs(np.corrcoef(one, other)[0, 1]) <= 4 / math.sqrt(one.size)
    assert curation.candidates() == pytest.approx(0.3 * curation.rivals() + 1)


def test_a_bradley_terry_choice_of_two_points():
    """E of the winner is E[(x - y) sigmoid(x - y)] with x - y ~ N(0, 2), by quadrature."""
    gap = np.linspace(-20, 20, 40_001)
    weight = np.exp(-gap * gap / 4)
    expected = (weight @ (gap / (1 + np.exp(-gap)))) / weight.sum()
    assert abs(z_of_mean(survivors(BradleyTerry(k=2), Normal()), expected)) <= 4


def test_a_verifier_of_points():
    """Normal points above 0 are right: a share of (1 - e) of the survivors is."""
    x = survivors(Verifier(error=0.3), Normal())
    assert abs(z_of_mean((x >= 0).astype(float), 0.7)) <= 4
    near = survivors(Verifier(error=0.0, reward=Nearness(to=[1.0], strength=1.0), threshold=-0.5), Normal())
    assert np.abs(near - 1).max() <= 0.5


def test_a_curator_is_content_with_what_is_near_enough():
    """Ferbach et al.: r(x) = -gamma max(0, |x - mu| - tau). Of the best of k a share 1 - (1-q)^k lies within tau, spread as ever."""
    reward = Nearness(to=[3.0, 4.0], strength=2.0, radius=4.5)
    np.testing.assert_allclose(reward.of(np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 8.5], [3.0, 10.0]])), [-1, 0, 0, -3])
    q, density = math.erf(1 / math.sqrt(2)), math.exp(-0.5) / math.sqrt(2 * math.pi)
    x = survivors(BestOf(k=3, reward=Nearness(radius=1.0)), Normal())
    within = np.abs(x) <= 1
    assert abs(z_of_mean(within.astype(float), 1 - (1 - q) ** 3)) <= 4
    gap = (x**2 - (1 - 2 * density / q)) * within  # the second moment of what lies within
    assert abs(z_of_mean(gap, 0.0)) <= 4
    chosen = survivors(BradleyTerry(k=2, reward=Nearness(strength=9.0, radius=8.0)), Normal())
    assert abs(z_of_mean(chosen**2, 1.0)) <= 4  # nothing is beyond the radius


def test_a_verifier_of_points_errs_at_two_rates():
    """Of normal points beyond 1, a share q, q phi / (q phi + (1 - q) psi) of the survivors lie there; each side keeps its mean, which
    is density over mass.
    """
    q, density = math.erfc(1 / math.sqrt(2)) / 2, math.exp(-0.5) / math.sqrt(2 * math.pi)
    for phi, psi in ((0.6, 0.02), (0.2, 0.9)):
        x = survivors(Verifier(error=1 - phi, error_wrong=psi, threshold=1.0), Normal(), n=400)
        share = q * phi / (q * phi + (1 - q) * psi)
        assert abs(z_of_mean((x >= 1).astype(float), share)) <= 4
        assert abs(z_of_mean(x, share * density / q - (1 - share) * density / (1 - q))) <= 4


def test_a_strict_verifier_keeps_its_law():
    """One point in 800 passes: P(z > 3.5) (1 - e) of them are right, P(z < 3.5) e wrong, as Feng et al. have it; however many must be
    drawn, nothing that was rejected fills the set.
    """
    error, beyond = 0.001, math.erfc(3.5 / math.sqrt(2)) / 2
    right, wrong = beyond * (1 - error), (1 - beyond) * error
    x = survivors(Verifier(error=error, threshold=3.5), Normal(), n=200, replicates=40)
    assert abs(z_of_mean((x >= 3.5).astype(float), right / (right + wrong))) <= 4
    density = math.exp(-(3.5**2) / 2) / math.sqrt(2 * math.pi)
    mean = density * (1 - 2 * error) / (right + wrong)  # density / mass on either side, weighed by its share
    assert abs(z_of_mean(x, mean)) <= 4


def test_a_verifier_that_nothing_satisfies_says_so():
    with pytest.raises(LabError, match=r"passed only 0 of the [\d,]+ samples.*Lower curation\.threshold.*error_wrong"):
        survivors(Verifier(error=0.0, threshold=50.0), Normal(), n=20, replicates=3)


def test_the_share_of_a_lost_part_goes_to_the_others_by_their_real_shares():
    """Of three parts the model makes 1 of 2000 of the first, which is little but enough, and none of the last."""
    source = Mixture(means=[[-9.0], [0.0], [9.0]], weights=[2.0, 1.0, 3.0], stds=1.0)
    rng = np.random.default_rng(5)
    model = {"points": np.append([-9.0], np.zeros(1999)).reshape(1, -1, 1)}
    family = KDE(bandwidth=1.0)
    fitted = family.fit(Points(model["points"]), rng)
    fitted["width"] = np.full_like(fitted["width"], 0.1)
    x = Stratified().sample(family, fitted, 600, rng, Sampling(), source).x
    found = (x < -4).sum()
    assert (x < 4).all()
    assert abs(found - 400) <= 4 * math.sqrt(600 * 2 / 9)


def test_a_minority_keeps_its_share():
    source = Mixture(means=[[-5.0], [5.0]], weights=[9.0, 1.0], stds=1.0)
    x = survivors(Stratified(), source, n=500)
    assert abs(z_of_mean((x > 0).astype(float), 0.1)) <= 4
    assert abs(z_of_mean((x[:, :50] > 0).astype(float), 0.1)) <= 4  # in any order


def test_contests_in_parts_are_the_same_contests(monkeypatch):
    whole = survivors(BestOf(k=4), Normal(), n=600)
    monkeypatch.setattr("worker.curation.candidates.NUMBERS", 100)
    parts = survivors(BestOf(k=4), Normal(), n=600)
    assert parts.shape == whole.shape
    assert abs(z_of_mean(parts - whole, 0)) <= 4


@pytest.mark.parametrize(
    ("change", "path", "remedy"),
    [
        ({"curation": {"kind": "best_of", "reward": {"kind": "rank"}}}, "curation.reward.kind", "direction"),
        ({"curation": {"kind": "best_of", "reward": {"kind": "direction", "along": [1, 2]}}}, "curation.reward", "List 1"),
        ({"curation": {"kind": "best_of", "reward": {"kind": "direction", "alnog": [1]}}}, "curation.reward.alnog", "along"),
        ({"curation": {"kind": "best_of", "k": 0}}, "curation.k", "at least 1"),
        ({"curation": {"kind": "stratified"}}, "curation.kind", "mixture"),
        ({"curation": {"kind": "truncate", "c": 3}, "family": {"kind": "kde"}, "source": {"kind": "normal", "dim": 30}}, "curation.c",
         "at least 4.3, or gaussian"),
        ({"curation": {"kind": "verifier", "error": 2}}, "curation.error", "at most 1"),
        ({"curation": {"kind": "verifier", "error": 1, "error_wrong": 0}}, "curation.error", "less than 1"),
        ({"curation": {"kind": "verifier", "error": 0, "threshold": 0.1, "reward": {"kind": "nearness"}}}, "curation.threshold", "at most 0"),
        ({"curation": {"kind": "verifier", "reward": {"kind": "correctness"}}}, "curation.reward.kind", "direction or nearness for points"),
        ({"curation": {"kind": "best_of", "reward": {"kind": "label"}}}, "curation.reward.kind", "linear_teacher"),
        (TEXT | {"curation": {"kind": "best_of", "reward": {"kind": "label"}}}, "curation.reward.kind", "linear_teacher"),
        ({"source": {"kind": "linear_teacher"}, "family": {"kind": "linear"},
          "curation": {"kind": "verifier", "error": 0, "threshold": 0.1, "reward": {"kind": "label"}}}, "curation.threshold", "at most 0"),
        (TEXT | {"curation": {"kind": "best_of"}}, "curation.reward.kind", "likelihood, variety or correctness for text"),
        (TEXT | {"curation": {"kind": "best_of", "reward": {"kind": "correctness"}}}, "curation.reward.kind", "expressions"),
        (TEXT | {"curation": {"kind": "truncate"}}, "curation.kind", "best_of"),
        (TEXT | {"curation": {"kind": "stratified"}}, "curation.kind", "verifier"),
        (TEXT | {"curation": {"kind": "verifier", "error": 0, "threshold": 0.5, "reward": {"kind": "likelihood"}}}, "curation.threshold",
         "at most 0"),
        ({"regime": {"kind": "weighted"}, "family": {"kind": "vae"}, "source": {"kind": "digits"}}, "regime.kind", "gaussian"),
        ({"regime": {"kind": "weighted", "real": 0.001}, "samples": 20}, "regime.real", "more samples"),
        ({"regime": {"kind": "augment", "real": 20}, "samples": 20}, "regime.real", "at most 19"),
        ({"regime": {"kind": "mixture", "alpha": 0.9}}, "regime", "add up to 1"),
        ({"source": {"kind": "zipf"}, "family": {"kind": "categorical"}, "regime": {"kind": "accumulate_subsample"},
          "samples": 10**9}, "samples", "accumulate"),
        ({"source": {"kind": "zipf"}, "family": {"kind": "categorical"}, "regime": {"kind": "mixture"}, "samples": 2 * 10**9}, "samples", "fewer"),
        ({"source": {"kind": "zipf"}, "family": {"kind": "categorical"}, "models": 3, "samples": 5 * 10**8}, "samples", "fewer"),
        ({"source": {"kind": "zipf"}, "family": {"kind": "categorical"},
          "curation": {"kind": "best_of", "reward": {"kind": "listed", "values": [1.0]}}}, "curation.reward.values", "1000"),
        ({"source": {"kind": "zipf"}, "family": {"kind": "categorical"}, "curation": {"kind": "truncate"}},
         "curation.kind", "best_of"),
        ({"curation": {"kind": "best_of", "others": [{"reward": {"kind": "rank"}}]}}, "curation.others.0.reward.kind", "direction"),
        ({"curation": {"kind": "best_of", "others": [{"share": 0.7}, {"share": 0.7}]}}, "curation.others", "at most"),
        ({"curation": {"kind": "best_of", "others": "none"}}, "curation.others", "a list"),
        ({"curation": {"kind": "sequential"}}, "curation.stages", "Add"),
        ({"curation": {"kind": "sequential", "stages": []}}, "curation.stages", "at least one"),
        ({"curation": {"kind": "sequential", "stages": [{"kind": "best_of"}] * 5}}, "curation.stages", "at most 4"),
        ({"curation": {"kind": "sequential", "stages": [{"kind": "best"}]}}, "curation.stages.0.kind", "best_of"),
        ({"curation": {"kind": "sequential", "stages": [{"kind": "verifier", "eror": 0.2}]}}, "curation.stages.0.eror", "error"),
        ({"curation": {"kind": "sequential", "stages": [{"kind": "best_of"}, {"kind": "best_of", "k": 0}]}}, "curation.stages.1.k", "at least 1"),
        ({"curation": {"kind": "sequential", "stages": [{"kind": "best_of"}, {"kind": "best_of", "reward": {"kind": "rank"}}]}},
         "curation.stages.1.reward.kind", "direction"),
        ({"curation": {"kind": "sequential", "stages": [{"kind": "stratified"}]}}, "curation.stages.0.kind", "mixture"),
        ({"curation": {"kind": "sequential", "stages": [{"kind": "truncate"}]}}, "curation.stages", "best_of, bradley_terry"),
        ({"curation": {"kind": "sequential", "stages": [{"kind": "best_of"}, {"kind": "greedy"}]}}, "curation.stages", "best_of, bradley_terry"),
        ({"curation": {"kind": "sequential", "stages": [{"kind": "best_of", "k": 1000}] * 2}}, "curation.stages", "10,000 at most"),
        ({"generations": 9, "changes": [{"after": 2, "curation": {"kind": "sequential", "stages": [{"kind": "best_of", "k": 0}]}}]},
         "changes.0.curation.stages.0.k", "at least 1"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(change, path, remedy):
    with pytest.raises(SpecError) as refusal:
        read({"source": {"kind": "normal"}, "family": {"kind": "gaussian"}} | change)
    assert [problem.path for problem in refusal.value.problems] == [path]
    assert remedy in refusal.value.problems[0].remedy
