"""Traces by OpenTelemetry, from a request to the jobs and steps that come of it.

Off unless an endpoint is named as OpenTelemetry's own variables have it
(`OTEL_EXPORTER_OTLP_ENDPOINT`); then the extra `otel` is needed. What is off costs nothing: no
package of it is imported. A job carries in its parameters the trace of the request that asked for
it (W3C Trace Context), so that a worker goes on with it, on whatever host and after a restart.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nas_service import __version__
from nas_service.errors import Unsupported

if TYPE_CHECKING:
    from fastapi import FastAPI

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
PARENT = "traceparent"
"""The parameter of a job that names the span it belongs to."""
_NAME = "nas-service"
_EXTRA = "pip install nas-service[otel]"

_provider: Any = None


def configure(process: str, instance: str = "") -> None:
    """Begin to send this process's spans, where an endpoint is named.

    Raises:
        Unsupported: one is, and the packages are not installed.
    """
    global _provider
    if _provider is not None or not any(os.environ.get(one) for one in ENDPOINTS):
        return
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise Unsupported(f"{ENDPOINTS[0]} is set and needs `{_EXTRA}`: {error}") from error
    facts = {"service.name": _NAME, "service.version": __version__, "nas.process": process}
    if instance:
        facts["service.instance.id"] = instance
    _provider = TracerProvider(resource=Resource.create(facts))
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))


def trace_requests(app: FastAPI) -> None:
    """Make a span of each request to an application that reaches a route."""
    if _provider is None:
        return
    try:
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor
    except ImportError as error:
        raise Unsupported(f"{ENDPOINTS[0]} is set and needs `{_EXTRA}`: {error}") from error
    FastAPIInstrumentor.instrument_app(
        app, tracer_provider=_provider, exclude_spans=["send", "receive"]
    )


@contextmanager
def span(name: str, parent: str | None = None, **facts: str) -> Iterator[None]:
    """Do something within a span, below that of another process or else the current one."""
    if _provider is None:
        yield
        return
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract({PARENT: parent}) if parent else None
    attributes = {f"nas.{key}": value for key, value in facts.items()}
    with _provider.get_tracer(_NAME).start_as_current_span(
        name, context=context, attributes=attributes
    ):
        yield


def failed(reason: str) -> None:
    """Note of the current span that what it was about failed."""
    if _provider is None:
        return
    from opentelemetry import trace

    trace.get_current_span().set_status(trace.StatusCode.ERROR, reason)


def here() -> dict[str, str]:
    """The current span as a parameter of the jobs below it; nothing where there is none."""
    found: dict[str, str] = {}
    if _provider is not None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        TraceContextTextMapPropagator().inject(found)
    return {key: value for key, value in found.items() if key == PARENT}


def end() -> None:
    """Send what has not been sent; a process that ends does it last."""
    if _provider is not None:
        _provider.shutdown()
