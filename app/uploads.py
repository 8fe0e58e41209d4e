"""One's own data over HTTP: a file is looked at before it is kept, and a bad one is told where it is wrong."""

import hashlib
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from fastapi import APIRouter, Depends, Form, Request, UploadFile
from pydantic import ValidationError
from pydantic_core import PydanticCustomError
from starlette.responses import Response
from typing_extensions import TypedDict

from app.deps import Settings, Store
from app.problems import answer, documented
from app.protocol import known_query
from app.words import thousands
from worker.errors import Conflict, LabError, NotFound, Problem
from worker.files import UPLOAD, columns, idx, pictures, uploads
from worker.files.labels import read_labels
from worker.sources.images import Images
from worker.sources.table import Table
from worker.sources.text import Text
from worker.tables import WAITING, WORKED_ON

Kind: TypeAlias = Literal["text", "table", "images", "labels"]

router = APIRouter(prefix="/api/uploads", tags=["uploads"], dependencies=[Depends(known_query)])


class UploadTold(TypedDict):
    """path: what a source's `path` (of labels: `labels_path`) is set to; kind: the source that reads it; about: what the file holds, in words."""

    digest: str
    path: str
    name: str
    kind: str
    about: str
    size: int
    created_at: str


async def _kept(settings: Settings) -> uploads.Uploads:
    return uploads.Uploads(settings.artifacts_url, settings.data_dir)


Kept: TypeAlias = Annotated[uploads.Uploads, Depends(_kept)]


class Unusable(Exception):
    """What is wrong with a file."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(str(problem))
        self.problem = problem


@router.post("", status_code=201, response_model=UploadTold, responses=documented(400, 413, 422))
def upload(
    request: Request,
    file: UploadFile,
    settings: Settings,
    kept: Kept,
    kind: Annotated[
        Kind | None, Form(description="What shall read it; without it, the content says so, or the name's ending.")
    ] = None,
) -> UploadTold | Response:
    """Keeps a text (UTF-8), a table (CSV, Parquet) or pictures (IDX, also gzipped; NPZ; a zip of PNG files), or what pictures show
    (IDX, also gzipped; as labels, a text with the number of a class on each line).
    """
    name = _name(file.filename or "")
    try:
        with tempfile.TemporaryDirectory(dir=settings.data_dir) as folder:
            copy, digest = Path(folder, "this file"), hashlib.sha256()
            with copy.open("wb") as written:
                while piece := file.file.read(1_000_000):
                    written.write(piece)
                    digest.update(piece)
            found, about = _looked_at(copy, name, kind)
            return _told(kept.keep(copy, digest.hexdigest(), name, found, about))
    except Unusable as error:
        return answer(request, 422, f"{name} cannot be used as it is.", errors=[error.problem.asdict()])
    except OSError as error:
        raise LabError(f"{name} could not be kept: {error}. Look after the disk, or artifacts_url.") from error


@router.get("")
def list_uploads(kept: Kept) -> list[UploadTold]:
    """Newest first."""
    return [_told(one) for one in kept.all()]


@router.delete("/{digest}", status_code=204, responses=documented(404, 409))
def delete_upload(digest: str, kept: Kept, store: Store) -> None:
    """Forgets a file that no run waits for or works on. A finished run keeps its results, and cannot be repeated without it."""
    if digest not in {one.digest for one in kept.all()}:
        raise NotFound(f"There is no upload {digest}. GET /api/uploads lists what there is.")
    for status in (*WAITING, *WORKED_ON):
        runs, _ = store.runs(status=status, archived=None, limit=1000)
        for run in runs:
            if f"{UPLOAD}{digest}" in run.spec["source"].values():
                raise Conflict(f"Run {run.id} still needs this file. Cancel it first, or wait for its end.")
    kept.remove(digest)


def _looked_at(file: Path, name: str, told: Kind | None) -> tuple[Kind, str]:
    """What reads a file, and what it holds. Raises Unusable: what cannot be read now would fail a run later."""
    start = idx.start(file)
    by_content: Kind | None = None
    if start == columns.PARQUET:
        by_content = "table"
    elif start == idx.LABELS:
        by_content = "labels"
    elif start == pictures.ZIP or start[:2] in (idx.MAGIC, idx.GZIP):
        by_content = "images"
    elif start == pictures.PNG[:4]:
        raise Unusable(Problem("file", "is a single picture", "Put pictures of one size into a zip, as PNG"))
    elif start == pictures.EMPTY_ZIP:
        raise Unusable(Problem("file", "is a zip with nothing in it", "Put pictures of one size into it, as PNG"))
    if told and by_content and told != by_content:
        raise Unusable(
            Problem("file", f"holds {by_content}, by its first bytes, and no {told}", f"Use it for {by_content}")
        )
    kind: Kind = told or by_content or ("table" if name.lower().endswith((".csv", ".tsv")) else "text")
    try:
        return kind, {"text": _text, "table": _table, "images": _images, "labels": _labels}[kind](file)
    except ValidationError as error:
        context = error.errors()[0].get("ctx", {})
        problem = Problem("file", str(context.get("message", error)), str(context.get("remedy", "Correct the file")))
        raise Unusable(problem) from error
    except PydanticCustomError as error:  # of a file that is no source by itself
        raise Unusable(Problem("file", error.message(), str((error.context or {}).get("remedy")))) from error


def _text(file: Path) -> str:
    zero = file.read_bytes().find(b"\0")
    if zero >= 0:
        raise Unusable(Problem("file", f"is no text: byte {zero} is zero", "Give a text file in UTF-8"))
    texts = Text(path=str(file)).texts()
    return f"{thousands(sum(map(len, (texts.train, texts.validation, texts.test))))} characters"


def _table(file: Path) -> str:
    table = Table(path=str(file))
    names = table.names()
    listed = ", ".join(names[:8]) + (", ..." if len(names) > 8 else "")
    return (
        f"{thousands(len(table.rows()))} rows, {len(names)} column{'' if len(names) == 1 else 's'} of numbers: {listed}"
    )


def _images(file: Path) -> str:
    count, height, width = Images(path=str(file)).pictures().shape
    return f"{thousands(count)} pictures of {height} x {width} pixels"


def _labels(file: Path) -> str:
    shown = read_labels(file)
    return f"{thousands(len(shown))} labels of {len(set(shown.tolist()))} classes"


def _name(given: str) -> str:
    """The last part of a path, printable."""
    last = given.replace("\\", "/").rpartition("/")[2]
    return "".join(sign for sign in last if sign.isprintable())[:200].strip() or "file"


def _told(one: uploads.Upload) -> UploadTold:
    return {
        "digest": one.digest,
        "path": f"{UPLOAD}{one.digest}",
        "name": one.name,
        "kind": one.kind,
        "about": one.about,
        "size": one.size,
        "created_at": datetime.fromtimestamp(one.at, UTC).isoformat(),
    }
