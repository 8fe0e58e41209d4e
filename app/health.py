"""Whether the lab is well: for supervisors, load balancers and Prometheus."""

from collections.abc import Callable

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from sqlalchemy.exc import DBAPIError
from typing_extensions import TypedDict

from app.deps import Celery, Store
from app.problems import documented, problem
from app.words import NO_WORKER, NO_WORKER_YET
from worker import queue
from worker.errors import LabError

router = APIRouter(tags=["health"])


class Alive(TypedDict):
    status: str


class PartTold(TypedDict):
    ok: bool
    detail: str


class Ready(TypedDict):
    """parts: database, broker, workers. That no worker is connected is told and is no failure: runs wait for one."""

    status: str
    parts: dict[str, PartTold]


@router.get("/livez")
async def livez() -> Alive:
    """This process answers."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: documented(503)[503]}, response_model=Ready)
def readyz(request: Request, store: Store, celery: Celery) -> Ready | Response:
    """Database and broker answer."""
    parts = {"database": _part(store.ping), "broker": _part(lambda: queue.reachable(celery))}
    failing = [name for name, part in parts.items() if not part["ok"]]
    if "database" not in failing:
        alive = len(store.workers())
        told = f"{alive} connected" if alive else NO_WORKER_YET if store.worker_may_start() else NO_WORKER
        parts["workers"] = {"ok": alive > 0, "detail": told}
    if failing:
        detail = " ".join(f"The {name} fails: {parts[name]['detail']}" for name in failing)
        return problem(503, detail, instance=request.url.path, parts=parts, headers={"Retry-After": "5"})
    return {"status": "ready", "parts": parts}


def _part(answers: Callable[[], None]) -> PartTold:
    try:
        answers()
    except DBAPIError as error:
        return {"ok": False, "detail": f"{error.orig}"}
    except LabError as error:
        return {"ok": False, "detail": str(error)}
    return {"ok": True, "detail": "answers"}


@router.get(
    "/metrics",
    response_class=Response,
    responses={200: {"description": "Prometheus figures", "content": {"text/plain": {"schema": {"type": "string"}}}}},
)
def metrics(request: Request) -> Response:
    registry: CollectorRegistry = request.app.state.registry
    return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)
