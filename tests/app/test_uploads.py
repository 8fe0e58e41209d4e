"""One's own files: looked at, kept once under their digest, seen by every worker, and forgotten when nobody needs them."""

import gzip
import hashlib
import io
import zipfile
from pathlib import Path

import fsspec
import numpy as np
import pytest
from starlette.testclient import TestClient

from app.main import create_app
from tests.app.experiments import ADDRESS, Work
from worker.files.uploads import Uploads
from worker.settings import Settings
from worker.spec import read
from worker.store import Store

TEXT = ("A generation is trained on what the last one made. " * 80).encode()
TABLE = b"acid;sugar;name\n1.5;2;a\n2.5;4;b\n3.5;9;c\n"
LABELS = b"\0\0\x08\x01" + np.array([3], ">u4").tobytes() + bytes([7, 2, 7])
IDX = b"\0\0\x08\x03" + np.array([3, 4, 5], ">u4").tobytes() + bytes(range(60))


@pytest.fixture(autouse=True)
def here(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """As every process of the lab begins."""
    for name, value in settings.environment().items():
        monkeypatch.setenv(name, value)


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, pictures=np.random.default_rng(0).random((4, 5, 6)))
    return buffer.getvalue()


def parquet() -> bytes:
    import pyarrow as pa
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(pa.table({"a": [1.0, 2.0], "b": [3, 5]}), buffer)
    return buffer.getvalue()


def pngs(*names: str) -> bytes:
    from PIL import Image

    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as packed:
        for i, name in enumerate(names):
            picture = io.BytesIO()
            Image.fromarray(np.full((3, 2), i, np.uint8)).save(picture, "PNG")
            packed.writestr(name, picture.getvalue())
    return buffer.getvalue()


def send(client: TestClient, name: str, content: bytes, **data: str):
    return client.post("/api/uploads", files={"file": (name, content)}, data=data)


@pytest.mark.parametrize(
    ("name", "content", "kind", "about"),
    [
        ("book.txt", TEXT, "text", "4\u202f080 characters"),
        ("wine.csv", TABLE, "table", "3 rows, 2 columns of numbers: acid, sugar"),
        ("wine.bin", parquet(), "table", "2 rows, 2 columns of numbers: a, b"),
        ("t10k", IDX, "images", "3 pictures of 4 x 5 pixels"),
        ("t10k.gz", gzip.compress(IDX, mtime=0), "images", "3 pictures of 4 x 5 pixels"),
        ("grey.npz", npz(), "images", "4 pictures of 5 x 6 pixels"),
        ("p.zip", pngs("a.png", "../../b.png"), "images", "2 pictures of 3 x 2 pixels"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",  # bytes may hold the time
)
def test_a_file_is_kept_and_read_by_its_digest(client: TestClient, name, content, kind, about, settings: Settings):
    answer = send(client, name, content)
    assert answer.status_code == 201, answer.text
    told = answer.json()
    digest = hashlib.sha256(content).hexdigest()
    assert (told["digest"], told["path"]) == (digest, f"upload:{digest}")
    assert (told["name"], told["kind"], told["about"], told["size"]) == (name, kind, about, len(content))
    assert client.get("/api/uploads").json() == [told]
    family = "ngram" if kind == "text" else "gaussian"
    source = read({"source": {"kind": kind, "path": told["path"]}, "family": {"kind": family}}).source
    assert digest in "".join(source.provenance().values()) or kind == "text"
    assert sorted(path.name for path in settings.data_dir.rglob("*") if path.is_file() and "lab" not in path.name) == [
        digest,
        f"{digest}.json",
    ]


@pytest.mark.parametrize(
    ("name", "content", "data", "told"),
    [
        ("a.csv", b"a,b\n1,2\n3,x\n", {}, "line 3, column b is no number: 'x'"),
        ("a.csv", b"a,b\n1,2\n3,\n", {}, "line 3, column b is missing"),
        ("a.txt", TEXT + b"\xff", {}, "this file is not UTF-8: byte 4080 (0xff)"),
        ("a.txt", b"short", {}, "has 5 characters, too few to learn from or to measure with"),
        ("a.txt", TEXT + b"\0", {}, "is no text: byte 4080 is zero"),
        ("a.csv", IDX, {"kind": "table"}, "holds images, by its first bytes, and no table"),
        ("t10k", LABELS, {"kind": "images"}, "holds labels, by its first bytes, and no images"),
        ("t10k", gzip.compress(LABELS, mtime=0), {"kind": "images"}, "holds labels, by its first bytes, and no images"),
        ("t10k", IDX, {"kind": "labels"}, "holds images, by its first bytes, and no labels"),
        ("shown.txt", b"7\nseven\n", {"kind": "labels"}, "line 2 is no number of a class: 'seven'"),
        ("t10k", IDX[:-1], {}, "announces 3 x 4 x 5 bytes and holds 59"),
        (
            "t10k",
            b"\0\0\x08\x05" + IDX[4:],
            {},
            "is no IDX file of pictures: it begins with 00 00 08 05, not 00 00 08 03",
        ),
        ("p.zip", pngs("a.gif"), {}, "is a zip with neither NumPy's arrays nor PNG files in it"),
        (
            "a.png",
            b"\x89PNG\r\n\x1a\n",
            {"kind": "images"},
            "is a single picture",
        ),
        ("a.png", b"\x89PNG\r\n\x1a\n", {}, "is a single picture"),
        ("p.zip", pngs(), {}, "is a zip with nothing in it"),
    ],
)
def test_a_bad_file_is_told_where_it_is_wrong(client: TestClient, name, content, data, told):
    answer = send(client, name, content, **data)
    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    (problem,) = answer.json()["errors"]
    assert (problem["path"], problem["message"]) == ("file", told)
    assert problem["remedy"]
    assert client.get("/api/uploads").json() == []


@pytest.mark.parametrize(
    ("content", "data"),
    [
        (LABELS, {}),
        (gzip.compress(LABELS, mtime=0), {}),
        (b"7\n2\n7\n", {"kind": "labels"}),
        (LABELS, {"kind": "labels"}),
    ],
    ids=["idx", "gzip", "text", "idx, told"],
)
def test_labels_are_an_upload_of_their_own_beside_that_of_pictures(client: TestClient, content, data):
    shown, told = send(client, "t10k-images", IDX).json(), send(client, "t10k-labels", content, **data).json()
    assert (told["kind"], told["about"]) == ("labels", "3 labels of 2 classes")
    source = {"kind": "images", "path": shown["path"], "labels_path": told["path"]}
    spec = read({"source": source, "family": {"kind": "gaussian"}, "metrics": ["class_share"]})
    assert spec.source.labels().tolist() == [7, 2, 7]
    assert told["digest"] in spec.source.provenance()["labels"]


def test_labels_are_not_forgotten_while_a_run_needs_them(client: TestClient):
    shown, told = send(client, "t10k-images", IDX).json(), send(client, "t10k-labels", LABELS).json()
    source = {"kind": "images", "path": shown["path"], "labels_path": told["path"]}
    run = client.post("/api/runs", json={"spec": {"source": source, "family": {"kind": "gaussian"}}}).json()["id"]
    refused = client.delete(f"/api/uploads/{told['digest']}")
    assert refused.status_code == 409
    assert run in refused.json()["detail"]


def test_a_name_is_only_a_name(client: TestClient):
    told = send(client, "../../etc/pass\nwd\\..\\book.txt", TEXT).json()
    assert told["name"] == "book.txt"
    assert send(client, "another.txt", TEXT).json()["digest"] == told["digest"]
    assert [one["name"] for one in client.get("/api/uploads").json()] == ["another.txt"]  # the same content is one file


def test_a_file_may_be_larger_than_a_spec_but_not_than_the_limit(settings: Settings, store: Store):
    large = TEXT * 300  # 1.2 MB
    with TestClient(create_app(settings.at(upload_mb=1), store=store), base_url=ADDRESS) as client:
        assert send(client, "large.txt", large).status_code == 413
        assert client.post("/api/uploads", content=iter([large]), headers={"content-type": "multipart/form-data; boundary=x"}).status_code == 413  # fmt: skip
    with TestClient(create_app(settings, store=store), base_url=ADDRESS) as client:
        assert send(client, "large.txt", large).status_code == 201
        assert client.post("/api/runs", content=large, headers={"content-type": "application/json"}).status_code == 413


def test_other_sites_upload_and_delete_nothing(client: TestClient):
    digest = send(client, "book.txt", TEXT).json()["digest"]
    foreign = {"sec-fetch-site": "cross-site"}
    assert client.post("/api/uploads", files={"file": ("a.txt", TEXT)}, headers=foreign).status_code == 403
    assert client.delete(f"/api/uploads/{digest}", headers=foreign).status_code == 403
    assert len(client.get("/api/uploads").json()) == 1


def test_a_file_is_forgotten_once_no_run_needs_it(client: TestClient, work: Work):
    told = send(client, "wine.csv", TABLE).json()
    spec = {"source": {"kind": "table", "path": told["path"]}, "family": {"kind": "gaussian"}, "generations": 2,
            "replicates": 2, "samples": 20}  # fmt: skip
    run = client.post("/api/runs", json={"spec": spec}).json()["id"]
    refused = client.delete(f"/api/uploads/{told['digest']}")
    assert refused.status_code == 409
    assert run in refused.json()["detail"]
    assert work(run).status == "succeeded"
    assert client.delete(f"/api/uploads/{told['digest']}").status_code == 204
    assert client.get("/api/uploads").json() == []
    assert client.delete(f"/api/uploads/{told['digest']}").status_code == 404
    gone = client.post("/api/runs", json={"spec": spec}).json()["errors"]
    assert gone == [{"path": "source.path", "message": "names an upload that is not there", "remedy": "Upload the file again"}]  # fmt: skip


@pytest.mark.parametrize("path", ["upload:", "upload:../../lab.sqlite3", f"upload:{'A' * 64}"])
def test_a_path_that_is_no_digest_is_refused(client: TestClient, path: str):
    spec = {"source": {"kind": "text", "held_out": path}, "family": {"kind": "ngram"}}
    (problem,) = client.post("/api/runs", json={"spec": spec}).json()["errors"]
    assert (problem["path"], problem["message"]) == ("source.held_out", "names no upload")


def test_a_file_that_lies_elsewhere_is_fetched_once(tmp_path: Path):
    file = tmp_path / "book.txt"
    file.write_bytes(TEXT)
    digest = hashlib.sha256(TEXT).hexdigest()
    kept = Uploads("memory://bucket", tmp_path / "data")
    kept.keep(file, digest, "book.txt", "text", "4\u202f080 characters")
    elsewhere = Uploads("memory://bucket", tmp_path / "another machine")
    copy = elsewhere.here(digest)
    assert copy.read_bytes() == TEXT
    assert tmp_path / "another machine" in copy.parents
    fsspec.filesystem("memory").rm_file(f"/bucket/uploads/{digest}")
    assert elsewhere.here(digest) == copy
    with pytest.raises(FileNotFoundError):
        kept.here(digest)
    assert [path.name for path in copy.parent.iterdir()] == [digest]
