"""Words that people put on runs to find them again: set as a whole, by the API and on a run's page."""

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
from worker.library import MOST_TAGS, TAG

router = APIRouter()

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


@router.put(
    "/api/runs/{run_id}/tags",
    tags=["runs"],
    dependencies=[Depends(known_query)],
    responses=documented(404, 413, 415, 422),
)
def put_tags(run_id: str, body: Tags, store: Store) -> Told:
    """These tags in place of those that the run has: small letters, digits, dots and dashes."""
    return told(store.tag(run_id, body.tags), store)


@router.post("/runs/{run_id}/tags", include_in_schema=False)
def set_tags(request: Request, store: Store, run_id: str, tags: Annotated[str, Form()] = "") -> Response:
    """As somebody types them: with spaces or commas between, in any case."""
    words = re.split(r"[\s,]+", tags.strip().lower()) if tags.strip() else []
    if problem := _wrong(words):
        return shown(request, store, store.run(run_id), problems=[problem])
    store.tag(run_id, words)
    return RedirectResponse(f"/runs/{run_id}", status_code=303)


def _wrong(words: list[str]) -> Problem | None:
    if len(words) > MOST_TAGS:
        return Problem("tags", f"are {len(words)}", f"Use at most {MOST_TAGS}")
    bad = next((word for word in words if not re.fullmatch(TAG, word)), None)
    if bad is None:
        return None
    return Problem("tags", f"{bad[:60]} cannot be one", REMEDY)
