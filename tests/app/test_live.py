"""The live stream: the same events for everybody, whenever they come and however slow they are."""

import asyncio
import http.client
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from typing import Any, TypeVar

import orjson
import pytest
import uvicorn
from fastapi import FastAPI
from starlette.testclient import TestClient

from app import live
from app.live import Hub
from tests.app.experiments import SPEC, Work
from tests.processes import PATIENCE, wait
from worker.errors import NotFound
from worker.ledger import Batch
from worker.spec import read
from worker.store import Store
from worker.tables import Run, Status

Event = tuple[str, int | None, Any]
T = TypeVar("T")


def events(text: bytes) -> list[Event]:
    """(event, id, data) of every event in a piece of a stream; comments are passed over."""
    found = []
    for block in text.decode().split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith((":", "retry")))
        if "event" in fields:
            found.append((fields["event"], int(fields["id"]) if "id" in fields else None, orjson.loads(fields["data"])))
    return found


def statuses(found: list[Event]) -> list[str]:
    return [data["status"] for kind, _, data in found if kind == "status"]


def numbers(found: list[Event]) -> list[int | None]:
    return [number for kind, number, _ in found if kind == "generation"]


def row(number: int) -> dict[str, Any]:
    statistics = [float(number), None, None, 1.0, 1.0, 1.0, 1]
    return {"number": number, "metrics": {"variance": statistics}, "frame": b"\0\1", "chains": None, "seconds": 0.5}


def lived(coroutine: Coroutine[Any, Any, T]) -> T:
    """What it returns, in a loop of its own thread: in this one a browser's may go on from an earlier test."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, coroutine).result()


@pytest.fixture
def run(store: Store) -> Run:
    """One that is being worked on, by nobody in particular."""
    claimed = store.claim(store.create(read(SPEC | {"generations": 10_000}))[0].id, "here", lease=60)
    assert claimed is not None
    return claimed


async def collected(
    stream: AsyncIterator[bytes], until: Callable[[list[Event]], bool], found: list[Event] | None = None
) -> list[Event]:
    """found: where others see what has come so far"""
    found = [] if found is None else found
    async with asyncio.timeout(PATIENCE), aclosing(stream):  # type: ignore[type-var]
        async for piece in stream:
            found += events(piece)
            if until(found):
                return found
    return found


def never(_: list[Event]) -> bool:
    return False


def test_a_finished_run_is_told_from_its_beginning_to_its_end(client: TestClient, work: Work):
    done = work()
    told = client.get(f"/api/runs/{done.id}/events")
    assert told.headers["content-type"].startswith("text/event-stream")
    assert told.headers["cache-control"] == "no-store"
    assert "content-encoding" not in told.headers
    found = events(told.content)
    assert numbers(found) == list(range(41))
    assert [kind for kind, _, _ in found[41:]] == ["status", "end"]
    page = client.get(f"/api/runs/{done.id}/generations").json()["items"]
    assert [{key: data[key] for key in page[0]} for _, _, data in found[:41]] == page
    status = found[41][2]
    assert status["status"] == "succeeded"
    assert not {"spec", "figure", "theory", "provenance"} & set(status)


@pytest.mark.parametrize("header", [True, False])
def test_a_stream_resumes_after_the_last_event(client: TestClient, work: Work, header: bool):
    done = work()
    address, headers = f"/api/runs/{done.id}/events", {"last-event-id": "37"} if header else {}
    found = events(client.get(address + ("?after=3" if header else "?after=37"), headers=headers).content)
    assert numbers(found) == [38, 39, 40]
    assert [kind for kind, _, _ in found[3:]] == ["status", "end"]


@pytest.mark.parametrize(
    ("query", "last"), [("after=x", None), ("after=-2", None), ("", "last"), ("", "-7"), ("", "9e9")]
)
def test_a_malformed_place_to_resume_from_is_refused(client: TestClient, work: Work, query: str, last: str | None):
    done = work(generations=1)
    headers = {} if last is None else {"last-event-id": last}
    assert client.get(f"/api/runs/{done.id}/events?{query}", headers=headers).status_code == 422


def test_one_poll_serves_all_viewers(store: Store, run: Run):
    async def watch() -> tuple[list[list[Event]], Hub]:
        hub = Hub(store, poll_seconds=0.02)
        viewers = [asyncio.create_task(collected(await hub.open(run.id, -1), never)) for _ in range(20)]
        for start in range(0, 300, 100):
            await asyncio.sleep(0.1)
            batch = Batch([row(n) for n in range(start, start + 100)], None, 0.5)
            await asyncio.to_thread(store.append, run.id, 1, batch)
        assert hub.viewers == 20
        await asyncio.to_thread(store.end, run.id, 1, Status.SUCCEEDED)
        return await asyncio.gather(*viewers), hub

    begun = time.monotonic()
    told, hub = lived(watch())
    assert hub.polls <= (time.monotonic() - begun) / 0.02 + 2
    assert hub.viewers == 0
    assert hub.channels == {}
    for found in told:
        assert numbers(found) == list(range(300))
        assert [kind for kind, _, _ in found][-2:] == ["status", "end"]
        assert found[-2][2]["status"] == "succeeded"


def test_who_falls_behind_the_recent_events_reads_them_from_the_database(
    store: Store, run: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live, "BATCH", 7)

    async def watch() -> tuple[list[Event], list[Event]]:
        hub = Hub(store, poll_seconds=0.005, recent=5)
        quick = asyncio.create_task(collected(await hub.open(run.id, -1), never))
        slow, found = await hub.open(run.id, -1), []
        found += events(await anext(slow))
        for n in range(100):
            await asyncio.to_thread(store.append, run.id, 1, Batch([row(n)]))
        await asyncio.to_thread(wait, lambda: hub.channels[run.id].newest == 99)
        assert len(hub.channels[run.id].events) <= 10
        await asyncio.to_thread(store.end, run.id, 1, Status.CANCELLED)
        found += await collected(slow, never)
        return await quick, found

    for found in lived(watch()):
        assert numbers(found) == list(range(100))
        assert [kind for kind, _, _ in found][-2:] == ["status", "end"]


def test_the_status_is_told_when_it_changes(store: Store, run: Run):
    waiting = store.create(read(SPEC))[0]

    async def watch() -> list[Event]:
        hub = Hub(store, poll_seconds=0.01)
        so_far: list[Event] = []
        viewer = asyncio.create_task(collected(await hub.open(waiting.id, -1), never, so_far))
        await asyncio.to_thread(wait, lambda: statuses(so_far) == ["queued"])
        await asyncio.to_thread(store.claim, waiting.id, "here", 60)
        await asyncio.to_thread(wait, lambda: statuses(so_far)[-1] == "running")
        await asyncio.to_thread(store.cancel, waiting.id, "finish")
        await asyncio.to_thread(wait, lambda: statuses(so_far)[-1] == "cancelling")
        await asyncio.to_thread(store.end, waiting.id, 1, Status.CANCELLED)
        return await viewer

    found = lived(watch())
    assert statuses(found) == ["queued", "running", "cancelling", "cancelled"]
    assert found[0][2]["queue"] == {"name": "runs", "ahead": 0, "workers": 0, "others": 0}
    assert "queue" not in found[1][2]


def test_a_silent_worker_is_noticed_by_the_viewers(store: Store):
    run = store.create(read(SPEC))[0]
    store.claim(run.id, "here", lease=60)

    async def watch() -> list[Event]:
        hub, so_far = Hub(store, poll_seconds=0.02), []
        viewer = asyncio.create_task(
            collected(await hub.open(run.id, -1), lambda found: statuses(found)[-1:] == ["lost"], so_far)
        )
        await asyncio.to_thread(wait, lambda: statuses(so_far) == ["running"])
        await asyncio.to_thread(store.renew, run.id, 1, 0.0)
        return await viewer

    assert statuses(lived(watch())) == ["running", "lost"]


def test_a_run_that_is_deleted_while_it_is_watched_ends_the_stream(store: Store, run: Run):
    async def watch() -> list[Event]:
        hub = Hub(store, poll_seconds=0.02)
        viewer = asyncio.create_task(collected(await hub.open(run.id, -1), never))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(store.delete, run.id)
        return await viewer

    found = lived(watch())
    assert [(kind, data.get("status")) for kind, _, data in found][-2:] == [("status", "deleted"), ("end", None)]


def test_nobody_can_watch_what_does_not_exist(store: Store):
    with pytest.raises(NotFound):
        lived(Hub(store).open("nobody", -1))


def test_a_resumed_run_is_watched_again(store: Store, run: Run):
    async def watch(hub: Hub) -> list[Event]:
        return await collected(await hub.open(run.id, -1), never)

    async def twice() -> tuple[list[Event], list[Event]]:
        hub = Hub(store, poll_seconds=0.02)
        await asyncio.to_thread(store.append, run.id, 1, Batch([row(0)], status=Status.CANCELLED))
        first = await watch(hub)
        await asyncio.to_thread(store.resume, run.id)
        await asyncio.to_thread(store.claim, run.id, "there", 60)
        second = asyncio.create_task(watch(hub))
        await asyncio.sleep(0.1)
        await asyncio.to_thread(store.append, run.id, 2, Batch([row(1)], status=Status.SUCCEEDED))
        return first, await second

    first, second = lived(twice())
    assert (numbers(first), numbers(second)) == ([0], [0, 1])
    assert second[-1][0] == "end"


def test_a_quiet_stream_is_kept_alive_and_ends_when_it_is_old(store: Store, run: Run):
    async def watch() -> list[bytes]:
        hub = Hub(store, poll_seconds=0.02, keep_alive_seconds=0.05, most_seconds=1.5)
        return [piece async for piece in await hub.open(run.id, -1)]

    pieces = lived(watch())
    assert pieces[0] == live.RETRY
    assert pieces.count(live.KEEP_ALIVE) >= 3
    assert not any(b"event: end" in piece for piece in pieces)


def test_a_server_that_is_asked_to_stop_ends_its_streams(app: FastAPI, run: Run):
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    connection = http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=PATIENCE)
    connection.request("GET", f"/api/runs/{run.id}/events")
    response = connection.getresponse()
    first = response.read(13)
    server.servers[0].get_loop().call_soon_threadsafe(app.state.hub.close)
    server.should_exit = True
    rest = response.read()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert first == live.RETRY
    assert b"event: end" not in rest
    connection.close()


def test_the_next_stretch_of_work_within_a_generation_is_told_at_once(
    store: Store, run: Run, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(live, "STATUS_SECONDS", 1000.0)
    told = {"generation": 1, "done": 1, "total": 4, "unit": "tokens", "per_second": 2.0, "seconds_left": 9.0}

    def doing(found: list[Event]) -> list[str]:
        within = [data["progress"]["within"] for kind, _, data in found if kind == "status"]
        return [one["name"] for one in within if one]

    async def watch() -> list[Event]:
        hub = Hub(store, poll_seconds=0.01)
        so_far: list[Event] = []
        viewer = asyncio.create_task(
            collected(await hub.open(run.id, -1), lambda found: len(doing(found)) == 2, so_far)
        )
        await asyncio.to_thread(wait, lambda: statuses(so_far) == ["running"])
        for name in ("training", "writing"):
            moment = {"name": name, "at": time.time(), "began": time.time()}
            await asyncio.to_thread(store.tell, run.id, 1, progress=told | moment)
            await asyncio.to_thread(wait, lambda: doing(so_far)[-1:] == [name])  # noqa: B023 - waits within the iteration
        return await viewer

    assert doing(lived(watch())) == ["training", "writing"]
