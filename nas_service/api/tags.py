"""Answers that are not sent again to who has them: an `ETag` on whatever is read as JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
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
    """Sends an answer, or that it is known: JSON is held back until its tag can be told."""

    def __init__(self, send: Send, known: str) -> None:
        self._send = send
        self._known = known
        self._start: Message | None = None
        self._body = bytearray()
        self._ended = False

    async def __call__(self, message: Message) -> None:
        if self._ended:
            return
        if message["type"] == "http.response.start" and message["status"] == 200:
            headers = Headers(raw=list(message["headers"]))
            own = headers.get("etag")
            if own is not None and own in self._known:
                await self._unchanged(message, own)
                return
            if own is None and headers.get("content-type", "").startswith("application/json"):
                self._start = message
                return
        if self._start is None:
            await self._send(message)
            return
        self._body += message.get("body", b"")
        if not message.get("more_body", False):
            await self._tagged(self._start)

    async def _tagged(self, start: Message) -> None:
        tag = f'W/"{hashlib.sha256(self._body).hexdigest()[:24]}"'
        if tag in self._known:
            await self._unchanged(start, tag)
            return
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["ETag"] = tag
        await self._send({**start, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": bytes(self._body)})

    async def _unchanged(self, start: Message, tag: str) -> None:
        headers = MutableHeaders(raw=list(start["headers"]))
        headers["ETag"] = tag
        del headers["content-length"]
        self._ended = True
        await self._send({**start, "status": 304, "headers": headers.raw})
        await self._send({"type": "http.response.body", "body": b""})
