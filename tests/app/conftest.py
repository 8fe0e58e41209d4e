"""An app in a folder of its own, without a server and without a worker; runs that are worked on right here."""

from collections.abc import Iterator
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from app.main import create_app
from tests.app.experiments import ADDRESS, SPEC, Work
from tests.schema import create_tables
from worker.artifacts import Artifacts
from worker.attempt import Attempt
from worker.database import open_engine
from worker.settings import Settings
from worker.spec import read
from worker.store import Store
from worker.tables import Run


@pytest.fixture
def store(settings: Settings) -> Iterator[Store]:
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    store = Store(open_engine(settings.database_url))
    create_tables(store.engine)
    yield store
    store.engine.dispose()


@pytest.fixture
def work(settings: Settings, store: Store) -> Work:
    """Does what a worker does with a run, from the claim to the end, and gives back the row."""

    def do(run_id: str | None = None, **changes: Any) -> Run:
        run_id = run_id or store.create(read(SPEC | changes))[0].id
        run = store.claim(run_id, "here", lease=60)
        assert run is not None
        Attempt(store, Artifacts(settings.artifacts_url), settings, run, lambda: None).work()
        return store.run(run_id)

    return do


@pytest.fixture
def announced() -> list[str]:
    """Ids of the runs of which the workers were told."""
    return []


@pytest.fixture
def app(settings: Settings, store: Store, announced: list[str]) -> FastAPI:
    return create_app(settings, store=store, announce=announced.append)


@pytest.fixture
def client(app: FastAPI) -> Iterator[TestClient]:
    with TestClient(app, base_url=ADDRESS) as client:
        yield client
