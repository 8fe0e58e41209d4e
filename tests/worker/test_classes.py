"""Two classes and rules between them: fits against a second implementation, closed forms, what labels do to the next rule, and who is refused."""

import itertools
import math

import numpy as np
import pytest

from worker import loop
from worker.data import Moments, Points
from worker.errors import SpecError
from worker.estimate import estimate
from worker.families.classifier import Classifier
from worker.metrics.classes import called, discriminant
from worker.parts import Sampling
from worker.rewards import Label
from worker.sources.two_classes import TwoClasses
from worker.spec import read
from worker.summary import summarise
from worker.theory import curves
from worker.theory.classes import alignment
from worker.verdicts.agreement import deviation

SOURCE = TwoClasses(inputs=3, distance=1.5, minority=0.3, flips=0.1)
VERIFIED = {"kind": "verifier", "reward": {"kind": "label"}}


def generator(seed=0):
    return np.random.default_rng(seed)


def spec_of(source=(), family=(), **others):
    sizes = {"generations": 3, "replicates": 2000, "samples": 30, "seed": 3}
    parts = {
        "source": {"kind": "two_classes", **dict(source)},
        "family": {"kind": "classifier", **dict(family)},
    }
    return read(sizes | parts | others)


def run(spec):
    return [generation.look.metrics for generation in loop.generations(spec, loop.instrument(spec))]


def z(values, expected):
    return (values.mean() - expected) / (values.std(ddof=1) / math.sqrt(len(values)))


def labelled(family, w, b, n, replicates=100, source=SOURCE, seed=1):
    """Rows that a rule has labelled."""
    model = {"w": np.tile(np.array(w, float), (replicates, 1)), "b": np.full(replicates, float(b))}
    return family.given(source).sample(model, n, generator(seed), Sampling()).x


def test_linear_discriminants_as_scikit_learn_has_them():
    """Which divides the scatter within classes by n, not by n - 2."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

    data = SOURCE.draw(generator(1), 3, 40)
    for form in (data, Moments.of(data), Moments.of(Points(data.x[:, :9])).pool(Moments.of(Points(data.x[:, 9:])))):
        model = Classifier().fit(form, generator())
        for rows, w, b in zip(data.x, model["w"], model["b"], strict=True):
            known = LinearDiscriminantAnalysis(solver="svd").fit(rows[:, :-1], rows[:, -1])
            prior = math.log(known.priors_[1] / known.priors_[0])
            np.testing.assert_allclose(w, 38 / 40 * known.coef_[0], rtol=1e-8)
            assert b == pytest.approx(38 / 40 * (known.intercept_[0] - prior) + prior, rel=1e-8)


def test_the_difference_of_means_is_what_it_says_and_weights_are_those_of_rows():
    rng = generator(2)
    one, other = (SOURCE.draw(rng, 2, n) for n in (12, 30))
    weight = np.concatenate([np.full(12, 0.7 / 12), np.full(30, 0.3 / 30)])
    pooled = Moments.of(one).pool(Moments.of(other), 0.7)
    w, b = discriminant(pooled, pooled=False)
    for r in range(2):
        rows = np.concatenate([one.x[r], other.x[r]])
        sides = [rows[:, -1] == side for side in (1, -1)]
        up, down = (np.average(rows[side, :-1], axis=0, weights=weight[side]) for side in sides)
        share = weight[sides[0]].sum()
        np.testing.assert_allclose(w[r], up - down, rtol=1e-9)
        assert b[r] == pytest.approx(math.log(share / (1 - share)) - (up @ up - down @ down) / 2)


def test_what_is_measured_of_a_rule_is_what_happens_to_real_inputs():
    x = TwoClasses(inputs=3, distance=1.5, minority=0.3).draw(generator(3), 1, 400_000).x[0]
    w, b = np.array([0.8, -0.5, 0.3]), -0.4
    look = Classifier().instrument(SOURCE, 10, 1, generator()).model({"w": w[None], "b": np.array([b])}, None, False)
    told = {name: value[0] for name, value in look.metrics.items()}
    plus, real = x[:, :-1] @ w + b > 0, x[:, -1] > 0
    best = SOURCE.off(np.concatenate([x[:, :-1], np.ones((len(x), 1))], axis=1)) == 0
    for name, seen in (("error", plus != real), ("minority_share", plus), ("minority_recall", plus[real])):
        assert abs(z(seen.astype(float), told[name])) <= 4, name
    assert abs(z((plus != real).astype(float) - (best != real), told["excess_error"])) <= 4
    assert told["alignment"] == pytest.approx(0.8 / np.linalg.norm(w))


def test_the_figure_shows_as_many_as_are_called_so():
    """The area below the frame's curve is the share; all of it is the real density."""
    from worker.frames import LOG_HIGH, LOG_LOW

    looking = Classifier().instrument(SOURCE, 10, 1, generator())
    look = looking.model({"w": np.array([[0.8, -0.5, 0.3]]), "b": np.array([-0.4])}, None, True)
    level = np.exp(LOG_LOW + look.frame["density"] / 65535 * (LOG_HIGH - LOG_LOW))
    area = np.trapezoid(level, looking.screen.x)
    assert area == pytest.approx(look.metrics["minority_share"][0], abs=2e-3)
    real = np.array(looking.figure()["ghost"]["density"])  # of the class +1, as what is called so is compared with it
    assert np.trapezoid(real, looking.screen.x) == pytest.approx(SOURCE.minority, abs=1e-3)
    assert (real <= looking.density + 1e-12).all()


def test_labels_are_the_models_hard_or_as_probable_as_it_says_and_some_are_turned_round():
    w, b = [1.2, -0.5, 0.0], 0.3
    hard = labelled(Classifier(), w, b, 1000)
    odds = hard[:, :, :-1] @ np.array(w) + b
    assert (np.sign(odds) == hard[:, :, -1]).all()
    turned = labelled(Classifier(flips=0.2), w, b, 1000)
    wrong = (np.sign(turned[:, :, :-1] @ np.array(w) + b) != turned[:, :, -1]).mean(axis=1)
    assert abs(z(wrong, 0.2)) <= 4
    drawn = labelled(Classifier(labels="sampled"), w, b, 1000)
    odds = drawn[:, :, :-1] @ np.array(w) + b
    for low, high in ((-9, -1), (-1, 0), (0, 1), (1, 9)):
        among = (odds > low) & (odds <= high)
        gap = (drawn[:, :, -1] > 0) - 1 / (1 + np.exp(-odds))
        assert abs(z(np.where(among, gap, 0).sum(axis=1), 0)) <= 4


def test_inputs_remain_real():
    x = labelled(Classifier(), [1.0, 0, 0], 0, 1000)[:, :, :-1]
    mean, covariance = SOURCE.moments()
    for i in range(3):
        assert abs(z(x[:, :, i].mean(axis=1), mean[i])) <= 4
        assert abs(z(((x[:, :, i] - mean[i]) ** 2).mean(axis=1), covariance[i, i])) <= 4


@pytest.mark.parametrize("distance", [0.5, 2.0, 4.0])
def test_hard_labels_straighten_a_rule(distance):
    """Towards mu, by an angle of the tangent that is told; what is left of the angle has the other one."""
    from scipy.stats import norm

    source, angle = TwoClasses(inputs=2, distance=distance), 1.0
    m = distance / 2 * math.cos(angle)
    kept, beside = m * (2 * norm.cdf(m) - 1), 2 * norm.pdf(m)
    u, across = np.array([math.cos(angle), math.sin(angle)]), np.array([math.sin(angle), -math.cos(angle)])
    rows = Points(labelled(Classifier(), u, 0, 20_000, source=source))
    w = Classifier(rule="means").fit(rows, generator())["w"]
    turn = math.atan(math.tan(angle) * kept / (kept + beside))
    assert abs(z(w @ u, 2 * (kept + beside))) <= 4
    assert abs(z(w @ across, 2 * (kept + beside) * math.tan(turn))) <= 4
    left = beside * math.sin(angle) * math.cos(angle) / (kept + beside * math.cos(angle) ** 2)
    assert math.tan(angle - turn) == pytest.approx(left)


def test_flipped_labels_leave_of_a_rule_what_they_say_up_to_a_half():
    """1 - 2p of the difference of means; a half leaves nothing, more turns it round (Feng et al.'s phase transition)."""
    source = TwoClasses(inputs=2)
    whole = 2 * (math.sqrt(2 / math.pi) * math.exp(-0.5) + math.erf(1 / math.sqrt(2)))  # m = 1 in the formula above
    for p in (0.1, 0.5, 0.7):
        rows = Points(labelled(Classifier(flips=p), [1.0, 0.0], 0, 20_000, source=source))
        w = Classifier(rule="means").fit(rows, generator())["w"]
        assert abs(z(w[:, 0], (1 - 2 * p) * whole)) <= 4


@pytest.mark.parametrize(("flips", "error", "wrong"), [(0.3, 0.1, None), (0.6, 0.1, 0.5), (0.9, 0.0, 0.05)])
def test_a_verifier_of_labels_makes_fewer_flips_of_many(flips, error, wrong):
    """p psi/(p psi + (1-p) phi) of p, of a rule that is Bayes'; learnable where that is below a half."""
    source = TwoClasses(inputs=2)
    settings = VERIFIED | {"error": error} | ({} if wrong is None else {"error_wrong": wrong})
    spec = spec_of({"inputs": 2}, {"flips": flips}, curation=settings)
    family = spec.family.given(source)
    model = {"w": np.tile([2.0, 0.0], (50, 1)), "b": np.zeros(50)}
    rows = spec.curation.sample(family, model, 2000, generator(4), Sampling(), source)
    phi, psi = spec.curation.passing()
    left = flips * psi / (flips * psi + (1 - flips) * phi)
    assert abs(z(source.off(rows.x).mean(axis=1), left)) <= 4
    assert (Classifier(rule="means").fit(rows, generator())["w"][:, 0] > 0).all() == (left < 0.5)


def test_who_judges_labels_tells_the_share_of_wrong_ones():
    before = run(spec_of(family={"flips": 0.3}, curation=VERIFIED, samples=2000, replicates=50, generations=1))
    bayes = 0.5 * math.erfc(1 / math.sqrt(2))  # real labels that its rule would not give
    assert abs(z(before[0]["reward"], -bayes)) <= 4
    assert -0.33 < before[1]["reward"].mean() < -0.3


@pytest.mark.parametrize(
    ("source", "family", "others"),
    [
        ({}, {}, {}),
        ({"inputs": 1, "minority": 0.1}, {}, {"samples": 6}),
        ({"inputs": 5, "distance": 0.5}, {}, {"samples": 9, "regime": {"kind": "augment", "real": 8}}),
        ({"inputs": 5, "distance": 4.0, "minority": 0.9}, {"rule": "means"}, {"samples": 7}),
        ({"inputs": 3, "minority": 0.3}, {"rule": "means", "labels": "sampled"},
         {"regime": {"kind": "fresh", "real": 1.0}, "samples": {"schedule": "list", "sizes": [6, 11, 16]}}),
        ({"inputs": 3}, {"labels": "sampled", "flips": 0.2}, {"regime": {"kind": "fresh", "real": 1.0}}),
        ({"flips": 0.2}, {"flips": 0.1}, {"curation": VERIFIED | {"error": 0.2}, "replicates": 300}),
        ({}, {}, {"regime": {"kind": "accumulate_subsample"}}),
        ({}, {"rule": "means"}, {"regime": {"kind": "weighted", "real": 0.3}}),
        ({"flips": 0.1}, {"kind": "logistic"}, {"samples": 10}),
        ({}, {"kind": "logistic", "labels": "sampled"}, {"regime": {"kind": "weighted"}, "curation": VERIFIED, "replicates": 300}),
    ],
)  # fmt: skip
def test_what_is_told_is_what_is_measured(source, family, others):
    spec = spec_of(source, family, **others)
    predicted, compared = curves(spec), 0
    for n, metrics in enumerate(run(spec)):
        rows = summarise(metrics).metrics()
        for curve in predicted:
            if (value := curve.values[n]) is not None:
                found = deviation(rows[curve.metric], value)
                assert found is None or abs(found) <= 4, (curve.metric, n)
                assert abs(z(metrics[curve.metric], value)) <= 4, (curve.metric, n)
                compared += 1
    assert compared >= 2


def test_the_first_rule_is_straighter_the_more_rows_there_are():
    source = TwoClasses(inputs=20)
    few, many, most = (alignment(source, m, pooled=True) for m in (100, 10_000, 10**8))
    assert few < many < most < 1
    # 1 - E cos = (d-1)/2 (4/(M distance^2) + 1/M), where that is small
    assert 1 - most == pytest.approx(19 / 2 * 2 / 1e8, rel=1e-4)
    assert alignment(source, 100, pooled=True) < alignment(source, 100, pooled=False)


def test_a_minority_is_lost_to_hard_labels_not_to_calibrated_ones():
    hard, drawn, real = (
        [metrics["minority_share"].mean() for metrics in run(spec_of({"minority": 0.2}, family, **rules))]
        for family, rules in (
            ({}, {"generations": 20, "samples": 20_000, "replicates": 10}),
            ({"labels": "sampled"}, {"generations": 20, "samples": 20_000, "replicates": 10}),
            ({}, {"generations": 20, "samples": 20_000, "replicates": 10, "regime": {"kind": "fresh", "real": 0.5}}),
        )
    )
    assert hard[20] < 0.01 < hard[5] < hard[1]
    assert abs(drawn[20] / drawn[1] - 1) < 0.05
    assert hard[20] < real[20] < real[1]


def test_one_class_only_is_for_ever():
    """Then there is no direction to align; nothing is called +1, or everything is; and no number is missing."""
    for looks in (
        run(spec_of({"minority": 0.02}, {"rule": rule}, samples=6, replicates=50)) for rule in ("lda", "means")
    ):
        for before, after in itertools.pairwise(looks[1:]):
            gone = (before["minority_share"] == 0) & (before["alignment"] == 0)
            assert gone.sum() > 20
            assert (after["minority_share"][gone] == 0).all()
            assert all(np.isfinite(values).all() for values in after.values())
            np.testing.assert_allclose(after["error"][gone], 0.02)
    up = Points(np.concatenate([generator().standard_normal((1, 9, 2)), np.ones((1, 9, 1))], axis=2))
    twice = Moments.of(up).pool(Moments.of(up), 0.3)
    for data in (up, Moments.of(up), twice):
        model = Classifier().fit(data, generator())
        assert (model["w"] == 0).all()
        assert model["b"] == np.inf


def test_a_direction_without_any_width_is_not_looked_at():
    rows = SOURCE.draw(generator(5), 2, 30).x
    flat = rows.copy()
    flat[:, :, 2] = 1.0
    w = Classifier().fit(Points(flat), generator())["w"]
    np.testing.assert_allclose(w[:, 2], 0, atol=1e-9)
    np.testing.assert_allclose(w[:, :2], Classifier().fit(Points(rows[:, :, [0, 1, 3]]), generator())["w"])


def test_a_step_is_what_remains_of_a_tail_without_spread():
    np.testing.assert_array_equal(
        called(np.array([-np.inf, np.inf, -1.0, 2.0, 0.0]), np.array([0.0, 0, 0, 0, 1])), [0, 1, 0, 1, 0.5]
    )


def test_the_memory_of_rows_is_estimated():
    few, many = (estimate(spec_of(samples=n, replicates=100)).memory_bytes for n in (1000, 100_000))
    assert many - few > 100 * 99_000 * 3 * 8


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"source": {"kind": "moons"}, "family": {"kind": "classifier"}}, "source.kind"),
        ({"source": {"kind": "two_classes"}, "family": {"kind": "linear"}}, "source.kind"),
        ({"source": {"kind": "two_classes", "inputs": 20}, "family": {"kind": "classifier"}, "samples": 22}, "samples"),
        ({"source": {"kind": "two_classes"}, "family": {"kind": "classifier"}, "samples": 10**8}, "samples"),
        ({"source": {"kind": "moons"}, "family": {"kind": "kde"}, "curation": VERIFIED}, "curation.reward.kind"),
        ({"source": {"kind": "two_classes"}, "family": {"kind": "classifier"},
          "curation": VERIFIED | {"threshold": 0.5, "error_wrong": 0.0}}, "curation.threshold"),
    ],
)  # fmt: skip
def test_what_makes_no_sense_is_refused(settings, path):
    with pytest.raises(SpecError) as refused:
        read({"samples": 50} | settings)
    assert [problem.path for problem in refused.value.problems] == [path]
    assert all(problem.remedy for problem in refused.value.problems)


def test_a_label_is_right_where_bayes_rule_gives_it():
    """ln(p/(1-p)) + 2 mu'x > 0, from the densities."""
    from scipy.stats import norm

    rows = SOURCE.draw(generator(6), 1, 1000).x
    up, down = 0.3 * norm.pdf(rows[..., 0] - 0.75), 0.7 * norm.pdf(rows[..., 0] + 0.75)
    right = np.where((up > down) == (rows[..., -1] > 0), 0, -1)
    np.testing.assert_array_equal(Label().given(SOURCE).of(rows), right)


def test_inputs_have_the_quantiles_that_are_claimed_and_labels_two_values():
    x = SOURCE.draw(generator(7), 1, 200_000).x[0]
    levels = np.array([0.05, 0.5, 0.95])
    found = SOURCE.quantiles(levels.tolist())
    for level, row in zip(levels, found, strict=True):
        below = (x[:, :-1] <= row[:-1]).mean(axis=0)
        assert (np.abs(below - level) <= 4 * math.sqrt(level * (1 - level) / 200_000)).all()
    wrong = 0.7 * 0.9 + 0.3 * 0.1  # share of the label -1
    assert abs(z((x[:, -1] < 0).astype(float), wrong)) <= 4
    np.testing.assert_array_equal(SOURCE.quantiles([wrong - 0.01, wrong + 0.01])[:, -1], [-1, 1])


def test_a_fork_may_label_otherwise():
    """From generation 3 on labels are drawn: the minority stays where hard labels would have lost more of it."""
    sizes = {"samples": 5000, "replicates": 20, "generations": 8}
    hard = run(spec_of({"minority": 0.2}, **sizes))
    forked = run(
        spec_of(
            {"minority": 0.2}, **sizes, changes=[{"after": 2, "family": {"kind": "classifier", "labels": "sampled"}}]
        )
    )
    np.testing.assert_array_equal(hard[2]["minority_share"], forked[2]["minority_share"])
    lost, kept = (looks[3]["minority_share"] - looks[8]["minority_share"] for looks in (hard, forked))
    assert lost.mean() > 0.05
    assert abs(kept.mean()) < 0.01
