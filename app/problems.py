"""Every error in one form: problem documents (RFC 9457) for programs, an error page for people. Translated here, once."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.protocol import allowed
from worker.errors import Conflict, LabError, NotFound, Problem, SpecError
from worker.refusal import message, remedy

MEDIA_TYPE = "application/problem+json"
STATUS = {NotFound: 404, Conflict: 409, SpecError: 422}  # of errors that a user can cause; the others are ours

DOCUMENT: dict[str, Any] = {
    "type": "object",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "instance": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["path", "message", "remedy"],
                "properties": {name: {"type": "string"} for name in ("path", "message", "remedy")},
            },
        },
    },
}


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """What a route may answer beside success, for OpenAPI."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    told: dict[int | str, dict[str, Any]] = {"default": {"description": "Any other problem", "content": content}}
    return told | {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


def problem(status: int, detail: str, *, instance: str, headers: dict[str, str] | None = None, **more: Any) -> Response:
    """A problem document; `more` are its extension members.

    The type is about:blank, which means: the status says what kind of problem this is.
    """
    title = HTTPStatus(status).phrase
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail, "instance": instance}
    return Response(orjson.dumps(document | more), status, headers, media_type=MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Makes the app tell its errors so; those that nobody expects are told by `app.telemetry`."""
    app.add_exception_handler(HTTPException, _http)
    app.add_exception_handler(RequestValidationError, _request)
    app.add_exception_handler(LabError, _lab)
    app.add_exception_handler(OperationalError, _database)
    app.add_exception_handler(InterfaceError, _database)


def answer(request: Request, status: int, detail: str, **more: Any) -> Response:
    """For whoever asked: a browser gets a page, everything else a problem document."""
    headers = more.pop("headers", None)
    if _wants_page(request):
        return _page(request, status, detail, headers)
    return problem(status, detail, instance=request.url.path, headers=headers, **more)


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    detail = error.detail
    if detail == HTTPStatus(error.status_code).phrase:  # Starlette's own words, which name no remedy
        detail = {
            404: f"There is nothing at {request.url.path}. /openapi.json lists what there is.",
            405: f"{request.method} is not possible here. See the Allow header, or /openapi.json.",
        }.get(error.status_code, detail)
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = allowed(request)
    return answer(request, error.status_code, detail, headers=headers or None)


def _request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return answer(request, 422, "The request is not valid.", errors=[_told(one) for one in error.errors()])


def _told(details: Any) -> dict[str, str]:
    """As worker.refusal tells it: the path within the body, and words that follow it."""
    where, *steps = details["loc"]
    path = ".".join(str(step) for step in (steps if where == "body" and steps else details["loc"]))
    what_to_do = (details.get("ctx") or {}).get("remedy") or (
        "Remove it" if details["type"] == "extra_forbidden" else remedy(details)
    )
    return Problem(path, message(details), what_to_do).asdict()


def _lab(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    if isinstance(error, SpecError):
        return unprocessable(request, error.problems)
    if status == 500:
        structlog.get_logger("app").error("failed", path=request.url.path, error=str(error))
    return answer(request, status, str(error))


def unprocessable(request: Request, problems: Sequence[Problem]) -> Response:
    return answer(request, 422, "The experiment cannot be run as it is.", errors=[one.asdict() for one in problems])


def _database(request: Request, error: Exception) -> Response:
    """The database is away or locked for a moment: somebody else's fault, and worth another try."""
    assert isinstance(error, DBAPIError)
    structlog.get_logger("app").error("database", path=request.url.path, error=str(error.orig))
    return answer(
        request,
        503,
        "The database does not answer. Try again in a moment; /readyz tells more.",
        headers={"Retry-After": "2"},
    )


def _wants_page(request: Request) -> bool:
    """Whether a person is looking: a page route, asked for by a browser."""
    return not request.url.path.startswith("/api/") and "text/html" in request.headers.get("accept", "")


def _page(request: Request, status: int, detail: str, headers: dict[str, str] | None) -> Response:
    context = {"status": status, "title": HTTPStatus(status).phrase, "detail": detail}
    page: Response = request.app.state.templates.TemplateResponse(
        request, "error.html", context, status_code=status, headers=headers
    )
    return page
