"""Structured logs to standard error."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog


def configure(level: str, *, process: str, as_json: bool = False) -> None:
    """Send this process's logs, ours and the libraries', to standard error, one line an event."""
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                *_rendered(as_json),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in ("httpx", "httpcore", "alembic", "dbos", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    structlog.contextvars.bind_contextvars(process=process)


def _rendered(as_json: bool) -> list[structlog.typing.Processor]:
    if as_json:
        renderer: structlog.typing.Processor = structlog.processors.JSONRenderer()
    else:
        order = ["timestamp", "level", "event"]
        renderer = structlog.processors.KeyValueRenderer(key_order=order, drop_missing=True)
    return [structlog.processors.format_exc_info, renderer]


@contextmanager
def within(**facts: str) -> Iterator[None]:
    """Have all that this thread or task logs meanwhile say these facts, as `job` or `request`."""
    with structlog.contextvars.bound_contextvars(**facts):
        yield


def logger(name: str) -> structlog.stdlib.BoundLogger:
    """A logger that takes an event and key=value facts."""
    found: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger(name)
    return found
