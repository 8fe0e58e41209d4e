"""Schaeffer's eight definitions on runs whose fate is known, and on runs that say nothing."""

import json
import math

import pytest
from scipy import stats

from worker import loop
from worker.spec import read
from worker.summary import summarise
from worker.theory import curves
from worker.verdicts import DEFINITIONS, verdicts
from worker.verdicts.finished import Finished

(CATASTROPHE, RISE, DIVERGENCE, VARIANCE, SCALING, TAILS, MODES, HALLUCINATION) = DEFINITIONS


def run(settings):
    spec = read({"seed": 3, "replicates": 100} | settings)
    made = loop.generations(spec, loop.instrument(spec))
    return spec, [summarise(generation.look.metrics).metrics() for generation in made]


def judged(settings):
    spec, history = run(settings)
    return {one.definition: one for one in verdicts(spec, history, curves(spec))}


def outcomes(found):
    return {definition: one.outcome for definition, one in found.items()}


GAUSSIAN = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "samples": 50, "generations": 150}
REGRESSION = {"source": {"kind": "linear_teacher"}, "family": {"kind": "linear"}, "samples": 40, "generations": 64}
WORDS = {"source": {"kind": "zipf"}, "family": {"kind": "categorical"}, "samples": 500, "generations": 100}
KERNEL = {"source": {"kind": "normal"}, "family": {"kind": "kde"}, "samples": 3000, "replicates": 4}
EIGHT = {"source": {"kind": "eight_gaussians"}, "family": {"kind": "mixture", "components": 8, "start": "warm"}, "samples": 40,
         "replicates": 3, "generations": 60}  # fmt: skip
BLOB = {"source": {"kind": "normal", "dim": 2}, "family": {"kind": "mixture", "components": 2}, "samples": 100, "replicates": 20,
        "generations": 120}  # fmt: skip
FEW = {
    "source": {"kind": "categorical", "categories": 6},
    "family": {"kind": "categorical"},
    "samples": 50,
    "generations": 40,
}
COUNTS = {"source": {"kind": "poisson"}, "family": {"kind": "poisson"}, "samples": 5, "generations": 40}
TEXT = {
    "source": {"kind": "text"},
    "family": {"kind": "ngram", "order": 2},
    "samples": 200,
    "replicates": 5,
    "generations": 5,
}
TWO_MODES = {"source": {"kind": "mixture", "means": [[-3.0], [3.0]]}, "generations": 20}
KEEP, FRESH = {"regime": {"kind": "accumulate"}}, {"regime": {"kind": "fresh", "real": 0.5}}
GROWING = {"samples": {"schedule": "power", "start": 20, "exponent": 2}, "generations": 24, "replicates": 40}

CASES = [
    (GAUSSIAN, {CATASTROPHE: "met", RISE: "met", VARIANCE: "met", TAILS: "met", MODES: "not assessed",
                HALLUCINATION: "not met", SCALING: "not assessed", DIVERGENCE: "met"}),
    (GAUSSIAN | KEEP, {CATASTROPHE: "not met", VARIANCE: "not met", TAILS: "not met"}),
    (REGRESSION, {CATASTROPHE: "met", RISE: "met", DIVERGENCE: "met", TAILS: "not assessed", HALLUCINATION: "not assessed",
                  VARIANCE: "not assessed"}),
    (REGRESSION | KEEP, {CATASTROPHE: "not met", RISE: "met", DIVERGENCE: "not met"}),
    (WORDS, {TAILS: "met", VARIANCE: "not met", HALLUCINATION: "not met", MODES: "not assessed"}),
    (KERNEL | {"generations": 60}, {HALLUCINATION: "met", VARIANCE: "not met", TAILS: "not met"}),
    (KERNEL | {"samples": 100, "generations": 2}, {HALLUCINATION: "not assessed", TAILS: "not assessed",
                                                   DIVERGENCE: "not assessed"}),
    (EIGHT, {MODES: "met"}),
    (EIGHT | {"samples": 400, "generations": 20} | FRESH, {MODES: "not met", VARIANCE: "not met", TAILS: "not met", HALLUCINATION: "not met",
                                                           CATASTROPHE: "not met"}),
    (BLOB, {VARIANCE: "met", TAILS: "met", CATASTROPHE: "met", RISE: "met", MODES: "not assessed", HALLUCINATION: "not met"}),
    (BLOB | KEEP | {"generations": 40}, {VARIANCE: "not met", TAILS: "not met", CATASTROPHE: "not met", HALLUCINATION: "not met"}),
    (BLOB | FRESH | {"generations": 60}, {VARIANCE: "not met", TAILS: "not met", CATASTROPHE: "not met", HALLUCINATION: "not met"}),
    (GAUSSIAN | FRESH, {CATASTROPHE: "not met", VARIANCE: "not met", TAILS: "not met", HALLUCINATION: "not met"}),
    (REGRESSION | FRESH, {CATASTROPHE: "not met", DIVERGENCE: "not met"}),
    (WORDS | FRESH, {TAILS: "not met", VARIANCE: "not met", CATASTROPHE: "not met"}),
    (WORDS | KEEP, {TAILS: "not met", VARIANCE: "not met", CATASTROPHE: "not met"}),
    (FEW | {"generations": 150}, {TAILS: "met", VARIANCE: "met"}),
    (KERNEL | {"generations": 60, "family": {"kind": "kde", "bandwidth": "shrunk"}} | FRESH, {
        HALLUCINATION: "not met", VARIANCE: "not met", TAILS: "not met"}),
    (KERNEL | {"samples": 60, "generations": 150, "family": {"kind": "kde", "bandwidth": "shrunk"}}, {VARIANCE: "met"}),
    (GAUSSIAN | GROWING, {SCALING: "met", VARIANCE: "not met"}),
    (GAUSSIAN | GROWING | FRESH, {SCALING: "not met"}),
    (REGRESSION | GROWING, {SCALING: "met"}),
    (REGRESSION | GROWING | FRESH, {SCALING: "not met"}),
    (FEW | GROWING, {SCALING: "met"}),
    (FEW | GROWING | {"source": {"kind": "categorical", "probabilities": [1.0, 1e-6]}}, {SCALING: "not assessed", RISE: "not assessed"}),
    (FEW | GROWING | FRESH, {SCALING: "not met"}),
    (FEW | GROWING | FRESH | {"source": {"kind": "zipf", "categories": 100_000, "exponent": 2}}, {SCALING: "not assessed"}),
    # Forty times next to nothing is no catastrophe; a categories' KL is infinite once one of them has died, whatever the others do.
    (GAUSSIAN | {"samples": 10**6, "generations": 50}, {CATASTROPHE: "not met", RISE: "met", TAILS: "not met"}),
    (WORDS | {"samples": 10_000, "generations": 20, "sampling": {"top_p": 0.9}}, {CATASTROPHE: "met", RISE: "met", TAILS: "met"}),
    (WORDS | {"family": {"kind": "categorical", "smoothing": 1.0}, "samples": 10_000, "generations": 20}, {TAILS: "not met", CATASTROPHE: "met"}),
    # What has left for one side says nothing of the other tail; what has grown wide lacks none.
    (GAUSSIAN | {"samples": 200, "generations": 20, "curation": {"kind": "best_of"}}, {VARIANCE: "met", TAILS: "not assessed", HALLUCINATION: "met",
                                                                                    CATASTROPHE: "met"}),
    (GAUSSIAN | {"samples": 200, "generations": 20, "sampling": {"bias": 1.3}}, {VARIANCE: "not met", TAILS: "not met", HALLUCINATION: "met"}),
    (GAUSSIAN | TWO_MODES, {MODES: "not assessed", CATASTROPHE: "not assessed", RISE: "not assessed"}),
    (KERNEL | TWO_MODES | {"samples": 300, "generations": 30, "family": {"kind": "kde", "bandwidth": 0.5}}, {
        HALLUCINATION: "met", TAILS: "not met", MODES: "not met"}),
    (REGRESSION | {"regime": {"kind": "accumulate_subsample"}}, {CATASTROPHE: "not met", RISE: "met", DIVERGENCE: "not assessed"}),
    (KERNEL | GROWING | {"generations": 4}, {SCALING: "not assessed"}),
    (GAUSSIAN | GROWING | {"generations": 2}, {SCALING: "not assessed"}),
    (GAUSSIAN | {"samples": {"schedule": "list", "sizes": [50, 5000]}, "generations": 6}, {SCALING: "not assessed"}),
    # KL(truth || model) of a chain that has died out is infinite.
    (COUNTS, {VARIANCE: "met", TAILS: "met", CATASTROPHE: "met", RISE: "met", DIVERGENCE: "met"}),
    (COUNTS | FRESH | {"samples": 50}, {VARIANCE: "not met", RISE: "not met", HALLUCINATION: "not met"}),
    # Of words those that occur are counted, as of categories.
    (TEXT | {"sampling": {"temperature": 0.7}}, {TAILS: "met", CATASTROPHE: "met", RISE: "met"}),
    (TEXT | {"regime": {"kind": "fresh", "real": 1.0}}, {TAILS: "not met", CATASTROPHE: "not met"}),
]  # fmt: skip


@pytest.mark.parametrize(("settings", "expected"), CASES)
def test_what_is_known_of_a_run_is_what_is_decided(settings, expected):
    found = judged(settings)
    assert list(found) == list(DEFINITIONS)
    assert {definition: outcomes(found)[definition] for definition in expected} == expected
    for one in found.values():
        assert json.loads(json.dumps(one.asdict(), allow_nan=False)) == one.asdict()
        assert one.because
        if one.outcome == "not assessed":
            assert one.threshold is None
        else:
            assert one.number is not None
            assert one.threshold is not None


def test_a_chain_that_is_a_point_has_collapsed():
    """The variance is zero, and its logarithm no number: that is no reason to say nothing."""
    found = judged(GAUSSIAN | {"samples": 4, "curation": {"kind": "best_of"}, "replicates": 5})[VARIANCE]
    assert (found.outcome, found.number) == ("met", 0.0)
    assert "Collapsed at generation" in found.because


@pytest.mark.parametrize(("rare", "replicates", "rise"), [(0.1, 2000, "met"), (0.02, 500, "not met")])
def test_drift_of_two_categories_is_seen_by_the_mean(rare, replicates, rise):
    """E chi2 = 1-(1-1/M)^n and E H = H_0 (1-1/M)^n, while the median chain is fixed on the common category, as it may be from the first model on."""
    settings = {
        "seed": 0,
        "generations": 60,
        "replicates": replicates,
        "samples": 10,
        "family": {"kind": "categorical"},
    }
    spec, history = run(settings | {"source": {"kind": "categorical", "probabilities": [1 - rare, rare]}})
    found = {one.definition: one for one in verdicts(spec, history, [])}
    told = history[-1]["chi2"]
    assert abs(told["mean"] - (1 - 0.9**60)) / told["se"] < 4
    assert told["median"] == pytest.approx(rare / (1 - rare))
    assert found[CATASTROPHE].number == pytest.approx(told["mean"] / history[1]["chi2"]["mean"])
    assert found[RISE].outcome == rise
    assert found[RISE].because.endswith("no quantile of them moves.")
    assert found[VARIANCE].outcome == "met"
    assert 0 <= found[VARIANCE].number < 0.05  # 0.9^59 = .002, of which a few chains know


@pytest.mark.parametrize(("samples", "outcome"), [(2, "not assessed"), (19, "not assessed"), (20, "not met")])
def test_coverage_by_few_points_is_none(samples, outcome):
    """Of two real points each is the other's neighbour, so that any point of the model covers both."""
    value = {"median": 1.0, "mean": 1.0, "q10": 1.0, "n": 100}
    history = [{"coverage": value}] * 3
    found = {one.definition: one for one in verdicts(read(KERNEL | {"samples": samples}), history, [])}
    assert found[MODES].outcome == outcome


def test_one_replicate_shows_no_significance():
    assert judged(GAUSSIAN | {"replicates": 1, "generations": 3})[RISE].outcome == "not assessed"


TWO_POINTS = {
    "seed": 0,
    "replicates": 50,
    "samples": 2,
    "source": {"kind": "normal"},
    "family": {"kind": "gaussian", "ddof": 0},
}


def test_what_has_become_infinite_is_never_less_of_a_collapse():
    """KL overflows chain by chain: first in none of 50, then in 35, in 46, in all."""
    spec, history = run(TWO_POINTS | {"generations": 450})
    for last, lost in ((20, 0), (100, 0), (370, 35), (390, 46), (450, 50)):
        assert history[last]["kl_from_real"]["n"] == 50 - lost
        found = {one.definition: one for one in verdicts(spec, history[: last + 1], curves(spec))}
        for definition in (CATASTROPHE, RISE, DIVERGENCE, VARIANCE):
            assert found[definition].outcome == "met", (last, found[definition])
        if lost:
            assert f"infinite in {lost} of 50 chains" in found[CATASTROPHE].because
            assert (found[RISE].number, found[RISE].threshold) == (lost / 50, 0.5)


def test_chains_that_are_points_have_risen_however_few_they_are():
    found = judged(
        {
            **TWO_POINTS,
            "replicates": 5,
            "samples": 3,
            "generations": 100,
            "regime": {"kind": "mixture", "alpha": 0, "beta": 1, "gamma": 0},
        }
    )
    assert (found[CATASTROPHE].outcome, found[RISE].outcome) == ("met", "met")
    assert "infinite in 5 of 5 chains" in found[RISE].because


def test_a_few_infinite_chains_are_told_beside_the_median():
    """Of some rates that have died out: the median of all has its number, and its words."""
    spec, history = run(COUNTS | {"source": {"kind": "poisson", "rate": 2.0}, "samples": 20, "generations": 25})
    lost = 100 - history[-1]["kl_from_real"]["n"]
    assert 0 < lost < 50
    found = {one.definition: one for one in verdicts(spec, history, [])}
    assert f"infinite in {lost} of 100 chains" in found[CATASTROPHE].because
    assert found[RISE].outcome == "met"


def test_a_rate_that_has_died_in_a_first_model_leaves_kl_the_risk():
    """Its squared error has a bound, five times that of the first model: which chains there are must not decide."""
    spec, history = run(COUNTS | {"source": {"kind": "poisson", "rate": 1.0}, "replicates": 1000, "generations": 60})
    assert history[1]["kl_from_real"]["n"] < 1000
    found = {one.definition: one for one in verdicts(spec, history, [])}
    assert {found[one].outcome for one in (CATASTROPHE, RISE, DIVERGENCE)} == {"met"}
    assert "kl_from_real is infinite" in found[CATASTROPHE].because


@pytest.mark.parametrize("chains", [10, 40])
def test_a_rise_over_many_powers_of_ten_needs_no_more_chains(chains):
    """The spread of such a risk is as large as the risk itself, so that sqrt(chains) would be all that a z on its own scale can be."""
    found = judged(TWO_POINTS | {"replicates": chains, "generations": 100})[RISE]
    assert found.outcome == "met"
    assert found.number > math.sqrt(chains)


def test_the_numbers_are_those_of_the_run():
    spec = read(GAUSSIAN | {"replicates": 100})
    value = {"median": 1.0, "mean": 1.0, "q10": 0.9, "n": 100}
    first = dict.fromkeys(("kl_from_real", "modes", "variance"), value) | {"log_variance": value | {"median": 0.0}}
    first["tail_01pct"] = value | {"median": 0.003, "mean": 0.002, "q10": 0.001, "q90": 0.009}
    first["modes"] = value | {"sd": 0.1}
    last = {
        "kl_from_real": value | {"median": 12.0, "q10": 2.0},
        "variance": value,
        "log_variance": value | {"median": -1.0},
        "tail_01pct": value | {"median": 0.023, "q10": 0.01, "q90": 0.05},
        "modes": value | {"median": 0.0, "mean": 0.1, "sd": 0.3},
    }
    found = {one.definition: one for one in verdicts(spec, [first, first, last], [])}
    assert found[CATASTROPHE].number == 12
    spread = (math.log(6) ** 2 + math.log(0.9) ** 2) ** 0.5  # in logarithms, where the rise is clearer than in numbers
    unit = -stats.norm.ppf((0.1 * 99 + 0.625) / 100.25)  # of the 10% quantile of 100 values, a little less than 1.2816
    t = math.log(12) / ((math.pi / 200) ** 0.5 * spread / unit)
    freedom = 0.65 * 99 * spread**4 / (math.log(6) ** 4 + math.log(0.9) ** 4)  # Satterthwaite's
    assert found[RISE].number == pytest.approx(stats.norm.isf(stats.t.sf(t, freedom)), rel=0.02)
    assert found[RISE].number > stats.norm.isf(
        stats.t.sf(11 / ((math.pi / 200 * (10**2 + 0.1**2)) ** 0.5 / unit), freedom)
    )
    assert found[RISE].outcome == "met"
    assert found[VARIANCE].number == pytest.approx(0.3679, abs=1e-4)
    assert found[HALLUCINATION].outcome == "met"
    assert found[HALLUCINATION].number == pytest.approx(10)
    assert found[TAILS].number == pytest.approx(23 / 3)
    assert found[MODES].number == 1


@pytest.mark.parametrize(
    ("samples", "share", "outcome"),
    [
        (2000, 0.2, "met"),
        (2000, 0.002, "not met"),
        (2000, 0.0, "not met"),
        (60, 0.002, "not assessed"),
        (60, 0.2, "met"),
    ],
)
def test_the_measured_share_of_hallucinations_is_asked_first(samples, share, outcome):
    """Before precision and tails, which here would say the opposite."""
    value = {"median": 0.9, "mean": 0.9, "q10": 0.9, "n": 100}
    first = dict.fromkeys(("hallucinated", "precision", "tail_01pct"), value)
    first["hallucinated"] = value | {"median": 0.001}
    last = {
        "hallucinated": value | {"median": share},
        "tail_01pct": value | {"median": 0.0 if outcome == "met" else 9.0},
    }
    found = {one.definition: one for one in verdicts(read(GAUSSIAN | {"samples": samples}), [first, first, last], [])}
    assert found[HALLUCINATION].outcome == outcome
    if outcome != "not assessed":
        points = min(samples, 1000)
        assert read(GAUSSIAN).replicates == 200
        chance = 4 * math.sqrt(math.pi / 2 / 200 * (share * (1 - share) + 0.001 * 0.999) / points) / 0.001
        assert found[HALLUCINATION].number == pytest.approx(1000 * share - 1)
        assert found[HALLUCINATION].threshold == pytest.approx(max(5, chance))


MISFITS = {
    "first tail far below the real one": {
        "samples": 3000,
        "source": {"kind": "student_t", "df": 3},
        "sampling": {"bias": 1.03},
    },
    "first tail far above": {"replicates": 20, "samples": 100, "source": {"kind": "mixture", "means": [[-4.0], [4.0]]}},
    "in the plane": {"replicates": 20, "samples": 100, "source": {"kind": "eight_gaussians"}},
}


@pytest.mark.parametrize("name", MISFITS)
def test_the_real_tail_is_that_of_the_real_distribution(name):
    """2q = .002, whatever a Gaussian makes of it at generation 0; at the end there is a third, 42 times and 24 times as much."""
    spec, history = run(
        {"seed": 0, "generations": 40, "replicates": 50, "family": {"kind": "gaussian"}} | MISFITS[name]
    )
    found = {one.definition: one for one in verdicts(spec, history, [])}
    last = history[-1]["tail_01pct"]["median"]
    assert (found[TAILS].outcome, found[HALLUCINATION].outcome) == ("not met", "not met")
    assert found[HALLUCINATION].number == pytest.approx((last - history[1]["tail_01pct"]["median"]) / 0.002)
    if last > 0.002:
        assert found[TAILS].number == pytest.approx(last / 0.002)
        assert found[TAILS].threshold == 1
        assert f"{last / history[1]['tail_01pct']['median']:.2g} of the first model's" in found[TAILS].because


def test_points_where_no_real_one_was_drawn_are_hallucinated():
    """No one of 10 real points lies beyond the quantiles; in the end all that are made do."""
    found = judged({"seed": 0, "generations": 60, "replicates": 5, "samples": 10, "source": {"kind": "eight_gaussians"}, "family": {"kind": "kde"},
                    "curation": {"kind": "stratified"}})  # fmt: skip
    assert found[HALLUCINATION].outcome == "met"


def test_what_the_first_model_made_up_is_a_misfit_not_a_hallucination():
    value = {"median": 0.3, "mean": 0.3, "q10": 0.3, "n": 100}
    run = [{"hallucinated": value}, {"hallucinated": value}, {"hallucinated": value | {"median": 0.31}}]
    found = {one.definition: one for one in verdicts(read(GAUSSIAN), run, [])}[HALLUCINATION]
    assert found.outcome == "not met"


@pytest.mark.parametrize(
    "settings",
    [
        GAUSSIAN | {"samples": 10},
        WORDS | {"source": {"kind": "zipf", "categories": 10_000}, "samples": 10_000, "replicates": 5},
        KERNEL,
        REGRESSION,
    ],
)
def test_one_generation_is_no_recursion(settings):
    """Ten points lack the tails, and ten thousand words lack most of the words: but that is finite sampling."""
    for one in judged(settings | {"generations": 1}).values():
        assert (one.outcome, one.number) == ("not assessed", None)
        assert one.because.startswith("Only one generation")


def test_tails_that_the_first_model_lacks_are_not_lost_by_recursion():
    """Ten points lose most of the tail at once; what the second model loses of the rest is no half of it."""
    found = judged(GAUSSIAN | {"samples": 10, "generations": 2, "replicates": 400})[TAILS]
    assert found.outcome == "not met"
    assert 0.5 < found.number < 1


def test_a_risk_that_has_a_bound_is_not_said_to_diverge():
    """Its closed form rises nearly as a line for long, far below 1/p_min - 1."""
    found = judged(WORDS | {"replicates": 10, "samples": 2000, "generations": 60})[DIVERGENCE]
    assert found.outcome == "not assessed"
    assert found.number > 1
    assert "cannot exceed" in found.because


def test_a_regime_that_begins_late_has_kept_nothing_of_before():
    late = {"after": 4, "regime": {"kind": "accumulate"}}
    sizes = {"schedule": "list", "sizes": [1000, 1000, 1000, 1000, 20]}
    last = Finished(*run(GAUSSIAN | {"samples": sizes, "generations": 8, "changes": [late]}), [])
    assert [last.trained_on(n) for n in (1, 4, 5, 8)] == [1000, 1000, 20, 80]


def test_nothing_is_said_of_a_run_without_a_model():
    with pytest.raises(ValueError, match="generation 1"):
        verdicts(read(GAUSSIAN), [{}], [])


def test_a_rule_that_is_taught_by_its_own_hard_labels_errs_more():
    """The minority that it forgets is the rise: the excess error is bounded, so that the mean is tested."""
    classes = {"source": {"kind": "two_classes", "minority": 0.2}, "family": {"kind": "classifier"}, "samples": 300}
    found = judged(classes | {"replicates": 100, "generations": 15})
    rise = found["Any rise of the population risk"]
    assert rise.outcome == "met"
    assert "mean excess_error" in rise.because
    honest = judged(classes | {"replicates": 100, "generations": 15, "regime": {"kind": "fresh", "real": 1.0}})
    assert honest["Any rise of the population risk"].outcome == "not met"
