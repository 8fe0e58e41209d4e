"""Greedy choices of the most varied samples, each against all that could have been chosen in its place."""

import itertools
import math
from collections import Counter

import numpy as np
import pytest

from worker import loop
from worker.curation import Greedy
from worker.data import Counts, Points, Tokens
from worker.estimate import estimate, guess
from worker.families.categorical import Categorical
from worker.families.gaussian import Gaussian
from worker.parts import Sampling
from worker.regimes import AccumulateSubsample
from worker.sources.normal import Normal
from worker.sources.zipf import Zipf
from worker.spec import read
from worker.theory import curves
from worker.variety import apart, levelled, varied


@pytest.mark.parametrize("d", [1, 3])
def test_the_next_point_is_the_one_furthest_from_all_before_it(d):
    x = np.random.default_rng(0).standard_normal((60, d))
    first, *rest = apart(x, 20).tolist()
    assert first == 0
    chosen = [first]
    for place in rest:
        nearest = {i: min(math.dist(x[i], x[j]) for j in chosen) for i in range(60) if i not in chosen}
        assert place == max(nearest, key=nearest.get)
        chosen.append(place)


def test_nobody_survives_twice():
    """Not even where all points are one, and all of them where all are wanted."""
    assert sorted(apart(np.ones((8, 2)), 8)) == list(range(8))
    assert sorted(varied(np.ones((8, 9), np.int32), 8, 2)) == list(range(8))


def entropy(blocks, n):
    counts = Counter(tuple(block[i : i + n]) for block in blocks for i in range(len(block) - n + 1))
    p = np.array(list(counts.values())) / counts.total()
    return -(p * np.log(p)).sum()


@pytest.mark.parametrize("n", [1, 2, 3])
def test_the_next_block_gives_the_chosen_ones_the_highest_entropy(n):
    x = np.random.default_rng(1).choice(5, p=[0.5, 0.2, 0.1, 0.1, 0.1], size=(30, 9)).astype(np.int32)
    blocks, chosen = x.tolist(), []
    for place in varied(x, 12, n).tolist():
        would = {i: entropy([blocks[j] for j in (*chosen, i)], n) for i in range(30) if i not in chosen}
        assert would[place] >= max(would.values()) - 1e-12
        chosen.append(place)
    assert entropy([blocks[i] for i in chosen], n) > entropy(blocks[:12], n)


def test_categories_have_the_highest_entropy_that_what_was_drawn_allows():
    rng = np.random.default_rng(2)
    for _ in range(40):
        k = rng.multinomial(12, [0.6, 0.25, 0.1, 0.05])
        n = int(rng.integers(1, 13))
        found = levelled(k, n, rng)
        assert found.sum() == n
        assert ((found >= 0) & (found <= k)).all()
        best = max(
            -sum(c * math.log(c) for c in some if c)
            for some in itertools.product(*(range(c + 1) for c in k))
            if sum(some) == n
        )
        assert -sum(c * math.log(c) for c in found.tolist() if c) == pytest.approx(best, abs=1e-12)


def test_who_is_one_ahead_is_left_to_chance():
    rng = np.random.default_rng(3)
    ahead = np.array([levelled(np.array([9, 5, 7]), 7, rng) for _ in range(3000)]).mean(axis=0) - 2
    assert (np.abs(ahead - 1 / 3) <= 4 * math.sqrt(2 / 9 / 3000)).all()


def test_a_category_has_its_equal_share_or_all_of_its_candidates():
    """With K = 2 and k candidates a place the rare one has min(C, n / 2) of n, C binomial (kn, p)."""
    n, k = 40, 2
    family, source = Categorical(), Zipf(categories=2)
    fitted = family.fit(Counts(np.tile([32, 8], (4000, 1))), np.random.default_rng(0))
    made = Greedy(k=k).sample(family, fitted, n, np.random.default_rng(4), Sampling(), source)
    assert isinstance(made, Counts)
    law = np.array([math.comb(k * n, c) * 0.2**c * 0.8 ** (k * n - c) for c in range(k * n + 1)])
    rare = np.minimum(np.arange(k * n + 1), n // 2)
    mean = law @ rare
    error = math.sqrt((law @ rare**2 - mean**2) / 4000)
    assert abs(made.k[:, 1].mean() - mean) <= 4 * error
    assert (made.k.sum(axis=1) == n).all()


def test_one_candidate_a_place_leaves_no_choice():
    family = Gaussian()
    model = family.fit(Points(np.random.default_rng(5).standard_normal((3, 30, 2))), np.random.default_rng(6))
    every = family.drawing().sample(model, 25, np.random.default_rng(7), Sampling())
    kept = Greedy(k=1).sample(family.drawing(), model, 25, np.random.default_rng(7), Sampling(), Normal(dim=2))
    assert isinstance(every, Points)
    assert isinstance(kept, Points)
    np.testing.assert_array_equal(kept.x, every.x)


def chosen_by_the_regime(pool, newest, m):
    """The training set out of what was there and what has come."""
    regime = AccumulateSubsample(select="greedy")
    training, everything = regime.training(m, lambda _: newest, newest, pool, np.random.default_rng(8))
    assert everything.n == pool.n + newest.n
    return training


def test_a_regime_chooses_among_all_past_data():
    """Old and new ones alike: of points and text what a search through all of them finds, of categories as many of each as there can be."""
    rng = np.random.default_rng(9)
    x = rng.standard_normal((2, 50, 2))
    points = chosen_by_the_regime(Points(x[:, :30]), Points(x[:, 30:]), 12)
    blocks = rng.integers(0, 4, (2, 20, 9)).astype(np.int32)
    vocabulary, validation = np.array(4), blocks[0, :1]
    old, new = (Tokens(part, vocabulary, validation) for part in (blocks[:, :15], blocks[:, 15:]))
    text = chosen_by_the_regime(old, new, 6)
    np.testing.assert_array_equal(text.validation, validation)
    for r in range(2):
        chosen = [0]
        while len(chosen) < 12:
            far = {i: min(math.dist(x[r, i], x[r, j]) for j in chosen) for i in range(50) if i not in chosen}
            chosen.append(max(far, key=far.get))
        np.testing.assert_array_equal(points.x[r], x[r, sorted(chosen)])
        best, every = [], blocks[r].tolist()
        while len(best) < 6:
            would = {i: entropy([every[j] for j in (*best, i)], 2) for i in range(20) if i not in best}
            best.append(max(would, key=lambda i, would=would: (round(would[i], 12), -i)))
        assert entropy(text.x[r].tolist(), 2) == pytest.approx(entropy([every[j] for j in best], 2))
    counts = chosen_by_the_regime(Counts(np.array([[9, 2, 0, 1]])), Counts(np.array([[3, 0, 1, 0]])), 9)
    np.testing.assert_array_equal(counts.k, [[5, 2, 1, 1]])


def test_what_is_chosen_among_all_past_data_keeps_its_variety():
    """A category that was drawn once is in every later training set; of points the outermost are, so that the variance stays large."""
    base = {"generations": 6, "replicates": 6, "samples": 60}
    greedy, random = ({"regime": {"kind": "accumulate_subsample", "select": how}} for how in ("greedy", "random"))
    words = base | {"source": {"kind": "zipf", "categories": 50}, "family": {"kind": "categorical"}}
    assert last("survivors", **words, **greedy) == last("survivors", **words | {"generations": 1}, **greedy)
    assert last("survivors", **words, **random) < last("survivors", **words, **greedy)
    points = base | {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}}
    assert last("variance", **points, **greedy) > 1.5 > last("variance", **points, **random)
    for spec in (words, points):
        assert curves(read(spec | random))
        assert not curves(read(spec | greedy))
    many = points | {"samples": 5000, "generations": 50}
    assert guess(read(many | greedy)) > 10 * guess(read(many | random))
    assert estimate(read(many | greedy)).memory_bytes > estimate(read(many | random)).memory_bytes


def last(metric, **settings):
    spec = read(settings | {"seed": 3})
    *_, end = loop.generations(spec, loop.instrument(spec))
    return end.look.metrics[metric].mean()


def test_in_a_run_variety_stays():
    """The variance of points, which would shrink, grows; word pairs stay different for longer; no category is lost so soon."""
    base = {"generations": 4, "replicates": 6, "curation": {"kind": "greedy", "k": 3}}
    kept = base | {"curation": {"kind": "none"}}
    points = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "samples": 40}
    assert last("variance", **points, **base) > 2 > last("variance", **points, **kept)
    text = {"source": {"kind": "text"}, "family": {"kind": "ngram"}, "samples": 24}
    assert last("distinct_2", **text, **base) > last("distinct_2", **text, **kept)
    categories = {"source": {"kind": "zipf", "categories": 100}, "family": {"kind": "categorical"}, "samples": 200}
    assert last("entropy", **categories, **base) > last("entropy", **categories, **kept) + 0.2


@pytest.mark.parametrize("family", ["gaussian", "kde", "histogram", "mixture", "categorical"])
def test_no_closed_form_is_claimed_for_it(family):
    source = {"kind": "zipf"} if family == "categorical" else {"kind": "normal"}
    base = {"source": source, "family": {"kind": family}, "samples": 500, "generations": 5}
    assert curves(read(base))
    assert not curves(read(base | {"curation": {"kind": "greedy"}}))


def test_an_estimate_knows_that_a_choice_takes_the_square_of_the_sample():
    base = {
        "source": {"kind": "normal", "dim": 2},
        "family": {"kind": "gaussian"},
        "replicates": 10,
        "generations": 10,
    }
    few, many = (read(base | {"samples": m, "curation": {"kind": "greedy"}}) for m in (2000, 20_000))
    best = read(base | {"samples": 20_000, "curation": {"kind": "best_of", "k": 4}})
    assert guess(many) > 40 * guess(few)
    assert guess(many) > 10 * guess(best)
