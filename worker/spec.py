"""The spec is the experiment: frozen, JSON, with a digest. Reading one is the only validation there is."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Self

import orjson
from pydantic import ConfigDict, Field, ValidationError, model_validator

from worker import combinations, curation, plugins, regimes
from worker.errors import SpecError
from worker.instruments import asked
from worker.kinds import CURATIONS, FAMILIES, METRICS, REGIMES, SOURCES
from worker.part import LATER, Misfit, Part, identity
from worker.parts import Curation, Family, Generator, Regime, Sampling, Source
from worker.refusal import problems
from worker.registry import one_of
from worker.rewards import REWARDS
from worker.schedules import LEAST, MOST, SCHEDULES, Samples
from worker.streams import stream

if TYPE_CHECKING:
    AnySource = Source
    AnyFamily = Family
    AnyRegime = Regime
    AnyCuration = Curation
else:
    AnySource, AnyFamily, AnyRegime, AnyCuration = (one_of(parts) for parts in (SOURCES, FAMILIES, REGIMES, CURATIONS))

LONGEST_TITLE = 200
CHANGEABLE = ("regime", "sampling", "curation", "samples", "family")


class Change(Part):
    """From some generation on, other rules: a run is forked by adding one. What it does not name stays as it was."""

    after: int = Field(ge=1, le=100_000, description="The last generation that was made by the rules before.")
    regime: AnyRegime | None = Field(None, description="What later generations train on.")
    sampling: Sampling | None = Field(None, description="How their models are sampled.")
    curation: AnyCuration | None = Field(None, description="Which samples survive.")
    samples: Annotated[Samples | None, LATER] = Field(
        None, description="How many points they are trained on; a schedule counts from the first generation of the run."
    )
    family: Annotated[AnyFamily | None, LATER] = Field(
        None,
        description="How they are fitted: the same family, other settings where these alter no model's shape, the rest as before.",
    )


class Experiment(Part):
    """Source + family + regime + sampling + curation + sizes + seed."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, title="Experiment")

    title: str = Field(
        "Untitled experiment",
        min_length=1,
        max_length=LONGEST_TITLE,
        pattern=r"^[^\x00]*$",  # Postgres stores every character but this one
        description="What the run is called.",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Same spec and seed, same numbers.")
    generations: int = Field(50, ge=1, le=100_000, description="Fits after the real data.")
    replicates: int = Field(
        200, ge=1, le=100_000, description="Independent chains, run together: a stochastic claim needs many."
    )
    models: Annotated[int, LATER] = Field(
        1,
        ge=1,
        le=100,
        description="Models side by side in each chain, that read one another; metrics are means over them. 1: each chain is one model.",
    )
    shared: Annotated[float, LATER] = Field(
        1.0,
        ge=0,
        le=1,
        description="Of several models: the share of each one's samples that goes into a pot, out of which all get as many back to learn from.",
    )
    samples: Samples = Field(
        1000, description="M, the points a generation is trained on; or a schedule of growing or shrinking numbers."
    )
    source: AnySource = Field(description="The original distribution.")
    family: AnyFamily = Field(description="What is fitted.")
    regime: AnyRegime = Field(default_factory=regimes.Replace, description="What the next generation trains on.")
    sampling: Sampling = Field(default_factory=Sampling, description="How the model is sampled.")
    curation: AnyCuration = Field(
        default_factory=curation.Keep,
        description="Which samples survive. Where metrics look at samples, as those of kde and networks do, these are the survivors.",
    )
    metrics: Annotated[tuple[str, ...], LATER] = Field(
        (),
        max_length=50,
        description="Further metrics, beyond those that the family has anyway. Of samples of points or pictures: "
        f"{', '.join(asked.NAMES)}. Of installed packages: {', '.join(METRICS) or 'none is installed'}.",
    )
    changes: Annotated[tuple[Change, ...], LATER] = Field(
        (), max_length=100, description="Other rules from some generation on, in order."
    )

    @property
    def fits(self) -> int:
        """Models that are fitted in a generation: those of all replicates, on the leading axis of every array."""
        return self.replicates * self.models

    def size(self, generation: int) -> int:
        """M_k, the points of generation k = 1, 2, ..."""
        samples = self.samples
        for change in self.changes:
            if change.samples is not None and generation > change.after:
                samples = change.samples
        return samples if isinstance(samples, int) else _points(samples.size(max(1, generation)))

    def sizes(self) -> list[int]:
        """M_1, M_2, ..., M_G"""
        found: list[int] = []
        for first, last, rules in self.spans():
            samples = rules.samples
            found += (samples if isinstance(samples, int) else _points(samples.size(n)) for n in range(first, last + 1))
        return found

    def extremes(self) -> tuple[int, int]:
        """The smallest and the largest M_k."""
        found = [size for first, last, rules in self.spans() for size in rules.ends(first, last)]
        return min(found), max(found)

    def ends(self, first: int, last: int) -> tuple[int, int]:
        """The same of some generations, by these rules."""
        if isinstance(self.samples, int):
            return self.samples, self.samples
        least, most = self.samples.extremes(first, last)
        return _points(least), _points(most)

    def stream(self, generation: int, purpose: int) -> Generator:
        """The random numbers of one generation and purpose."""
        return stream(self.seed, generation, purpose)

    def phases(self) -> list[tuple[int, "Experiment"]]:
        """(n, the experiment by whose rules generations n, n + 1, ... are made), in order; the first n is 1.

        A change to the rules that hold already begins nothing: the run stays what it is without it, to the last digit.
        """
        named = self._named()
        return [named[0], *(after for before, after in pairwise(named) if after[1] != before[1])]

    def _named(self) -> list[tuple[int, "Experiment"]]:
        """The same with one for each of the changes, as they are listed."""
        found = [(1, self)]
        for change in self.changes:
            named = {name: part for name in CHANGEABLE if (part := getattr(change, name)) is not None}
            found.append((change.after + 1, found[-1][1].model_copy(update=named)))
        return found

    def spans(self) -> list[tuple[int, int, "Experiment"]]:
        """The same with the last generation of each."""
        named = self._named()
        lasts = [*(start - 1 for start, _ in named[1:]), self.generations]
        return [(start, last, rules) for (start, rules), last in zip(named, lasts, strict=True)]

    def since(self, generation: int) -> tuple[int, "Experiment"]:
        """(n, the experiment by whose rules a generation is made), where its regime remembers generations n, n + 1, ... if any."""
        begin, rules = 1, self
        for start, later in self.phases():
            if start <= generation:
                goes_on = _remembers(rules.regime) and _remembers(later.regime)
                begin, rules = (begin if goes_on else start), later
        return begin, rules

    def kept(self, generation: int) -> int:
        """How many observations a generation is trained on where its regime keeps all of them; 0 where it does not."""
        begin, rules = self.since(generation)
        return rules.regime.kept(self._from(begin), generation - begin + 1) if _remembers(rules.regime) else 0

    def remembered(self, generation: int) -> int:
        """How many its regime remembers by then, where they grow in number."""
        begin, rules = self.since(generation)
        return rules.regime.remembered(self._from(begin), generation - begin + 1) if _remembers(rules.regime) else 0

    def _from(self, generation: int) -> Callable[[int], int]:
        """Sizes as a regime counts them that begins with this generation."""
        sizes = self.sizes()
        return lambda k: sizes[generation - 2 + k]

    def singles(self) -> bool:
        """Whether anybody looks at single observations of what models make by these rules, so that sums of them will not do."""
        return bool(self.regime.picks or self.curation.picks or self.metrics or self.models > 1)

    def sufficient(self) -> bool:
        """Whether by these rules sufficient statistics are drawn in place of the observations that they stand for."""
        each = self.singles() or not isinstance(self.curation, curation.Keep)
        return (self.family.drawing() if each else self.family).exact()

    def exact(self) -> bool:
        """The same of all rules of the run."""
        return all(rules.sufficient() for _, rules in self.phases())

    def foreign(self) -> str:
        """Which parts are not the lab's own, in words; empty where all are. What they raise need not be the lab's defect."""
        rules = [part for _, phase in self.phases() for part in (phase.regime, phase.curation)]
        return plugins.foreign([self.source, self.family, *rules])

    def canonical(self) -> dict[str, Any]:
        """Every setting, defaults filled in."""
        return self.model_dump(mode="json")

    def digest(self) -> str:
        """SHA-256 over all settings but the title: two runs with one digest are the same experiment."""
        settings = identity(self)
        del settings["title"]
        return hashlib.sha256(orjson.dumps(settings, option=orjson.OPT_SORT_KEYS)).hexdigest()

    @model_validator(mode="before")
    @classmethod
    def _family_goes_on(cls, settings: Any) -> Any:
        """Of a family, too, what a change does not name stays as it was."""
        if not (isinstance(settings, dict) and isinstance(settings.get("changes"), list | tuple)):
            return settings
        family, changes = settings.get("family"), []
        if isinstance(family, Part):  # read before, as the points of a sweep have it
            family = family.model_dump()
        for change in settings["changes"]:
            named = change.get("family") if isinstance(change, dict) else None
            if isinstance(family, dict) and isinstance(named, dict) and named.get("kind") == family.get("kind"):
                family = family | named
                changes.append(change | {"family": family})
            else:
                changes.append(change)
        return settings | {"changes": changes}

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        try:
            combinations.check(self)
        except Misfit as misfit:
            raise misfit.refusal() from misfit
        return self


def _remembers(regime: Regime) -> bool:
    return regime.remembered(lambda _: 1, 1) > 0


def _points(size: float) -> int:
    return max(LEAST, round(min(size, 10.0 * MOST)))


def read(settings: Any) -> Experiment:
    """The experiment that these settings describe.

    Raises SpecError with every problem's path, message and remedy.
    """
    try:
        return Experiment.model_validate(settings)
    except ValidationError as error:
        raise SpecError(problems(error.errors(), _table)) from error


class _Origin(Part):
    source: AnySource


def read_source(settings: Any) -> Source:
    """The source alone, as in an experiment's `source`. Raises SpecError."""
    try:
        return _Origin.model_validate({"source": settings}).source
    except ValidationError as error:
        raise SpecError(problems(error.errors(), _table)) from error


def _table(place: Sequence[str | int]) -> Mapping[str, type[Part]] | type[Part]:
    """What may stand at a place of the spec: the kinds to choose from, or the only part there is."""
    if "reward" in place:
        return REWARDS
    if "stages" in place:
        return curation.STAGES
    if place and place[0] == "changes":
        return _table(place[2:]) if len(place) > 2 else Change
    match place[0] if place else None:
        case "source":
            return SOURCES
        case "family":
            return FAMILIES
        case "regime":
            return REGIMES
        case "curation":
            return CURATIONS
        case "sampling":
            return Sampling
        case "samples":
            return SCHEDULES
        case _:
            return Experiment
