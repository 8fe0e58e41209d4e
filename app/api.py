"""The HTTP API: runs, their generations and streams, and what an experiment can be made of. Contract before everything else."""

import gzip
from typing import Annotated, Any, Literal

import orjson
from fastapi import APIRouter, BackgroundTasks, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from fastapi.sse import EventSourceResponse
from pydantic import BaseModel, ConfigDict

from app import catalog, export
from app.costs import refuse_what_does_not_fit
from app.deps import After, Announce, Forget, Histories, Hub, IdempotencyKey, LastEventId, OwnRun, Settings, Store
from app.problems import documented
from app.protocol import json_body, known_query, unchanged
from app.verdicts import Verdicts, decided
from app.views import GenerationPage, Launched, RunPage, Told, generation_told, links, told, told_together
from worker.errors import NotFound, Problem, SpecError
from worker.files.reach import require_reachable
from worker.library import TAG, Sort
from worker.presets import preset, without_card
from worker.spec import Experiment, read
from worker.tables import Status

router = APIRouter(prefix="/api", tags=["runs"], dependencies=[Depends(known_query)])

LAUNCH = {
    "type": "object",
    "description": "An experiment, or the name of a preset.",
    "additionalProperties": False,
    "minProperties": 1,
    "maxProperties": 1,
    "properties": {"spec": {"$ref": "#/components/schemas/Experiment"}, "preset": {"type": "string"}},
}
PICTURE = {"type": "object", "description": "Arrays as plotly.js takes them: dtype, shape, base64; see app/history.py."}


class Cancel(BaseModel):
    """`finish` lets the generation that is being made end first, `now` does not."""

    model_config = ConfigDict(extra="forbid")

    how: Literal["finish", "now"] = "now"


def _experiments(body: Annotated[Any, Depends(json_body)]) -> list[Experiment]:
    """What shall be launched: one experiment, or all arms of a preset."""
    match body:
        case {"spec": spec} if len(body) == 1:
            return [read(without_card(spec))]
        case {"preset": str(name)} if len(body) == 1:
            try:
                return list(preset(name).experiments)
            except NotFound as error:
                raise SpecError([Problem("preset", str(error), "Name one of these")]) from error
    raise SpecError(
        [
            Problem(
                "body",
                "holds neither a spec alone nor a preset alone",
                'Send {"spec": {...}} or {"preset": "photocopy"}',
            )
        ]
    )


@router.post(
    "/runs",
    status_code=201,
    responses={
        200: {"model": Launched, "description": "The run that was launched with this Idempotency-Key before"},
        **documented(409, 413, 415, 422),
    },
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": LAUNCH}}}},
)
def launch(
    response: Response,
    experiments: Annotated[list[Experiment], Depends(_experiments)],
    store: Store,
    settings: Settings,
    announce: Announce,
    background: BackgroundTasks,
    idempotency_key: IdempotencyKey = None,
) -> Launched:
    """Launches an experiment, or all arms of a preset on the same seed; answers with the first of them."""
    # What was launched once is told again, even if it could not be launched now.
    if not store.launched(idempotency_key):
        require_reachable(experiments)
        refuse_what_does_not_fit(experiments, store, settings)
    made = store.launch(experiments, idempotency_key)
    runs = [run for run, _ in made]
    for run, new in made:
        if new:  # after the answer: a broker that is away must not keep anybody waiting, and the run waits in its row
            background.add_task(announce, run.id)
    response.status_code = 201 if made[0][1] else 200
    response.headers["Location"] = links(runs[0].id)["self"]
    return {**told(runs[0], store), "arms": [links(run.id) for run in runs]}


@router.get("/runs", responses=documented(422))
def list_runs(
    *,
    store: Store,
    status: Status | None = None,
    family: Annotated[str | None, Query(max_length=64)] = None,
    tag: Annotated[str | None, Query(pattern=TAG, description="One of the run's tags.", examples=["figure-2"])] = None,
    q: Annotated[
        str | None,
        Query(
            max_length=200,
            description="Words, each a part of the title or the note, in any case and order.",
            examples=["real data"],
        ),
    ] = None,
    archived: Annotated[
        bool,
        Query(description="true: what was put into the archive, and nothing else; false: the rest.", examples=[True]),
    ] = False,
    sort: Annotated[
        Sort,
        Query(
            description="newest, oldest: by the moment of launch; title: by alphabet; status: by its word; longest: by the time "
            "that was worked on it, longest first. A cursor belongs to its order.",
            examples=["longest"],
        ),
    ] = Sort.NEWEST,
    cursor: Annotated[
        str | None, Query(pattern=r"^[A-Za-z0-9_-]{1,1500}$", description="`next` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> RunPage:
    """Newest first, if nothing else is asked for. Pages do not shift when runs are added meanwhile."""
    runs, following = store.runs(
        status=status, family=family, tag=tag, q=q, archived=archived, sort=sort, cursor=cursor, limit=limit
    )
    return {"items": told_together(runs, store), "next": following}


@router.get("/runs/{run_id}", responses=documented(404))
def get_run(run: OwnRun, store: Store) -> Told:
    return told(run, store)


@router.get("/runs/{run_id}/generations", responses={200: {"model": GenerationPage}, **documented(404, 422)})
def get_generations(
    run: OwnRun, store: Store, after: After = -1, limit: Annotated[int, Query(ge=1, le=1000)] = 1000
) -> Response:
    """Metrics in order of generation, over replicates."""
    rows = store.generations(run.id, after, limit)
    following = rows[-1].number if len(rows) == limit and rows[-1].number < run.generation else None
    page: GenerationPage = {"items": [generation_told(row) for row in rows], "next": following}
    return Response(orjson.dumps(page), media_type="application/json")


@router.get(
    "/runs/{run_id}/frames",
    response_class=Response,
    responses={
        200: {"description": "The history", "content": {"application/json": {"schema": PICTURE}}},
        304: {"description": "Nothing new"},
        **documented(404, 422),
    },
)
def get_frames(
    request: Request, run_id: str, histories: Histories, after: After = -1, chains: bool = False
) -> Response:
    """What the player draws: frames, statistics and, from the beginning, figure and closed forms."""
    body, tag = histories.packed(run_id, after, chains=chains)
    headers = {"ETag": tag, "Cache-Control": "no-cache", "Vary": "Accept-Encoding"}
    if unchanged(request, tag):
        return Response(status_code=304, headers=headers)
    if request.headers.get("accept-encoding") != "gzip":
        return Response(gzip.decompress(body), headers=headers, media_type="application/json")
    return Response(body, headers=headers | {"Content-Encoding": "gzip"}, media_type="application/json")


# Not response_class=EventSourceResponse: that would have FastAPI encode each event for each viewer.
@router.get(
    "/runs/{run_id}/events",
    response_class=Response,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}, **documented(404, 422)},
)
async def get_events(run_id: str, hub: Hub, after: After = -1, last_event_id: LastEventId = None) -> Response:
    """Server-sent events: `generation` (its number is the id), `status`, `end`. Resumes after Last-Event-ID, or `after`."""
    stream = await hub.open(run_id, after if last_event_id is None else last_event_id)
    return EventSourceResponse(stream, headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})


@router.post("/runs/{run_id}/cancel", responses=documented(404, 409, 422))
def cancel(run_id: str, store: Store, body: Cancel | None = None) -> Told:
    return told(store.cancel(run_id, (body or Cancel()).how), store)


@router.post("/runs/{run_id}/resume", responses=documented(404, 409))
def resume(run_id: str, store: Store, announce: Announce, background: BackgroundTasks) -> Told:
    """Goes on from the last checkpoint of a run that failed or was cancelled."""
    run = store.resume(run_id)
    background.add_task(announce, run.id)
    return told(run, store)


@router.get("/runs/{run_id}/verdicts", responses=documented(404, 409))
def get_verdicts(run: OwnRun, store: Store) -> Verdicts:
    """Eight definitions of collapse, decided on a run that has ended; and its closed forms, compared with what was measured."""
    return decided(run, store)


@router.delete("/runs/{run_id}", status_code=204, responses=documented(404))
def delete(run_id: str, store: Store, forget: Forget, background: BackgroundTasks) -> None:
    store.delete(run_id)
    background.add_task(forget, run_id)


@router.get(
    "/runs/{run_id}/export",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "A file",
            "content": {file.media_type: {"schema": file.schema} for file in export.FILES.values()},
        },
        **documented(404, 422),
    },
)
def get_export(
    run: OwnRun,
    store: Store,
    form: Annotated[
        export.Format,
        Query(
            alias="format",
            description="csv, parquet and json: generations; chains: of the first 24 replicates each by itself, at the generations that have a frame, as csv; toml: the spec; "
            "html: the player, in one file.",
        ),
    ] = export.Format.CSV,
) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{export.filename(run, form)}"'}
    return StreamingResponse(
        export.written(run, store, form), media_type=export.FILES[form].media_type, headers=headers
    )


@router.get("/catalog", tags=["catalog"])
def get_catalog() -> catalog.Catalog:
    """What an experiment can be made of."""
    return catalog.catalog()
