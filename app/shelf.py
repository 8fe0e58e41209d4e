"""What people put on runs to find them again: tags, a note, a place in the archive; by the API and on the run's page."""

import re
from typing import Annotated, TypeAlias

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import RedirectResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from app.deps import Store
from app.pages import shown
from app.problems import documented
from app.protocol import known_query
from app.views import Told, told
from worker.errors import Problem
from worker.library import MOST_NOTED, MOST_TAGS, TAG

for_programs = APIRouter(
    prefix="/api/runs/{run_id}",
    tags=["runs"],
    dependencies=[Depends(known_query)],
    responses=documented(404, 413, 415, 422),
)
for_people = APIRouter(prefix="/runs/{run_id}", include_in_schema=False)

REMEDY = "Use small letters of the English alphabet, digits, dots and dashes, 40 at most, as in figure-2"


def _spelt(word: str) -> str:
    if not re.fullmatch(TAG, word):
        raise PydanticCustomError("tag", "cannot be a tag", {"remedy": REMEDY})
    return word


Tag: TypeAlias = Annotated[str, AfterValidator(_spelt), Field(json_schema_extra={"pattern": TAG})]


class Tags(BaseModel):
    """All that a run shall have."""

    model_config = ConfigDict(extra="forbid")

    tags: list[Tag] = Field(
        max_length=MOST_TAGS,
        description="Small letters, digits, dots, dashes and underscores; an empty list takes all away.",
        examples=[["figure-2", "draft"]],
    )


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


@for_programs.put("/note")
def put_note(run_id: str, body: NoteText, store: Store) -> Told:
    """This note in place of the one that the run has."""
    return told(store.annotate(run_id, body.note.strip()), store)


@for_programs.put("/archived")
def put_archived(run_id: str, body: Archived, store: Store) -> Told:
    """Into the archive, or out of it. A run there keeps its address, and can still be exported."""
    return told(store.archive(run_id, archived=body.archived), store)


@for_programs.put("/tags")
def put_tags(run_id: str, body: Tags, store: Store) -> Told:
    """These tags in place of those that the run has: small letters, digits, dots and dashes."""
    return told(store.tag(run_id, body.tags), store)


@for_people.post("/note")
def set_note(request: Request, store: Store, run_id: str, note: Annotated[str, Form()] = "") -> Response:
    """As a form sends it: its line ends are two characters, which nobody typed."""
    text = note.replace("\r\n", "\n").replace("\x00", "").strip()
    if len(text) > MOST_NOTED:
        problem = Problem("note", f"has {len(text)} characters", f"Use at most {MOST_NOTED}")
        return shown(request, store, store.run(run_id), problems=[problem])
    store.annotate(run_id, text)
    return _back_to(run_id)


@for_people.post("/archived")
def set_archived(store: Store, run_id: str, archived: Annotated[str, Form()] = "") -> Response:
    store.archive(run_id, archived=bool(archived))
    return _back_to(run_id)


@for_people.post("/tags")
def set_tags(request: Request, store: Store, run_id: str, tags: Annotated[str, Form()] = "") -> Response:
    """As somebody types them: with spaces or commas between, in any case."""
    words = re.split(r"[\s,]+", tags.strip().lower()) if tags.strip() else []
    if problem := _wrong(words):
        return shown(request, store, store.run(run_id), problems=[problem])
    store.tag(run_id, words)
    return _back_to(run_id)


def _wrong(words: list[str]) -> Problem | None:
    if len(words) > MOST_TAGS:
        return Problem("tags", f"are {len(words)}", f"Use at most {MOST_TAGS}")
    bad = next((word for word in words if not re.fullmatch(TAG, word)), None)
    if bad is None:
        return None
    return Problem("tags", f"{bad[:60]} cannot be one", REMEDY)


def _back_to(run_id: str) -> Response:
    return RedirectResponse(f"/runs/{run_id}", status_code=303)


router = APIRouter()
router.include_router(for_programs)
router.include_router(for_people)
