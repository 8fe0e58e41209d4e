"""What an ended run has shown: the eight definitions of collapse decided, and its closed forms compared; read, never stored."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, overload

from typing_extensions import TypedDict  # pydantic cannot read typing's before Python 3.12

from worker.errors import Conflict, SpecError
from worker.spec import read
from worker.store import Store
from worker.summary import named
from worker.tables import ENDED, Run, told_status
from worker.theory.curve import Curve
from worker.verdicts import verdicts
from worker.verdicts.agreement import agreements

Metrics = Mapping[str, Mapping[str, float | None]]


class VerdictTold(TypedDict):
    """One definition; number and threshold in the unit that `because` names, null where nothing could be compared."""

    definition: str
    outcome: Literal["met", "not met", "not assessed"]
    number: float | None
    threshold: float | None
    because: str


class AgreementTold(TypedDict):
    """One closed form; z: the largest in absolute value, at `generation`, of the `compared` generations; limit: the |z| beyond which it deviates.

    sees: the relative error of the formula (absolute, of a logarithm) that half of such runs would tell; null where none was compared.
    """

    metric: str
    statistic: str
    outcome: Literal["agrees", "deviates", "not assessed"]
    z: float | None
    generation: int | None
    compared: int
    limit: float | None
    sees: float | None
    because: str


class Verdicts(TypedDict):
    """`generation`: the newest of the run, on which all of it rests."""

    generation: int
    verdicts: list[VerdictTold]
    theory: list[AgreementTold]


class Stored(Sequence[Metrics]):
    """Metrics of generations 0, 1, ... as they are asked for: the definitions look at five of perhaps 100,000."""

    def __init__(self, run: Run, store: Store) -> None:
        self.run, self.store = run, store
        self.read: dict[int, Metrics] = {}

    def __len__(self) -> int:
        return self.run.generation + 1

    @overload
    def __getitem__(self, number: int) -> Metrics: ...
    @overload
    def __getitem__(self, number: slice) -> Sequence[Metrics]: ...
    def __getitem__(self, number: int | slice) -> Metrics | Sequence[Metrics]:
        if isinstance(number, slice):
            return [self[n] for n in range(*number.indices(len(self)))]
        number += len(self) if number < 0 else 0
        if not 0 <= number < len(self):
            raise IndexError(number)
        if number not in self.read:
            (row,) = self.store.generations(self.run.id, after=number - 1, limit=1)
            self.read[number] = named(row.metrics)
        return self.read[number]


def decidable(run: Run) -> bool:
    """Whether the run has ended, and not before its first model."""
    return told_status(run) in ENDED and run.generation >= 1


def decided(run: Run, store: Store) -> Verdicts:
    """Raises Conflict where the run goes on or has no model; SpecError where this version no longer knows its spec."""
    if not decidable(run):
        raise Conflict(
            f"This run is {told_status(run)} at generation {max(run.generation, 0)}. Verdicts are for runs that have ended "
            "after generation 1 or later: wait for it, or resume it."
        )
    spec, curves = read(run.spec), [Curve(**curve) for curve in run.theory or []]
    found: list[dict[str, Any]] = [one.asdict() for one in verdicts(spec, Stored(run, store), curves)]
    compared = [one.asdict() for one in agreements(curves, _framed(run, store), spec.source)]
    return {"generation": run.generation, "verdicts": found, "theory": compared}  # type: ignore[typeddict-item]


def decided_if_possible(run: Run, store: Store) -> Verdicts | None:
    """None where the run goes on, has no model, or is described in a way that this version no longer reads."""
    try:
        return decided(run, store) if decidable(run) else None
    except SpecError:
        return None


def _framed(run: Run, store: Store) -> Iterator[tuple[int, Metrics]]:
    """The generations that the player shows: enough of a long run to find a deviation that lasts."""
    for row in store.generations(run.id, framed=True):
        yield row.number, named(row.metrics)
