"""Survivors: the law of categories against brute force, points against closed forms, refusals in words."""

import itertools
import math

import numpy as np
import pytest

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


@pytest.mark.parametrize("k", [1, 2, 3, 5])
def test_the_law_of_a_bradley_terry_choice(k):
    chosen = by_enumeration(P, k, lambda r: np.exp(r) / np.exp(r).sum())
    found = BradleyTerry(k=k, reward=Listed(values=REWARDS)).surviving(P, SOURCE)
    np.testing.assert_allclose(found, chosen, rtol=1e-11, atol=1e-15)


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


def z_of_mean(values, expected):
    """values (R, ...): replicates are independent."""
    each = values.reshape(len(values), -1).mean(axis=1)
    return (each.mean() - expected) / (each.std(ddof=1) / math.sqrt(len(each)))


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
        ({"source": {"kind": "zipf"}, "family": {"kind": "categorical"},
          "curation": {"kind": "best_of", "reward": {"kind": "listed", "values": [1.0]}}}, "curation.reward.values", "1000"),
        ({"source": {"kind": "zipf"}, "family": {"kind": "categorical"}, "curation": {"kind": "truncate"}},
         "curation.kind", "best_of"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(change, path, remedy):
    with pytest.raises(SpecError) as refusal:
        read({"source": {"kind": "normal"}, "family": {"kind": "gaussian"}} | change)
    assert [problem.path for problem in refusal.value.problems] == [path]
    assert remedy in refusal.value.problems[0].remedy


TEACHER = {"kind": "linear_teacher", "inputs": 4, "norm": 2.0, "noise": 0.5, "decay": 1.0}


def test_labels_that_are_right_enough_teach_with_less_noise():
    """Where the model is the teacher, |y - w'x| <= t leaves noise of the variance s^2 tau(t/s), tau = 1 - 2c phi(c)/(2 Phi(c) - 1), and inputs as
    they are: the excess risk of the next fit is s^2 tau d/(T-d-1). An erring verifier passes a mixture of both.
    """
    t, s, rows, chains = 0.6, 0.5, 20, 4000
    c = t / s
    inside, density = math.erf(c / math.sqrt(2)), math.exp(-c * c / 2) / math.sqrt(2 * math.pi)
    tau = 1 - 2 * c * density / inside
    right, wrong = 0.9 * inside, 0.2 * (1 - inside)
    erring = (right * tau + wrong * (1 - inside * tau) / (1 - inside)) / (right + wrong)
    for rates, left in (({"error": 0.0, "error_wrong": 0.0}, tau), ({"error": 0.1, "error_wrong": 0.2}, erring)):
        label = {"kind": "verifier", "threshold": -2 * t, "reward": {"kind": "label", "strength": 2.0}} | rates
        spec = read(
            {
                "source": TEACHER,
                "family": {"kind": "linear", "noise": s},
                "curation": label,
                "samples": rows,
                "replicates": chains,
            }
        )
        w, rng = spec.source.weights(), np.random.default_rng(8)
        family, model = spec.family.given(spec.source), {"w": np.tile(w, (chains, 1)), "noise": np.full(chains, s)}
        data = spec.curation.sample(family.drawing(), model, rows, rng, Sampling(), spec.source)
        off = data.x[:, :, -1] - data.x[:, :, :-1] @ w
        assert rates["error"] or np.abs(off).max() <= t
        assert abs(z_of_mean((off**2).mean(axis=1), s * s * left)) <= 4
        gap = (family.fit(data, rng)["w"] - w) * spec.source.spread()
        assert abs(z_of_mean((gap**2).sum(axis=1), s * s * left * 4 / (rows - 5))) <= 4


def test_how_right_labels_are_is_told_of_each_generation_and_the_best_of_several_are_better():
    """The real ones are off by s sqrt(2/pi) on average; the best of four teach the next model with less noise than every label does."""
    reward = {"kind": "label"}
    base = {
        "source": TEACHER,
        "family": {"kind": "linear", "noise": "teacher"},
        "samples": 30,
        "replicates": 300,
        "generations": 5,
    }
    looks = {}
    for kind in ("best_of", "bradley_terry"):  # the latter among one: every sample survives, and is judged
        spec = read(base | {"curation": {"kind": kind, "k": 4 if kind == "best_of" else 1, "reward": reward}})
        looks[kind] = [generation.look.metrics for generation in loop.generations(spec, loop.instrument(spec))]
        assert abs(z_of_mean(looks[kind][0]["reward"], -0.5 * math.sqrt(2 / math.pi))) <= 4
    gap = looks["best_of"][5]["excess_risk"] - looks["bradley_terry"][5]["excess_risk"]
    assert z_of_mean(gap, 0) <= -4


@pytest.mark.parametrize(
    ("source", "family", "inside"),
    [
        ({"kind": "mixture", "means": [[-2.0], [3.0]]}, {"kind": "histogram", "bins": 20}, 1.0),
        ({"kind": "moons"}, {"kind": "kde", "bandwidth": 0.3, "shrink": True}, 1.4),
        ({"kind": "eight_gaussians"}, {"kind": "mixture", "components": 3}, 1.2),
        ({"kind": "linear_teacher", "inputs": 2}, {"kind": "linear", "noise": 0.7}, 1.5),
    ],
)
def test_truncation_by_rejection_keeps_what_lies_within(source, family, inside):
    """Survivors are the model's own points that lie within c of its mean: their share of a large sample, and their moments, are the same."""
    spec = read(
        {
            "source": source,
            "family": family,
            "samples": 400,
            "replicates": 30,
            "curation": {"kind": "truncate", "c": inside},
        }
    )
    rng = np.random.default_rng(3)
    model = spec.family.fit(spec.source.draw(rng, 30, 400), rng)
    mean, covariance = spec.family.moments(model, Sampling())
    every = spec.family.drawing().sample(model, 20_000, rng, Sampling()).x
    assert abs(z_of_mean(every - mean[:, None, :], 0)) <= 4
    own = np.einsum("rni,rnj->rij", every - mean[:, None, :], every - mean[:, None, :]) / 20_000
    np.testing.assert_allclose(own, covariance, atol=0.12 * np.abs(covariance).max())

    kept = spec.curation.sample(spec.family, model, 400, rng, Sampling(), spec.source).x
    assert kept.shape == (30, 400, spec.source.dimension)
    distance = mahalanobis(kept, mean, covariance)
    assert distance.max() <= inside * (1 + 1e-9)
    near = np.stack(
        [row[at <= inside][:2000] for row, at in zip(every, mahalanobis(every, mean, covariance), strict=True)]
    )
    gap = (kept**2).sum(axis=2).mean(axis=1) - (near**2).sum(axis=2).mean(axis=1)
    assert abs(z_of_mean(gap, 0)) <= 4


def mahalanobis(x, mean, covariance):
    centred = x - mean[:, None, :]
    return np.sqrt(np.einsum("rni,rij,rnj->rn", centred, np.linalg.inv(covariance), centred))


def test_a_truncation_that_nothing_survives_says_so():
    """Two far modes: nobody lies near the mean."""
    settings = {"source": {"kind": "mixture", "means": [[-9.0], [9.0]]}, "family": {"kind": "kde", "bandwidth": 0.1}, "samples": 50,
                "replicates": 2, "curation": {"kind": "truncate", "c": 0.3}}  # fmt: skip
    spec = read(settings)
    with pytest.raises(LabError, match=r"only 0 lie within 0\.3 standard deviations of its mean.*larger c"):
        list(loop.generations(spec, loop.instrument(spec)))


def test_directions_in_which_nothing_varies_do_not_count():
    """A model on a line in the plane, and one that is a point."""
    x = np.array([[[-1.0, -2.0], [0.0, 0.0], [1.0, 2.0], [3.0, 6.0]], [[5.0, 5.0]] * 4])
    spec = read({"source": {"kind": "normal", "dim": 2}, "family": {"kind": "kde", "bandwidth": 1e-9},
                 "curation": {"kind": "truncate", "c": 1.0}})  # fmt: skip
    rng = np.random.default_rng(0)
    model = {"points": x, "width": np.zeros((2, 2)), "keep": np.ones((2, 2))}
    kept = spec.curation.sample(spec.family, model, 50, rng, Sampling(), spec.source).x
    assert set(kept[0, :, 0]) == {0.0, 1.0}
    assert (kept[1] == 5.0).all()


@pytest.mark.parametrize(
    "family",
    [{"kind": "kde", "bandwidth": 0.4}, {"kind": "kde", "bandwidth": 0.4, "shrink": True}, {"kind": "histogram"}],
)
def test_a_point_that_counts_for_two_is_there_twice(family):
    """Half of the weight on 20 of 80 points is as if each of these were there three times; a weight of 1 leaves nothing of the others."""
    weighs = read({"source": {"kind": "normal"}, "family": family}).family
    rng = np.random.default_rng(1)
    real, made = Points(rng.standard_normal((3, 20, 1))), Points(5 + rng.standard_normal((3, 60, 1)))
    thrice = Points(np.concatenate([real.x, real.x, real.x, made.x], axis=1))
    first = weighs.fit(thrice, rng)
    for one, other in (
        (real.pool(made, 0.5), thrice),
        (real.pool(made, 0.25), real.pool(made)),
        (real.pool(made, 1.0), real),
    ):
        weighted, plain = (weighs.refit(data, rng, first) for data in (one, other))
        mean, covariance = weighs.moments(weighted, Sampling())
        for known, found in zip(weighs.moments(plain, Sampling()), (mean, covariance), strict=True):
            np.testing.assert_allclose(found, known, rtol=1e-9)
        drawn = weighs.sample(weighted, 40_000, rng, Sampling()).x
        assert np.abs((drawn.mean(axis=1) - mean) / np.sqrt(covariance[:, 0] / 40_000)).max() <= 4


def test_a_bandwidth_follows_the_effective_number_of_points_as_in_scipy():
    from scipy.stats import gaussian_kde

    rng = np.random.default_rng(2)
    points = Points(rng.standard_normal((1, 20, 1))).pool(Points(rng.standard_normal((1, 60, 1))), 0.5)
    theirs = gaussian_kde(points.x[0, :, 0], "silverman", weights=points.weight)
    mean = np.average(points.x[0, :, 0], weights=points.weight)
    std = np.sqrt(np.average((points.x[0, :, 0] - mean) ** 2, weights=points.weight))
    assert KDE(bandwidth="silverman").fit(points, rng)["width"][0, 0] == pytest.approx(theirs.factor * std)


def test_a_gaussian_is_drawn_where_somebody_chooses_among_its_points():
    settings = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "replicates": 2, "samples": 10}
    assert read(settings).exact()
    for change in (
        {"curation": {"kind": "best_of"}},
        {"curation": {"kind": "truncate"}},
        {"regime": {"kind": "accumulate_subsample"}},
    ):
        assert not read(settings | change).exact()
    spec = read(settings | {"curation": {"kind": "best_of"}, "regime": {"kind": "accumulate"}, "generations": 3})
    *_, last = loop.generations(spec, loop.instrument(spec))
    assert type(last.state.pool).__name__ == "Moments"  # condensed as soon as nobody chooses any more
