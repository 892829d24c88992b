"""What the service looks like from outside, for Prometheus: requests, jobs, workers, devices.

Requests are counted as they are answered; the rest is asked of the database when somebody scrapes.
Labels are names that there are few of: no ids, no paths as they were asked for. They are served on
an address of their own (`NAS_METRICS_BIND`), which nobody else needs to reach.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Histogram, start_http_server
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily
from prometheus_client.registry import Collector
from sqlalchemy.exc import SQLAlchemyError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nas_service import __version__
from nas_service.errors import Unavailable
from nas_service.queues import CONCURRENCY, QUEUE_OF
from nas_service.settings import Settings
from nas_service.storage import agents, counts, jobs, leases
from nas_service.storage.scope import SERVICE
from nas_service.storage.session import Database, now

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
NO_ROUTE, OTHER, ABORTED = "none", "other", "aborted"
"""Of requests that were refused before a route was looked for, fit none or asked for a file of the
page; of methods that there are not; of what was never answered."""


class Counted:
    """Middleware that counts requests by method, route and status, and times them."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        self._requests = Counter(
            "nas_http_requests",
            "Requests that were answered.",
            ("method", "route", "status"),
            registry=registry,
        )
        self._seconds = Histogram(
            "nas_http_request_duration_seconds",
            "From a request's head to the end of its answer.",
            ("method", "route"),
            buckets=_SECONDS,
            registry=registry,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), ABORTED

        async def sent(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
            await send(message)

        try:
            await self._app(scope, receive, sent)
        finally:
            route, method = _route(scope), scope["method"]
            method = method if method in _METHODS else OTHER
            self._requests.labels(method, route, status).inc()
            self._seconds.labels(method, route).observe(time.perf_counter() - began)


def _route(scope: Scope) -> str:
    """The pattern that a request's path fits, as `/v1/jobs/{job_id}`."""
    return str(getattr(scope.get("route"), "path", NO_ROUTE))


class State(Collector):
    """What the database says when it is asked."""

    def __init__(self, database: Database, patience_s: float) -> None:
        self._database = database.of(SERVICE)
        self._patience_s = patience_s

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Nothing: a registry asks for names without a database."""
        return iter(())

    def collect(self) -> Iterator[GaugeMetricFamily | InfoMetricFamily]:
        """Ask it; where it does not answer, that is all that is said."""
        version = InfoMetricFamily("nas_build", "What runs.", value={"version": __version__})
        yield version
        up = GaugeMetricFamily("nas_database_up", "Whether the database answers.")
        try:
            found = list(self._asked())
        except (Unavailable, SQLAlchemyError):  # away, or without tables yet
            up.add_metric((), 0.0)
            yield up
            return
        up.add_metric((), 1.0)
        yield up
        yield from found

    def _asked(self) -> Iterator[GaugeMetricFamily]:
        at = now()
        with self._database.session() as session:
            by_state = counts.open_jobs(session)
            oldest = counts.oldest_waiting(session)
            workers = leases.live_workers(session)
            seen = counts.agents_seen_at(session)
            asked = counts.measurement_requests(session)
            deliveries = counts.open_deliveries(session)
        family = GaugeMetricFamily(
            "nas_jobs", "Jobs that have not ended.", labels=("kind", "state")
        )
        for kind in QUEUE_OF:
            for state in jobs.OPEN:
                family.add_metric((kind, state), by_state.get((kind, state), 0))
        yield family
        family = GaugeMetricFamily(
            "nas_oldest_waiting_job_age_seconds",
            "Age of the job of that kind that has waited longest for a worker, 0 where none waits.",
            labels=("kind",),
        )
        for kind in QUEUE_OF:
            family.add_metric((kind,), _seconds(at, oldest.get(kind, at)))
        yield family
        family = GaugeMetricFamily("nas_workers", "Live workers by queue.", labels=("queue",))
        for queue in CONCURRENCY:
            family.add_metric((queue,), sum(queue in one for one in workers.values()))
        yield family
        family = GaugeMetricFamily(
            "nas_agents", "Devices' agents, heard of lately or not.", labels=("state",)
        )
        heard = sum(one is not None and _seconds(at, one) <= self._patience_s for one in seen)
        family.add_metric(("reachable",), heard)
        family.add_metric(("silent",), len(seen) - heard)
        yield family
        family = GaugeMetricFamily(
            "nas_measurement_requests", "What agents are asked to measure.", labels=("state",)
        )
        for state in agents.OPEN:
            family.add_metric((state,), asked.get(state, 0))
        yield family
        family = GaugeMetricFamily("nas_webhook_deliveries_open", "Deliveries not yet heard.")
        family.add_metric((), deliveries)
        yield family


def _seconds(at: datetime, since: datetime) -> float:
    return max(0.0, (at - since).total_seconds())


def serve_metrics(settings: Settings, registry: CollectorRegistry, database: Database) -> None:
    """Serve them in a thread of this process.

    Raises:
        OSError: something listens there already.
    """
    registry.register(State(database, settings.agent_patience_s))
    host, port = settings.metrics_address
    start_http_server(port, host, registry)
