"""Sends calls, waiting or awaiting: again where that is harmless, unchanged answers once."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import httpx

from .errors import Unreachable
from .requests import (
    Content,
    EventLines,
    Request,
    ServerEvent,
    parsed,
    refused,
    request,
    retry_after_s,
)
from .value import Value

T = TypeVar("T")
V = TypeVar("V", bound=Value)
_KEPT_ANSWERS = 64
_CHUNK_BYTES = 1 << 20
_AWAY = (429, 502, 503, 504)
"""Answers after which the same call may go through a little later."""


class Page(Value):
    """A page of a list, and where the next one begins."""

    items: list[Any]
    next_cursor: str | None = None


class Answers:
    """The newest answers by address, so that an unchanged one is neither sent nor read again."""

    def __init__(self) -> None:
        self._known: OrderedDict[str, tuple[str, Any]] = OrderedDict()

    def condition(self, key: str) -> dict[str, str]:
        """The header that asks for a change only."""
        return {"If-None-Match": self._known[key][0]} if key in self._known else {}

    def value(self, key: str, response: httpx.Response, kind: Any) -> Any:
        """What was answered, now or before."""
        if response.status_code == 304:
            self._known.move_to_end(key)
            return self._known[key][1]
        value = parsed(response, kind)
        tag = response.headers.get("ETag")
        if tag and response.request.method == "GET":
            self._known[key] = tag, value
            self._known.move_to_end(key)
            if len(self._known) > _KEPT_ANSWERS:
                self._known.popitem(last=False)
        return value


class _Calls:
    """What both ways of sending share."""

    def __init__(self, url: str, retries: int) -> None:
        self.url = url
        self._retries = retries
        self._answers = Answers()

    def _again(self, call: Request, attempt: int, response: httpx.Response | None) -> bool:
        passes = response is None or response.status_code in _AWAY
        return passes and call.repeatable and attempt < self._retries

    def _unreachable(self, error: Exception) -> Unreachable:
        return Unreachable(f"no service answers at {self.url} ({error or type(error).__name__})")


def _options(call: Request, conditions: Mapping[str, str]) -> dict[str, Any]:
    return {"params": dict(call.query) or None, "headers": {**call.headers, **conditions}}


def _key(call: Request, kind: Any) -> str:
    return f"{call.path} {sorted(call.query.items())} {kind}"


class Sender(_Calls):
    """Sends calls and waits for what comes back."""

    def __init__(self, http: httpx.Client, url: str, retries: int) -> None:
        super().__init__(url, retries)
        self._http = http

    def value(self, method: str, path: str, kind: type[T], **parts: Any) -> T:
        """The answer as a value."""
        call = request(method, path, **parts)
        key = _key(call, kind)
        conditions = self._answers.condition(key) if method == "GET" else {}
        found: T = self._answers.value(key, self.send(call, conditions), kind)
        return found

    def value_or_none(self, method: str, path: str, kind: type[T], **parts: Any) -> T | None:
        """The answer as a value; None where it is empty."""
        response = self.send(request(method, path, **parts))
        found: T | None = parsed(response, kind) if response.content else None
        return found

    def nothing(self, method: str, path: str, **parts: Any) -> None:
        """A call whose answer is empty."""
        self.send(request(method, path, **parts))

    def bytes_of(self, method: str, path: str, **parts: Any) -> bytes:
        """The answer's bytes."""
        return self.send(request(method, path, **parts)).content

    def pages(
        self, path: str, kind: type[V], *, query: Mapping[str, Any] | None = None
    ) -> Iterator[V]:
        """The items of a list, whose pages are asked for as they are needed."""
        cursor: str | None = None
        while True:
            asked = {**(query or {}), "cursor": cursor}
            page = self.value("GET", path, Page, query=asked)
            yield from items_of(page, kind)
            cursor = page.next_cursor
            if cursor is None:
                return

    def events(self, path: str, *, query: Mapping[str, Any] | None = None) -> Iterator[ServerEvent]:
        """Server-sent events, until the service ends the stream."""
        call = request("GET", path, query=query)
        lines = EventLines()
        try:
            with self._http.stream("GET", path, **_options(call, {}), timeout=None) as response:
                if response.status_code >= 400:
                    response.read()
                    raise refused(response)
                for line in response.iter_lines():
                    if (event := lines.take(line)) is not None:
                        yield event
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    def save(self, path: str, file: Path) -> None:
        """An answer's bytes as a file, whole or not at all."""
        partial = file.with_name(file.name + ".partial")
        try:
            with self._http.stream("GET", path) as response:
                if response.status_code >= 400:
                    response.read()
                    raise refused(response)
                with partial.open("wb") as stream:
                    for chunk in response.iter_bytes():
                        stream.write(chunk)
            partial.replace(file)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        finally:
            partial.unlink(missing_ok=True)

    def send(self, call: Request, conditions: Mapping[str, str] | None = None) -> httpx.Response:
        """Send a call, again where it did not get through and may be repeated.

        Raises:
            ApiError: the service refused.
            Unreachable: nothing answers.
        """
        attempt = 0
        while True:
            response = None
            try:
                response = self._http.request(
                    call.method,
                    call.path,
                    content=call.body if call.content is None else _chunks(call.content),
                    **_options(call, conditions or {}),
                )
            except httpx.TransportError as error:
                if not self._again(call, attempt, None):
                    raise self._unreachable(error) from error
            if response is not None and response.status_code < 400:
                return response
            if response is not None and not self._again(call, attempt, response):
                raise refused(response)
            time.sleep(retry_after_s(response, attempt))
            attempt += 1


class AsyncSender(_Calls):
    """Sends calls and awaits what comes back."""

    def __init__(self, http: httpx.AsyncClient, url: str, retries: int) -> None:
        super().__init__(url, retries)
        self._http = http

    async def value(self, method: str, path: str, kind: type[T], **parts: Any) -> T:
        """The answer as a value."""
        call = request(method, path, **parts)
        key = _key(call, kind)
        conditions = self._answers.condition(key) if method == "GET" else {}
        found: T = self._answers.value(key, await self.send(call, conditions), kind)
        return found

    async def value_or_none(self, method: str, path: str, kind: type[T], **parts: Any) -> T | None:
        """The answer as a value; None where it is empty."""
        response = await self.send(request(method, path, **parts))
        found: T | None = parsed(response, kind) if response.content else None
        return found

    async def nothing(self, method: str, path: str, **parts: Any) -> None:
        """A call whose answer is empty."""
        await self.send(request(method, path, **parts))

    async def bytes_of(self, method: str, path: str, **parts: Any) -> bytes:
        """The answer's bytes."""
        return (await self.send(request(method, path, **parts))).content

    async def pages(
        self, path: str, kind: type[V], *, query: Mapping[str, Any] | None = None
    ) -> AsyncIterator[V]:
        """The items of a list, whose pages are asked for as they are needed."""
        cursor: str | None = None
        while True:
            asked = {**(query or {}), "cursor": cursor}
            page = await self.value("GET", path, Page, query=asked)
            for item in items_of(page, kind):
                yield item
            cursor = page.next_cursor
            if cursor is None:
                return

    async def events(
        self, path: str, *, query: Mapping[str, Any] | None = None
    ) -> AsyncIterator[ServerEvent]:
        """Server-sent events, until the service ends the stream."""
        call = request("GET", path, query=query)
        lines = EventLines()
        options = _options(call, {})
        try:
            async with self._http.stream("GET", path, **options, timeout=None) as response:
                if response.status_code >= 400:
                    await response.aread()
                    raise refused(response)
                async for line in response.aiter_lines():
                    if (event := lines.take(line)) is not None:
                        yield event
        except httpx.TransportError as error:
            raise self._unreachable(error) from error

    async def save(self, path: str, file: Path) -> None:
        """An answer's bytes as a file, whole or not at all."""
        partial = file.with_name(file.name + ".partial")
        try:
            async with self._http.stream("GET", path) as response:
                if response.status_code >= 400:
                    await response.aread()
                    raise refused(response)
                with partial.open("wb") as stream:
                    async for chunk in response.aiter_bytes():
                        await asyncio.to_thread(stream.write, chunk)
            partial.replace(file)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        finally:
            partial.unlink(missing_ok=True)

    async def send(
        self, call: Request, conditions: Mapping[str, str] | None = None
    ) -> httpx.Response:
        """Send a call, again where it did not get through and may be repeated.

        Raises:
            ApiError: the service refused.
            Unreachable: nothing answers.
        """
        attempt = 0
        while True:
            response = None
            try:
                response = await self._http.request(
                    call.method,
                    call.path,
                    content=call.body if call.content is None else _async_chunks(call.content),
                    **_options(call, conditions or {}),
                )
            except httpx.TransportError as error:
                if not self._again(call, attempt, None):
                    raise self._unreachable(error) from error
            if response is not None and response.status_code < 400:
                return response
            if response is not None and not self._again(call, attempt, response):
                raise refused(response)
            await asyncio.sleep(retry_after_s(response, attempt))
            attempt += 1


def items_of(page: Page, kind: type[V]) -> list[V]:
    """A page's items as values."""
    return [kind.model_validate(one) for one in page.items]


def _chunks(content: Content) -> bytes | Iterator[bytes]:
    return content if isinstance(content, bytes) else _read(content)


def _read(file: Path) -> Iterator[bytes]:
    with file.open("rb") as stream:
        while chunk := stream.read(_CHUNK_BYTES):
            yield chunk


def _async_chunks(content: Content) -> bytes | AsyncIterator[bytes]:
    return content if isinstance(content, bytes) else _aread(content)


async def _aread(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as stream:
        while chunk := await asyncio.to_thread(stream.read, _CHUNK_BYTES):
            yield chunk
