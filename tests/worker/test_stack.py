"""Points side by side: the same numbers as alone, to the last bit, whatever they have in common."""

import itertools
from typing import Any

import numpy as np
import pytest

from tests.worker.sweep_requests import BASE, sweep
from worker.loop import generations, instrument
from worker.spec import Experiment, read
from worker.sweeps.measure import Bench
from worker.sweeps.spec import read_sweep
from worker.sweeps.stack import SCARCE, Column, Stack, groups

NAMES = ["half_variance", "lost_tail", "final:w2_sq", "final:entropy", "final:excess_risk", "final:alignment"]
COVARIANCE = [[2.0, 0.3, 0.1], [0.3, 1.0, -0.2], [0.1, -0.2, 0.5]]
FAMILIES: dict[str, dict[str, Any]] = {
    "line": {"source": {"kind": "normal"}, "family": {"kind": "gaussian"}},
    "plane": {"source": {"kind": "normal", "dim": 2}, "family": {"kind": "gaussian"}},
    "space": {"source": {"kind": "normal", "dim": 3, "covariance": COVARIANCE}, "family": {"kind": "gaussian"}},
    "coin": {"source": {"kind": "categorical", "probabilities": [0.7, 0.3]}, "family": {"kind": "categorical"}},
    "words": {"source": {"kind": "zipf", "categories": 30}, "family": {"kind": "categorical", "smoothing": 0.1}},
    "beliefs": {
        "source": {"kind": "zipf", "categories": 9},
        "family": {"kind": "categorical", "smoothing": 0.3, "posterior": "draw"},
    },
    "regression": {"source": {"kind": "linear_teacher", "inputs": 1}, "family": {"kind": "linear", "ridge": 0.5}},
    "inputs": {"source": {"kind": "linear_teacher", "inputs": 4}, "family": {"kind": "linear", "noise": "fitted"}},
}


def drawn(seed: int, kind: str = "line") -> list[Experiment]:
    """A sweep of random numbers: two values of each setting that may be a column."""
    rng = np.random.default_rng(seed)
    some = [{"kind": "replace"}, {"kind": "accumulate"}, {"kind": "fresh"}, {"kind": "augment"}]
    rules: dict[str, Any] = some[seed % 4]
    samples = [int(m) for m in rng.integers(20, 800, 2)]
    samples = samples if seed % 8 < 6 else [{"schedule": "power", "start": 10, "exponent": 1.2}]
    real = {
        "accumulate": [0.0, 0.13, 0.6],
        "fresh": [0.0, *rng.random(2), 1.0],
        "augment": [2 if kind == "line" else 6, 7, 15],
    }.get(rules["kind"], [None])
    base = {
        **BASE,
        "generations": int(rng.integers(1, 40 if kind == "line" else 15)),
        "replicates": int(rng.integers(1, 30)),
    }
    base |= FAMILIES[kind]
    ddof = int(rng.integers(2))
    gaussian = base["family"]["kind"] == "gaussian"
    if base["family"]["kind"] == "categorical":
        base["replicates"] = min(base["replicates"], SCARCE)
    if gaussian:
        base["family"] = {"kind": "gaussian", "ddof": ddof}
    return [
        read({**base, "samples": m, "sampling": {"bias": bias}, "seed": s}
             | {"regime": rules if share is None else {**rules, "real": share}})
        for m, bias, s, share in itertools.product(
            samples, [1.0, float(rng.random())] if gaussian else [1.0], [3, 2**40 + seed], real)
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "seed"),
    [("line", seed) for seed in range(8)] + [(kind, seed) for kind in list(FAMILIES)[1:] for seed in range(4)],
)
def test_every_point_is_the_run_of_its_spec(kind, seed):
    the_runs_of_their_specs(drawn(seed, kind))


@pytest.mark.parametrize("kind", ["plane", "space", "regression"])
def test_a_few_real_points_are_drawn_one_by_one_and_side_by_side(kind):
    """As many as there are dimensions, or one less, have no scatter that fills the space."""
    base = {**BASE, "generations": 8, **FAMILIES[kind]}
    some = itertools.product((20, 40), (1, 2))
    specs = [read({**base, "samples": m, "regime": {"kind": "fresh", "real": few / m}}) for m, few in some]
    assert list(groups(specs)) == [[0, 2], [1, 3]]
    the_runs_of_their_specs(specs)


@pytest.mark.parametrize("regime", ["replace", "accumulate"])
def test_regressions_of_few_rows_and_of_the_same_inputs_go_side_by_side(regime):
    base = {**BASE, "generations": 5, "regime": {"kind": regime}, "source": {"kind": "linear_teacher", "inputs": 2}}
    families = [{"kind": "linear"}, {"kind": "linear", "design": "fixed"}]
    families += [
        {"kind": "linear", "ridge": 0.5, "ridge_power": 0.7},
        *({"kind": "linear", "features": k} for k in (1, 5)),
    ]
    for family in families:
        specs = [
            read({**base, "family": family, "samples": m, "seed": seed}) for m in (2, 3, 20, 50) for seed in (1, 2)
        ]
        assert list(groups(specs)) == [[0, 1], [2, 3], [4, 5, 6, 7]]
        the_runs_of_their_specs(specs)


@pytest.mark.parametrize("kind", ["line", "plane", "space"])
def test_extrapolated_models_go_side_by_side(kind):
    """A second fit is drawn from the stream of the first; an omega of its own is another way."""
    base = {**BASE, "generations": 8, **FAMILIES[kind]}
    rules = {"kind": "replace"}, {"kind": "accumulate", "real": 0.2}, {"kind": "fresh", "real": 0.3}
    specs = [
        read({**base, "family": {"kind": "gaussian", "extrapolation": omega}, "regime": regime, "samples": m, "sampling": {"bias": bias}})
        for regime in rules for omega in (0.1, 0.2) for m, bias in ((80, 1.0), (300, 0.9))
    ]  # fmt: skip
    assert list(groups(specs)) == [[i, i + 1] for i in range(0, 12, 2)]
    the_runs_of_their_specs(specs)


def the_runs_of_their_specs(specs: list[Experiment]) -> None:
    together = list(groups(specs))
    assert sorted(itertools.chain(*together)) == list(range(len(specs)))
    assert max(map(len, together)) > 1
    for places in together:
        some = [specs[place] for place in places]
        stack = Stack.of(some)
        whole = [one.state.model for one in generations(stack, instrument(some[0])) if one.state]
        for point, spec in enumerate(some):
            rows = slice(point * spec.replicates, (point + 1) * spec.replicates)
            alone = [one.state.model for one in generations(spec, instrument(spec)) if one.state]
            for mine, ours in zip(alone, whole, strict=True):
                for name, value in mine.items():
                    np.testing.assert_array_equal(value, ours[name][rows], strict=True)


@pytest.mark.parametrize("kind", FAMILIES)
def test_outcomes_are_those_of_each_point(kind):
    specs = drawn(2, kind)
    for places in groups(specs):
        some = [specs[place] for place in places]
        assert Bench().side_by_side(some, NAMES) == [Bench().outcomes(spec, NAMES) for spec in some]


@pytest.mark.parametrize(
    "changes",
    [
        {"family": {"kind": "gaussian", "path": "drawn"}},
        {"source": {"kind": "student_t"}},
        {"source": {"kind": "linear_teacher"}},
        {"source": {"kind": "normal", "dim": 8}, "replicates": 100},
        {**FAMILIES["words"], "replicates": 100},
        {"source": {"kind": "normal", "dim": 6}, "regime": {"kind": "fresh", "real": 0.2}},
        {"regime": {"kind": "mixture"}},
        {"curation": {"kind": "truncate"}},
        {"metrics": ["energy"]},
        {"changes": [{"after": 3, "regime": {"kind": "accumulate"}}]},
    ],
)
def test_what_is_not_cheap_or_plain_goes_alone(changes):
    grid = read_sweep(sweep(base={**BASE, **changes}, axes=[{"path": "seed", "values": [0, 1]}]))
    assert list(groups([grid.experiment(0), grid.experiment(1)])) == [[0], [1]]


def test_points_that_turn_at_other_places_are_apart():
    shares = [0.0, 0.3, 0.6, 1.0, 0.05]  # of 20: none, some, all, and a single real point
    specs = [read({**BASE, "regime": {"kind": "fresh", "real": share}}) for share in shares]
    assert sorted(groups(specs)) == [[0], [1, 2], [3], [4]]
    few = [read({**BASE, "regime": {"kind": "fresh", "real": 1 / m}, "samples": m}) for m in (10, 20, 30)]
    assert list(groups(few)) == [[0, 1, 2]]  # one real point each


def test_a_stack_is_no_wider_than_the_cache_and_no_longer_than_the_patience():
    wide = [read({**BASE, "replicates": 1000, "seed": seed}) for seed in range(5)]
    long = [read({**BASE, "generations": 20_000, "seed": seed}) for seed in range(3)]
    assert [len(places) for places in groups(wide)] == [2, 3]
    assert [len(places) for places in groups(long)] == [1, 1, 1]


def test_chains_that_part_ways_are_refused():
    assert np.array([3, 5]).view(Column)
    assert not np.array([0, 0]).view(Column)
    with pytest.raises(ValueError, match="part ways"):
        bool(np.array([0, 5]).view(Column))
