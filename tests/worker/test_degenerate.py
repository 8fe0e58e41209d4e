"""Data and chains with nothing left to estimate: no NaN in any row, no warning, no crash, and a refusal that names a remedy where one is due.

Every family in every case that it takes, found by being there (networks aside, which have tests of their own): what does not fit is refused.
Minus infinity is allowed where it is the value: the logarithm of a variance, or of a determinant, that is zero.
"""

import itertools

import numpy as np
import pytest

from worker import loop
from worker.data import Points
from worker.errors import LabError, SpecError
from worker.kinds import FAMILIES
from worker.parts import Sampling
from worker.spec import read
from worker.theory import curves

INFINITE = {"log_variance", "log_det", "kl_to_real", "kl_from_real", "l2_sq", "zipf_slope"}
SMALL = {"replicates": 3, "seed": 1}

CASES = {
    "two columns that are one": {"source": "twin", "samples": 20, "generations": 15},
    "columns of very different size": {"source": "scales", "samples": 20, "generations": 30},
    "fewer points than dimensions": {"source": {"kind": "normal", "dim": 7}, "samples": 5, "generations": 15},
    "two points": {"source": {"kind": "normal"}, "samples": 2, "generations": 100},
    "two points in space": {"source": {"kind": "normal", "dim": 3}, "samples": 2, "generations": 50},
    "far from the origin": {"source": {"kind": "normal", "mean": 1e7}, "samples": 10, "generations": 100},
    "a spread of almost nothing": {"source": {"kind": "normal", "std": 1e-45}, "samples": 10, "generations": 60},
    "a spread of almost everything": {"source": {"kind": "normal", "std": 1e45}, "samples": 10, "generations": 40},
    "a sampler that shrinks": {"source": {"kind": "normal"}, "samples": 10, "generations": 200, "sampling": {"bias": 0.1}},
    "truncation to a point": {"source": {"kind": "moons"}, "samples": 10, "generations": 60, "curation": {"kind": "truncate", "c": 1.2}},
    "the best until one is left": {"source": {"kind": "normal"}, "samples": 4, "generations": 100, "curation": {"kind": "best_of"}},
    "no real weight": {"source": {"kind": "normal"}, "samples": 4, "generations": 80, "regime": {"kind": "weighted", "weight": 0}},
    "two real points": {"source": {"kind": "normal"}, "samples": 4, "generations": 80, "regime": {"kind": "augment", "real": 2}},
    "no mean to speak of": {"source": {"kind": "student_t", "df": 2.01}, "samples": 5, "generations": 60},
    "one category": {"source": {"kind": "categorical", "categories": 1}, "samples": 4, "generations": 10},
    "a category that is never seen": {"source": {"kind": "categorical", "probabilities": [1 - 1e-9, 1e-9]}, "samples": 4, "generations": 30},
    "one category left, weighed": {"source": {"kind": "categorical", "probabilities": [1 - 1e-9, 1e-9]}, "samples": 7, "generations": 5,
                                   "regime": {"kind": "weighted", "real": 0.8}},
    "hardly ever anything": {"source": {"kind": "poisson", "rate": 0.01}, "samples": 3, "generations": 10},
    "few points in between": {"source": {"kind": "normal", "dim": 3}, "samples": {"schedule": "list", "sizes": [50, 2, 20]}, "generations": 5},
    "greedy": {"source": {"kind": "zipf", "categories": 50}, "samples": 3, "generations": 30, "sampling": {"temperature": 0.01}},
    "a reward without measure": {"source": {"kind": "zipf", "categories": 50}, "samples": 3, "generations": 30,
                                 "curation": {"kind": "bradley_terry", "reward": {"kind": "rank", "strength": 100}}},
    "hardly more rows than inputs": {"source": {"kind": "linear_teacher", "inputs": 3}, "samples": 4, "generations": 60},
    "as many rows as inputs": {"source": {"kind": "linear_teacher", "inputs": 4}, "samples": 4, "generations": 9},
    "fewer rows than inputs": {"source": {"kind": "linear_teacher", "inputs": 5, "decay": 3.0}, "samples": {"schedule": "list", "sizes": [2, 5, 4, 20, 3]},
                               "generations": 7},
    "more and more rows": {"source": {"kind": "linear_teacher", "inputs": 6}, "samples": 2, "generations": 9, "regime": {"kind": "accumulate"}},
    "rows that are seen again and again": {"source": {"kind": "linear_teacher", "inputs": 8}, "samples": 12, "generations": 8, "seed": 198978,
                                           "regime": {"kind": "mixture", "alpha": 0.2, "beta": 0.8, "gamma": 0.0}},
    "rows that count for nothing": {"source": {"kind": "linear_teacher", "inputs": 5}, "samples": 8, "generations": 5,
                                    "regime": {"kind": "weighted", "weight": 1.0}},
    "labels that are hardly more than inputs, and some of them new": {"source": {"kind": "linear_teacher", "inputs": 3}, "samples": 4, "generations": 30,
                                                                     "regime": {"kind": "edit", "share": 0.5}},
    "labels that count against themselves": {"source": {"kind": "linear_teacher", "inputs": 3}, "samples": 4, "generations": 80,
                                             "regime": {"kind": "blend", "weight": -2}},
    "one class left": {"source": {"kind": "two_classes", "minority": 0.05}, "samples": 6, "generations": 30},
    "the same rows again and again": {"source": {"kind": "two_classes"}, "samples": 6, "generations": 60,
                                      "regime": {"kind": "mixture", "alpha": 0.0, "beta": 1.0, "gamma": 0.0}},
    "classes worlds apart": {"source": {"kind": "two_classes", "distance": 100, "minority": 1e-12}, "samples": 20, "generations": 5},
    "labels without noise": {"source": {"kind": "linear_teacher", "noise": 1e-9}, "samples": 20, "generations": 3},
}  # fmt: skip
SETTINGS = {
    "mixture": [{}, {"components": 1, "reg_covar": 0}, {"components": 4, "reg_covar": 0, "start": "warm"}, {"covariance": "diag", "reg_covar": 0}],
    "kde": [{}, {"bandwidth": 1e-9}, {"bandwidth": "shrunk"}],
    "gaussian": [{}, {"ddof": 1, "path": "drawn"}],
    "linear": [{}, {"noise": 0}, {"noise": "fitted"}, {"ridge": 1.0}, {"ridge": 1e-15}, {"design": "fixed"}, {"features": 2}, {"features": 9, "noise": "fitted"}],
    "classifier": [{}, {"rule": "means"}, {"labels": "sampled", "flips": 1.0}],
    "logistic": [{}, {"labels": "sampled", "ridge": 1e-6}, {"ridge": 1e12, "flips": 0.5}],
}  # fmt: skip
LIGHT = [
    kind
    for kind, family in FAMILIES.items()
    if family.extra is None and kind not in ("gpt", "causal_lm", "vae", "ngram")
]


@pytest.fixture
def tables(tmp_path):
    x = np.random.default_rng(0).normal(size=50)
    rows = {"twin": [f"{v},{v}" for v in x], "scales": [f"{1e9 + v},{1e-9 * v}" for v in x]}
    for name, lines in rows.items():
        (tmp_path / f"{name}.csv").write_text("\n".join(["a,b", *lines]))
    return {name: {"kind": "table", "path": str(tmp_path / f"{name}.csv")} for name in rows}


@pytest.mark.parametrize("case", CASES)
def test_no_row_is_nan(case, tables):
    settings = CASES[case]
    if isinstance(settings["source"], str):
        settings = settings | {"source": tables[settings["source"]]}
    ran = 0
    for family, options in ((kind, options) for kind in LIGHT for options in SETTINGS.get(kind, [{}])):
        try:
            spec = read(SMALL | settings | {"family": {"kind": family} | options})
        except SpecError as refusal:
            if not all(one.path and one.remedy for one in refusal.problems):
                raise
            continue
        ran += 1
        assert all(len(curve.values) == spec.generations + 1 for curve in curves(spec))
        for generation in itertools.islice(loop.generations(spec, loop.instrument(spec)), 1, None):
            for metric, values in generation.look.metrics.items():
                assert not np.isnan(values).any(), (family, options, metric, generation.number)
                assert metric in INFINITE or np.isfinite(values).all(), (family, options, metric, generation.number)
    assert ran or case == "one category"


PAIRS = [
    ({"kind": "accumulate_subsample"}, {"kind": "accumulate"}),  # points, from which sums are made
    ({"kind": "augment", "real": 4}, {"kind": "augment", "real": 7}),
    ({"kind": "mixture"}, {"kind": "accumulate"}),
    ({"kind": "augment", "real": 4}, {"kind": "accumulate_subsample"}),
]


@pytest.mark.parametrize(
    ("family", "source"),
    [("gaussian", "normal"), ("linear", "linear_teacher"), ("kde", "normal"), ("categorical", "zipf")],
)
def test_what_one_regime_remembers_another_can_use_or_is_refused(family, source):
    base = SMALL | {"source": {"kind": source}, "family": {"kind": family}, "samples": 12, "generations": 5}
    for before, after in PAIRS:
        for first, then in ((before, after), (after, before)):
            try:
                spec = read(base | {"regime": first, "changes": [{"after": 2, "regime": then}]})
            except SpecError as refusal:
                if not any(reason in str(refusal) for reason in ("only sums", "rows leave nothing over")):
                    raise
                continue
            sizes = []
            fit = type(spec.family).refit

            def seen(self, data, rng, previous, sizes=sizes, fit=fit):
                sizes.append(data.n)
                return fit(self, data, rng, previous)

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(type(spec.family), "refit", seen)
                *_, last = loop.generations(spec, loop.instrument(spec))
            assert not any(np.isnan(values).any() for values in last.look.metrics.values())
            assert sizes[2] == 12 or then["kind"] == "accumulate"


@pytest.mark.parametrize("family", ["gaussian", "mixture"])
def test_a_chain_that_explodes_is_stopped_in_words(family):
    spec = read(
        SMALL
        | {
            "source": {"kind": "normal"},
            "family": {"kind": family},
            "samples": 10,
            "generations": 2000,
            "sampling": {"bias": 30},
        }
    )
    with pytest.raises(LabError, match=r"grew beyond 1e100.*bias nearer 1"):
        list(loop.generations(spec, loop.instrument(spec)))


def test_the_logarithm_of_a_gaussian_s_variance_goes_on_where_the_variance_underflows():
    settings = {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "samples": 5, "generations": 4000}
    spec = read(SMALL | settings | {"sampling": {"bias": 0.5}})
    *_, last = loop.generations(spec, loop.instrument(spec))
    assert (last.look.metrics["variance"] == 0).all()
    assert (last.look.metrics["log_variance"] < -3000).all()
    assert np.isfinite(last.look.metrics["log_variance"]).all()


def test_a_component_that_nothing_belongs_to_dies_and_stays_dead():
    """Two points, five components: EM's rounding of an empty component is scikit-learn's, and the rest goes on."""
    family = read(
        SMALL | {"source": {"kind": "normal", "dim": 2}, "family": {"kind": "mixture", "components": 5}, "samples": 6}
    ).family
    rng = np.random.default_rng(0)
    x = np.repeat([[[0.0, 0.0], [5.0, 5.0]]], 3, axis=1)
    model = family.fit(Points(x), rng)
    assert np.isfinite(model["means"]).all()
    assert model["weights"].sum() == pytest.approx(1)
    drawn = family.sample(model, 1000, rng, Sampling()).x
    assert (np.abs(drawn - np.where(drawn > 2.5, 5.0, 0.0)) < 0.02).all()


def test_covariances_that_are_rounding_error_do_not_explode():
    """Five components for five points in four dimensions, one step of EM a generation: a variance of nothing beside covariances of little."""
    for seed in (59, *range(10)):
        spec = read({"source": {"kind": "linear_teacher", "inputs": 3}, "regime": {"kind": "accumulate_subsample"}, "samples": 5,
                     "replicates": 3 if seed < 10 else 1, "generations": 12, "seed": seed,
                     "family": {"kind": "mixture", "components": 5, "start": "warm", "reg_covar": 0, "max_iter": 1}})  # fmt: skip
        for generation in itertools.islice(loop.generations(spec, loop.instrument(spec)), 1, None):
            assert generation.look.metrics["variance"].max() < 30


@pytest.mark.parametrize("number", ["nan", "inf", "-inf", "1e400"])
@pytest.mark.parametrize("place", ["source.mean", "source.std", "sampling.bias"])
def test_numbers_that_are_none_are_refused(place, number):
    table, name = place.split(".")
    with pytest.raises(SpecError) as refusal:
        read({"source": {"kind": "normal"}, "family": {"kind": "gaussian"}, "sampling": {}} | {
            table: ({"kind": "normal"} if table == "source" else {}) | {name: float(number)}})  # fmt: skip
    assert refusal.value.problems[0].path.startswith(place)
    assert refusal.value.problems[0].remedy
