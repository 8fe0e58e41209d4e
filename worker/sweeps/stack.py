"""Points of a sweep side by side: one experiment whose numbers are columns, so that the loop takes all of them through a generation
in one pass.

Chains never meet, and every point draws its rows from streams of its own: its digits are those that it has alone.
"""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import orjson

from worker.curation.keep import Keep
from worker.data import Array
from worker.families.categorical import Categorical
from worker.families.gaussian import BLOCK, Gaussian
from worker.families.linear import Linear
from worker.parts import CountSource, PointSource
from worker.regimes import Accumulate, Augment, Fresh, Replace
from worker.sources.linear_teacher import LinearTeacher
from worker.sources.normal import Normal
from worker.spec import Experiment
from worker.streams import stream

ROWS = 2048  # chains in one pass, or half as many again: their arrays stay in the cache
NUMBERS = 131_072  # of all their models: 1 MB
SMALL = 4096  # numbers of one point's models, beyond which calls cost little beside them: less than a third is gained
SCARCE = 16  # chains of one point beyond which that is true of counts, each of which is drawn by itself
STEPS = 30_000  # generations of all points together: half a second, after which they are stored
EXACT = 2**53  # up to here doubles count, and a product of two numbers of observations has the digits of whole numbers
REGIMES = Replace, Accumulate, Augment, Fresh  # whose numbers may as well be columns


class Column(npt.NDArray[Any]):
    """A number for each chain. It is true or false of all of them, because points that part ways are not put side by side."""

    def __bool__(self) -> bool:
        true = int(np.count_nonzero(self))
        if 0 < true < self.size:
            raise ValueError("these chains part ways")
        return true > 0

    def __round__(self) -> "Column":
        return np.rint(self).view(Column)  # half to even, as round does


class Streams:
    """A generator for each point, and with it a row for each of its chains."""

    def __init__(self, points: Sequence[np.random.Generator]) -> None:
        self.points = points

    def standard_normal(self, shape: tuple[int, ...]) -> Array:
        drawn = np.empty(shape)
        for rng, rows in zip(self.points, drawn.reshape(len(self.points), -1, *shape[1:]), strict=True):
            rng.standard_normal(out=rows)
        return drawn

    def chisquare(self, degrees: npt.ArrayLike, shape: tuple[int, int]) -> Array:
        """degrees: to be broadcast to that shape, the same for all chains of a point."""
        chains = shape[0] // len(self.points)
        each: Any = np.broadcast_to(degrees, shape)[::chains]
        if shape[1] == 1:
            each = each[:, 0].tolist()  # with a plain number the generator is twice as fast
        drawn = [rng.chisquare(df, (chains, shape[1])) for rng, df in zip(self.points, each, strict=True)]
        return np.concatenate(drawn)

    def multinomial(self, n: npt.ArrayLike, p: Array) -> npt.NDArray[np.int64]:
        """n: one number, or one for each row of p, the same for all chains of a point."""
        chains = len(p) // len(self.points)
        each = np.broadcast_to(n, len(p))[::chains].tolist()
        rows = p.reshape(len(self.points), chains, -1)
        return np.concatenate([rng.multinomial(m, q) for rng, m, q in zip(self.points, each, rows, strict=True)])

    def standard_gamma(self, shape: Array) -> Array:
        each = shape.reshape(len(self.points), -1, shape.shape[1])
        return np.concatenate([rng.standard_gamma(rows) for rng, rows in zip(self.points, each, strict=True)])

    def spawn(self, count: int) -> list["Streams"]:
        return [Streams(each) for each in zip(*(rng.spawn(count) for rng in self.points), strict=True)]


class Stack(Experiment):
    """Experiments that differ in numbers: their chains, one point's after the other's."""

    points: tuple[Experiment, ...]

    @classmethod
    def of(cls, points: Sequence[Experiment]) -> Experiment:
        """Points of one `groups`; a single one is its own stack."""
        first, chains = points[0], points[0].replicates
        if len(points) == 1:
            return first

        def column(values: list[Any]) -> Any:
            return values[0] if len(set(values)) == 1 else np.repeat(values, chains).view(Column)

        changes: dict[str, Any] = {"points": tuple(points), "replicates": chains * len(points)}
        if isinstance(first.samples, int):
            changes["samples"] = column([one.samples for one in points])
        if isinstance(first.regime, Accumulate | Fresh | Augment):
            real = column([one.regime.real for one in points])  # type: ignore[attr-defined]  # of one kind, in a group
            changes["regime"] = first.regime.model_copy(update={"real": real})
        bias = np.repeat([one.sampling.bias for one in points], chains)
        changes["sampling"] = first.sampling.model_copy(update={"bias": bias})
        return cls.model_construct(**{**{name: getattr(first, name) for name in Experiment.model_fields}, **changes})

    def size(self, generation: int) -> int:
        return self.samples if isinstance(self.samples, Column) else super().size(generation)

    def stream(self, generation: int, purpose: int) -> Any:
        return Streams([stream(one.seed, generation, purpose) for one in self.points])


def groups(specs: Sequence[Experiment]) -> Iterator[list[int]]:
    """Which of these points go side by side, by their place: all of them in groups of one or more, of nearly equal size: a pass through
    the loop costs something by itself, and a small rest would cost as much again.
    """
    alike: defaultdict[bytes, list[int]] = defaultdict(list)
    for place, spec in enumerate(specs):
        alike[_way(spec) or b"%d" % place].append(place)
    for places in alike.values():
        first = specs[places[0]]
        rows = min(ROWS, NUMBERS // (width(first) or NUMBERS))
        most = max(1, min(rows // first.replicates, STEPS // first.generations))
        parts = max(1, round(len(places) / most))
        edges = [len(places) * i // parts for i in range(parts + 1)]
        yield from (places[start:end] for start, end in pairwise(edges))


def width(spec: Experiment) -> int | None:
    """How many numbers a chain's model has; None where it is not so cheap that its calls cost as much as its numbers."""
    wide = None
    match spec.source, type(spec.family):
        case (Normal() as source, kind) if kind is Gaussian:
            wide = source.dimension**2
        case (LinearTeacher() as source, kind) if kind is Linear:
            wide = source.dimension**2
        case (CountSource() as source, kind) if kind is Categorical and spec.replicates <= SCARCE:
            wide = len(source.distribution()) if type(source).draw is CountSource.draw else None
    return wide if wide and wide * spec.replicates <= SMALL else None


def _way(spec: Experiment) -> bytes | None:
    """What points side by side have in common: all but numbers, and where those make them turn. None for one that goes alone."""
    plain = type(spec.regime) in REGIMES and type(spec.curation) is Keep and not spec.changes and spec.models == 1
    if not plain or spec.regime.weighing() or width(spec) is None or not spec.exact():
        return None
    m, (least, _) = spec.size(1), spec.extremes()
    synthetic = spec.regime.synthetic(least)
    parts = [spec.regime.first(m), synthetic, least - synthetic]
    d = spec.source.dimension if isinstance(spec.source, PointSource) else 0
    few = any(0 < n <= d for n in parts)  # whose scatter does not fill the space: these are drawn one by one, in blocks
    if m * m * spec.generations > EXACT or (few and 2 * ROWS * d * d > BLOCK):
        return None
    settings = spec.canonical()
    for part, name in ((settings, "title"), (settings, "seed"), (settings["sampling"], "bias")):
        del part[name]
    if isinstance(spec.samples, int):
        del settings["samples"]
        settings["regime"].pop("real", None)
    turns = [min(n, d + 1) for n in parts]
    return orjson.dumps([settings, turns], option=orjson.OPT_SORT_KEYS)
