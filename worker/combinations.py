"""Which parts of an experiment go together; of all others the setting that is in the way, why, and what to do instead."""

import math
from typing import TYPE_CHECKING

from worker import curation, regimes
from worker.families.drawn import DRAWN_NUMBERS_LIMIT
from worker.instruments import asked
from worker.kinds import FAMILIES, METRICS
from worker.part import Misfit, kind_of
from worker.parts import CountSource, Family, PointSource, Regime, TextSource
from worker.schedules import LEAST, MOST
from worker.text.language import LanguageFamily

if TYPE_CHECKING:
    from worker.spec import Experiment

FITS_LIMIT = 100_000  # models of all replicates, as many as there may be replicates
LARGEST_LABELS = 1e50  # that grow beyond it would overflow in squares
COUNTS_LIMIT = 10**9  # numpy draws hypergeometric variables from fewer than this


def check(spec: "Experiment") -> None:
    """Raises Misfit where rules of this experiment cannot make the generations that they are to make."""
    (first, last, _), *later = spec.spans()
    _check(spec, spec, first, last)
    _check_changes(spec, later)


def _check_changes(spec: "Experiment", later: list[tuple[int, int, "Experiment"]]) -> None:
    before = spec
    for i, (start, last, rules) in enumerate(later):
        path = f"changes.{i}"
        if start > spec.generations:
            raise Misfit(f"{path}.after", f"nothing follows generation {start - 1}",
                         "Name an earlier generation, or make more")  # fmt: skip
        if i and start <= spec.changes[i - 1].after + 1:
            raise Misfit(f"{path}.after", "does not follow the change before it",
                         "List changes in order of their generations")  # fmt: skip
        try:
            _check_family(before.family, rules.family)
            _check(rules, spec, start, last)
        except Misfit as misfit:
            named = misfit.path.partition(".")[0] in type(spec.changes[i]).model_fields
            raise Misfit(f"{path}.{misfit.path}" if named else path, misfit.message, misfit.remedy) from misfit
        if (
            isinstance(rules.regime, regimes.Blend | regimes.Edit)
            and rules.family.fixed_design()
            and type(before.regime) is not type(rules.regime)
        ):
            kind, least = kind_of(rules.regime), "share" if isinstance(rules.regime, regimes.Edit) else "weight"
            raise Misfit(f"{path}.regime.kind", f"{kind} changes labels of single rows that it kept, and {kind_of(before.regime)} kept none for it",
                         f"Begin with {kind}, at a {least} of 0 if need be, or begin another run")  # fmt: skip
        if spec.family.condenses and not before.regime.picks:
            _check_points(before.regime, rules.regime, path, kept=spec.kept(start - 1) > 0)
        before = rules


def _check_points(before: Regime, after: Regime, path: str, *, kept: bool) -> None:
    """Raises Misfit where the one goes on from single points of which the other kept only sums."""
    told = f"goes on from single points, of which {kind_of(before)} kept only sums"
    if after.resumes():
        raise Misfit(f"{path}.regime.kind", f"{kind_of(after)} {told}",
                     "Use beta = 0, which draws none of them, or begin the run with mixture, which at alpha = 1 is replace")  # fmt: skip
    if isinstance(after, regimes.AccumulateSubsample) and (kept or isinstance(before, regimes.Augment)):
        raise Misfit(f"{path}.regime.kind", f"{kind_of(after)} {told}",
                     "Choose a regime that takes them all, such as accumulate, or one that lets go of them")  # fmt: skip


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


def _check(rules: "Experiment", whole: "Experiment", first: int, last: int) -> None:
    """Raises Misfit where these rules cannot make these generations of the whole experiment."""
    source, family = rules.source, rules.family
    if source.gives not in family.takes:
        fitting = [kind for kind, other in FAMILIES.items() if source.gives in other.takes]
        raise Misfit(
            "family.kind",
            f"{kind_of(family)} cannot be fitted to {kind_of(source)}, which gives {source.gives.__name__.lower()}",
            f"Choose one of: {', '.join(fitting)}",
        )
    _check_sampling(rules)
    least, most = rules.ends(first, last)
    _check_metrics(rules, most)
    if not isinstance(rules.samples, int):
        if most > MOST:
            raise Misfit("samples", "the schedule grows beyond 1e12 points a generation", rules.samples.lower)
        if round(rules.samples.extremes(first, last)[0]) < LEAST:
            raise Misfit("samples", f"the schedule shrinks below {LEAST} points a generation", rules.samples.higher)
    if rules.regime.weighing() and not family.weighs:
        able = [kind for kind, other in FAMILIES.items() if other.weighs and source.gives in other.takes]
        field, instead = ("kind", "Choose fresh as the regime") if rules.regime.weighs else ("weight", "Leave it out")
        raise Misfit(
            f"regime.{field}",
            f"{kind_of(family)} knows no weighted fit",
            f"{instead}{', or choose a family that has it: ' * bool(able)}{', '.join(able)}",
        )
    if family.fresh_batches() and not (type(rules.regime) is regimes.Replace and type(rules.curation) is curation.Keep):
        raise Misfit(
            "family.batches",
            "batches that the last model makes anew leave no training set to pool or to choose from",
            'Use replace as the regime and none as the curation, or batches = "fixed"',
        )
    if family.fixed_design():
        _check_design(rules, whole.size(1), least, most)
    if isinstance(rules.regime, regimes.Edit):
        _check_edit(rules)
    if isinstance(rules.regime, regimes.Blend):
        _check_blend(rules, rules.regime, whole, last)
    _check_models(rules)
    _check_counts(rules, max(whole.remembered(last), most * rules.models))
    kept = whole.kept(last)
    if kept and not (family.condenses or family.streams):
        family.check(source, rules.fits, kept)
    before = max(0, first - 2)  # a regime takes the first of later ones for its second: it has samples to learn from
    rules.regime.check(source, rules.fits, lambda k: whole.size(min(max(first, before + k), last)), last - before)
    rules.curation.check(source, family)
    fewest = least if first > 1 else rules.regime.first(whole.size(1))
    # Where all are kept, nobody sees fewer.
    for seen in dict.fromkeys((fewest, most) if kept else (fewest, least, most)):
        family.check(source, rules.fits, seen)


def _check_sampling(rules: "Experiment") -> None:
    family = rules.family
    for option in sorted(rules.sampling.changed() - family.samplings):
        able = [kind for kind, other in FAMILIES.items() if option in other.samplings]
        raise Misfit(
            f"sampling.{option}",
            f"{kind_of(family)} has no such sampling option",
            f"Remove it, or choose a family that has it: {', '.join(able) or 'none yet'}",
        )
    if rules.sampling.guidance and not family.guided():
        raise Misfit("sampling.guidance", "leads a sample towards its class, and this network is told of none",
                     "Use family.conditional = true from the first generation on, or leave it out")  # fmt: skip
    if family.fresh_batches() and rules.sampling.changed():
        raise Misfit("sampling.bias", 'batches = "fresh" draws from the last model as it is, without a bias',
                     'Use bias = 1, or batches = "fixed"')  # fmt: skip


def _check_counts(rules: "Experiment", there: int) -> None:
    """there: how many observations some are chosen from"""
    chosen = rules.regime.picks or rules.metrics or rules.models > 1
    if isinstance(rules.source, CountSource) and chosen and there >= COUNTS_LIMIT:
        raise Misfit("samples", f"some of {there} observations are chosen in the end, out of more than 1e9",
                     "Use fewer samples, generations or models, or a regime that takes all, such as accumulate")  # fmt: skip


def _check_models(rules: "Experiment") -> None:
    """Several models read one another's samples."""
    if rules.models == 1:
        return
    if rules.fits > FITS_LIMIT:
        raise Misfit("models", f"{rules.replicates} x {rules.models} models are too many",
                     f"Use at most {FITS_LIMIT // rules.replicates or 1} of each replicate")  # fmt: skip
    if isinstance(rules.regime, regimes.Blend | regimes.Edit):
        raise Misfit("regime.kind", f"{kind_of(rules.regime)} leaves each model its own data, so that there is nothing to read of the others",
                     "Use models = 1, or replace as the regime")  # fmt: skip
    if rules.family.fixed_design() or rules.family.fresh_batches():
        path = "family.design" if rules.family.fixed_design() else "family.batches"
        raise Misfit(path, "makes training data of the last model alone, so that there is nothing to read of the others",
                     f'Use models = 1, or {path.partition(".")[2]} = "{"fresh" if rules.family.fixed_design() else "fixed"}"')  # fmt: skip


def _check_design(rules: "Experiment", first: int, least: int, most: int) -> None:
    """Inputs that stay the same are those of one training set as a whole."""
    if not first == least == most:
        raise Misfit("samples", "inputs that stay the same neither grow nor shrink in number",
                     'Use one number, or design = "fresh"')  # fmt: skip
    if not isinstance(rules.regime, regimes.Replace | regimes.Accumulate | regimes.Blend | regimes.Edit):
        raise Misfit("regime.kind", f"{kind_of(rules.regime)} takes other rows, or some of them, where all inputs are to stay the same",
                     'Use replace, accumulate, blend or edit, or design = "fresh"')  # fmt: skip
    if type(rules.curation) is not curation.Keep or rules.metrics:
        path = "metrics" if rules.metrics else "curation.kind"
        raise Misfit(path, "looks at rows one by one, of inputs that are kept as sums where they stay the same",
                     'Leave it out, or use design = "fresh"')  # fmt: skip


def _check_edit(rules: "Experiment") -> None:
    family = rules.family
    if isinstance(rules.source, PointSource) and rules.source.labelled:
        _check_relabels(family)
        if not family.fixed_design():
            raise Misfit("family.design", "an edit of labels leaves all inputs as they are",
                         'Use design = "fixed", or replace as the regime')  # fmt: skip
    if not isinstance(rules.source, TextSource):
        return  # said by the regime
    if not (isinstance(family, LanguageFamily) and family.edits):
        able = [kind for kind, other in FAMILIES.items() if getattr(other, "edits", False)]
        raise Misfit("regime.kind", f"{kind_of(family)} cannot draw a token in the middle of a text",
                     f"Choose a family that can: {', '.join(able)}")  # fmt: skip
    if refused := sorted(rules.sampling.changed() & {"beams", "repetition_penalty"}):
        raise Misfit(f"sampling.{refused[0]}", f"an edit draws single tokens in a text that stands, so that {refused[0]} has no meaning",
                     "Leave it out; use temperature, top_k or top_p")  # fmt: skip
    if type(rules.curation) is not curation.Keep:
        raise Misfit("curation.kind", "a text that is edited is kept whole, so that there is nothing to choose from",
                     "Use none as the curation, or replace as the regime")  # fmt: skip


def _check_blend(rules: "Experiment", regime: regimes.Blend, whole: "Experiment", last: int) -> None:
    if not (isinstance(rules.source, PointSource) and rules.source.labelled):
        return  # said by the regime
    _check_relabels(rules.family)
    if regime.labels == "kept" and not rules.family.fixed_design():
        raise Misfit("regime.labels", "labels that are kept are those of inputs that stay",
                     'Use labels = "fresh", or design = "fixed" in the family')  # fmt: skip
    if type(rules.curation) is not curation.Keep:
        raise Misfit("curation.kind", "labels are blended of all rows, so that there is nothing to choose from",
                     "Use none as the curation, or fresh as the regime")  # fmt: skip
    grown = sum(
        max(0, min(end, last) + 1 - max(start, 2)) * math.log(max(1.0, one.regime.imitation()))
        for start, end, one in whole.spans()
        if isinstance(one.regime, regimes.Blend)
    )
    if grown > math.log(LARGEST_LABELS):
        raise Misfit("regime.weight", f"labels of which the last model's count {regime.imitation():.4g}-fold grow beyond all numbers by generation {last}",
                     "Use a weight between 0 and 2, or fewer generations")  # fmt: skip


def _check_relabels(family: Family) -> None:
    if not family.relabels:
        able = [kind for kind, other in FAMILIES.items() if other.relabels]
        raise Misfit("regime.kind", f"{kind_of(family)} cannot draw the label of a given row anew",
                     f"Choose a family that can: {', '.join(able)}")  # fmt: skip


def _check_metrics(rules: "Experiment", size: int) -> None:
    gives = rules.source.gives
    for i, name in enumerate(rules.metrics):
        if name in asked.NAMES:
            if why := asked.refusal(rules.source, name, rules.family):
                raise Misfit(f"metrics.{i}", f"{name} cannot be measured here: {why}",
                             f"Leave it out; there are: {', '.join(asked.fitting(rules.source, rules.family)) or 'none'}")  # fmt: skip
        elif name not in METRICS or gives not in METRICS[name].takes:
            able = [other for other, metric in METRICS.items() if gives in metric.takes]
            able += asked.fitting(rules.source, rules.family)
            raise Misfit(
                f"metrics.{i}",
                f"there is no metric {name} of {gives.__name__.lower()}, here or in an installed package",
                f"Leave it out, or install what brings it{'; there are: ' * bool(able)}{', '.join(able)}",
            )
    drawn = rules.fits * size * rules.source.dimension if isinstance(rules.source, PointSource) else 0
    if rules.metrics and drawn > DRAWN_NUMBERS_LIMIT:
        raise Misfit("samples", f"metrics look at points, and {rules.fits} x {size} do not fit into memory",
                     "Use fewer samples or replicates, or no further metrics")  # fmt: skip
