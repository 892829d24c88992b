"""Requests that are sent again under the same `Idempotency-Key` are answered once.

The IETF's draft of that header, with a key known by project and route: the first answer is kept for
a day and given again; another body under the key is refused (422), the same one while it is being
answered, too (409). Of a request that was refused or failed nothing is kept: it made nothing. Nor
is an answer that holds a secret, which is shown once: it is refused the second time (409).
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from nas_service.access.identity import Identity, Rule
from nas_service.api.access.rules import action_of
from nas_service.api.tags import TaggedRoute
from nas_service.errors import InvalidSpec
from nas_service.storage import answers
from nas_service.storage.answers import Answer
from nas_service.storage.scope import Scope as ProjectScope
from nas_service.storage.session import Database

HEADER = "Idempotency-Key"
MAX_LENGTH = 200
_OWN = "key"
"""The parameter of endpoints that keep the key in the transaction of what they make."""
_DESCRIBED = {
    "name": HEADER,
    "in": "header",
    "required": False,
    "description": "A repeated request with the same key is answered as the first one was.",
    "schema": {"type": "string", "maxLength": MAX_LENGTH, "minLength": 1},
}


class RepeatableRoute(TaggedRoute):
    """A route whose POSTs may be sent again under a key."""

    def __init__(self, path: str, endpoint: Callable[..., Any], **options: Any) -> None:
        super().__init__(path, endpoint, **options)
        keeps = _OWN in inspect.signature(endpoint).parameters
        whole = self.access.max_body_bytes is not None  # streamed bodies are not kept in memory
        ours = "POST" in (self.methods or ()) and self.access.rule is not Rule.DEVICE
        self._repeatable = ours and not keeps
        self._streams = not whole
        if self._repeatable:
            self.openapi_extra = {**(self.openapi_extra or {}), "parameters": [_DESCRIBED]}

    async def answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or give the answer again."""
        given = HTTPConnection(scope).headers.get(HEADER) if self._repeatable else None
        if given is None:
            await super().answer(scope, receive, send)
            return
        if not 0 < len(given) <= MAX_LENGTH or not given.isprintable():
            raise InvalidSpec(f"{HEADER}: 1 to {MAX_LENGTH} characters", field=HEADER)
        who: Identity = scope["state"]["identity"]
        key = f"{who.project_id}/{action_of(self)}/{given}"
        database: Database = scope["app"].state.services.database
        kept = _Kept(database.of(ProjectScope(who.project_id)), key)
        if self._streams:
            await self._answer_stream(scope, receive, send, kept)
            return
        body = await _whole(receive)
        known = await run_in_threadpool(kept.begin, _digest(scope, body))
        if known is not None:
            await _response(known)(scope, receive, send)
        else:
            await self._answer_first(scope, _again(body), send, kept)

    async def _answer_stream(self, scope: Scope, receive: Receive, send: Send, kept: _Kept) -> None:
        """The same for a body that is not kept: what it was is known once it was read."""
        hashing = _Hashing(scope, receive)
        before = await run_in_threadpool(kept.answered)
        if before is None:
            await run_in_threadpool(kept.begin, answers.STREAMED)
            await self._answer_first(scope, hashing, send, kept, hashing)
            return
        await hashing.read(scope["app"].state.services.settings.max_upload_bytes)
        if hashing.request() != before[0]:
            raise InvalidSpec(f"this {HEADER} was used with another request", field=HEADER)
        await _response(before[1])(scope, receive, send)

    async def _answer_first(
        self,
        scope: Scope,
        receive: Receive,
        send: Send,
        kept: _Kept,
        hashing: _Hashing | None = None,
    ) -> None:
        seen: list[Message] = []

        async def noted(message: Message) -> None:
            seen.append(message)
            await send(message)

        try:
            await super().answer(scope, receive, noted)
        except BaseException:
            await run_in_threadpool(kept.forget)
            raise
        answer = _answer_of(seen)
        if answer is None or answer.status >= 400:
            await run_in_threadpool(kept.forget)
        else:
            told = replace(answer, body=None) if self.access.secret else answer
            await run_in_threadpool(kept.finish, told, hashing.request() if hashing else None)


class _Hashing:
    """A body's digest, taken while it streams by."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive = receive
        self._hash = hashlib.sha256(_place(scope))
        self._n_bytes = 0

    async def __call__(self) -> Message:
        message = await self._receive()
        part = message.get("body", b"")
        self._hash.update(part)
        self._n_bytes += len(part)
        return message

    async def read(self, most_bytes: int) -> None:
        """Read all of it, for its digest alone."""
        more = True
        while more:
            message = await self()
            more = message["type"] == "http.request" and message.get("more_body", False)
            if self._n_bytes > most_bytes:
                raise InvalidSpec(f"an upload has at most {most_bytes:,} bytes", field="body")

    def request(self) -> str:
        """What the request says, as far as it was read."""
        return self._hash.hexdigest()


class _Kept:
    """The answer under one key."""

    def __init__(self, database: Database, key: str) -> None:
        self._database = database
        self._key = key

    def begin(self, request: str) -> Answer | None:
        with self._database.session() as session:
            return answers.begin(session, self._key, request)

    def answered(self) -> tuple[str, Answer] | None:
        with self._database.session() as session:
            return answers.answered(session, self._key)

    def finish(self, answer: Answer, request: str | None) -> None:
        with self._database.session() as session:
            answers.finish(session, self._key, answer, request)

    def forget(self) -> None:
        with self._database.session() as session:
            answers.forget(session, self._key)


def _response(known: Answer) -> Response:
    headers = {"Location": known.location} if known.location else {}
    return Response(known.body or "", known.status, media_type=known.content_type, headers=headers)


async def _whole(receive: Receive) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        body += message.get("body", b"")
        if message["type"] != "http.request" or not message.get("more_body", False):
            return bytes(body)


def _again(body: bytes) -> Receive:
    async def receive() -> Message:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


def _digest(scope: Scope, body: bytes) -> str:
    """What a request says: its JSON in whatever order and layout, and its path and query."""
    try:
        said = json.dumps(json.loads(body), sort_keys=True).encode()
    except ValueError:
        said = body
    return hashlib.sha256(_place(scope) + said).hexdigest()


def _place(scope: Scope) -> bytes:
    return f"{scope['path']}?{scope['query_string'].decode('latin-1')}\n".encode()


def _answer_of(seen: list[Message]) -> Answer | None:
    """An answer in text, as all of ours but files are."""
    if not seen or seen[0]["type"] != "http.response.start":
        return None
    headers = {
        name.decode("latin-1"): value.decode("latin-1") for name, value in seen[0]["headers"]
    }
    try:
        text = b"".join(one.get("body", b"") for one in seen[1:]).decode()
    except UnicodeDecodeError:
        return None
    kind = headers.get("content-type", "application/json")
    return Answer(seen[0]["status"], headers.get("location"), kind, text)
