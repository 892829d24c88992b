"""The agent's side of HTTP: it asks, waits out what passes, and hears what is refused."""

from __future__ import annotations

import hashlib
import http.client
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib import error, request

from lookup_tables.errors import LookupTableError

TIMEOUT_S = 60.0
_PAUSES_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)

Json = dict[str, Any]


class Refused(Exception):
    """The service said no; `status` is HTTP's."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status


class Service:
    """The service's side of the agent, over HTTP; waits out what passes."""

    def __init__(
        self, url: str, token: str, *, pause: Callable[[float], None] = time.sleep
    ) -> None:
        if not url.startswith(("http://", "https://")):
            raise LookupTableError(f"--server {url!r} is not an http address")
        self._url = url.rstrip("/")
        self._token = token
        self._pause = pause

    def call(self, path: str, body: Json | None = None) -> Json:
        """POST a JSON value, or GET without one; an empty answer is an empty dictionary."""
        data = None if body is None else json.dumps(body).encode()
        content = self._patiently(path, data)
        found: Json = json.loads(content) if content else {}
        return found

    def fetch(self, sha256: str, place: Path) -> None:
        """Download a file; one whose digest is another is not kept."""
        content = self._patiently(f"/v1/agent/files/{sha256}", None)
        if hashlib.sha256(content).hexdigest() != sha256:
            raise LookupTableError(f"file {sha256} arrived damaged")
        partial = place.with_name(f"{place.name}.partial")
        partial.write_bytes(content)
        partial.replace(place)

    def _patiently(self, path: str, data: bytes | None) -> bytes:
        attempt = 0
        while True:
            try:
                return self._send(path, data)
            except Refused as refused:
                if refused.status < 500:
                    raise
                reason: object = refused
            except (OSError, http.client.HTTPException) as away:
                reason = away
            wait = _PAUSES_S[min(attempt, len(_PAUSES_S) - 1)]
            attempt += 1
            say(f"the service does not answer ({reason}); trying again in {wait:g} s")
            self._pause(wait)

    def _send(self, path: str, data: bytes | None) -> bytes:
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        asked = request.Request(self._url + path, data=data, headers=headers)  # noqa: S310
        opener = request.build_opener(request.ProxyHandler({}))
        try:
            with opener.open(asked, timeout=TIMEOUT_S) as answer:
                content: bytes = answer.read()
                return content
        except error.HTTPError as refused:
            with refused:
                raise Refused(refused.code, _detail(refused.read())) from None


def say(text: str) -> None:
    """A line for whoever watches."""
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)  # noqa: T201


def _detail(content: bytes) -> str:
    try:
        document = json.loads(content)
        return str(document.get("detail") or document)
    except ValueError:
        return content.decode(errors="replace")[:200]
