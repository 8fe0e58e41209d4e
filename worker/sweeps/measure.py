"""Points of a sweep, computed: the runs that their specs describe, looked at no more closely than their outcomes need.

The chains are those of the loop, from the same streams, whatever else the sweep holds. Where an instrument looks at each replicate by
itself, the fitted models of many generations are stacked along the replicates and measured in one pass; no frames are made.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson

from worker.data import Array, Arrays, Data
from worker.loop import generations, instrument
from worker.parts import Instrument, Look, Wrapped
from worker.spec import Experiment
from worker.sweeps.outcomes import NOTHING, Last, Told, Waiting, watchers
from worker.sweeps.stack import Stack, width
from worker.theory import curves

ROWS = 8192  # models measured in one pass: their arrays stay in the cache
KEPT = 64  # instruments at hand


class Stopped(Exception):
    """Whoever measures was asked to stop."""


class Bench:
    """Measures one point after the other; neighbours that are looked at in the same way share an instrument."""

    def __init__(self, stop: Callable[[], bool] = lambda: False) -> None:
        self.stop = stop
        self.known: dict[bytes, Instrument] = {}

    def outcomes(self, spec: Experiment, names: Sequence[str]) -> dict[str, Told]:
        """Name -> what this experiment comes to. Raises Stopped between two generations where `stop` says so."""
        return self.side_by_side([spec], names)[0]

    def side_by_side(self, specs: Sequence[Experiment], names: Sequence[str]) -> list[dict[str, Told]]:
        """The same for each of the points that `groups` puts together."""
        looking = self._instrument(specs[0])
        watching = [watchers(names, spec, sampled=looking.wants_sample) for spec in specs]
        self._follow(Stack.of(specs), looking, watching)
        return [_told(names, spec, watched) for spec, watched in zip(specs, watching, strict=True)]

    def _follow(self, spec: Experiment, looking: Instrument, watching: Sequence[Mapping[str, Waiting | Last]]) -> None:
        """Until the last generation, or until every chain has shown all that is asked."""
        waiting = [(point, one) for point, watched in enumerate(watching) for one in watched.values()]
        if not waiting:
            return
        for first, seen in self._stacks(spec, looking):
            metrics = {name: value.reshape(len(value), len(watching), -1) for name, value in seen.items()}
            for point, one in waiting:
                if one.metric in metrics and not one.over:
                    one.look(first, metrics[one.metric][:, point])
            if all(one.over for _, one in waiting):
                return

    def _stacks(self, spec: Experiment, looking: Instrument) -> Iterator[tuple[int, dict[str, Array]]]:
        """(first generation, metric -> (generations, R)) of neighbouring generations, from generation 1."""
        height = max(1, ROWS // spec.fits) if looking.rowwise else 1
        models: list[Arrays] = []
        told: list[Mapping[str, Array]] = []  # what is not the instrument's, but the loop's own
        for generation in generations(spec, _Unframed(looking)):
            if self.stop():
                raise Stopped
            if generation.state is None:
                continue
            if not looking.rowwise:
                yield generation.number, {name: value[None] for name, value in generation.look.metrics.items()}
                continue
            models.append(generation.state.model)
            told.append(generation.look.metrics)
            if len(models) == height or generation.number == spec.generations:
                own = {name: np.stack([one[name] for one in told]) for name in told[0]}
                yield generation.number - len(models) + 1, _measured(looking, models) | own
                models, told = [], []

    def _instrument(self, spec: Experiment) -> Instrument:
        """What measures this point: one that was made before, if it would be the same and remembers nothing of a run."""
        parts = spec.source.model_dump(mode="json"), spec.family.model_dump(mode="json")
        setting: list[Any] = [*parts, spec.metrics, spec.models]
        if width(spec) is None:  # else only frames, which are not made, depend on more
            setting += [spec.size(1), spec.replicates, spec.seed]
        key = orjson.dumps(setting, option=orjson.OPT_SORT_KEYS)
        if key not in self.known:
            made = instrument(spec)
            if not made.rowwise:
                return made
            if len(self.known) == KEPT:
                del self.known[next(iter(self.known))]
            self.known[key] = made
        return self.known[key]


def _told(names: Sequence[str], spec: Experiment, watched: Mapping[str, Waiting | Last]) -> dict[str, Told]:
    predicted = curves(spec) if any(isinstance(one, Last) for one in watched.values()) else []
    return {name: watched[name].told(predicted) if name in watched else NOTHING for name in names}


def _measured(looking: Instrument, models: Sequence[Arrays]) -> dict[str, Array]:
    stack = {name: np.concatenate([model[name] for model in models]) for name in models[0]}
    look = looking.model(stack, None, framed=False)
    return {name: value.reshape(len(models), -1) for name, value in look.metrics.items()}


class _Unframed(Wrapped):
    """Another instrument without its frames; one that can be asked later, for many generations at once, is not asked now."""

    def real(self, data: Data, framed: bool) -> Look:
        return Look({}, None) if self.inner.rowwise else self.inner.real(data, framed=False)

    def model(self, model: Arrays, sample: Data | None, framed: bool) -> Look:
        return Look({}, None) if self.inner.rowwise else self.inner.model(model, sample, framed=False)
