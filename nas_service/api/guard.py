"""What no request may be: for another host, from another site's page, or too large.

The service knows no users: who reaches it may do everything. A page of another site that somebody
opens on this machine reaches it too, so what such a page can send is refused: names that a foreign
DNS server points here, and changes asked for from elsewhere.
"""

from __future__ import annotations

import ipaddress
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nas_service.api.problems import answer, problem
from nas_service.errors import InvalidSpec

MAX_BODY_BYTES = 32 * 1024**2
"""Of a JSON document; uploads have limits of their own."""
_STREAMED = (":upload", "/lookup-tables")
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})


def hosts_for(listening_on: str, named: str) -> frozenset[str] | None:
    """The hosts that requests may name; None for any.

    Those that the setting names; else, on a loopback address, those of this machine alone.
    """
    if named:
        return frozenset(one.strip().lower() for one in named.split(",") if one.strip())
    try:
        local = ipaddress.ip_address(listening_on).is_loopback
    except ValueError:
        local = listening_on == "localhost"
    return _LOOPBACK if local else None


class Guard:
    """Middleware that answers such requests itself."""

    def __init__(self, app: ASGIApp, hosts: frozenset[str] | None) -> None:
        self._app = app
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on with its body's length watched."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        refused = self._refused(scope)
        if refused is not None:
            status, detail = refused
            told = problem(status, status.phrase.title().replace(" ", ""), detail, scope["path"])
            await answer(told)(scope, receive, send)
            return
        if not scope["path"].endswith(_STREAMED):
            receive = _watched(receive)
        await self._app(scope, receive, send)

    def _refused(self, scope: Scope) -> tuple[HTTPStatus, str] | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        name = _name(f"//{host}")
        if self._hosts is not None and name not in self._hosts:
            return (
                HTTPStatus.FORBIDDEN,
                f"this service does not answer to {host!r}; NAS_ALLOWED_HOSTS names its hosts",
            )
        origin = headers.get("origin")
        changes = scope["method"] not in _READING
        if changes and origin is not None and _place(origin) != host.lower():
            return HTTPStatus.FORBIDDEN, f"a page of {origin!r} may change nothing here"
        length = headers.get("content-length", "0")
        large = length.isdecimal() and int(length) > MAX_BODY_BYTES
        if large and not scope["path"].endswith(_STREAMED):
            return (
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                f"a document has at most {MAX_BODY_BYTES:,} bytes, not {int(length):,}",
            )
        return None


def _name(address: str) -> str:
    try:
        return (urlsplit(address).hostname or "").lower()
    except ValueError:
        return ""


def _place(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


def _watched(receive: Receive) -> Receive:
    """The same, until more came than a document has."""
    seen = 0

    async def watched() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > MAX_BODY_BYTES:
            raise InvalidSpec(f"a document has at most {MAX_BODY_BYTES:,} bytes", field="body")
        return message

    return watched
