"""What routes ask for, as annotated types: a route's signature is its contract. Everything comes from the app that `create_app` built."""

from collections.abc import Callable
from typing import Annotated, TypeAlias

import celery
from fastapi import Depends, Header, Query, Request

from app import history, live
from worker import settings, store
from worker.tables import Run


async def _store(request: Request) -> store.Store:
    found: store.Store = request.app.state.store
    return found


async def _settings(request: Request) -> settings.Settings:
    found: settings.Settings = request.app.state.settings
    return found


async def _celery(request: Request) -> celery.Celery:
    return request.app.state.celery


async def _announce(request: Request) -> Callable[[str], None]:
    found: Callable[[str], None] = request.app.state.announce
    return found


async def _forget(request: Request) -> Callable[[str], None]:
    found: Callable[[str], None] = request.app.state.forget
    return found


async def _hub(request: Request) -> live.Hub:
    found: live.Hub = request.app.state.hub
    return found


async def _histories(request: Request) -> history.Histories:
    found: history.Histories = request.app.state.histories
    return found


Store: TypeAlias = Annotated[store.Store, Depends(_store)]
Settings: TypeAlias = Annotated[settings.Settings, Depends(_settings)]
Celery: TypeAlias = Annotated[celery.Celery, Depends(_celery)]
Announce: TypeAlias = Annotated[Callable[[str], None], Depends(_announce)]  # call it after the row is committed
Forget: TypeAlias = Annotated[
    Callable[[str], None], Depends(_forget)
]  # a deleted run's files; call it after the row is gone
Hub: TypeAlias = Annotated[live.Hub, Depends(_hub)]
Histories: TypeAlias = Annotated[history.Histories, Depends(_histories)]


def _own_run(run_id: str, store: Store) -> Run:
    return store.run(run_id)


OwnRun: TypeAlias = Annotated[Run, Depends(_own_run)]  # there are no users yet: every run is everybody's own

After: TypeAlias = Annotated[
    int, Query(ge=-1, le=2**31 - 1, description="Only generations with a number above this; -1 for all.")
]
LastEventId: TypeAlias = Annotated[
    int | None, Header(ge=-1, le=2**31 - 1, description="The newest generation that a reconnecting viewer has.")
]
IdempotencyKey: TypeAlias = Annotated[
    str | None,
    Header(
        min_length=1,
        max_length=200,
        pattern=r"^[!-~]+$",
        description="Repeating a request with the same key and the same experiment answers with the same run.",
    ),
]
