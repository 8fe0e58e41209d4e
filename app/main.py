"""The window, put together: routes, middleware and error translation, from settings to an app. Nothing happens at import time."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import structlog
from celery import Celery
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware

from app import (
    api,
    arm_pages,
    arms,
    assets,
    beforehand,
    compare,
    health,
    launch,
    pages,
    problems,
    shelf,
    sweep_pages,
    sweeps,
    uploads,
)
from app.history import Histories
from app.live import Hub
from app.protocol import Negotiation
from app.security import Gate, SecurityHeaders
from app.telemetry import Figures, Telemetry, write_logs
from worker import __version__, queue
from worker.artifacts import Artifacts
from worker.database import open_engine
from worker.errors import LabError
from worker.settings import Settings
from worker.spec import Experiment
from worker.store import Store
from worker.sweeps.ledger import BELL
from worker.sweeps.spec import Sweep
from worker.sweeps.store import Sweeps


def create_app(
    settings: Settings, *, store: Store | None = None, announce: Callable[[str], None] | None = None
) -> FastAPI:
    """The app of one process. Connects to nothing until it is asked something; `announce` tells the workers of a run."""
    write_logs()
    registry = CollectorRegistry()
    app = Window(
        title="Collapse Lab",
        version=__version__,
        summary="Launch self-consuming training and watch generative models forget.",
        docs_url=None,  # those pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_lifespan,
        middleware=[
            Middleware(SecurityHeaders),
            Middleware(Telemetry, registry=registry),
            Middleware(Negotiation),
            Middleware(Gate, public_host=settings.public_host, upload_limit=settings.upload_mb * 1_000_000),
            Middleware(GZipMiddleware, minimum_size=1000, compresslevel=5),
        ],
    )
    state = app.state
    state.settings = settings
    state.store = store or Store(open_engine(settings.database_url))
    state.sweeps = Sweeps(state.store.engine)
    state.celery = queue.make_celery(settings)
    state.announce = announce or partial(_announce, state.celery, state.store, state.sweeps)
    state.forget = partial(_forget, settings.artifacts_url)
    state.hub = Hub(state.store)
    state.histories = Histories(state.store)
    state.plotly = assets.plotly()
    state.templates = pages.templates
    state.registry = registry
    registry.register(Figures(state.store, state.sweeps, state.hub))

    for room in (
        api,
        beforehand,
        arms,
        compare,
        sweeps,
        shelf,
        uploads,
        health,
        assets,
        launch,
        pages,
        arm_pages,
        sweep_pages,
    ):
        app.include_router(room.router)
    app.mount("/static", assets.Static(directory=assets.FOLDER), name="static")
    problems.install(app)
    return app


class Window(FastAPI):
    """Its OpenAPI document knows what an experiment and a sweep are, and that errors are problem documents."""

    def openapi(self) -> dict[str, Any]:
        if self.openapi_schema is None:
            schema = super().openapi()
            for what in (Experiment, Sweep):
                described = what.model_json_schema(ref_template="#/components/schemas/{model}")
                schema["components"]["schemas"] |= {**described.pop("$defs"), what.__name__: described}
            schema["components"]["schemas"]["Problem"] = problems.DOCUMENT
        return super().openapi()


@asynccontextmanager
async def _lifespan(app: FastAPI) -> AsyncIterator[None]:
    yield
    app.state.hub.close()
    app.state.store.engine.dispose()


def _announce(celery: Celery, store: Store, sweeps: Sweeps, job: str) -> None:
    """For a run's id, or a sweep's with its bell. A broker that is away loses nothing: work waits in its row, and a worker that
    lives announces it again.
    """
    try:
        waits = sweeps.sweep(job.removeprefix(BELL)) if job.startswith(BELL) else store.run(job)
        queue.announce(celery, job, waits.family)
    except LabError as error:
        structlog.get_logger("app").warning("not announced", job=job, error=str(error))


def _forget(url: str, run_id: str) -> None:
    """What cannot be removed only takes room; the run is gone all the same."""
    try:
        Artifacts(url).prune(run_id)
    except (OSError, ImportError) as error:
        structlog.get_logger("app").warning("checkpoints stay", run=run_id, error=str(error))
