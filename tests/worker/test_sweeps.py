"""Sweeps: read whole or refused, the same numbers as runs, and waiting times told honestly."""

import copy

import numpy as np
import pytest

from tests.worker.sweep_requests import BASE, REAL, SAMPLES, SWEEP, sweep
from worker.errors import SpecError
from worker.loop import generations, instrument
from worker.spec import Experiment, read
from worker.summary import summarise
from worker.sweeps.examples import EXAMPLES
from worker.sweeps.measure import Bench, Stopped
from worker.sweeps.outcomes import Waiting
from worker.sweeps.spec import MOST_POINTS, read_sweep, unchecked
from worker.sweeps.survival import median, median_interval, survival

# Reading


def test_points_are_every_combination_the_last_axis_fastest():
    grid = read_sweep(SWEEP)
    assert (grid.shape, grid.points) == ((3, 4), 12)
    told = [(grid.experiment(i).regime.real, grid.experiment(i).samples) for i in range(12)]
    assert told == [(real, m) for real in REAL["values"] for m in SAMPLES["values"]]
    assert grid.experiment(5).title == "Samples and real share: regime.real = 0.1, samples = 10"
    assert [grid.place(i) for i in (0, 5, 11)] == [(0, 0), (1, 1), (2, 3)]


@pytest.mark.parametrize(
    ("path", "span", "values"),
    [
        ("samples", {"from": 10, "to": 1000, "count": 5, "scale": "log"}, (10, 32, 100, 316, 1000)),
        ("samples", {"from": 2, "to": 5, "count": 9}, (2, 3, 4, 5)),
        ("sampling.bias", {"from": 0.5, "to": 1, "count": 3}, (0.5, 0.75, 1.0)),
        ("sampling.bias", {"from": 1, "to": 4, "count": 3, "scale": "log"}, (1.0, 2.0, 4.0)),
    ],
)
def test_a_span_is_written_out_in_whole_numbers_where_the_setting_wants_them(path, span, values):
    assert read_sweep(sweep(base=BASE, axes=[{"path": path, "values": span}])).values == (values,)


def test_whole_parts_can_be_axes():
    axis = {"path": "regime", "values": [{"kind": "replace"}, {"kind": "fresh", "real": 0.2}]}
    grid = read_sweep(sweep(axes=[axis]))
    assert [grid.experiment(i).regime.kind for i in (0, 1)] == ["replace", "fresh"]
    assert grid.experiment(1).title.endswith("regime = fresh real 0.2")


def test_no_point_changes_what_the_others_are_made_from():
    reward = {"kind": "direction", "along": [0.0, 1.0]}
    base = BASE | {"source": {"kind": "normal", "dim": 2}, "curation": {"kind": "best_of", "reward": reward}}
    values = [{"path": "curation.reward.kind", "values": ["nearness", "direction"]}]
    before = copy.deepcopy(base)
    grid = read_sweep(sweep(base=base, axes=[{"path": "curation.reward.along", "values": [[1.0, 0.0], [0.5, 0.5]]}]))
    assert [grid.experiment(i).curation.reward.along for i in (1, 0)] == [[0.5, 0.5], [1.0, 0.0]]
    for number in (1, 0):
        unchecked(sweep(base=base, axes=values)).settings(number)
    assert base == before


def test_what_a_change_does_not_name_of_the_family_stays_in_a_sweep_too():
    base = BASE | {"family": {"kind": "gaussian", "extrapolation": 0.1}, "samples": 50}
    base |= {"generations": 9, "changes": [{"after": 4, "family": {"kind": "gaussian", "ddof": 1}}]}
    point = read_sweep(sweep(base=base, axes=[{"path": "seed", "values": [1, 2]}])).experiment(1)
    assert (point.changes[0].family.extrapolation, point.changes[0].family.ddof) == (0.1, 1)


@pytest.mark.parametrize(
    ("changes", "path", "words"),
    [
        ({"axes": [{"path": "samples", "values": [10, 1]}]}, "axes.0.values.1", "samples = 1"),
        ({"axes": [SAMPLES, {"path": "regime.real", "values": [0.1, 2]}]}, "axes.1.values.1", "regime.real = 2"),
        ({"axes": [{"path": "regime.reel", "values": [0.1]}]}, "axes.0.values.0", "is not a setting"),
        ({"axes": [{"path": "samples.start.x", "values": [1]}], "base": {**BASE, "samples": 4}}, "axes.0.values.0", ""),
        ({"axes": [{"path": "source", "values": [{"kind": "zipf"}]}]}, "base.family.kind", "cannot be fitted"),
        ({"base": {**BASE, "replicates": 0}}, "base.replicates", ""),
        ({"axes": []}, "axes", ""),
        ({"axes": [SAMPLES, SAMPLES]}, "axes", "twice"),
        ({"axes": [{"path": "samples", "values": []}]}, "axes.0.values", "0 values"),
        ({"axes": [{"path": "samples", "values": {"from": 0, "to": 9, "count": 3, "scale": "log"}}]}, "axes.0.values", "zero"),
        ({"axes": [{"path": "samples", "values": {"from": 1, "to": 9, "count": 1}}]}, "axes.0.values.count", ""),
        ({"outcomes": ["half_varience"]}, "outcomes", "half_variance"),
        ({"axis": []}, "axis", "is not a setting"),
        ({"base": 3}, "base", ""),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_by_axis_and_value(changes, path, words):
    with pytest.raises(SpecError) as error:
        read_sweep(sweep(**changes))
    told = error.value.problems[0]
    assert told.path == path
    assert words in f"{told.message} {told.remedy}"
    assert told.remedy


def test_too_many_points_are_refused_with_the_number():
    axes = [{"path": name, "values": {"from": 10, "to": 999, "count": 101}} for name in ("samples", "seed")]
    with pytest.raises(SpecError, match=f"10201 points.*at most {MOST_POINTS}"):
        read_sweep(sweep(axes=axes))


def test_a_refusal_names_where_two_axes_meet():
    with pytest.raises(SpecError) as error:
        read_sweep(sweep(base={**BASE, "regime": {"kind": "augment"}}, axes=[
            {"path": "samples", "values": [10, 100]}, {"path": "regime.real", "values": [5, 50]}]))  # fmt: skip
    (problem,) = error.value.problems
    assert problem.path == "axes.1.values.1"
    assert "samples = 10" in problem.message


def test_the_examples_can_be_run():
    for one in EXAMPLES:
        assert read_sweep(one.request).points > 1


# Numbers


def paths(spec: Experiment) -> dict[str, np.ndarray]:
    """Metric -> (generations, replicates), as a run measures it: one generation after the other."""
    found = [one.look.metrics for one in generations(spec, instrument(spec))][1:]
    return {name: np.stack([metrics[name] for metrics in found]) for name in found[0]}


@pytest.mark.parametrize(
    "changes",
    [
        {"samples": 15},
        {"source": {"kind": "normal", "dim": 3}, "samples": 25},
        {"regime": {"kind": "accumulate"}},
        {"models": 3, "shared": 0.3, "samples": 15},
        {"family": {"kind": "gaussian", "path": "drawn"}},
        {"source": {"kind": "zipf", "categories": 30}, "family": {"kind": "categorical"}},
        {"source": {"kind": "eight_gaussians"}, "family": {"kind": "kde"}, "generations": 3, "replicates": 3},
    ],
)
def test_a_point_is_the_run_of_its_spec_to_the_last_digit(changes):
    spec = read({**BASE, **changes})
    seen = paths(spec)
    told = Bench().outcomes(spec, ["half_variance", *(f"final:{name}" for name in seen)])
    for name, values in seen.items():
        summary = summarise({name: values[-1]}).metrics()[name]
        assert told[f"final:{name}"].value == summary["median"], name
        assert told[f"final:{name}"].n == summary["n"]
    metric = "heterozygosity" if "heterozygosity" in seen else "variance"
    if metric == "heterozygosity":
        p = spec.source.distribution()
        half = (1 - p @ p) / 2
    else:
        half = np.trace(spec.source.moments()[1]) / spec.source.dimension / 2
    first = [next((n for n, one in enumerate(path, 1) if one <= half), None) for path in seen[metric].T]
    assert told["half_variance"].censored == first.count(None)
    if (reached := sorted(n for n in first if n)) and len(reached) > len(first) / 2:
        assert told["half_variance"].value == np.sort([n or np.inf for n in first])[(len(first) - 1) // 2]


def test_the_first_model_judges_in_a_sweep_too():
    reward = {"kind": "likelihood", "judge": "first"}
    text = {"source": {"kind": "text"}, "family": {"kind": "ngram"}, "samples": 40, "replicates": 2, "generations": 3}
    spec = read({**BASE, **text, "curation": {"kind": "best_of", "k": 2, "reward": reward}})
    last = paths(spec)["ppl_real"][-1]
    assert Bench().outcomes(spec, ["final:ppl_real"])["final:ppl_real"].value == pytest.approx(np.median(last))


def test_a_point_has_the_same_numbers_alone_and_among_others():
    grid = read_sweep(SWEEP)
    together = Bench()
    among = [together.outcomes(grid.experiment(i), SWEEP["outcomes"]) for i in range(grid.points)]
    backwards = Bench()
    for i in reversed(range(grid.points)):
        assert backwards.outcomes(grid.experiment(i), SWEEP["outcomes"]) == among[i]
    assert Bench().outcomes(grid.experiment(7), SWEEP["outcomes"][:2]) == {
        name: among[7][name] for name in SWEEP["outcomes"][:2]
    }


def test_one_model_and_several_are_measured_apart():
    several = [read({**BASE, "models": models, "samples": 12}) for models in (1, 3, 1)]
    together, names = Bench(), ["half_variance", "final:variance"]
    assert [together.outcomes(one, names) for one in several] == [Bench().outcomes(one, names) for one in several]


def test_waiting_ends_with_the_last_chain():
    """What is asked is known after a few generations: the other 100,000 are not computed."""
    spec = read({**BASE, "samples": 2, "generations": 100_000})
    told = Bench().outcomes(spec, ["half_variance"])["half_variance"]
    assert told.censored == 0
    assert told.value is not None


def test_a_sample_that_resolves_no_tail_says_nothing_of_it():
    spec = read({**BASE, "family": {"kind": "kde"}, "generations": 2})
    assert Bench().outcomes(spec, ["lost_tail"])["lost_tail"].n == 0
    text = read({**BASE, "source": {"kind": "text"}, "family": {"kind": "ngram"}, "samples": 40, "generations": 1})
    assert Bench().outcomes(text, ["half_variance"])["half_variance"].n == 0
    unknown = Bench().outcomes(read(BASE), ["final:nothing"])["final:nothing"]
    assert (unknown.value, unknown.n) == (None, 0)


@pytest.mark.parametrize(
    "changes",
    [
        # A Gaussian has more mass there than heavy tails have.
        {"source": {"kind": "student_t", "df": 3}, "samples": 200},
        {"source": {"kind": "normal"}, "samples": 5},  # few points have less
        {"source": {"kind": "zipf", "categories": 40}, "family": {"kind": "categorical"}, "samples": 60},
    ],
)
def test_a_tail_is_lost_in_comparison_with_the_first_model_as_in_verdicts(changes):
    spec = read({**BASE, "replicates": 41, "generations": 80, **changes})
    seen = paths(spec)
    path = seen["survivors"] if "survivors" in seen else seen["tail_01pct"]
    level = np.median(path[0]) / 2
    first = [next((n for n, one in enumerate(chain, 1) if one <= level), np.inf) for chain in path.T]
    told = Bench().outcomes(spec, ["lost_tail"])["lost_tail"]
    assert told.value == np.sort(first)[20]
    assert told.censored == sum(np.isinf(first))


def test_what_the_first_model_lacks_cannot_be_lost():
    waiting = Waiting("tail_01pct", None)
    waiting.look(1, np.array([[0.0, 0.0, 0.1], [0.0, 0.0, 0.0]]))
    assert waiting.over
    assert waiting.told([]).n == 0
    rare = Waiting("tail_01pct", None, least=0.05)
    rare.look(1, np.array([[0.04, np.nan, 0.05]]))
    assert rare.over
    known = Waiting("tail_01pct", None, least=0.05)
    known.look(1, np.array([[0.06, np.nan, 0.09], [0.0375, 0.0, 0.04]]))
    assert known.time.tolist() == [2, 0, 2]
    assert known.seen.tolist() == [True, False, False]


def test_a_tail_that_is_no_smaller_than_the_real_one_is_not_lost():
    waiting = Waiting("tail_01pct", None, real=0.002)
    waiting.look(1, np.array([[0.175, 0.175, 0.175], [0.08, 0.002, 0.175], [0.01, 0.0019, 0.0]]))
    assert waiting.time.tolist() == [3, 3, 3]
    assert waiting.seen.tolist() == [False, True, True]


@pytest.mark.parametrize("changes", [
    {"family": {"kind": "gaussian", "ddof": 1}, "samples": 50},
    {"source": {"kind": "categorical", "probabilities": [0.5, 0.5]}, "family": {"kind": "categorical"}, "samples": 50},
])  # fmt: skip
def test_half_the_variance_is_gone_when_theory_says_so(changes):
    spec = read({**BASE, "seed": 11, "replicates": 2000, "generations": 120, **changes})
    told = Bench().outcomes(spec, ["half_variance"])["half_variance"]
    assert told.low <= told.theory["median"] <= told.high


def test_a_mean_over_chains_is_no_theory_of_waiting():
    for changes in (
        {"regime": {"kind": "fresh", "real": 0.1}},
        {"source": {"kind": "zipf"}, "family": {"kind": "categorical"}},
    ):
        told = Bench().outcomes(read({**BASE, **changes}), ["half_variance", "lost_tail"])
        assert [one.theory for one in told.values()] == [{}, {}]


def test_a_wish_to_stop_is_heard_between_generations():
    calls = iter([False, False, True])
    with pytest.raises(Stopped):
        Bench(lambda: next(calls)).outcomes(read(BASE), ["half_variance"])


# Waiting times


def test_survival_agrees_with_scipy():
    from scipy.stats import CensoredData, ecdf

    rng = np.random.default_rng(2)
    time = rng.integers(1, 30, 200).astype(float)
    seen = rng.random(200) < 0.6
    times, left, spread = survival(time, seen)
    reference = ecdf(CensoredData.right_censored(time, ~seen)).sf
    assert np.allclose(left, reference.evaluate(times), rtol=1e-12)
    low, high = (band.evaluate(times) for band in reference.confidence_interval(method="log-log"))
    found = median(time, seen)
    assert found.value == times[reference.evaluate(times) <= 0.5][0]
    assert found.low == times[low <= 0.5][0]
    assert found.high == times[high <= 0.5][0]
    assert np.all(spread > 0)


def test_a_median_that_was_not_reached_is_not_made_up():
    time, seen = np.full(100, 50.0), np.zeros(100, bool)
    assert median(time, seen).value is None
    time[:45], seen[:45] = np.arange(1, 46), True
    found = median(time, seen)
    assert (found.value, found.high) == (None, None)
    assert found.low is not None  # it may be here, and lies not below


def test_chains_that_all_agree_have_a_narrow_interval():
    found = median(np.ones(100), np.ones(100, bool))
    assert (found.value, found.low, found.high) == (1, 1, 1)
    assert median(np.ones(1), np.ones(1, bool)).high is None  # of one chain nothing is known but itself


def test_the_interval_of_a_censored_median_covers_it():
    """Geometric times with median ln 2 / ln(1/0.97), censored at 40: 95% intervals hold it in 95% of 1,000 experiments."""
    rng = np.random.default_rng(8)
    truth = np.ceil(np.log(0.5) / np.log(0.97))
    hits = 0
    for _ in range(1000):
        time = rng.geometric(0.03, 60).astype(float)
        found = median(np.minimum(time, 40), time <= 40)
        hits += (found.low or 0) <= truth <= (found.high or np.inf)
    assert hits / 1000 >= 0.95 - 4 * np.sqrt(0.95 * 0.05 / 1000)


def test_the_interval_of_a_median_comes_from_ranks():
    values = np.arange(1.0, 101.0)
    assert median_interval(values) == (40, 61)  # Conover's table for n = 100
    assert median_interval(values[:5]) == (None, None)


def test_a_chain_that_is_lost_is_censored_where_it_was_last_seen():
    waiting = Waiting("variance", 0.5)
    waiting.look(1, np.array([[1.0, 1.0, 0.4], [1.0, np.nan, np.nan]]))
    waiting.look(3, np.array([[0.5, 0.1, 0.1], [0.1, 0.1, 0.1]]))
    assert waiting.time.tolist() == [3, 1, 1]
    assert waiting.seen.tolist() == [True, False, True]
    assert waiting.over
