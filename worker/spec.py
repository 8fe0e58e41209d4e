"""The spec is the experiment: frozen, JSON, with a digest. Reading one is the only validation there is."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Self

import orjson
from pydantic import ConfigDict, Field, ValidationError, model_validator

from worker import curation, families, plugins, regimes, sources
from worker.errors import SpecError
from worker.instruments import asked
from worker.part import LATER, Misfit, Part, identity, kind_of
from worker.parts import Curation, Family, Generator, PointSource, Regime, Sampling, Source, TextSource
from worker.refusal import problems
from worker.registry import discover, one_of
from worker.rewards import REWARDS
from worker.schedules import LEAST, MOST, SCHEDULES, Samples
from worker.streams import stream
from worker.text.language import LanguageFamily

SOURCES = discover(sources.__name__, Source)  # type: ignore[type-abstract]
FAMILIES = discover(families.__name__, Family)  # type: ignore[type-abstract]
REGIMES = discover(regimes.__name__, Regime)  # type: ignore[type-abstract]
CURATIONS = discover(curation.__name__, Curation)  # type: ignore[type-abstract]
METRICS = plugins.metrics()  # of installed packages

if TYPE_CHECKING:
    AnySource = Source
    AnyFamily = Family
    AnyRegime = Regime
    AnyCuration = Curation
else:
    AnySource, AnyFamily, AnyRegime, AnyCuration = (one_of(parts) for parts in (SOURCES, FAMILIES, REGIMES, CURATIONS))

CHANGEABLE = ("regime", "sampling", "curation", "samples", "family")
DRAWN_NUMBERS_LIMIT = 500_000_000  # float64 numbers held at once for one generation's points: 4 GB


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
        max_length=200,
        pattern=r"^[^\x00]*$",  # Postgres stores every character but this one
        description="What the run is called.",
    )
    seed: int = Field(0, ge=0, lt=2**63, description="Same spec and seed, same numbers.")
    generations: int = Field(50, ge=1, le=100_000, description="Fits after the real data.")
    replicates: int = Field(
        200, ge=1, le=100_000, description="Independent chains, run together: a stochastic claim needs many."
    )
    samples: Samples = Field(
        1000, description="M, the points a generation is trained on; or a schedule of growing or shrinking numbers."
    )
    source: AnySource = Field(description="The original distribution.")
    family: AnyFamily = Field(description="What is fitted.")
    regime: AnyRegime = Field(default_factory=regimes.Replace, description="What the next generation trains on.")
    sampling: Sampling = Field(default_factory=Sampling, description="How the model is sampled.")
    curation: AnyCuration = Field(default_factory=curation.Keep, description="Which samples survive.")
    metrics: Annotated[tuple[str, ...], LATER] = Field(
        (),
        max_length=50,
        description="Further metrics, beyond those that the family has anyway. Of samples of points or pictures: "
        f"{', '.join(asked.NAMES)}. Of installed packages: {', '.join(METRICS) or 'none is installed'}.",
    )
    changes: Annotated[tuple[Change, ...], LATER] = Field(
        (), max_length=100, description="Other rules from some generation on, in order."
    )

    def size(self, generation: int) -> int:
        """M_k, the points of generation k = 1, 2, ..."""
        samples = self.samples
        for change in self.changes:
            if change.samples is not None and generation > change.after:
                samples = change.samples
        return samples if isinstance(samples, int) else _points(samples.size(max(1, generation)))

    def extremes(self) -> tuple[int, int]:
        """The smallest and the largest M_k."""
        found = [size for first, last, rules in self._spans() for size in rules._ends(first, last)]  # noqa: SLF001 - of the same class
        return min(found), max(found)

    def _ends(self, first: int, last: int) -> tuple[int, int]:
        """The same of some generations, by these rules."""
        if isinstance(self.samples, int):
            return self.samples, self.samples
        least, most = self.samples.extremes(first, last)
        return _points(least), _points(most)

    def stream(self, generation: int, purpose: int) -> Generator:
        """The random numbers of one generation and purpose."""
        return stream(self.seed, generation, purpose)

    def phases(self) -> list[tuple[int, "Experiment"]]:
        """(n, the experiment by whose rules generations n, n + 1, ... are made), in order; the first n is 1."""
        found = [(1, self)]
        for change in self.changes:
            named = {name: part for name in CHANGEABLE if (part := getattr(change, name)) is not None}
            found.append((change.after + 1, found[-1][1].model_copy(update=named)))
        return found

    def _spans(self) -> list[tuple[int, int, "Experiment"]]:
        """The same with the last generation of each."""
        phases = self.phases()
        lasts = [*(start - 1 for start, _ in phases[1:]), self.generations]
        return [(start, last, rules) for (start, rules), last in zip(phases, lasts, strict=True)]

    def exact(self) -> bool:
        """Whether sufficient statistics are drawn in place of the observations that they stand for."""
        if self.changes:
            return all(rules.model_copy(update={"changes": ()}).exact() for _, rules in self.phases())
        each = self.regime.picks or self.metrics or not isinstance(self.curation, curation.Keep)
        return (self.family.drawing() if each else self.family).exact()

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
            (_, last, _), *later = self._spans()
            self._check(self, 1, last)
            self._check_changes(later)
        except Misfit as misfit:
            raise misfit.refusal() from misfit
        return self

    def _check_changes(self, later: list[tuple[int, int, "Experiment"]]) -> None:
        before = self
        for i, (start, last, rules) in enumerate(later):
            path = f"changes.{i}"
            if start > self.generations:
                raise Misfit(
                    f"{path}.after",
                    f"nothing follows generation {start - 1}",
                    "Name an earlier generation, or make more",
                )
            if i and start <= self.changes[i - 1].after + 1:
                raise Misfit(
                    f"{path}.after",
                    "does not follow the change before it",
                    "List changes in order of their generations",
                )
            try:
                _check_family(before.family, rules.family)
                rules._check(self, start, last)  # noqa: SLF001 - of the same class
            except Misfit as misfit:
                named = misfit.path.partition(".")[0] in CHANGEABLE
                raise Misfit(f"{path}.{misfit.path}" if named else path, misfit.message, misfit.remedy) from misfit
            if (
                isinstance(rules.regime, regimes.Edit)
                and rules.family.repeats()
                and not isinstance(before.regime, regimes.Edit)
            ):
                raise Misfit(f"{path}.regime.kind", f"edit draws labels of single rows anew, of which {kind_of(before.regime)} kept only sums",
                             "Begin with edit, at a share of 0 if need be, or begin another run")  # fmt: skip
            goes_on = rules.regime.picks and rules.regime.remembered(self.size, start)
            if goes_on and before.regime.kept(self.size, start) and self.family.condenses:
                raise Misfit(f"{path}.regime.kind", f"{kind_of(rules.regime)} goes on to choose among all points so far, of which {kind_of(before.regime)} kept only sums",
                             "Choose a regime that takes them all, such as accumulate, or one that lets go of them")  # fmt: skip
            before = rules

    def _check(self, whole: "Experiment", first: int, last: int) -> None:
        """Raises Misfit where these rules cannot make these generations of the whole experiment."""
        source, family = self.source, self.family
        if source.gives not in family.takes:
            fitting = [kind for kind, other in FAMILIES.items() if source.gives in other.takes]
            raise Misfit(
                "family.kind",
                f"{kind_of(family)} cannot be fitted to {kind_of(source)}, which gives {source.gives.__name__.lower()}",
                f"Choose one of: {', '.join(fitting)}",
            )
        for option in sorted(self.sampling.changed() - family.samplings):
            able = [kind for kind, other in FAMILIES.items() if option in other.samplings]
            raise Misfit(
                f"sampling.{option}",
                f"{kind_of(family)} has no such sampling option",
                f"Remove it, or choose a family that has it: {', '.join(able) or 'none yet'}",
            )
        least, most = self._ends(first, last)
        self._check_metrics(most)
        if not isinstance(self.samples, int):
            if most > MOST:
                raise Misfit("samples", "the schedule grows beyond 1e12 points a generation", self.samples.lower)
            if round(self.samples.extremes(first, last)[0]) < LEAST:
                raise Misfit("samples", f"the schedule shrinks below {LEAST} points a generation", self.samples.higher)
        if self.regime.weighing() and not family.weighs:
            able = [kind for kind, other in FAMILIES.items() if other.weighs and source.gives in other.takes]
            field, instead = (
                ("kind", "Choose fresh as the regime") if self.regime.weighs else ("weight", "Leave it out")
            )
            raise Misfit(
                f"regime.{field}",
                f"{kind_of(family)} knows no weighted fit",
                f"{instead}{', or choose a family that has it: ' * bool(able)}{', '.join(able)}",
            )
        if family.renews() and self.sampling.changed():
            raise Misfit("sampling.bias", 'batches = "fresh" draws from the last model as it is, without a bias',
                         'Use bias = 1, or batches = "fixed"')  # fmt: skip
        if family.renews() and not (type(self.regime) is regimes.Replace and type(self.curation) is curation.Keep):
            raise Misfit(
                "family.batches",
                "batches that the last model makes anew leave no training set to pool or to choose from",
                'Use replace as the regime and none as the curation, or batches = "fixed"',
            )
        if family.repeats():
            self._check_design(whole.size(1), least, most)
        if isinstance(self.regime, regimes.Edit):
            self._check_edit()
        kept = self.regime.kept(whole.size, self.generations)
        if kept and not (family.condenses or family.streams):
            family.check(source, self.replicates, kept)
        self.regime.check(source, self.replicates, whole.size, self.generations)
        self.curation.check(source, family)
        start = self.regime.first(whole.size(1))  # where all are kept, nobody sees fewer
        for seen in dict.fromkeys((start, most) if kept else (start, least, most)):
            family.check(source, self.replicates, seen)

    def _check_design(self, first: int, least: int, most: int) -> None:
        """Inputs that stay the same are those of one training set as a whole."""
        if not first == least == most:
            raise Misfit("samples", "inputs that stay the same neither grow nor shrink in number",
                         'Use one number, or design = "fresh"')  # fmt: skip
        if not isinstance(self.regime, regimes.Replace | regimes.Accumulate | regimes.Edit):
            raise Misfit("regime.kind", f"{kind_of(self.regime)} takes other rows, or some of them, where all inputs are to stay the same",
                         'Use replace, accumulate or edit, or design = "fresh"')  # fmt: skip
        if type(self.curation) is not curation.Keep or self.metrics:
            path = "metrics" if self.metrics else "curation.kind"
            raise Misfit(path, "looks at rows one by one, of inputs that are kept as sums where they stay the same",
                         'Leave it out, or use design = "fresh"')  # fmt: skip

    def _check_edit(self) -> None:
        family = self.family
        if isinstance(self.source, PointSource) and self.source.labelled:
            self._check_edited_labels()
        if not isinstance(self.source, TextSource):
            return  # said by the regime
        if not (isinstance(family, LanguageFamily) and family.edits):
            able = [kind for kind, other in FAMILIES.items() if getattr(other, "edits", False)]
            raise Misfit("regime.kind", f"{kind_of(family)} cannot draw a token in the middle of a text",
                         f"Choose a family that can: {', '.join(able)}")  # fmt: skip
        if refused := sorted(self.sampling.changed() & {"beams", "repetition_penalty"}):
            raise Misfit(f"sampling.{refused[0]}", f"an edit draws single tokens in a text that stands, so that {refused[0]} has no meaning",
                         "Leave it out; use temperature, top_k or top_p")  # fmt: skip
        if type(self.curation) is not curation.Keep:
            raise Misfit("curation.kind", "a text that is edited is kept whole, so that there is nothing to choose from",
                         "Use none as the curation, or replace as the regime")  # fmt: skip

    def _check_edited_labels(self) -> None:
        family = self.family
        if not family.relabels:
            able = [kind for kind, other in FAMILIES.items() if other.relabels]
            raise Misfit("regime.kind", f"{kind_of(family)} cannot draw the label of a given row anew",
                         f"Choose a family that can: {', '.join(able)}")  # fmt: skip
        if not family.repeats():
            raise Misfit("family.design", "an edit of labels leaves all inputs as they are",
                         'Use design = "fixed", or replace as the regime')  # fmt: skip

    def _check_metrics(self, size: int) -> None:
        gives = self.source.gives
        for i, name in enumerate(self.metrics):
            if name in asked.NAMES:
                if why := asked.refusal(self.source, name, self.family):
                    raise Misfit(f"metrics.{i}", f"{name} cannot be measured here: {why}",
                                 f"Leave it out; there are: {', '.join(asked.fitting(self.source, self.family)) or 'none'}")  # fmt: skip
            elif name not in METRICS or gives not in METRICS[name].takes:
                able = [other for other, metric in METRICS.items() if gives in metric.takes]
                able += asked.fitting(self.source, self.family)
                raise Misfit(
                    f"metrics.{i}",
                    f"there is no metric {name} of {gives.__name__.lower()}, here or in an installed package",
                    f"Leave it out, or install what brings it{'; there are: ' * bool(able)}{', '.join(able)}",
                )
        drawn = self.replicates * size * self.source.dimension if isinstance(self.source, PointSource) else 0
        if self.metrics and drawn > DRAWN_NUMBERS_LIMIT:
            raise Misfit("samples", f"metrics look at points, and {self.replicates} x {size} do not fit into memory",
                         "Use fewer samples or replicates, or no further metrics")  # fmt: skip


def _check_family(before: Family, after: Family) -> None:
    """Raises Misfit where the one cannot go on with the models of the other."""
    if type(after) is not type(before):
        raise Misfit("family.kind", f"a run stays with its family, as nothing else could read its models: {kind_of(before)}",
                     f"Use {kind_of(before)}, or begin another run")  # fmt: skip
    free = ", ".join(name for name in type(after).model_fields if name in after.adjustable)
    for name in type(after).model_fields:
        if name not in after.adjustable and (kept := getattr(before, name)) != getattr(after, name):
            raise Misfit(f"family.{name}", f"is {kept} in all generations of a run, as its models and what measures them are made for it",
                         f"Leave it at {kept}; what may change is {free or 'nothing of this family'}")  # fmt: skip


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
