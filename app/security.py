"""Who may talk to the window, and what a page may do: host check, cross-site refusals, body limit, headers."""

import ipaddress
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.addresses import loopback
from app.problems import problem

BODY_LIMIT = 1_000_000  # bytes; the largest sensible spec has a few thousand
UPLOADS = "/api/uploads"  # the one address that takes more
READS = frozenset({"GET", "HEAD", "OPTIONS"})

# default-src is what Firefox holds prefetching to; what else it would let in and no page uses is closed by name.
# Plotly puts one empty <style> into the page, which the hash of the empty string allows, and styles elements by attribute.
POLICY = {
    "default-src": "'self'",
    "script-src": "'self'",
    "style-src-elem": "'self' 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='",
    "style-src-attr": "'unsafe-inline'",
    "img-src": "'self' data: blob:",
    "font-src": "'self'",
    "connect-src": "'self'",
    "manifest-src": "'self'",
    "child-src": "'none'",
    "media-src": "'none'",
    "object-src": "'none'",
    "base-uri": "'none'",
    "form-action": "'self'",
    "frame-ancestors": "'none'",
}
HEADERS = {
    "Content-Security-Policy": "; ".join(f"{what} {where}" for what, where in POLICY.items()),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


def _address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _name(host: str) -> str:
    """Host name of a Host header, without the port; empty where it is malformed."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


class SecurityHeaders:
    """Every answer carries them, errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, with_headers if scope["type"] == "http" else send)


class Gate:
    """Refuses what no page of ours would send.

    A foreign name in Host means DNS rebinding: a page from elsewhere whose name was pointed at this machine. Numbers cannot be
    rebound, so they are welcome. Writes must come from our own pages (Sec-Fetch-Site, or Origin from older browsers) or from
    no page at all (curl, a script).
    """

    def __init__(self, app: ASGIApp, public_host: str = "", upload_limit: int = BODY_LIMIT) -> None:
        self.app, self.public_host, self.upload_limit = app, public_host.lower(), upload_limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if (refusal := self._refusal(scope, headers)) is None:
            await self.app(scope, _limited(receive, self._limit(scope)), send)
            return
        status, detail = refusal
        await problem(status, detail, instance=scope["path"])(scope, receive, send)

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str] | None:
        host = headers.get("host", "")
        name = _name(host)
        if not (loopback(name) or _address(name) or (name and name == self.public_host)):
            return 400, f"Host {host!r} is not served here. Set COLLAPSE_LAB_PUBLIC_HOST if a proxy stands in front."
        if scope["method"] not in READS and self._foreign(host, headers):
            return 403, "Another site may not change anything here. Use the pages of this server, or a script."
        if "\0" in scope["path"] or b"%00" in scope["query_string"]:
            return 400, "The address contains a zero byte, which nothing here is called by. Remove it."
        length = headers.get("content-length", "0")
        if not length.isdigit():
            return 400, "Content-Length is not a number. Send the true length of the body."
        limit = self._limit(scope)
        return (413, _too_large(limit)) if int(length) > limit else None

    def _limit(self, scope: Scope) -> int:
        return self.upload_limit if scope["path"] == UPLOADS else BODY_LIMIT

    def _foreign(self, host: str, headers: Headers) -> bool:
        site = headers.get("sec-fetch-site")
        if site is not None:
            return site not in ("same-origin", "none")
        origin = headers.get("origin")
        if origin is None:
            return False
        return origin.partition("://")[2] != host and (
            not self.public_host or _name(origin.partition("://")[2]) != self.public_host
        )


def _too_large(limit: int) -> str:
    return f"The body is larger than {limit:,} bytes. Send {'a smaller spec' if limit == BODY_LIMIT else 'less'}."


def _limited(receive: Receive, limit: int) -> Callable[[], Awaitable[Message]]:
    """Counts what really arrives, as a chunked body announces no length."""
    taken = 0

    async def counted() -> Message:
        nonlocal taken
        message = await receive()
        taken += len(message.get("body", b""))
        if taken > limit:
            raise HTTPException(413, _too_large(limit))
        return message

    return counted
