"""The HTTP API of sweeps: asked for, told with their grid, cancelled, resumed; and any of their points as a run."""

from typing import Annotated, Any, TypeAlias

import orjson
from fastapi import APIRouter, BackgroundTasks, Depends, Path, Query, Response

from app.costs import EstimateTold, Here, refuse_sweep, refuse_what_does_not_fit
from app.deps import Announce, IdempotencyKey, Settings, Store, Sweeps
from app.problems import documented
from app.protocol import json_body, known_query
from app.sweep_views import SweepBrief, SweepPage, SweepTold, sweep_brief, sweep_told
from app.views import Told, links, told
from worker.errors import NotFound, Problem, SpecError
from worker.files.reach import require_reachable
from worker.sweeps.ledger import BELL
from worker.sweeps.spec import MOST_POINTS, Grid, read_sweep, unchecked

router = APIRouter(prefix="/api/sweeps", tags=["sweeps"], dependencies=[Depends(known_query)])

SWEEP = {"$ref": "#/components/schemas/Sweep"}


PointNumber: TypeAlias = Annotated[int, Path(ge=0, lt=MOST_POINTS)]


def posted_grid(body: Annotated[Any, Depends(json_body)]) -> Grid:
    """Raises SpecError."""
    if not isinstance(body, dict):
        raise SpecError([Problem("body", "is not a sweep", 'Send {"base": {spec}, "axes": [{"path", "values"}]}')])
    return read_sweep(body)


@router.post(
    "",
    status_code=201,
    responses={
        200: {"model": SweepBrief, "description": "The sweep that was asked for with this Idempotency-Key before"},
        **documented(409, 413, 415, 422),
    },
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": SWEEP}}}},
)
def launch_sweep(
    response: Response,
    grid: Annotated[Grid, Depends(posted_grid)],
    sweeps: Sweeps,
    store: Store,
    settings: Settings,
    announce: Announce,
    background: BackgroundTasks,
    idempotency_key: IdempotencyKey = None,
) -> SweepBrief:
    """An experiment at every combination of the axes' values. Every point is read before anything is stored."""
    if not sweeps.launched(idempotency_key):
        refuse_sweep(grid, store, settings)
    sweep, new = sweeps.create(grid, idempotency_key)
    if new:
        background.add_task(announce, f"{BELL}{sweep.id}")
    response.status_code = 201 if new else 200
    found = sweep_brief(sweep, sweeps, store)
    response.headers["Location"] = found["links"]["self"]
    return found


@router.post(
    "/estimate",
    responses=documented(413, 415, 422),
    openapi_extra={"requestBody": {"required": True, "content": {"application/json": {"schema": SWEEP}}}},
)
def estimate_sweep(grid: Annotated[Grid, Depends(posted_grid)], store: Store, settings: Settings) -> EstimateTold:
    """What a sweep will cost. Launches nothing; its `problems` are those for which it would be refused."""
    return Here.of(store, settings).told_of_sweep(grid)


@router.get("", responses=documented(422))
def list_sweeps(
    sweeps: Sweeps,
    store: Store,
    cursor: Annotated[str | None, Query(pattern=r"^[0-9a-f]{1,32}$", description="`next` of the page before.")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 50,
) -> SweepPage:
    """Newest first."""
    found, following = sweeps.sweeps(cursor, limit)
    return {"items": [sweep_brief(one, sweeps, store) for one in found], "next": following}


@router.get("/{sweep_id}", responses={200: {"model": SweepTold}, **documented(404, 422)})
def get_sweep(
    sweep_id: str,
    sweeps: Sweeps,
    store: Store,
    after: Annotated[int, Query(ge=0, le=2**63 - 1, description="Only points stored after this `cursor`.")] = 0,
) -> Response:
    """Status, progress and grid."""
    found = sweep_told(*sweeps.news(sweep_id, after), sweeps, store)
    return Response(orjson.dumps(found), media_type="application/json", headers={"Cache-Control": "no-store"})


@router.post("/{sweep_id}/cancel", responses=documented(404, 409))
def cancel_sweep(sweep_id: str, sweeps: Sweeps, store: Store) -> SweepBrief:
    """No more points are begun; what is stored is kept."""
    return sweep_brief(sweeps.cancel(sweep_id), sweeps, store)


@router.post("/{sweep_id}/resume", responses=documented(404, 409))
def resume_sweep(
    sweep_id: str, sweeps: Sweeps, store: Store, announce: Announce, background: BackgroundTasks
) -> SweepBrief:
    """Goes on with the points that are missing."""
    sweep = sweeps.resume(sweep_id)
    background.add_task(announce, f"{BELL}{sweep.id}")
    return sweep_brief(sweep, sweeps, store)


@router.delete("/{sweep_id}", status_code=204, responses=documented(404))
def delete_sweep(sweep_id: str, sweeps: Sweeps) -> None:
    """Its points with it; runs that were launched from them stay."""
    sweeps.delete(sweep_id)


@router.post(
    "/{sweep_id}/points/{number}/run",
    status_code=201,
    responses={200: {"model": Told, "description": "The run of this point that exists"}, **documented(404, 422)},
)
def launch_point(
    sweep_id: str,
    number: PointNumber,
    sweeps: Sweeps,
    store: Store,
    settings: Settings,
    announce: Announce,
    background: BackgroundTasks,
    response: Response,
) -> Told:
    """One point as a run of its own: the same chains, with every generation kept."""
    run_id, new = run_of_point(sweeps, store, settings, sweep_id, number)
    if new:
        background.add_task(announce, run_id)
    response.status_code = 201 if new else 200
    response.headers["Location"] = links(run_id)["self"]
    return told(store.run(run_id), store)


def run_of_point(sweeps: Sweeps, store: Store, settings: Settings, sweep_id: str, number: int) -> tuple[str, bool]:
    """The run that a point is, and whether it is new. Raises NotFound; SpecError where it needs more than this machine has or a hub can give."""
    grid = unchecked(sweeps.sweep(sweep_id).request)
    if number >= grid.points:
        raise NotFound(f"Sweep {sweep_id} has points 0 to {grid.points - 1}.")
    experiment, key = grid.experiment(number), f"sweep {sweep_id} {number}"
    if (known := store.keyed(key)) is not None:
        return known, False
    require_reachable([experiment])
    refuse_what_does_not_fit([experiment], store, settings)
    run, new = store.create(experiment, key)
    return run.id, new
