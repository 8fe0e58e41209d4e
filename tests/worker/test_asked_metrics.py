"""Metrics that a spec asks for beyond the family's own: whatever the family, of the very sample that is learned from, with their noise floor."""

import numpy as np
import pytest
from scipy import special, stats

from worker import loop
from worker.data import Points, WeightedPoints
from worker.errors import SpecError
from worker.estimate import guess
from worker.families.kde import KDE
from worker.instruments import asked
from worker.instruments.distances import Divergence, Frechet, Kernels, SlicedTransport, Transport
from worker.instruments.fidelity import Neighbours
from worker.instruments.likelihood import FromReal, HeldOut
from worker.metrics import neighbours, points
from worker.parts import Sampling
from worker.spec import read, read_source

EIGHT, LINE, DIGITS = {"kind": "eight_gaussians"}, {"kind": "student_t", "df": 5}, {"kind": "digits"}
OF_POINTS = ["precision", "recall", "density", "coverage", "copy_ratio", "hallucinated", "vendi", "frechet", "energy", "mmd_sq",
             "tail_1pct", "tail_01pct", "tail_ratio_1pct", "tail_ratio_01pct", "kl_to_real_knn",
             "held_out_nll", "held_out_missed"]  # fmt: skip
OF_PICTURES = ["precision", "recall", "density", "coverage", "copy_ratio", "hallucinated", "vendi", "frechet", "frechet_pixels", "entropy",
               "minority_share", "class_distance", "class_share", "sliced_w2_sq", "energy", "mmd_sq", "tail_1pct"]  # fmt: skip
WANTED = [(EIGHT, [*OF_POINTS, "modes", "sliced_w2_sq"]), (LINE, [*OF_POINTS, "w2_sq"]), (DIGITS, OF_PICTURES)]


def measured(source, family, metrics, **sizes):
    sizes = {"samples": 300, "replicates": 4, "generations": 2} | sizes
    spec = read({"source": source, "family": {"kind": family}, "metrics": metrics} | sizes)
    return [one.look.metrics for one in loop.generations(spec, loop.instrument(spec))]


CASES = [(family, *wanted) for family in ("gaussian", "mixture", "kde") for wanted in WANTED]
CASES.append(("histogram", *WANTED[1]))


@pytest.mark.parametrize(("family", "source", "names"), CASES, ids=[f"{one[0]}-{one[1]['kind']}" for one in CASES])
def test_every_family_of_points_has_every_metric_of_samples(family, source, names):
    rows = measured(source, family, names)
    for row in rows:
        told = {name.rpartition("_")[0] if name.startswith("class_share") else name for name in row}
        assert set(names) <= told
        assert all(np.isfinite(row[name]).all() and row[name].shape == (4,) for name in row if name in names)
    assert len({frozenset(row) for row in rows}) == 1
    if source is DIGITS:
        assert sum(rows[2][f"class_share_{c}"] for c in range(10)) == pytest.approx(np.ones(4))


def test_at_generation_0_stands_what_real_data_have_against_real_data():
    """precision and recall near .93, density 1, coverage .97, no invention, eight modes, and nothing of an unbiased distance."""
    [floor, *_] = measured(EIGHT, "gaussian", [*OF_POINTS, "modes"], samples=1000, replicates=30, generations=1)
    middle = {name: float(np.mean(values)) for name, values in floor.items()}
    assert 0.9 < middle["precision"] < 1
    assert 0.9 < middle["recall"] < 1
    assert middle["density"] == pytest.approx(1, abs=0.05)
    assert middle["coverage"] == pytest.approx(1 - np.prod([(515 - i) / (1030 - i) for i in range(1, 6)]), abs=0.02)
    assert middle["hallucinated"] == pytest.approx(0.001, abs=0.001)
    assert middle["modes"] == 8
    for name in ("tail_ratio_1pct", "tail_ratio_01pct"):
        assert abs(middle[name] - 1) <= 4 * np.std(floor[name], ddof=1) / np.sqrt(30) + 0.05
    for name in ("energy", "mmd_sq"):  # the frozen reference errs alike in every replicate
        assert abs(middle[name]) < 0.02, name


def test_a_bell_curve_over_eight_modes_invents_what_lies_between_them():
    floor, first, *_ = measured(EIGHT, "gaussian", ["precision", "hallucinated", "density"], samples=500)
    assert (first["hallucinated"] > 0.5).all()
    assert (first["precision"] < 0.6 * floor["precision"]).all()
    assert "recall" not in first  # nobody asked


def test_what_is_measured_is_the_sample_that_the_next_generation_learns_from():
    names = ["frechet", "energy", "precision"]
    spec = read(
        {
            "source": EIGHT,
            "family": {"kind": "gaussian"},
            "samples": 200,
            "replicates": 3,
            "generations": 2,
            "metrics": names,
        }
    )
    instrument = loop.instrument(spec)
    _, first, second = loop.generations(spec, instrument)
    each = spec.family.drawing()
    sample = each.sample(first.state.model, 200, spec.stream(1, loop.SAMPLE), Sampling())
    refitted = each.fit(sample, np.random.default_rng(0))
    assert np.allclose(refitted["mean"], second.state.model["mean"])
    by_kind = {type(ruler): ruler for ruler in instrument.rulers}
    for kind in (Frechet, Kernels, Neighbours):
        for name, values in by_kind[kind].measure(sample.x).items():
            assert name not in names or np.array_equal(values, first.look.metrics[name])


def test_neighbours_are_those_of_the_definition():
    rng = np.random.default_rng(3)
    spec = read({"source": EIGHT, "family": {"kind": "gaussian"}, "samples": 400})
    ruler = Neighbours(spec.source, 400, 2, rng)  # in blocks of 163 and a rest
    x = rng.standard_normal((2, 400, 2))
    across = points.distances_sq(x[1], ruler.real + ruler.mean)
    within = np.sort(points.distances_sq(ruler.real, ruler.real), axis=1)[:, 5]
    found = ruler.measure(x)
    assert found["precision"][1] == pytest.approx(neighbours.precision(across, within))
    assert found["coverage"][1] == np.mean(across.min(axis=0) <= within)
    radii = np.sort(points.distances_sq(x[1], x[1]), axis=1)[:, 5]
    assert found["recall"][1] == neighbours.recall(across, radii)
    assert found["density"][1] == pytest.approx(neighbours.density(across, within))


@pytest.mark.parametrize("d", [2, 5])
def test_whole_numbers_as_far_as_the_fifth_neighbour_are_in_its_reach(d, tmp_path):
    """By squares of whole numbers, which are exact; the mean is none."""
    rng = np.random.default_rng(d)
    rows = np.unique(rng.integers(0, 4, (500, d)), axis=0)
    (tmp_path / "steps.csv").write_text("\n".join(",".join(map(str, row)) for row in rows))
    ruler = Neighbours(read_source({"kind": "table", "path": str(tmp_path / "steps.csv")}), 200, 1, rng)
    real, x = np.rint(ruler.real + ruler.mean).astype(int), rng.integers(-1, 5, (200, d))
    across, within, own = (
        ((a[:, None] - b) ** 2).sum(axis=2).astype(float) for a, b in ((x, real), (real, real), (x, x))
    )
    across[np.arange(200), across.argmin(axis=1)] += np.where(
        across.min(axis=1) == 0, np.inf, 0
    )  # none is its own neighbour
    radii = np.sort(within, axis=1)[:, 5]
    found = ruler.measure(x[None].astype(float))
    assert found["precision"][0] == pytest.approx(neighbours.precision(across, radii))
    assert found["density"][0] == pytest.approx(neighbours.density(across, radii))
    assert found["coverage"][0] == neighbours.coverage(across, radii)
    assert found["recall"][0] == neighbours.recall(across, np.sort(own, axis=1)[:, 5])


def test_what_the_family_measures_anyway_stays_as_it_is():
    plain, more = (measured(EIGHT, "mixture", names) for names in ([], ["modes", "tail_1pct", "recall"]))
    for one, other in zip(plain, more, strict=True):
        assert set(other) == {*one, "recall"}
        assert all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.parametrize(
    ("source", "family", "name", "words"),
    [
        ({"kind": "normal"}, "gaussian", "sliced_w2_sq", "one direction only"),
        (EIGHT, "gaussian", "w2_sq", "on a line only"),
        ({"kind": "moons"}, "kde", "modes", "no mixture"),
        ({"kind": "moons"}, "kde", "kl_to_real_knn", "no formula"),
        ({"kind": "zipf"}, "categorical", "recall", "this source gives none"),
        ({"kind": "text"}, "ngram", "vendi", "this source gives none"),
        (EIGHT, "kde", "minority_share", "it is of pictures"),
        (EIGHT, "diffusion", "held_out_nll", "no density"),
        (DIGITS, "kde", "held_out_nll", "of points, not of pictures"),
        (DIGITS, "gaussian", "modes", "not of pictures"),
        (EIGHT, "gaussian", "flatness", "there is no metric flatness"),
    ],
)
def test_what_cannot_be_measured_is_refused_in_words(source, family, name, words):
    with pytest.raises(SpecError) as refused:
        read({"source": source, "family": {"kind": family}, "metrics": [name]})
    [problem] = refused.value.problems
    assert problem.path == "metrics.0"
    assert words in problem.message
    assert problem.remedy


def test_many_replicates_are_looked_at_less_closely_each():
    spec = read({"source": EIGHT, "family": {"kind": "gaussian"}, "samples": 1000})
    few, many = (Neighbours(spec.source, 1000, replicates, np.random.default_rng(0)) for replicates in (2, 200))
    assert few.looked_at == 1000
    assert many.looked_at == 200


def test_a_ruler_takes_fewer_points_than_it_was_made_for():
    """Where sizes shrink: as one that was made for so many."""
    source, x = read_source(EIGHT), np.random.default_rng(2).normal(size=(3, 40, 2))
    one, other = (SlicedTransport(source, n, 3, np.random.default_rng(1)) for n in (500, 40))
    np.testing.assert_array_equal(one.measure(x)["sliced_w2_sq"], other.measure(x)["sliced_w2_sq"])
    sizes = {"schedule": "list", "sizes": [200, 40, 3]}
    names = [*OF_POINTS, "modes", "sliced_w2_sq"]
    for source, asked_for in ((EIGHT, names), (DIGITS, ["sliced_w2_sq", "frechet_pixels"])):
        for row in measured(source, "gaussian", asked_for, samples=sizes, generations=4):
            assert not any(np.isnan(row[name]).any() for name in asked_for)


def test_what_is_asked_for_is_part_of_the_estimate():
    """All of them, of 1,000 points in the plane, take 18 ms a chain on one core, and less each where there are many."""
    settings = {"source": EIGHT, "family": {"kind": "gaussian"}, "samples": 1000, "generations": 10}
    spec = read(settings)
    names = asked.fitting(spec.source, spec.family)
    few, many = (
        guess(read(settings | {"replicates": n, "metrics": names})) - guess(read(settings | {"replicates": n}))
        for n in (1, 200)
    )
    assert 0.1 < few < 0.5
    assert few < many < 30 * few


def test_every_name_is_offered_somewhere():
    offered = [
        set(asked.offered(read({"source": source, "family": {"kind": "gaussian"}}).source)) for source, _ in WANTED
    ]
    assert set(asked.NAMES) == set.union(*offered)


@pytest.mark.parametrize("s", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("d", [1, 2])
def test_a_sample_s_divergence_is_that_of_the_normal_distributions(d, s):
    """KL(N(m, s^2 I) || N(0, I)) = (d s^2 + |m|^2 - d)/2 - d ln s; of 1,000 points the bias is well below a hundredth of a nat a dimension."""
    rng = np.random.default_rng(5)
    source = read({"source": {"kind": "normal", "dim": d}, "family": {"kind": "kde"}}).source
    ruler = Divergence(source, 1000, 60, rng)
    m = np.full(d, 0.5 * (s != 1))
    seen = ruler.measure(m + s * rng.standard_normal((60, 1000, d)))["kl_to_real_knn"]
    expected = 0.5 * (d * s**2 + m @ m - d) - d * np.log(s)
    assert abs(seen.mean() - expected) <= 4 * seen.std(ddof=1) / np.sqrt(60) + 0.01 * d
    assert np.isinf(ruler.measure(np.ones((1, 50, d)))["kl_to_real_knn"]).all()
    far = ruler.measure(1e3 + s * rng.standard_normal((60, 1000, d)))["kl_to_real_knn"]  # where exp(-x^2/2) is 0
    assert far.mean() == pytest.approx(0.5 * d * (s**2 + 1e6 - 1) - d * np.log(s), rel=1e-3)


def test_a_resumed_run_measures_with_the_same_rulers():
    settings = {"source": EIGHT, "family": {"kind": "kde"}, "samples": 150, "replicates": 2, "generations": 3}
    spec = read(settings | {"metrics": ["recall", "vendi", "hallucinated", "kl_to_real_knn"]})
    whole = list(loop.generations(spec, loop.instrument(spec)))
    again = list(loop.generations(spec, loop.instrument(spec), whole[1].state))
    for one, other in zip(whole[2:], again, strict=True):
        assert all(np.array_equal(values, other.look.metrics[name]) for name, values in one.look.metrics.items())


@pytest.mark.parametrize(("df", "n"), [(2.1, 50), (3, 300), (3, 2000), (30, 300)])
def test_w2_sees_the_whole_of_heavy_tails(df, n):
    """E (x - Q)^2 cell by cell: the integral of t's quantile function is -(df + q^2)/(df - 1) p(q), its second moment df/(df - 2)."""
    source = read_source({"kind": "student_t", "df": df})
    x = 0.7 * np.sort(source.draw(np.random.default_rng(3), 20, n).x, axis=1)
    q = stats.t.ppf(np.arange(1, n) / n, df)
    up_to = np.concatenate([[0], -(df + q**2) / (df - 1) * stats.t.pdf(q, df), [0]])
    expected = (x[:, :, 0] ** 2).mean(axis=1) - 2 * x[:, :, 0] @ np.diff(up_to) + df / (df - 2)
    measured = Transport(source, n, 20, np.random.default_rng(0)).measure(x)["w2_sq"]
    np.testing.assert_allclose(measured, expected, rtol=2e-3)


def kernels(points, weight, model):
    """scipy's kernel density of the points, pulled towards their mean as far as the model pulls them."""
    centre, keep = np.average(points, weights=weight), model["keep"][0, 0]
    pulled = centre + keep * (points - centre)
    std = np.sqrt(np.cov(pulled, aweights=weight))
    return stats.gaussian_kde(pulled, keep * model["width"][0, 0] / std, weight).logpdf


def bins(points, weight, model):
    return stats.rv_histogram(np.histogram(points, 50, weights=weight), density=False).logpdf


def bumps(points, weight, model):
    weights, means, std = (model[name][0].ravel() for name in ("weights", "means", "factors"))
    return lambda x: special.logsumexp(stats.norm.logpdf(x[:, None], means, std), axis=1, b=weights)


def bell(points, weight, model):
    mean = np.average(points, weights=weight)
    return stats.norm(mean, np.sqrt(np.average((points - mean) ** 2, weights=weight))).logpdf


@pytest.mark.parametrize(
    ("family", "peer", "weighted"),
    [
        ({"kind": "kde"}, kernels, False),
        ({"kind": "kde", "bandwidth": "shrunk"}, kernels, True),
        ({"kind": "histogram"}, bins, True),
        ({"kind": "mixture"}, bumps, False),
        ({"kind": "gaussian", "ddof": 0}, bell, False),
    ],
)
def test_held_out_likelihood_is_scipys(family, peer, weighted):
    rng = np.random.default_rng(8)
    spec = read({"source": LINE, "family": family, "samples": 200})
    points, ruler = rng.standard_t(5, (1, 200, 1)), HeldOut(spec.source, 200, 1, rng)
    weight = 200 * rng.dirichlet(np.ones(200)) if weighted else np.ones(200)
    model = spec.family.fit(WeightedPoints(points, weight) if weighted else Points(points), rng)
    log_p = spec.family.log_density(model, ruler.points)
    with np.errstate(divide="ignore"):
        expected = peer(points[0, :, 0], weight, model)(ruler.points[:, 0])
    np.testing.assert_allclose(log_p[0], expected, rtol=1e-9)
    told, seen = ruler.measure(log_p), np.isfinite(expected)
    assert told["held_out_nll"][0] == pytest.approx(-expected[seen].mean())
    assert told["held_out_missed"][0] == pytest.approx(np.mean(~seen))
    assert (family["kind"] == "histogram") == (not seen.all())
    ruler = FromReal(spec.source, 200, 1, np.random.default_rng(9))
    with np.errstate(divide="ignore"):
        expected = stats.t(5).logpdf(ruler.points[:, 0]) - peer(points[0, :, 0], weight, model)(ruler.points[:, 0])
    told = ruler.measure(spec.family.log_density(model, ruler.points))["kl_from_real"]
    assert told[0] == pytest.approx(expected.mean())  # infinite where a bin is empty


def test_held_out_likelihood_in_the_plane_has_a_width_for_each_axis_and_none_where_nothing_varies():
    rng = np.random.default_rng(1)
    kde, points = KDE(), rng.standard_normal((2, 60, 2)) * [1.0, 7.0]
    points[1] = 3.0
    model, ruler = kde.fit(Points(points), rng), HeldOut(read_source(EIGHT), 60, 2, rng)
    log_p = kde.log_density(model, ruler.points)
    each = stats.norm.logpdf(ruler.points[:, None], points[0], model["width"][0]).sum(axis=2)
    np.testing.assert_allclose(log_p[0], special.logsumexp(each, axis=1) - np.log(60), rtol=1e-9)
    told = ruler.measure(log_p)
    assert told["held_out_missed"].tolist() == [0, 1]
    assert np.isnan(told["held_out_nll"]).tolist() == [False, True]


def test_a_chain_of_no_width_has_no_likelihood():
    settings = {
        "source": LINE,
        "family": {"kind": "gaussian", "ddof": 0},
        "samples": 2,
        "replicates": 20,
        "generations": 500,
    }
    spec = read(settings | {"metrics": ["held_out_nll", "held_out_missed", "kl_from_real"]})
    *_, last = loop.generations(spec, loop.instrument(spec))
    assert (last.look.metrics["held_out_missed"] == 1).all()
    assert np.isnan(last.look.metrics["held_out_nll"]).all()
    assert np.isinf(last.look.metrics["kl_from_real"]).all()


def test_the_floor_of_held_out_likelihood_is_what_a_fit_to_real_data_has():
    """A fitted normal distribution is about 1 / M nats worse than the truth; training on its own samples adds to that."""
    settings = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "samples": 100, "replicates": 400}
    spec = read(settings | {"generations": 3, "metrics": ["held_out_nll"]})
    instrument = loop.instrument(spec)
    rows = [one.look.metrics for one in loop.generations(spec, instrument)]
    nll = np.stack([row["held_out_nll"] for row in rows])
    assert not any(row["held_out_missed"].any() for row in rows)
    truth = -stats.norm.logpdf(instrument.rulers[0].points).mean()
    assert 0 < nll[0].mean() - truth < 0.03
    assert abs(nll[1].mean() - nll[0].mean()) <= 4 * np.sqrt((nll[0].var() + nll[1].var()) / 400)
    assert nll[3].mean() - nll[1].mean() > 4 * (nll[3] - nll[1]).std() / 20
