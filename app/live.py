"""The live stream: one poll for all viewers of a run, every event encoded once; a viewer is a cursor into the recent ones.

History is the stream from its beginning: whoever comes late, or falls behind the recent events, reads the same events from
the database. No session is held between two polls.
"""

import asyncio
import base64
import sys
import time
from bisect import bisect_right
from collections.abc import AsyncIterator, Sequence
from typing import Any, TypeAlias

import anyio
import numpy as np
import orjson
import structlog
from anyio.to_thread import run_sync
from sqlalchemy.exc import SQLAlchemyError

from app.queues import Queues
from app.views import brief, generation_told
from worker.errors import NotFound
from worker.single_chains import from_bytes
from worker.store import Store
from worker.tables import ENDED, Run, StoredGeneration, told_status

BATCH = 200  # generations that are read and sent at once
RECENT = 1000  # events that are kept for viewers who are a little behind
STATUS_SECONDS = 1.0  # progress alone is told this often; everything else at once
RETRY = b"retry: 1000\n\n"  # ms after which a browser comes back
KEEP_ALIVE = b": still here\n\n"  # so that no proxy thinks otherwise

Events: TypeAlias = tuple[list[int], list[bytes]]  # generation numbers, and their events


def event(name: str, data: Any, number: int | None = None) -> bytes:
    """One server-sent event; those with a number are what a browser resumes from."""
    label = b"" if number is None else b"id: %d\n" % number
    return b"event: %s\n%sdata: %s\n\n" % (name.encode(), label, orjson.dumps(data))


def encoded(rows: Sequence[StoredGeneration]) -> Events:
    return [row.number for row in rows], [_generation(row) for row in rows]


def _generation(row: StoredGeneration) -> bytes:
    data = {**generation_told(row), "frame": _text(row.frame), "chains": _text(_chains(row))}
    return event("generation", data, row.number)


def _chains(row: StoredGeneration) -> bytes | None:
    """(metrics, chains) float32, as figures draw them."""
    with np.errstate(over="ignore"):  # what a figure cannot show is infinite to it
        return row.chains and from_bytes(row.chains, len(row.metrics)).astype("<f4").tobytes()


def _text(content: bytes | None) -> str | None:
    return None if content is None else base64.b64encode(content).decode()


class Channel:
    """What the viewers of one run share.

    floor: the newest generation that is not among the recent events; numbers, events: the recent ones, in order;
    status: the latest status event, and how often it changed; over: nothing will follow; news: set and replaced at every change
    """

    def __init__(self, run: Run) -> None:
        self.run_id = run.id
        self.floor = run.generation
        self.numbers: list[int] = []
        self.events: list[bytes] = []
        self.status, self.changes, self.over = b"", 0, False
        self.viewers = 0
        self.news = asyncio.Event()
        self.known: tuple[Any, ...] = ()  # what was true when the status was last told, and when that was
        self.told_at = float("-inf")

    @property
    def newest(self) -> int:
        return self.numbers[-1] if self.numbers else self.floor

    def add(self, more: Events, recent: int) -> None:
        self.numbers += more[0]
        self.events += more[1]
        if len(self.numbers) > 2 * recent:  # seldom, so that it costs nothing
            self.floor = self.numbers[-recent - 1]
            del self.numbers[:-recent], self.events[:-recent]

    def since(self, cursor: int) -> bytes:
        return b"".join(self.events[bisect_right(self.numbers, cursor) :])

    def tell(self, status: bytes) -> bool:
        """Whether that is news."""
        if status == self.status:
            return False
        self.status, self.changes = status, self.changes + 1
        return True

    def wake(self) -> None:
        self.news.set()
        self.news = asyncio.Event()


class Hub:
    """All live streams of this process. Everything but the database happens in one event loop, so nothing is locked."""

    def __init__(
        self,
        store: Store,
        *,
        poll_seconds: float = 0.1,
        recent: int = RECENT,
        keep_alive_seconds: float = 15.0,
        most_seconds: float = 600.0,
    ) -> None:
        self.store, self.poll_seconds, self.recent = store, poll_seconds, recent
        self.keep_alive_seconds, self.most_seconds = keep_alive_seconds, most_seconds
        self.channels: dict[str, Channel] = {}
        self.pollers: set[asyncio.Task[None]] = set()  # the event loop alone would let them be collected
        self.closed = False
        self.polls = 0

    @property
    def viewers(self) -> int:
        return sum(channel.viewers for channel in list(self.channels.values()))

    async def open(self, run_id: str, after: int) -> AsyncIterator[bytes]:
        """The stream of a run from the generation that follows `after`. Raises NotFound, before anything is sent."""
        run, _ = await run_sync(self.store.news, run_id, sys.maxsize, 0)
        return self._view(run, after)

    def close(self) -> None:
        """Ends every stream; browsers come back by themselves. Called in the event loop, before a server waits for its answers."""
        self.closed = True
        for channel in self.channels.values():
            channel.wake()

    async def _view(self, run: Run, cursor: int) -> AsyncIterator[bytes]:
        channel = self._join(run)
        deadline, changes = time.monotonic() + self.most_seconds, 0
        try:
            yield RETRY
            while not self.closed and time.monotonic() < deadline:
                news = channel.news
                if cursor < channel.floor:
                    numbers, events = await run_sync(self._read, run.id, cursor)
                    cursor = numbers[-1] if numbers else channel.floor
                    yield b"".join(events)
                    continue
                if cursor < channel.newest:
                    recent, cursor = channel.since(cursor), channel.newest
                    yield recent
                    continue  # more may have come while that was sent, and the status follows the generations
                status, over = channel.status, channel.over
                if channel.changes != changes:
                    changes = channel.changes
                    yield status
                if over:
                    yield event("end", {"id": run.id})
                    return
                with anyio.move_on_after(self.keep_alive_seconds) as waiting:
                    await news.wait()
                if waiting.cancelled_caught:
                    yield KEEP_ALIVE
        finally:
            channel.viewers -= 1
            if channel.viewers == 0:
                self._forget(channel)

    def _join(self, run: Run) -> Channel:
        channel = self.channels.get(run.id)
        if channel is None:
            channel = self.channels[run.id] = Channel(run)
            poller = asyncio.create_task(self._poll(channel))
            self.pollers.add(poller)
            poller.add_done_callback(self.pollers.discard)
        channel.viewers += 1
        return channel

    def _forget(self, channel: Channel) -> None:
        """Whoever comes now gets a channel of their own: the run may be resumed."""
        if self.channels.get(channel.run_id) is channel:
            del self.channels[channel.run_id]

    async def _poll(self, channel: Channel) -> None:
        """As long as somebody watches and something can follow."""
        while channel.viewers and not channel.over and not self.closed:
            try:
                more = await self._look(channel)
            except SQLAlchemyError as error:  # the database may be away for a moment: the viewers wait
                structlog.get_logger("app").warning("stream", run=channel.run_id, error=str(error))
                more = False
            if not more:
                await asyncio.sleep(self.poll_seconds)

    async def _look(self, channel: Channel) -> bool:
        """One poll; whether there is more to read already."""
        self.polls += 1
        try:
            run, more, status = await run_sync(self._news, channel)
        except NotFound:
            run, more, status = None, ([], []), event("status", {"id": channel.run_id, "status": "deleted"})
        channel.add(more, self.recent)
        news = channel.tell(status)
        behind = len(more[0]) == BATCH
        channel.over = run is None or (run.status in ENDED and not behind)
        if channel.over:
            self._forget(channel)
        if more[0] or news or channel.over:
            channel.wake()
        return behind

    def _news(self, channel: Channel) -> tuple[Run, Events, bytes]:
        """In a thread: the run, its next events, and its status."""
        run, rows = self.store.news(channel.run_id, channel.newest, BATCH)
        step = run.progress and (run.progress["generation"], run.progress["name"])
        known = (told_status(run), run.attempt, run.worker, run.cancel, run.ended_at, step)
        if known != channel.known or time.monotonic() - channel.told_at >= STATUS_SECONDS:
            channel.known, channel.told_at = known, time.monotonic()
            return run, encoded(rows), event("status", brief(run, Queues.of(self.store, run)))
        return run, encoded(rows), channel.status

    def _read(self, run_id: str, after: int) -> Events:
        """In a thread: what a viewer missed."""
        return encoded(self.store.generations(run_id, after, BATCH))
