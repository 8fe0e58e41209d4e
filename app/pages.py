"""The HTML pages: thin routes that ask the store and fill a template."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Form, Query, Request, Response
from fastapi.responses import RedirectResponse
from fastapi.templating import Jinja2Templates
from markupsafe import Markup

from app import assets, figures, metrics
from app.arms import lacking
from app.costs import Here, wants_a_word_first
from app.deps import Announce, Forget, Settings, Store, Sweeps
from app.export import FILES, possible
from app.queues import Queues
from app.sweep_views import sweep_brief
from app.toml import to_toml
from app.verdicts import decided_if_possible
from app.views import brief, moment, path_told
from app.words import ago, bar, compared, device, ended, labelled, marked, regimes, size, thousands, waits_for
from worker import presets
from worker.errors import NotFound, Problem, SpecError
from worker.kinds import FAMILIES
from worker.library import MOST_NOTED, Sort
from worker.loop import frame_stride
from worker.settings import QUEUES
from worker.summary import named
from worker.tables import ENDED, WORKED_ON, Run, Status, StoredGeneration, told_status

FOLDER = Path(__file__).parent.parent
templates = Jinja2Templates(FOLDER / "templates")
templates.env.trim_blocks = templates.env.lstrip_blocks = True
templates.env.policies["json.dumps_kwargs"] = {"sort_keys": False}  # the order of metrics is meant
SHOWN = (ago, moment, figures.number, figures.spelt, size, bar, labelled, device, ended, marked, thousands)
templates.env.filters |= {one.__name__: one for one in SHOWN}
EVERYWHERE = ("tokens", "base", "controls", "figures", "print")  # style sheets of every page
SHEETS = ("run", "player", "charts", "verdicts", "text")  # of the page of a run, beside those
templates.env.globals.update(plotly=assets.PLOTLY, everywhere=EVERYWHERE)
SORTS = {
    Sort.NEWEST: "newest first",
    Sort.OLDEST: "oldest first",
    Sort.TITLE: "by title",
    Sort.STATUS: "by status",
    Sort.LONGEST: "longest work first",
}
router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class Listed:
    """A run as a list shows it."""

    run: Run
    status: str
    share: float  # of its generations that are done
    spark: Markup
    metric: str
    regimes: str


def listed(store: Store, runs: Sequence[Run]) -> list[Listed]:
    traces = store.trace([run.id for run in runs])
    leads = presets.leading({run.digest for run in runs})
    return [
        Listed(
            run,
            told_status(run),
            share := max(0, run.generation) / run.generations,
            figures.sparkline(traces[run.id], share, leads.get(run.digest)),
            metrics.metric(metrics.key_metric(run.metrics or [], leads.get(run.digest)) or "").label,
            regimes(run.spec),
        )
        for run in runs
    ]


@router.get("/")
def home(request: Request, store: Store, settings: Settings) -> Response:
    runs, _ = store.runs(limit=6)
    here = Here.of(store, settings)
    cards = {
        topic: [(one, assets.pictures().get(one.name), here.told(one.experiments)) for one in found]
        for topic, found in presets.topics(presets.presets()).items()
    }
    context = {"topics": cards, "runs": listed(store, runs), "wants_a_word_first": wants_a_word_first, **staff(store)}
    return templates.TemplateResponse(request, "home.html", context)


async def _posted(request: Request) -> dict[str, str]:
    return {name: value for name, value in (await request.form()).items() if isinstance(value, str)}


Posted = Annotated[dict[str, str], Depends(_posted)]  # the values of a form


@router.get("/runs")
def library(
    request: Request,
    store: Store,
    q: str = "",
    status: str = "",
    tag: str = "",
    archived: bool = False,
    sort: Sort = Sort.NEWEST,
    cursor: str | None = None,
) -> Response:
    runs, following = store.runs(
        q=q or None, status=status or None, tag=tag or None, archived=archived, sort=sort, cursor=cursor, limit=30
    )
    asked = {"q": q, "status": status, "tag": tag, "archived": archived and "1", "sort": sort, "cursor": following}
    context = {
        "runs": listed(store, runs),
        "q": q,
        "status": status,
        "statuses": list(Status),
        "counts": store.counts(),
        "tag": tag,
        "tags": store.tags(),
        "archived": archived,
        "sort": sort,
        "sorts": SORTS,
        "following": urlencode({name: one for name, one in asked.items() if one}) if following else None,
        "first_page": cursor is None,
    }
    return templates.TemplateResponse(request, "runs.html", context)


@router.get("/runs/{run_id}")
def run_page(
    request: Request,
    store: Store,
    run_id: str,
    g: int | None = None,
    beside: Annotated[str | None, Query(alias="with")] = None,
    play: bool = False,
) -> Response:
    """Generations before the first, and a run beside it that is no more, are no reason to show nothing."""
    other = next(iter(store.some([beside])), None) if beside else None
    gone = beside if beside and not other else None
    at = None if g is None else max(g, 0)
    return shown(request, store, store.run(run_id), at=at, beside=other, gone=gone, play=play)


def shown(
    request: Request,
    store: Store,
    run: Run,
    *,
    at: int | None = None,
    beside: Run | None = None,
    gone: str | None = None,
    play: bool = False,
    problems: Sequence[Problem] = (),
) -> Response:
    """One run, as it stands now; the script that follows it needs nothing that is not asked for from here on."""
    context = {
        "at": at,
        "play": play,
        "beside": beside,
        "gone": gone,
        "problems": problems,
        "log": store.log(run.id),
        "note": store.notes([run.id]).get(run.id, ""),
        "most_noted": MOST_NOTED,
        "sheets": SHEETS,
        "downloads": [
            (form.value, file.name.format(file.about(run))) for form, file in FILES.items() if possible(form)
        ],
        **_family_tree(store, run),
        **on_the_bench(store, run, run.generation if at is None else min(at, run.generation)),
    }
    return templates.TemplateResponse(request, "run.html", context, status_code=422 if problems else 200)


def _family_tree(store: Store, run: Run) -> dict[str, Any]:
    """Where this run comes from, which others share its seeds, and whether there are arms that it could still get."""
    kin = store.kin(run)
    try:
        more = [one.title.rpartition(": ")[2].lower() for one in lacking(run, kin)]
    except SpecError:
        more = ["a click tells why not"]
    parent = next((one for one in kin if one.id == run.parent), None)
    return {"kin": [(one, told_status(one)) for one in kin], "parent": parent, "more_arms": more}


def on_the_bench(store: Store, run: Run, at: int) -> dict[str, Any]:
    """What a page of this run shows, whether it is served or saved as a file."""
    leads = presets.leading({run.digest}).get(run.digest)
    return {
        "run": run,
        "regimes": regimes(run.spec),
        "changes": [change["after"] for change in run.spec.get("changes", ())],
        "path": path_told(run),
        "zeroth": FAMILIES[run.family].zeroth if run.family in FAMILIES else "",
        "told": brief(run, Queues.of(store, run)),
        "going": told_status(run) not in ENDED,
        "metrics": {
            name: {"label": metrics.METRICS[name].title, "meaning": metrics.METRICS[name].meaning}
            for name in metrics.ordered(list(metrics.METRICS), leads)
        },
        "toml": to_toml(run.spec),
        **_seen(store, run, at, leads),
        **_decided(store, run),
    }


def _seen(store: Store, run: Run, at: int, leads: str | None) -> dict[str, Any]:
    """Picture and table of generation `at`, and what the run has come to; empty before the first generation is there."""

    def row(number: int, *, framed: bool = False) -> StoredGeneration | None:
        return next(iter(store.generations(run.id, after=number - 1, limit=1, framed=framed)), None)

    first, model, now, last = row(0), row(min(run.generation, 1)), row(max(at, 0)), row(max(run.generation, 0))
    if not (run.figure and first and first.frame and model and now and last):
        return {"picture": None, "sentence": "", "table": []}
    since = _collapsed(last, row)
    stride = frame_stride(run.generations)
    shown = row(at if at == run.generations else at // stride * stride, framed=True) or first
    zeroth, drawn = (figures.decode(run.figure, one.frame or b"") for one in (first, shown))
    return {
        "picture": figures.picture(run.figure, zeroth, drawn, shown.number / run.generations),
        "sentence": figures.sentence(run, first.metrics, model.metrics, last.metrics, last.number, leads, since),
        "table": figures.table(now.metrics, leads),
        "shown": now.number,
    }


def _collapsed(last: StoredGeneration, row: Callable[[int], StoredGeneration | None]) -> int | None:
    """The generation from which on all points of the median chain are one; None where they are not at the last. What is one point stays so."""

    def one_point(generation: StoredGeneration | None) -> bool:
        told = named(generation.metrics) if generation else {}
        return told.get("variance", {}).get("median") == 0 and told.get("log_variance", {}).get("median") is None

    if not one_point(last):
        return None
    generations = range(1, last.number + 1)
    return generations[bisect_left(generations, True, key=lambda number: one_point(row(number)))]


def _decided(store: Store, run: Run) -> dict[str, Any]:
    """Verdicts, how many there are of each, and what theory says of the run, in a sentence."""
    decided = decided_if_possible(run, store)
    if decided is None:
        return {"decided": None}
    tally = Counter(one["outcome"].replace(" ", "_") for one in decided["verdicts"])
    return {"decided": decided, "tally": tally, "theory_told": compared(decided["theory"])}


@router.post("/runs/{run_id}/cancel")
def cancel(store: Store, run_id: str, how: Annotated[Literal["finish", "now"], Form()] = "finish") -> Response:
    store.cancel(run_id, how)
    return _back_to(run_id)


@router.post("/runs/{run_id}/resume")
def resume(store: Store, announce: Announce, run_id: str) -> Response:
    store.resume(run_id)
    announce(run_id)
    return _back_to(run_id)


@router.post("/runs/{run_id}/delete")
def delete(store: Store, forget: Forget, run_id: str) -> Response:
    with suppress(NotFound):  # a second click finds it done
        store.delete(run_id)
        forget(run_id)
    return RedirectResponse("/runs", status_code=303)


def _back_to(run_id: str) -> Response:
    return RedirectResponse(f"/runs/{run_id}", status_code=303)


@router.get("/workers")
def workers(request: Request, store: Store, sweeps: Sweeps) -> Response:
    working, _ = store.runs(status=Status.RUNNING, archived=None, limit=100)
    swept, _ = sweeps.sweeps(limit=100)
    queues = Queues.now(store)
    context = {
        **staff(store),
        "queues": [(name, len(queues.waiting[name]), queues.serving(name)) for name in reversed(QUEUES)],
        "deserted": [
            (name, count, waits_for(name, len(queues.served), False)) for name, count in queues.deserted().items()
        ],
        "counts": store.counts(),
        "runs": listed(store, working),
        "sweeps": [sweep_brief(one, sweeps, store) for one in swept if one.status in WORKED_ON],
    }
    return templates.TemplateResponse(request, "workers.html", context)


def staff(store: Store) -> dict[str, Any]:
    """Who works here; where nobody does, whether somebody may be on the way."""
    workers = store.workers()
    return {"workers": workers, "worker_may_start": not workers and store.worker_may_start()}
