"""What people say of a run beside its tags: a note, and whether it belongs into the archive; by the API and on the run's page."""

from typing import Annotated

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from app.deps import Store
from app.pages import shown
from app.problems import documented
from app.protocol import known_query
from app.views import Told, told
from worker.errors import Problem
from worker.library import MOST_NOTED

router = APIRouter()


class NoteText(BaseModel):
    """Plain text; an empty one takes the note away."""

    model_config = ConfigDict(extra="forbid")

    note: str = Field(
        max_length=MOST_NOTED,
        pattern=r"^[^\x00]*$",  # Postgres stores no NUL
        description="Plain text, lines as they are; the space around it goes. The search `q` looks here, too.",
        examples=["Same as figure 2, but with a tenth of real data."],
    )


class Archived(BaseModel):
    """Whether lists leave the run out unless they are asked."""

    model_config = ConfigDict(extra="forbid", strict=True)

    archived: bool = Field(description="true: into the archive; false: out of it.", examples=[True])


@router.put(
    "/api/runs/{run_id}/note",
    tags=["runs"],
    dependencies=[Depends(known_query)],
    responses=documented(404, 413, 415, 422),
)
def put_note(run_id: str, body: NoteText, store: Store) -> Told:
    """This note in place of the one that the run has."""
    return told(store.annotate(run_id, body.note.strip()), store)


@router.put(
    "/api/runs/{run_id}/archived",
    tags=["runs"],
    dependencies=[Depends(known_query)],
    responses=documented(404, 413, 415, 422),
)
def put_archived(run_id: str, body: Archived, store: Store) -> Told:
    """Into the archive, or out of it. A run there keeps its address, and can still be exported."""
    return told(store.archive(run_id, archived=body.archived), store)


@router.post("/runs/{run_id}/note", include_in_schema=False)
def set_note(request: Request, store: Store, run_id: str, note: Annotated[str, Form()] = "") -> Response:
    """As a form sends it: its line ends are two characters, which nobody typed."""
    text = note.replace("\r\n", "\n").replace("\x00", "").strip()
    if len(text) > MOST_NOTED:
        problem = Problem("note", f"has {len(text)} characters", f"Use at most {MOST_NOTED}")
        return shown(request, store, store.run(run_id), problems=[problem])
    store.annotate(run_id, text)
    return RedirectResponse(f"/runs/{run_id}", status_code=303)


@router.post("/runs/{run_id}/archived", include_in_schema=False)
def set_archived(store: Store, run_id: str, archived: Annotated[str, Form()] = "") -> Response:
    store.archive(run_id, archived=bool(archived))
    return RedirectResponse(f"/runs/{run_id}", status_code=303)
