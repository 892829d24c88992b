"""Answers that are not sent again to who has them: an `ETag` on whatever is read as JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import Message, Receive, Scope, Send

from nas_service.api.access.rules import GuardedRoute

_SAME = {"description": "Not changed: If-None-Match has its ETag"}


class TaggedRoute(GuardedRoute):
    """A route whose JSON carries a tag, where the endpoint gives it none of its own."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        if "GET" in (options.get("methods") or ()):
            options["responses"] = {304: _SAME, **(options.get("responses") or {})}
        super().__init__(path, endpoint, **options)

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or say that nothing has changed."""
        if scope["method"] != "GET":
            await super().answer(scope, receive, send)
            return
        known = Headers(scope=scope).get("if-none-match", "")
        await super().answer(scope, receive, _Tagging(send, known))


class _Tagging:
    """Holds an answer back until all of it is there, and sends it or that it is known."""

    def __init__(self, send: Send, known: str) -> None:
        self._send = send
        self._known = known
        self._start: Message | None = None
        self._body = bytearray()

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start" and _is_ours(message):
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._sent(self._start)

    async def _sent(self, start: Message) -> None:
        tag = f'W/"{hashlib.sha256(self._body).hexdigest()[:24]}"'
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["ETag"] = tag
        same = tag in self._known
        if same:
            del headers["content-length"]
        status = 304 if same else start["status"]
        body = b"" if same else bytes(self._body)
        await self._send({**start, "status": status, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": body})


def _is_ours(start: Message) -> bool:
    raw: Sequence[tuple[bytes, bytes]] = start["headers"]
    headers = Headers(raw=list(raw))
    plain = headers.get("content-type", "").startswith("application/json")
    return start["status"] == 200 and plain and "etag" not in headers
