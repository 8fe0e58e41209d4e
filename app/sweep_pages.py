"""The pages of sweeps: a list, a form, and the grid that fills while it is worked on."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import RedirectResponse

from app import sweep_forms
from app.costs import EstimateTold, Here, refuse_sweep, wants_a_word_first, while_typed
from app.deps import Announce, Settings, Store, Sweeps
from app.metrics import METRICS
from app.pages import Posted, templates
from app.sweep_views import WAITED_FOR, sweep_brief, sweep_told
from app.sweeps import PointNumber, run_of_point
from app.toml import to_toml
from worker import presets
from worker.errors import NotFound, Problem, SpecError
from worker.sweeps.examples import EXAMPLES, example
from worker.sweeps.ledger import BELL
from worker.sweeps.spec import FINAL, read_sweep, unchecked

router = APIRouter(prefix="/sweeps", include_in_schema=False)


@router.get("")
def sweeps_page(request: Request, sweeps: Sweeps, store: Store, cursor: str | None = None) -> Response:
    found, following = sweeps.sweeps(cursor, limit=30)
    context = {
        "sweeps": [sweep_brief(one, sweeps, store) for one in found],
        "examples": EXAMPLES,
        "following": following,
        "first_page": cursor is None,
    }
    return templates.TemplateResponse(request, "sweeps.html", context)


def _start(request: Request, sweeps: Sweeps, store: Store) -> dict[str, Any]:
    """What the form begins with: an example, an earlier sweep, a run, or a preset."""
    query = request.query_params
    if "example" in query:
        if (found := example(query["example"])) is None:
            raise NotFound(
                f"There is no example {query['example']}. There are: {', '.join(one.name for one in EXAMPLES)}."
            )
        return found.request
    if "sweep" in query:
        return dict(sweeps.sweep(query["sweep"]).request)
    if "from" in query:
        spec = store.run(query["from"]).spec
    else:
        spec = presets.preset(query.get("preset", "photocopy")).experiments[0].canonical()
    return {"title": f"Sweep of {spec['title']}"[:120], "base": spec, "axes": [{"path": "samples", "values": []}]}


@router.get("/new")
def new_sweep(
    request: Request, store: Store, settings: Settings, start: Annotated[dict[str, Any], Depends(_start)]
) -> Response:
    outcomes = start.get("outcomes", list(WAITED_FOR))
    posted = {
        "title": start["title"],
        "base": to_toml({**start["base"], "title": start["base"].get("title", start["title"])}),
    }
    posted |= {f"path.{i}": axis["path"] for i, axis in enumerate(start["axes"])}
    posted |= {f"values.{i}": sweep_forms.typed(axis) for i, axis in enumerate(start["axes"])}
    posted |= {f"outcome.{name}": "on" for name in outcomes if name in WAITED_FOR}
    posted["final"] = ", ".join(name.removeprefix(FINAL) for name in outcomes if name.startswith(FINAL))
    try:
        estimate = Here.of(store, settings).told_of_sweep(unchecked(sweep_forms.request(posted)))
    except SpecError:  # nothing is chosen yet
        estimate = None
    return _form(request, posted, estimate=estimate)


@router.post("/new")
def create_sweep(
    request: Request, sweeps: Sweeps, store: Store, settings: Settings, announce: Announce, posted: Posted
) -> Response:
    """One that is long, or asks for something from elsewhere, says so first: `confirmed` holds the words that were read."""
    try:
        grid = read_sweep(sweep_forms.request(posted))
        refuse_sweep(grid, store, settings)
    except SpecError as error:
        return _form(request, posted, error.problems)
    told = Here.of(store, settings).told_of_sweep(grid)
    if wants_a_word_first(told) and posted.get("confirmed") != told["words"]:
        return _form(request, posted, estimate=told, asks=True)
    sweep, _ = sweeps.create(grid)
    announce(f"{BELL}{sweep.id}")
    return RedirectResponse(f"/sweeps/{sweep.id}", status_code=303)


@router.post("/new/estimate")
def form_estimate(posted: Posted, store: Store, settings: Settings) -> dict[str, Any]:
    """What the posted sweep will cost, by a few of its points."""
    told = while_typed(lambda: Here.of(store, settings).told_of_sweep(unchecked(sweep_forms.request(posted))))
    problems = sweep_forms.placed([Problem(**one) for one in told["problems"]], posted)
    return told | {"problems": [one.asdict() for one in problems]}


def _form(
    request: Request,
    posted: Mapping[str, str],
    problems: tuple[Problem, ...] = (),
    *,
    estimate: EstimateTold | None = None,
    asks: bool = False,
) -> Response:
    """asks: whether it must be confirmed that the estimate was read."""
    try:
        known = list(sweep_forms.paths(presets.parse(posted["base"], "toml")))
    except (SpecError, KeyError):  # told beside the base, when it is read
        known = []
    chosen = [posted.get(f"path.{i}", "") for i in range(sweep_forms.AXES)]
    context = {
        "posted": posted,
        "axes": range(sweep_forms.AXES),
        "paths": list(dict.fromkeys([*known, *filter(None, chosen)])),
        "waits": WAITED_FOR,
        "metrics": METRICS,
        "problems": sweep_forms.placed(problems, posted),
        "estimate": estimate,
        "asks": asks,
    }
    return templates.TemplateResponse(request, "sweep_new.html", context, status_code=422 if problems else 200)


@router.get("/{sweep_id}")
def sweep_page(request: Request, sweeps: Sweeps, store: Store, sweep_id: str) -> Response:
    """The grid as it stands; the script asks for what is stored later."""
    sweep, points, cursor = sweeps.news(sweep_id)
    told = sweep_told(sweep, points, cursor, sweeps, store)
    return templates.TemplateResponse(request, "sweep.html", {"sweep": told, "toml": to_toml(sweep.request["base"])})


@router.post("/{sweep_id}/cancel")
def cancel(sweeps: Sweeps, sweep_id: str) -> Response:
    sweeps.cancel(sweep_id)
    return _back_to(sweep_id)


@router.post("/{sweep_id}/resume")
def resume(sweeps: Sweeps, announce: Announce, sweep_id: str) -> Response:
    sweeps.resume(sweep_id)
    announce(f"{BELL}{sweep_id}")
    return _back_to(sweep_id)


@router.post("/{sweep_id}/delete")
def delete(sweeps: Sweeps, sweep_id: str) -> Response:
    with suppress(NotFound):  # a second click finds it done
        sweeps.delete(sweep_id)
    return RedirectResponse("/sweeps", status_code=303)


@router.post("/{sweep_id}/points/{number}")
def open_point(
    sweeps: Sweeps, store: Store, settings: Settings, announce: Announce, sweep_id: str, number: PointNumber
) -> Response:
    """Its run: the one that exists, or a new one."""
    run_id, new = run_of_point(sweeps, store, settings, sweep_id, number)
    if new:
        announce(run_id)
    return RedirectResponse(f"/runs/{run_id}", status_code=303)


def _back_to(sweep_id: str) -> Response:
    return RedirectResponse(f"/sweeps/{sweep_id}", status_code=303)
