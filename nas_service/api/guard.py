"""What every request and answer has: a host that is ours, an id, headers that browsers obey.

A page of another site that somebody opens on this machine reaches the service, too, so what such
a page can send is refused whoever asks: names that a foreign DNS server points here, and changes
asked for from elsewhere.
"""

from __future__ import annotations

import itertools
import secrets
from functools import lru_cache
from http import HTTPStatus
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from nas_service.addresses import is_loopback
from nas_service.api.problems import answer, problem
from nas_service.api.rates import Rates

_NOT_MODIFIED = int(HTTPStatus.NOT_MODIFIED)
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
SAFE = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
}
"""Of every answer that says nothing else: a file opened in a browser runs nothing."""
_SAFE = tuple((name.lower().encode(), value.encode()) for name, value in SAFE.items())


def hosts_for(listening_on: str, named: str) -> frozenset[str] | None:
    """The hosts that requests may name; None for any.

    Those that the setting names; else, on a loopback address, those of this machine alone.
    """
    if named:
        return frozenset(one.strip().lower() for one in named.split(",") if one.strip())
    return _LOOPBACK if is_loopback(listening_on) else None


class Guard:
    """Middleware that answers such requests itself."""

    def __init__(
        self, app: ASGIApp, hosts: frozenset[str] | None, rates: Rates | None = None
    ) -> None:
        self._app = app
        self._hosts = hosts
        self._rates = rates
        self._process = secrets.token_hex(5)
        self._numbers = itertools.count(1)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Refuse a request, or pass it on; a HEAD is a GET whose body is not sent."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = f"{self._process}{next(self._numbers):x}"
        scope.setdefault("state", {})["request_id"] = request_id
        heading = scope["method"] == "HEAD"

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = [*message.get("headers", ()), (b"x-request-id", request_id.encode())]
                if message["status"] != _NOT_MODIFIED:  # what the browser has, has them
                    names = {name for name, _ in given}  # in lower case, as ASGI has them
                    given.extend(one for one in _SAFE if one[0] not in names)
                message["headers"] = given
            elif heading and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        wait_s = None if self._rates is None else self._rates.wait_s(scope)
        refused = self._refused(scope) if wait_s is None else _too_many(wait_s)
        if refused is not None:
            status, detail = refused
            told = problem(status, status.phrase.title().replace(" ", ""), detail, scope["path"])
            headers = {} if wait_s is None else {"Retry-After": str(wait_s)}
            await answer(told, headers)(scope, receive, sent)
            return
        if not heading:
            await self._app(scope, receive, sent)
            return
        asked = {**scope, "method": "GET"}
        await self._app(asked, receive, sent)
        scope["route"] = asked.get("route")

    def _refused(self, scope: Scope) -> tuple[HTTPStatus, str] | None:
        host, origin = _of(scope, b"host") or "", _of(scope, b"origin")
        if self._hosts is not None and _name(host) not in self._hosts:
            return (
                HTTPStatus.FORBIDDEN,
                f"this service does not answer to {host!r}; NAS_ALLOWED_HOSTS names its hosts",
            )
        changes = scope["method"] not in _READING
        if changes and origin is not None and _place(origin) != host.lower():
            return HTTPStatus.FORBIDDEN, f"a page of {origin!r} may change nothing here"
        return None


def _too_many(wait_s: int) -> tuple[HTTPStatus, str]:
    return HTTPStatus.TOO_MANY_REQUESTS, f"too many requests: ask again in {wait_s} s"


def _of(scope: Scope, wanted: bytes) -> str | None:
    """A header of a request; every request comes by here, so nothing else of them is read."""
    for name, value in scope["headers"]:
        if name == wanted:
            return str(value.decode("latin-1"))
    return None


@lru_cache(maxsize=256)
def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""


def _place(origin: str) -> str | None:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None
