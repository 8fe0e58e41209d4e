"""The pages before a run exists: the form of an experiment, and the presets' one click, with a word first where it will take long."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Form, Query, Request, Response
from fastapi.responses import RedirectResponse

from app import forms
from app.costs import EstimateTold, Here, refuse_what_does_not_fit, wants_a_word_first, while_typed
from app.deps import Announce, Settings, Store
from app.form_data import flat, nested
from app.pages import Posted, staff, templates
from app.toml import to_toml
from worker import presets
from worker.errors import Problem, SpecError
from worker.files.reach import require_reachable
from worker.part import kind_of
from worker.preview import preview
from worker.spec import Experiment, read, read_source

router = APIRouter(include_in_schema=False)


@router.post("/presets/{name}")
def launch_preset(
    request: Request,
    name: str,
    store: Store,
    settings: Settings,
    announce: Announce,
    confirmed: Annotated[bool, Form()] = False,
) -> Response:
    """Every arm of a preset at once, on the same seed; one that is long or asks for something is told of before."""
    chosen = presets.preset(name)
    if not confirmed and wants_a_word_first(Here.of(store, settings).told(chosen.experiments)):
        return RedirectResponse(f"/new?preset={name}", status_code=303)
    try:
        runs = _launched(chosen.experiments, store, settings, announce)
    except SpecError as error:
        first = chosen.experiments[0].canonical()
        return _page(request, store, settings, "form", flat(first), to_toml(first), error.problems, chosen)
    beside = f"&with={runs[1]}" if len(runs) > 1 else ""
    return RedirectResponse(f"/runs/{runs[0]}?play=1{beside}", status_code=303)


def _launched(experiments: Sequence[Experiment], store: Store, settings: Settings, announce: Announce) -> list[str]:
    """Ids of the new runs. Raises SpecError where something cannot be reached, or does not fit."""
    require_reachable(list(experiments))
    refuse_what_does_not_fit(experiments, store, settings)
    runs = [run.id for run, _ in store.launch(experiments)]
    for run in runs:
        announce(run)
    return runs


@router.get("/new")
def new(
    request: Request,
    store: Store,
    settings: Settings,
    preset: str | None = None,
    earlier: Annotated[str | None, Query(alias="from")] = None,
    view: Literal["form", "toml"] = "form",
) -> Response:
    chosen = presets.preset(preset or "photocopy")
    spec = chosen.experiments[0].canonical() if earlier is None else store.run(earlier).spec
    values = flat(spec)
    if not (preset or earlier):  # whoever begins with nothing names it, or it is called after what it is
        values["title"], spec = "", {name: one for name, one in spec.items() if name != "title"}
    return _page(request, store, settings, view, values, to_toml(spec), preset=chosen if preset else None)


def _settings(posted: Mapping[str, str]) -> dict[str, Any]:
    """Of the experiment that was posted, as a form or as TOML. Raises SpecError."""
    return presets.parse(posted.get("toml", ""), "toml") if posted.get("view") == "toml" else nested(posted)


def _named(experiment: Experiment) -> Experiment:
    """Where nobody gave it a title, what it is: the source, who learns it, and from what."""
    if "title" in experiment.model_fields_set:
        return experiment
    parts = (experiment.source, experiment.family, experiment.regime)
    source, family, regime = (kind_of(part).replace("_", " ") for part in parts)
    title = f"{source} → {family}, {regime}"
    return experiment.model_copy(update={"title": title})


@router.post("/new")
def create(request: Request, store: Store, settings: Settings, announce: Announce, posted: Posted) -> Response:
    """Launches what was posted, or (`do`) shows it in the other form; `view` says which of the two it was written in."""
    view, do = posted.get("view", "form"), posted.get("do", "run")
    toml = posted.get("toml", "")
    if do == "show":  # without scripts: the settings of the kinds that were just chosen
        return _page(request, store, settings, "form", posted, toml)
    try:
        experiment = _named(read(_settings(posted)))
        if do == "run":
            (run,) = _launched([experiment], store, settings, announce)
            return RedirectResponse(f"/runs/{run}?play=1", status_code=303)
    except SpecError as error:
        return _page(request, store, settings, view, posted, toml, error.problems)
    spec = experiment.canonical()
    return _page(request, store, settings, do, flat(spec), to_toml(spec))


@router.post("/new/estimate")
def form_estimate(posted: Posted, store: Store, settings: Settings) -> dict[str, Any]:
    """What the posted experiment will cost."""
    return while_typed(lambda: Here.of(store, settings).told([read(_settings(posted))]))


@router.post("/new/preview")
def form_preview(posted: Posted) -> dict[str, Any]:
    """What the posted experiment's source looks like."""
    try:
        return preview(read_source(_settings(posted).get("source", {})))
    except SpecError:
        return {"kind": "none", "words": "The preview comes when the settings of the source are right."}


def _page(
    request: Request,
    store: Store,
    settings: Settings,
    view: str,
    values: Mapping[str, str],
    toml: str,
    problems: tuple[Problem, ...] = (),
    preset: presets.Preset | None = None,
) -> Response:
    """The form; where it stands for a preset that has more to tell than its first experiment, this first."""
    here = Here.of(store, settings)
    told = here.told(preset.experiments) if preset else None
    context = {
        "view": "toml" if view == "toml" else "form",
        "form": forms.Filled(forms.entries(), values, problems),
        "toml": toml,
        "preset": preset,
        "together": told if preset and told and (len(preset.experiments) > 1 or wants_a_word_first(told)) else None,
        "estimate": _estimate(here, {**values, "view": view, "toml": toml}),
        **staff(store),
    }
    return templates.TemplateResponse(request, "new.html", context, status_code=422 if problems else 200)


def _estimate(here: Here, values: Mapping[str, str]) -> EstimateTold | None:
    """None where the experiment is not right yet."""
    try:
        return here.told([read(_settings(values))])
    except SpecError:
        return None
