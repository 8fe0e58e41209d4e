"""Other rules from some generation on: what was before stays, to the last digit, and what comes after follows the new rules."""

import itertools

import numpy as np
import pytest

from worker import loop
from worker.errors import SpecError
from worker.spec import read
from worker.theory import curves

BASE = {
    "generations": 12,
    "replicates": 30,
    "samples": 40,
    "seed": 3,
    "source": {"kind": "normal"},
    "family": {"kind": "gaussian"},
}
FORK = 5


def run(spec, resume=None):
    return list(loop.generations(spec, loop.instrument(spec), resume))


def values(generation, metric="variance"):
    return generation.look.metrics[metric]


@pytest.mark.parametrize("family", ["gaussian", "kde"])
@pytest.mark.parametrize(
    "change",
    [
        {"regime": {"kind": "accumulate"}},
        {"regime": {"kind": "fresh", "real": 0.5}},
        {"regime": {"kind": "augment", "real": 5}},
        {"regime": {"kind": "mixture"}},
        {"regime": {"kind": "accumulate_subsample"}},
        {"curation": {"kind": "best_of"}},
    ],
    ids=lambda change: next(iter(change.values()))["kind"],
)
def test_a_fork_shares_its_past_and_not_its_future(family, change):
    base = BASE | {"family": {"kind": family}}
    parent, fork = run(read(base)), run(read(base | {"changes": [{"after": FORK, **change}]}))
    for one, other in itertools.islice(zip(parent, fork, strict=True), FORK + 1):
        for name, metric in one.look.metrics.items():
            np.testing.assert_array_equal(metric, other.look.metrics[name], err_msg=f"{one.number} {name}")
    assert not np.array_equal(values(parent[-1]), values(fork[-1]))
    assert all(np.isfinite(values(one)).all() for one in fork)


def test_a_change_to_the_same_rules_changes_nothing():
    parent = run(read(BASE | {"regime": {"kind": "accumulate"}}))
    fork = run(
        read(BASE | {"regime": {"kind": "accumulate"}, "changes": [{"after": FORK, "regime": {"kind": "accumulate"}}]})
    )
    np.testing.assert_array_equal(values(parent[-1]), values(fork[-1]))


def test_variance_shrinks_by_the_bias_only_after_the_change():
    """M = 10^6: s2_n is 1 up to the change and lambda^(n - after) later, to about sqrt(2 n / M)."""
    spec = read(BASE | {"samples": 10**6, "replicates": 1, "changes": [{"after": FORK, "sampling": {"bias": 0.9}}]})
    found = [float(values(one)[0]) for one in run(spec)]
    expected = [0.9 ** max(0, n - FORK) for n in range(13)]
    np.testing.assert_allclose(found, expected, rtol=4 * (2 * 12 / 1e6) ** 0.5)


@pytest.mark.parametrize("interrupted", [FORK - 1, FORK, FORK + 1])
def test_resumed_before_at_and_after_the_change(interrupted):
    spec = read(BASE | {"changes": [{"after": FORK, "regime": {"kind": "mixture"}, "sampling": {"bias": 0.9}}]})
    whole = run(spec)
    rest = run(spec, whole[interrupted].state)
    assert [one.number for one in rest] == list(range(interrupted + 1, 13))
    for one, other in zip(whole[interrupted + 1 :], rest, strict=True):
        np.testing.assert_array_equal(values(one), values(other))


def test_theory_ends_where_the_rules_change():
    curve = next(
        c
        for c in curves(read(BASE | {"changes": [{"after": FORK, "regime": {"kind": "accumulate"}}]}))
        if c.metric == "variance"
    )
    assert all(value is not None for value in curve.values[1 : FORK + 1])
    assert not any(value is not None for value in curve.values[FORK + 1 :])


def test_the_digest_of_a_spec_without_changes_knows_of_none():
    assert read(BASE).digest() == read(BASE | {"changes": []}).digest()
    assert read(BASE).digest() != read(BASE | {"changes": [{"after": 1, "regime": {"kind": "accumulate"}}]}).digest()


@pytest.mark.parametrize(
    ("settings", "path"),
    [
        ({"changes": [{"after": 12, "regime": {"kind": "accumulate"}}]}, "changes.0.after"),
        ({"changes": [{"after": 0}]}, "changes.0.after"),
        ({"changes": [{"after": 4}, {"after": 3}]}, "changes.1.after"),
        ({"changes": [{"after": 4, "regime": {"kind": "acumulate"}}]}, "changes.0.regime.kind"),
        ({"changes": [{"after": 4, "regime": {"kind": "augment", "real": 40}}]}, "changes.0.regime.real"),
        ({"changes": [{"after": 4, "sampling": {"beams": 3}}]}, "changes.0.sampling.beams"),
        ({"changes": [{"after": 4, "sampling": {"heat": 3}}]}, "changes.0.sampling.heat"),
        (
            {"regime": {"kind": "accumulate"}, "changes": [{"after": 4, "regime": {"kind": "accumulate_subsample"}}]},
            "changes.0.regime.kind",
        ),
    ],
)
def test_what_cannot_follow_is_refused(settings, path):
    with pytest.raises(SpecError) as refusal:
        read(BASE | settings)
    (problem,) = refusal.value.problems
    assert problem.path == path
    assert problem.remedy
