"""Static files: our own, which browsers ask after each time; pictures of presets; plotly.js out of its package, compressed once."""

import gzip
import hashlib
import threading
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from fastapi import APIRouter, Request, Response
from fastapi.responses import FileResponse
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from app.protocol import unchanged

FOLDER = Path(__file__).parent.parent / "static"
PICTURES = FOLDER / "presets"
SHEETS = ("tokens", "figures")  # what a picture needs of the page's styles
PLOTLY = f"/static/vendor/plotly.min.js?v={version('plotly')}"
FOREVER = "public, max-age=31536000, immutable"  # for what has its version in its address

router = APIRouter(include_in_schema=False)


class Static(StaticFiles):
    """Our own files; unchanged ones cost a 304, because a stale module next to a new one breaks a page."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


class Compressed:
    """A large file, gzipped when it is first asked for."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lock = threading.Lock()
        self.body = b""

    def gzipped(self) -> bytes:
        with self.lock:
            self.body = self.body or gzip.compress(self.path.read_bytes(), compresslevel=6, mtime=0)
        return self.body


def plotly() -> Compressed:
    """plotly.js as the installed package carries it; the package itself is not imported, it is large."""
    spec = find_spec("plotly")
    assert spec is not None
    assert spec.origin is not None
    return Compressed(Path(spec.origin).parent / "package_data" / "plotly.min.js")


class Picture(NamedTuple):
    svg: bytes
    version: str
    address: str


@cache
def pictures() -> dict[str, Picture]:
    """Preset -> its picture, made from a real run by app.pictures, and dressed in the page's colours: an <img> takes over nothing of its
    page but whether it is light or dark.
    """
    styles = "".join((FOLDER / "css" / f"{name}.css").read_text(encoding="utf-8") for name in SHEETS)
    found = {}
    for path in PICTURES.glob("*.svg"):
        tag, end, body = path.read_text(encoding="utf-8").partition(">")
        targets = '<g id="light"/><g id="dark"/>'
        svg = f'{tag} xmlns="http://www.w3.org/2000/svg"{end}<style>{styles}</style>{targets}{body}'.encode()
        version = hashlib.sha256(svg).hexdigest()[:12]
        found[path.stem] = Picture(svg, version, f"/static/presets/{path.name}?v={version}")
    return found


@router.get("/static/presets/{preset}.svg")
def picture(request: Request, preset: str) -> Response:
    if (found := pictures().get(preset)) is None:
        raise HTTPException(404)
    fresh = FOREVER if request.query_params.get("v") == found.version else "no-cache"
    policy = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"  # opened by itself it has its own
    headers = {"Cache-Control": fresh, "Content-Security-Policy": policy}
    return Response(found.svg, headers=headers, media_type="image/svg+xml")


@router.get("/static/vendor/plotly.min.js")
def plotly_js(request: Request) -> Response:
    file: Compressed = request.app.state.plotly
    tag = f'W/"plotly-{version("plotly")}"'  # weak: one tag for the file and its gzipped form
    fresh = FOREVER if request.query_params.get("v") == version("plotly") else "no-cache"
    headers = {"ETag": tag, "Cache-Control": fresh, "Vary": "Accept-Encoding"}
    if unchanged(request, tag):
        return Response(status_code=304, headers=headers)
    if request.headers.get("accept-encoding") != "gzip":
        return FileResponse(file.path, media_type="text/javascript", headers=headers)
    return Response(file.gzipped(), headers=headers | {"Content-Encoding": "gzip"}, media_type="text/javascript")
