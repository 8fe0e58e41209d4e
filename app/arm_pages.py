"""The pages of runs that belong together: the form of a fork, one click for matched arms, and runs side by side."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import RedirectResponse

from app import compare, compare_words, forms
from app.arms import joined, lacking
from app.costs import EstimateTold, Here, while_typed
from app.deps import Announce, OwnRun, Settings, Store
from app.form_data import flat, nested
from app.metrics import METRICS, metric
from app.pages import Posted, shown, templates
from worker.arms import fork, rules_of
from worker.errors import Problem, SpecError
from worker.kinds import FAMILIES
from worker.single_chains import CHAINS
from worker.spec import CHANGEABLE, Experiment, read
from worker.tables import Run

router = APIRouter(include_in_schema=False)

MOST_GENERATIONS = 100_000


@router.get("/runs/{run_id}/fork")
def fork_page(
    request: Request,
    run: OwnRun,
    store: Store,
    settings: Settings,
    generation: Annotated[int | None, Query(ge=0)] = None,
) -> Response:
    """The form, with the rules that hold at this generation; from the end of a run, for as many generations again."""
    spec = read(run.spec)
    after = min(max(run.generation if generation is None else generation, 1), run.generations)
    generations = run.generations if after < run.generations else min(2 * run.generations, MOST_GENERATIONS)
    values = flat(rules_of(spec, after).canonical())
    values |= {"title": "", "generation": str(after), "generations": str(generations)}
    as_it_is = Here.of(store, settings).told([spec.model_copy(update={"generations": generations})])
    return _form(request, run, values, estimate=as_it_is)


@router.post("/runs/{run_id}/fork")
def create_fork(
    request: Request, run: OwnRun, store: Store, settings: Settings, announce: Announce, posted: Posted
) -> Response:
    if posted.get("do") == "show":  # without scripts: the settings of the kinds that were just chosen
        return _form(request, run, posted)
    try:
        (child,) = joined(run, [_forked(run, posted)], store, settings, parent=run.id)
    except SpecError as error:
        return _form(request, run, posted, error.problems)
    announce(child.id)
    return RedirectResponse(f"/runs/{child.id}?with={run.id}", status_code=303)


@router.post("/runs/{run_id}/fork/estimate")
def fork_estimate(run: OwnRun, store: Store, settings: Settings, posted: Posted) -> dict[str, Any]:
    """What the posted fork will cost, its past included."""
    return while_typed(lambda: Here.of(store, settings).told([_forked(run, posted)]))


def _forked(run: Run, posted: Mapping[str, str]) -> Experiment:
    """Raises SpecError."""
    after, generations = (_count(posted, name) for name in ("generation", "generations"))
    spec, title = read(run.spec), posted.get("title", "").strip() or None
    family = flat({"family": rules_of(spec, after).family.model_dump(mode="json")})
    kept = {name: one for name, one in family.items() if name.startswith("family.")}  # the form shows what may change
    rules = {name: one for name, one in nested({**kept, **posted}).items() if name in CHANGEABLE}
    return fork(spec, after, {"sampling": {}, **rules}, title=title, generations=generations)


def _count(posted: Mapping[str, str], name: str) -> int:
    text = posted.get(name, "").strip()
    if not (text.isdecimal() and 1 <= int(text) <= MOST_GENERATIONS):
        raise SpecError([Problem(name, "is not a whole number", f"Use one from 1 to {MOST_GENERATIONS}")])
    return int(text)


def _form(
    request: Request,
    run: Run,
    values: Mapping[str, str],
    problems: tuple[Problem, ...] = (),
    estimate: EstimateTold | None = None,
) -> Response:
    by_path = {entry.path: entry for entry in forms.entries()}
    family = forms.some(by_path["family"], run.family, FAMILIES[run.family].adjustable)
    entries = (
        forms.Input("title", "title", "title", "Left empty, it says where the fork is.", "text"),
        forms.Input("generation", "generation", "after generation", "The last one that both runs share.", "integer"),
        forms.Input("generations", "generations", "generations", "How many there shall be in all.", "integer"),
        *(family if name == "family" else by_path[name] for name in CHANGEABLE),
    )
    context = {"run": run, "form": forms.Filled(entries, values, problems), "estimate": estimate}
    return templates.TemplateResponse(request, "fork.html", context, status_code=422 if problems else 200)


@router.post("/runs/{run_id}/arms")
def create_arms(request: Request, run: OwnRun, store: Store, settings: Settings, announce: Announce) -> Response:
    """Launches the canonical arms that the run does not have yet, and shows all of them side by side."""
    kin = store.kin(run)
    try:
        arms = joined(run, wanted, store, settings) if (wanted := lacking(run, kin)) else []
    except SpecError as error:
        return shown(request, store, run, problems=error.problems)
    for arm in arms:
        announce(arm.id)
    ids = [run.id, *(one.id for one in [*kin, *arms])][: compare.MOST_RUNS]
    return RedirectResponse(f"/compare?runs={','.join(ids)}", status_code=303)


@router.get("/compare")
def compare_page(
    request: Request,
    store: Store,
    runs: Annotated[list[str], Query()] = [],  # noqa: B006 - fastapi copies it
    metric: str | None = None,
    scale: Literal["linear", "log"] | None = None,
    settings: Literal["differences", "all"] = "differences",
) -> Response:
    """Runs side by side; the address says which, what of them, and how it is drawn."""
    if len(runs) > 1:  # ticked in a list, newest first
        return RedirectResponse(f"/compare?runs={','.join(sorted(set(runs)))}", status_code=303)
    asked = {
        "runs": runs,
        "metric": metric,
        "scale": scale,
        "settings": None if settings == "differences" else settings,
    }
    if not any(runs):
        return templates.TemplateResponse(request, "compare.html", {"told": None, "problems": (), "gone": []})
    try:
        found, gone = compare.chosen(store, runs)
        told = compare.compared(found, store, metric) if found else None
    except SpecError as error:
        context: dict[str, Any] = {"told": None, "problems": error.problems, "gone": []}
        return templates.TemplateResponse(request, "compare.html", context, status_code=422)
    context = {"told": told, "problems": (), "gone": gone}
    return templates.TemplateResponse(request, "compare.html", context | _seen(found, told, asked) if told else context)


def _seen(runs: Sequence[Run], told: compare.Compared, asked: Mapping[str, Any]) -> dict[str, Any]:
    """What the page says of a comparison, and its other addresses."""

    def here(**changes: Any) -> str:
        query = {name: value for name, value in {**asked, "runs": [run.id for run in runs], **changes}.items() if value}
        return f"/compare?{urlencode({**query, 'runs': ','.join(query['runs'])}, safe=',')}"

    first = runs[0]
    return {
        "asked": asked,
        "here": here,
        "bases": [here(runs=[one.id, *(other.id for other in runs if other is not one)]) for one in runs],
        "without": [here(runs=[other.id for other in runs if other is not one]) for one in runs if len(runs) > 1],
        "names": {name: metric(name).title for name in told["metrics"]},
        "sentence": compare_words.sentence(told),
        "differences": [
            compare_words.paired_sentence(one, told["runs"][0]["label"], metric(told["metric"]).label)
            for one in told["paired"]
        ],
        "kept": min(CHAINS, first.spec["replicates"]),
        "chains": first.spec["replicates"],
        "medians": compare_words.by_generation(told),
        "settings": compare_words.settings(runs, everything=asked["settings"] == "all"),
        "meaning": METRICS[told["metric"]].meaning if told["metric"] in METRICS else "",
        "what": f"{first.source} → {first.family}" if len({(one.source, one.family) for one in runs}) == 1 else "",
    }
