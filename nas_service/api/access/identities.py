"""Who asks: the token of the request, the login of its cookie, or this machine itself."""

from __future__ import annotations

import time
from collections import OrderedDict
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.types import Scope

from nas_service.access.identity import Identity, Rule, local
from nas_service.access.secret import digest_of
from nas_service.errors import Forbidden, Unauthorized
from nas_service.storage import logins, tokens
from nas_service.storage.scope import DEFAULT, SERVICE
from nas_service.storage.session import Database

COOKIE = "__Host-nas"
"""The prefix has browsers take it over HTTPS or from this machine alone, for this host alone."""
_SHOWING = frozenset({b"authorization", b"cookie"})
_READING = frozenset({"GET", "HEAD", "OPTIONS"})
_REMEMBERED_S = 1.0
"""For so long after a token was looked up a token revoked by another process still opens."""
_N_REMEMBERED = 4096
_MAX_SECRET = 200


class Identities:
    """Finds who asks; `open_here` lets everybody in who shows nothing, as on a loopback address."""

    def __init__(self, database: Database, *, open_here: bool) -> None:
        self._database = database.of(SERVICE)
        self._local = local(DEFAULT.project_id or "") if open_here else None
        self._seen: OrderedDict[str, tuple[float, Identity]] = OrderedDict()

    async def of(self, scope: Scope, rule: Rule) -> Identity | None:
        """Who asks; None where nothing is shown, and where anybody may ask.

        Raises:
            Unauthorized: what is shown is worth nothing.
            Forbidden: a browser was made to send its cookie along by a page of another site.
        """
        if rule is Rule.OPEN:
            return None
        if self._local is not None and rule is not Rule.DEVICE and not _shows(scope):
            return self._local
        connection = HTTPConnection(scope)
        shown = connection.headers.get("authorization")
        if shown is not None:
            kind, _, secret = shown.partition(" ")
            if kind.lower() != "bearer" or not secret.strip():
                raise Unauthorized("Authorization: it is Bearer TOKEN")
            return await self._found("token", secret.strip())
        cookie = connection.cookies.get(COOKIE)
        if cookie:
            try:
                found = await self._found("login", cookie)
            except Unauthorized:  # an old one, of a service where nobody has to log in
                if self._local is None or rule is Rule.DEVICE:
                    raise
                return self._local
            if connection.scope.get("method") not in _READING:
                require_own_page(connection)
            return found
        return self._local if rule is not Rule.DEVICE else None

    def forget(self) -> None:
        """Look everybody up again: something about tokens or members has changed."""
        self._seen.clear()

    async def _found(self, kind: str, secret: str) -> Identity:
        if len(secret) > _MAX_SECRET or not secret.isascii():
            raise Unauthorized("no such token")
        key = f"{kind}:{digest_of(secret)}"
        at = time.monotonic()
        if (known := self._seen.get(key)) is not None and known[0] > at:
            return known[1]
        found = await run_in_threadpool(self._look_up, kind, secret)
        self._seen[key] = (at + _REMEMBERED_S, found)
        while len(self._seen) > _N_REMEMBERED:
            self._seen.popitem(last=False)
        return found

    def _look_up(self, kind: str, secret: str) -> Identity:
        with self._database.session() as session:
            if kind == "token":
                return tokens.identity_of(session, secret)
            return logins.identity_of(session, secret)


def _shows(scope: Scope) -> bool:
    """Whether a request says who sends it; read of the headers as they came, as polls are many."""
    return any(name in _SHOWING for name, _ in scope["headers"])


def require_own_page(connection: HTTPConnection) -> None:
    """Refuse a change that a browser sends without saying that our own page asked for it."""
    origin = connection.headers.get("origin")
    host = connection.headers.get("host", "").lower()
    try:
        own = origin is not None and urlsplit(origin).netloc.lower() == host
    except ValueError:
        own = False
    if not own:
        raise Forbidden(f"a page of {origin or 'nowhere'!r} may change nothing here")
