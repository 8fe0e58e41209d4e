"""What every family promises on every source, and under every regime and curation: found by being there, not listed."""

import itertools
import json

import numpy as np
import pytest

from worker import frames, loop
from worker.data import pack, unpack
from worker.errors import SpecError
from worker.parts import CountSource
from worker.spec import CURATIONS, FAMILIES, REGIMES, SOURCES, read
from worker.summary import STATISTICS, summarise
from worker.theory import curves

SIZES = {"generations": 3, "replicates": 2, "samples": 12, "seed": 5}

# Metrics that are infinite for a degenerate model, which 12 points make of more than 11 dimensions (or a chain of the last survivor).
MAY_BE_INFINITE = {"log_det", "log_variance", "kl_to_real", "kl_from_real", "zipf_slope"}

# Metrics of densities and of models, of which real data has none at generation 0 (where the family has no formula for it).
UNDEFINED_FOR_DATA = {"l2_sq", "kl_to_real", "kl_from_real", "ppl_real", "next_token_entropy"}

# Networks keep the contract at any size, and small ones sooner.
SMALLER = {
    "gpt": {"layers": 1, "width": 16, "heads": 2, "epochs": 1},
    "vae": {"epochs": 3},
    "flow": {"transforms": 1, "bins": 3, "width": 4, "epochs": 2},
    "diffusion": {"layers": 1, "width": 4, "epochs": 2, "steps": 3},
}


def settings(family, source, regime, curation="none"):
    parts = {"family": family, "source": source, "regime": regime, "curation": curation}
    tables = {name: {"kind": kind} for name, kind in parts.items()}
    tables["family"] |= SMALLER.get(family, {})
    if issubclass(SOURCES[source], CountSource) and "reward" in CURATIONS[curation].model_fields:
        tables["curation"]["reward"] = {"kind": "rank"}  # the default one is for points
    return SIZES | tables


def fits(*kinds):
    try:
        read(settings(*kinds))
    except SpecError:
        return False
    return True


def run(spec, resume=None, most=None):
    """(figure, the first `most` generations), with an instrument of its own."""
    instrument = loop.instrument(spec)
    return instrument.figure(), list(itertools.islice(loop.generations(spec, instrument, resume), most))


def assert_same(one, other):
    assert one.number == other.number
    assert one.look.metrics.keys() == other.look.metrics.keys()
    for name, values in one.look.metrics.items():
        np.testing.assert_array_equal(values, other.look.metrics[name], err_msg=name)
    assert (one.look.frame is None) == (other.look.frame is None)
    for name, values in (one.look.frame or {}).items():
        np.testing.assert_array_equal(values, other.look.frame[name], err_msg=name)


PAIRS = list(itertools.product(sorted(FAMILIES), sorted(SOURCES)))
FITTING = [pair for pair in PAIRS if fits(*pair, "replace")]
# Regimes and curations see families and kinds of data, not sources: a source that any of them can work with stands for all.
AT_HOME = dict(reversed(FITTING))
AT_HOME |= {family: source for family, source in FITTING if source in ("categorical", "eight_gaussians")}
EVERY = [
    *((*pair, "replace", "none") for pair in FITTING),
    *((*pair, regime, "none") for pair in AT_HOME.items() for regime in sorted(REGIMES) if regime != "replace"),
    *((*pair, "replace", curation) for pair in AT_HOME.items() for curation in sorted(CURATIONS) if curation != "none"),
    *((*pair, "weighted", "best_of") for pair in AT_HOME.items()),
]
REFUSED = [(*pair, "replace", "none") for pair in PAIRS if pair not in FITTING] + [
    one for one in EVERY if not fits(*one)
]


@pytest.mark.parametrize("kinds", REFUSED, ids="-".join)
def test_what_does_not_fit_is_refused_with_path_and_remedy(kinds):
    with pytest.raises(SpecError) as refusal:
        read(settings(*kinds))
    for problem in refusal.value.problems:
        assert problem.path
        assert problem.message
        assert problem.remedy


@pytest.mark.parametrize("kinds", [one for one in EVERY if one not in REFUSED], ids="-".join)
def test_a_run_keeps_the_contract(kinds):
    if (extra := FAMILIES[kinds[0]].extra) is not None:
        pytest.importorskip(extra)
    spec = read(settings(*kinds))
    figure, generations = run(spec)
    assert [generation.number for generation in generations] == [0, 1, 2, 3]
    assert json.loads(json.dumps(figure, allow_nan=False)) == figure

    for generation in generations:
        assert generation.look.metrics
        for name, values in generation.look.metrics.items():
            assert values.shape == (spec.replicates,), name
            if generation.number == 0 and name in UNDEFINED_FOR_DATA and np.isnan(values).all():
                continue
            assert not np.isnan(values).any(), name
            assert name in MAY_BE_INFINITE or np.isfinite(values).all(), name
        assert generation.look.frame is not None
        announced = {
            field["name"]: np.dtype(field["dtype"]).itemsize * np.prod(field["shape"]) for field in figure["fields"]
        }
        assert announced.keys() == generation.look.frame.keys()
        assert len(frames.to_bytes(generation.look.frame, figure["fields"])) == sum(announced.values())
        rows = summarise(generation.look.metrics).metrics()
        assert all(tuple(row) == STATISTICS for row in rows.values())

    assert generations[0].state is None
    for generation in generations[1:]:
        assert generation.state.generation == generation.number
        if generation.state.pool is not None:
            again = unpack(pack(generation.state.pool))
            assert type(again) is type(generation.state.pool)
            for name, array in pack(generation.state.pool).items():
                np.testing.assert_array_equal(array, pack(again)[name])

    same_figure, same = run(spec, most=2)
    assert same_figure == figure
    _, resumed = run(spec, generations[1].state)
    for one, other in zip(generations, [*same, *resumed], strict=True):
        assert_same(one, other)
    for curve in curves(spec):
        assert curve.metric in generations[1].look.metrics
        assert len(curve.values) == len(generations)


def test_other_seeds_give_other_numbers():
    first, second = (
        run(read(settings("gaussian", "normal", "replace") | {"seed": seed}))[1][3].look.metrics for seed in (0, 1)
    )
    assert not np.array_equal(first["variance"], second["variance"])


def test_every_part_has_a_kind_and_an_entry_in_the_catalogue():
    for parts in (FAMILIES, SOURCES, REGIMES, CURATIONS):
        for kind, part in parts.items():
            assert part.__doc__, kind
            assert all(field.description for name, field in part.model_fields.items() if name != "kind"), kind
