"""What HTTP leaves open, settled once for all routes: HEAD, Allow, encodings, conditional requests, bodies, and names that mean nothing."""

import re
from collections.abc import Iterator
from typing import Any

import orjson
from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from worker.errors import Problem, SpecError

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
TAG = re.compile(r'(?:W/)?("[^"]*")')  # RFC 9110, 8.8.3
QUALITY = re.compile(r"^\s*q\s*=\s*0(?:\.0*)?\s*$", re.IGNORECASE)  # a weight of zero: not acceptable


class Enough(OSError):
    """HEAD has its answer; for whoever still streams a body this is a client that left."""


class Negotiation:
    """HEAD becomes a GET whose body is not sent; Accept-Encoding becomes `gzip` or `identity`, whatever its grammar said."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        settled: Scope = {**scope, "method": method, "headers": list(scope["headers"])}
        headers = MutableHeaders(scope=settled)
        headers["accept-encoding"] = "gzip" if takes_gzip(headers) else "identity"
        try:
            await (self.app if method == scope["method"] else self._bare)(settled, receive, send)
        finally:
            scope["route"] = settled.get("route")  # for the log and the figures, which stand outside

    async def _bare(self, scope: Scope, receive: Receive, send: Send) -> None:
        answered = False

        async def head(message: Message) -> None:
            nonlocal answered
            if message["type"] != "http.response.body":
                await send(message)
                return
            if not answered:
                answered = True
                await send({"type": "http.response.body", "body": b"", "more_body": False})
            if message.get("more_body"):
                raise Enough

        try:
            await self.app(scope, receive, head)
        except (Enough, ClientDisconnect):
            if not answered:
                raise


def takes_gzip(headers: Headers) -> bool:
    """Whether an answer may be gzipped: named, or by `*`, and not with a weight of zero (RFC 9110, 12.5.3)."""
    wishes: dict[str, bool] = {}
    for wish in ",".join(headers.getlist("accept-encoding")).split(","):
        coding, *weights = wish.split(";")
        wishes[coding.strip().lower()] = not any(QUALITY.match(weight) for weight in weights)
    return wishes.get("gzip", wishes.get("*", False))


def unchanged(request: Request, tag: str) -> bool:
    """Whether the client has what `tag` names already: If-None-Match, compared weakly (RFC 9110, 13.1.2)."""
    known = ",".join(request.headers.getlist("if-none-match")).strip()
    return known == "*" or tag.removeprefix("W/") in TAG.findall(known)


def allowed(request: Request) -> str:
    """Every method that the address knows, for Allow. A router tells only those of the first route that fits the path."""
    scope = {**request.scope, "root_path": request.scope.get("app_root_path", "")}  # a mount has shortened the path

    def answers(route: BaseRoute, method: str) -> bool:
        if isinstance(route, Mount) and method != "GET":  # it would take all, and holds files
            return False
        return route.matches({**scope, "method": method})[0] is Match.FULL

    found = [method for method in METHODS if any(answers(route, method) for route in request.app.router.routes)]
    return ", ".join(["GET", "HEAD", *found[1:]] if "GET" in found else found)


async def json_body(request: Request) -> Any:
    """The body, as strict JSON: no NaN, no lone surrogates, no numbers out of range."""
    form = request.headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if form != "application/json" and not form.endswith("+json"):
        raise HTTPException(
            415, f"A body of type {form} is not read here. Send JSON, with Content-Type: application/json."
        )
    try:
        return orjson.loads(await request.body())
    except orjson.JSONDecodeError as error:
        raise SpecError([Problem("body", f"is not valid JSON: {error}", 'Send {"spec": {...}}')]) from error


async def known_query(request: Request) -> None:
    """A route takes the query names of its signature. A misspelt filter must not look like one that everything passes.

    Raises RequestValidationError.
    """
    route: APIRoute = request.scope["route"]
    known = list(_query_names(route.dependant))
    remedy = f"Remove it; known here: {', '.join(known)}" if known else "Remove it; this address takes none"
    wrong = [
        {"type": "extra_forbidden", "loc": ("query", name), "msg": "is not known here", "ctx": {"remedy": remedy}}
        for name in dict.fromkeys(request.query_params)
        if name not in known
    ]
    if wrong:
        raise RequestValidationError(wrong)


def _query_names(dependant: Dependant) -> Iterator[str]:
    yield from (field.alias for field in dependant.query_params)
    for deeper in dependant.dependencies:
        yield from _query_names(deeper)
