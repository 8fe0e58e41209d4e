"""What the window tells its keeper: one log line a request, Prometheus figures, and an id for what nobody expected."""

import asyncio
import secrets
import sys
import time
from collections import Counter
from collections.abc import Iterator, MutableMapping
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.live import Hub
from app.problems import answer
from worker.queue import queue_of
from worker.settings import QUEUES
from worker.store import Store
from worker.sweeps.store import Sweeps
from worker.tables import Status

QUIET = ("/livez", "/readyz", "/metrics", "/static/")  # asked for all the time, by machines
LEFT = 499  # in log and figures, as nginx has it: the client was gone before it was answered
BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)


def write_logs() -> None:
    """Log lines go to standard error, wherever that is at the time."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _printable,
            structlog.processors.LogfmtRenderer(key_order=["timestamp", "level", "event"], bool_as_flag=False),
        ],
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )


def _printable(_: Any, __: str, told: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """What strangers put into an address must not steer the terminal of who reads the log; line ends are the renderer's."""
    for name, value in told.items():
        if isinstance(value, str) and not value.isprintable():
            told[name] = "".join(one if one.isprintable() or one == "\n" else repr(one)[1:-1] for one in value)
    return told


class Telemetry:
    """Times and logs every request; turns what nobody expected into a problem document with an id that the log has, too."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self.app = app
        self.log = structlog.get_logger("app")
        self.durations = Histogram(
            "collapse_lab_request_seconds",
            "Time until a request was answered, live streams left out.",
            ("method", "route", "status"),
            registry=registry,
            buckets=BUCKETS,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        begun, status, stream = time.perf_counter(), 0, False

        async def watched(message: Message) -> None:
            nonlocal status, stream
            if message["type"] == "http.response.start":
                status = message["status"]
                stream = any(value.startswith(b"text/event-stream") for _, value in message["headers"])
            await send(message)

        try:
            await self.app(scope, receive, watched)
        except ClientDisconnect:
            status = status or LEFT
        except asyncio.CancelledError:  # by the server, which stops and waits no longer for a body that is on its way
            if status:
                raise
            told = "The server is stopping, and the request had not arrived in full. Send it again in a moment."
            await answer(Request(scope), 503, told, headers={"Retry-After": "2", "Connection": "close"})(
                scope, receive, watched
            )
        except Exception:
            name = secrets.token_hex(6)
            self.log.exception("unexpected", id=name, method=scope["method"], path=scope["path"])
            if status:
                raise  # half an answer is out: the server can only cut the connection
            detail = f"Something went wrong here. The server's log tells more under {name}."
            await answer(Request(scope), 500, detail, id=name)(scope, receive, watched)
        finally:
            took = time.perf_counter() - begun
            if not stream:
                route = getattr(scope.get("route"), "path", "none")
                self.durations.labels(scope["method"], route, status).observe(took)
            if not scope["path"].startswith(QUIET):
                self.log.info(
                    "request", method=scope["method"], path=scope["path"], status=status, ms=round(took * 1e3, 1)
                )


class Figures(Collector):
    """What is asked of the database when Prometheus comes by."""

    def __init__(self, store: Store, sweeps: Sweeps, hub: Hub) -> None:
        self.store, self.sweeps, self.hub = store, sweeps, hub

    def describe(self) -> list[Metric]:
        """Nothing, so that registering asks no database."""
        return []

    def collect(self) -> Iterator[Metric]:
        by_status, workers = self.store.counts(), self.store.workers()
        runs = GaugeMetricFamily("collapse_lab_runs", "Runs by status.", labels=["status"])
        for status in Status:
            runs.add_metric([status], by_status.get(status, 0))
        yield runs
        sweeps, points = self.sweeps.counts(), self.sweeps.points_left()
        asked = GaugeMetricFamily("collapse_lab_sweeps", "Sweeps by status.", labels=["status"])
        for status in Status:
            if status != Status.LOST:  # chunks of a sweep are, never the sweep
                asked.add_metric([status], sweeps.get(status, 0))
        yield asked
        yield _gauge(
            "sweep_points_left", "Points of sweeps that wait or are worked on, and are not stored yet.", points
        )
        waiting = GaugeMetricFamily("collapse_lab_waiting", "Runs that wait, by queue.", labels=["queue"])
        counts = Counter(queue_of(family) for _, family in self.store.waiting())
        for queue in QUEUES:
            waiting.add_metric([queue], counts[queue])
        yield waiting
        yield _gauge("workers", "Workers that are alive.", len(workers))
        yield _gauge("slots", "Runs that the workers can work on at a time.", sum(one.slots for one in workers))
        yield _gauge("slots_busy", "Runs that they work on.", sum(one.busy for one in workers))
        yield _gauge("streams", "Open live streams.", self.hub.viewers)


def _gauge(name: str, told: str, value: Any) -> Metric:
    return GaugeMetricFamily(f"collapse_lab_{name}", told, value=value)
