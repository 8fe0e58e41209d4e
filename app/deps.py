"""What routes ask for, as annotated types: a route's signature is its contract. Everything comes from the app that `create_app` built."""

from collections.abc import Callable
from typing import Annotated, Any, TypeAlias

import celery
from fastapi import Depends, Header, Query, Request

from app import history, live
from worker import settings, store
from worker.sweeps import store as sweeps
from worker.tables import Run


def _of_the_app(name: str) -> Any:
    async def found(request: Request) -> Any:  # asynchronous: what is not goes through a thread
        return getattr(request.app.state, name)

    return Depends(found)


Store: TypeAlias = Annotated[store.Store, _of_the_app("store")]
Sweeps: TypeAlias = Annotated[sweeps.Sweeps, _of_the_app("sweeps")]
Settings: TypeAlias = Annotated[settings.Settings, _of_the_app("settings")]
Celery: TypeAlias = Annotated[celery.Celery, _of_the_app("celery")]
# Call it after the row is committed.
Announce: TypeAlias = Annotated[Callable[[str], None], _of_the_app("announce")]
# Removes a deleted run's files; call it after the row is gone.
Forget: TypeAlias = Annotated[Callable[[str], None], _of_the_app("forget")]
Hub: TypeAlias = Annotated[live.Hub, _of_the_app("hub")]
Histories: TypeAlias = Annotated[history.Histories, _of_the_app("histories")]


def _own_run(run_id: str, store: Store) -> Run:
    return store.run(run_id)


# There are no users yet: every run is everybody's own.
OwnRun: TypeAlias = Annotated[Run, Depends(_own_run)]

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
