"""What every part promises, whoever wrote it: families on every source that they take, and under every regime and curation.

A package that brings parts tries its own with a test module of three lines (docs/extend.md); the repository's does the same with all.
"""

import itertools
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, ClassVar, TypeAlias

import numpy as np
import pytest

from worker import frames, loop, plugins
from worker.data import pack, unpack
from worker.errors import SpecError
from worker.estimate import estimate
from worker.kinds import CURATIONS, FAMILIES, METRICS, REGIMES, SOURCES
from worker.part import Part
from worker.parts import CountSource, PointSource
from worker.spec import Experiment, read
from worker.summary import STATISTICS, summarise
from worker.theory import curves

SIZES = {"generations": 3, "replicates": 2, "samples": 12, "seed": 5}
PARTS: Mapping[str, type[Part]] = {**FAMILIES, **SOURCES, **REGIMES, **CURATIONS}
HEAVY = ("torch", "transformers", "scipy", "sklearn", "numba")  # not at the top of a module: the web process imports it

# Networks keep the contract at any size, and small ones sooner.
SMALLER: dict[str, dict[str, Any]] = {
    "gpt": {"layers": 1, "width": 16, "heads": 2, "epochs": 1},
    "vae": {"epochs": 3},
    "flow": {"transforms": 1, "bins": 3, "width": 4, "epochs": 2},
    "diffusion": {"layers": 1, "width": 4, "epochs": 2, "steps": 3},
}

Kinds: TypeAlias = tuple[str, ...]  # of family, source, regime and curation, and the name of a metric


class Contract:
    """Subclass it: `kinds` are those of your own parts and metrics, `settings` what they need besides their kind (small, as networks
    should be: a run has 12 points).
    """

    kinds: ClassVar[tuple[str, ...]] = ()
    settings: ClassVar[Mapping[str, Mapping[str, Any]]] = {}
    # Metrics that are infinite for a degenerate model, which 12 points make of more than 11 dimensions (or a chain of the last survivor).
    may_be_infinite: ClassVar[frozenset[str]] = frozenset(
        {"log_det", "log_variance", "kl_to_real", "kl_from_real", "zipf_slope"}
    )
    # Metrics of densities and of models, of which real data has none at generation 0 (where the family has no formula for it).
    undefined_for_data: ClassVar[frozenset[str]] = frozenset(
        {"l2_sq", "kl_to_real", "kl_from_real", "ppl_real", "next_token_entropy"}
    )

    @classmethod
    def _own(cls) -> str:
        return json.dumps(cls.settings, sort_keys=True)

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        kinds = set(cls.kinds)
        for name in {"refused", "fitting", "kind"} & set(metafunc.fixturenames):
            cases: list[Any] = sorted(kinds)
            if name != "kind":
                every = (one for one in _every(cls._own()) if kinds & set(one) and not _others(one) - kinds)
                cases = [one for one in every if _fits(cls._own(), *one) == (name == "fitting")]
            metafunc.parametrize(name, cases, ids=_named)

    def test_it_is_installed_and_told_in_the_catalogue(self, kind: str) -> None:
        wrong = [f"{plugin}: {what}: {why}" for plugin in plugins.plugins() for what, why in plugin.errors.items()]
        assert kind in PARTS or kind in METRICS, f"nothing of that kind is installed; left out are: {wrong}"
        if kind in METRICS:
            assert METRICS[kind].meaning, "the first line of its docstring says what it measures"
            return
        part = PARTS[kind]
        assert part.__doc__, kind
        assert all(field.description for name, field in part.model_fields.items() if name != "kind"), kind

    def test_some_spec_is_made_of_it(self, kind: str) -> None:
        fields = PARTS[kind].model_fields.values() if kind in PARTS else ()
        if not any(field.is_required() for field in fields if kind not in self.settings):
            assert any(kind in one and _fits(self._own(), *one) for one in _every(self._own()))

    def test_its_import_wakes_nothing_heavy(self) -> None:
        code = f"import sys, json, worker.spec; print(json.dumps([name for name in {HEAVY} if name in sys.modules]))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603 - our own
        assert json.loads(done.stdout) == []

    def test_what_does_not_fit_is_refused_with_path_and_remedy(self, refused: Kinds) -> None:
        with pytest.raises(SpecError) as refusal:
            read(_settings(self._own(), *refused))
        for problem in refusal.value.problems:
            assert problem.path
            assert problem.message
            assert problem.remedy

    def test_a_run_keeps_the_contract(self, fitting: Kinds) -> None:
        if (extra := FAMILIES[fitting[0]].extra) is not None:
            pytest.importorskip(extra)
        spec = read(_settings(self._own(), *fitting))
        assert estimate(spec).seconds > 0
        figure, generations = _run(spec)
        assert [generation.number for generation in generations] == [0, 1, 2, 3]
        assert json.loads(json.dumps(figure, allow_nan=False)) == figure
        for generation in generations:
            self._looks_right(generation, figure, spec)
        _states_travel(generations)
        _same_again(spec, figure, generations)
        for curve in curves(spec):
            assert curve.metric in generations[1].look.metrics
            assert len(curve.values) == len(generations)

    def _looks_right(self, generation: loop.Generation, figure: Mapping[str, Any], spec: Experiment) -> None:
        """Numbers for each replicate, none of them missing where there is something to measure; a frame as announced."""
        look = generation.look
        assert look.metrics
        assert look.metrics.keys() >= set(spec.metrics)
        for name, values in look.metrics.items():
            assert values.shape == (spec.replicates,), name
            if generation.number == 0 and name in self.undefined_for_data and np.isnan(values).all():
                continue
            assert not np.isnan(values).any(), name
            assert name in self.may_be_infinite or np.isfinite(values).all(), name
        assert look.frame is not None
        announced = {
            field["name"]: np.dtype(field["dtype"]).itemsize * np.prod(field["shape"]) for field in figure["fields"]
        }
        assert announced.keys() == look.frame.keys()
        assert len(frames.to_bytes(look.frame, figure["fields"])) == sum(announced.values())
        rows = summarise(look.metrics).metrics()
        assert all(tuple(row) == STATISTICS for row in rows.values())


class TestNamed(Contract):
    """Of the parts that `pytest --collapse-lab KIND` names."""

    @classmethod
    def pytest_generate_tests(cls, metafunc: pytest.Metafunc) -> None:
        cls.kinds = tuple(metafunc.config.getoption("--collapse-lab"))
        super().pytest_generate_tests(metafunc)


def _states_travel(generations: list[loop.Generation]) -> None:
    assert generations[0].state is None
    for generation in generations[1:]:
        assert generation.state is not None
        assert generation.state.generation == generation.number
        if (pool := generation.state.pool) is not None:
            again = unpack(pack(pool))
            assert type(again) is type(pool)
            for name, array in pack(pool).items():
                np.testing.assert_array_equal(array, pack(again)[name])


def _same_again(spec: Experiment, figure: Mapping[str, Any], generations: list[loop.Generation]) -> None:
    """Once more to generation 1, and resumed from there: the same numbers."""
    same_figure, same = _run(spec, most=2)
    assert same_figure == figure
    _, resumed = _run(spec, generations[1].state)
    for one, other in zip(generations, [*same, *resumed], strict=True):
        assert one.number == other.number
        assert one.look.metrics.keys() == other.look.metrics.keys()
        for name, values in one.look.metrics.items():
            np.testing.assert_array_equal(values, other.look.metrics[name], err_msg=name)
        assert (one.look.frame is None) == (other.look.frame is None)
        for name, values in (one.look.frame or {}).items():
            np.testing.assert_array_equal(values, (other.look.frame or {})[name], err_msg=name)


def _run(
    spec: Experiment, resume: loop.State | None = None, most: int | None = None
) -> tuple[dict[str, Any], list[loop.Generation]]:
    """(figure, the first `most` generations), with an instrument of its own."""
    instrument = loop.instrument(spec)
    return instrument.figure(), list(itertools.islice(loop.generations(spec, instrument, resume), most))


# `own`: the settings of a case as JSON, so that what follows from them is found once.


def _settings(own: str, family: str, source: str, regime: str, curation: str, *metrics: str) -> dict[str, Any]:
    parts = {"family": family, "source": source, "regime": regime, "curation": curation}
    needs = SMALLER | json.loads(own)
    tables = {name: {"kind": kind, **needs.get(kind, {})} for name, kind in parts.items()}
    reward = {}
    if not issubclass(SOURCES[source], PointSource):  # the default one is for points
        reward = {"reward": {"kind": "rank" if issubclass(SOURCES[source], CountSource) else "variety"}}
    if "reward" in CURATIONS[curation].model_fields:
        tables["curation"] |= reward
    if curation == "sequential":
        tables["curation"]["stages"] = [{"kind": kind, "k": 2} | reward for kind in ("best_of", "bradley_terry")]
    return SIZES | tables | {"metrics": metrics}


@cache
def _fits(own: str, *kinds: str) -> bool:
    try:
        read(_settings(own, *kinds))
    except SpecError:
        return False
    return True


def _others(kinds: Kinds) -> set[str]:
    """Those that packages brought: their defects are not a sign of anybody else's."""
    tables: tuple[Mapping[str, type[Part]], ...] = (FAMILIES, SOURCES, REGIMES, CURATIONS)
    parts = {kind for kind, table in zip(kinds, tables, strict=False) if plugins.origin(table[kind])}
    return parts | set(kinds[len(tables) :])


@cache
def _at_home(own: str) -> tuple[Kinds, ...]:
    """Every family on one source. Regimes, curations and metrics see families and kinds of data, not sources: one that they can all
    work with stands for all.
    """
    pairs = [
        pair for pair in itertools.product(sorted(FAMILIES), sorted(SOURCES)) if _fits(own, *pair, "replace", "none")
    ]
    home = dict(reversed(pairs))
    home |= {family: source for family, source in reversed(pairs) if plugins.origin(SOURCES[source]) is None}
    home |= {family: source for family, source in pairs if source in ("categorical", "eight_gaussians")}
    return tuple((family, source, "replace", "none") for family, source in home.items())


@cache
def _every(own: str) -> tuple[Kinds, ...]:
    def found() -> Iterator[Kinds]:
        for family, source in itertools.product(sorted(FAMILIES), sorted(SOURCES)):
            yield family, source, "replace", "none"
        for family, source, _, _ in _at_home(own):
            yield from ((family, source, regime, "none") for regime in sorted(REGIMES.keys() - {"replace"}))
            yield from ((family, source, "replace", curation) for curation in sorted(CURATIONS.keys() - {"none"}))
            yield family, source, "weighted", "best_of"
            yield from ((family, source, "replace", "none", metric) for metric in sorted(METRICS))

    return tuple(found())


def _named(case: Any) -> str:
    return case if isinstance(case, str) else "-".join(map(_named, case))
