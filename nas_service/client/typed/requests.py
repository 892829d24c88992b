"""What a call is before it is sent, and its answer after: nothing here waits for anything."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter, ValidationError

from .errors import ApiError, NotThisService
from .models import ProblemOut
from .value import Value

T = TypeVar("T")
Content = bytes | Path
"""What is uploaded: bytes, or the file that has them."""
_CHANGES = ("POST", "PUT", "PATCH", "DELETE")


def path(pattern: str, *parts: object) -> str:
    """An address whose `{}` are names; whatever is in them stays one step."""
    return pattern.format(*(quote(str(one), safe="") for one in parts))


@dataclass(frozen=True)
class Request:
    """A call: what httpx is given, but for the bytes of a file."""

    method: str
    path: str
    query: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content: Content | None = None

    @property
    def repeatable(self) -> bool:
        """Whether sending it twice changes no more than sending it once."""
        return self.method != "POST" or "Idempotency-Key" in self.headers


def request(
    method: str,
    path: str,
    *,
    query: Mapping[str, Any] | None = None,
    body: Value | None = None,
    content: Content | None = None,
    idempotency_key: str | None = None,
) -> Request:
    """The call of these parts; a POST without a key is given one, so that it can be repeated."""
    headers: dict[str, str] = {}
    if method == "POST":
        headers["Idempotency-Key"] = idempotency_key or uuid.uuid4().hex
    sent = None
    if body is not None:
        # defaults are the service's: what was not given is not sent
        sent = body.model_dump_json(exclude_unset=True, by_alias=True).encode()
        headers["Content-Type"] = "application/json"
    elif content is not None:
        if not isinstance(content, bytes | Path):
            raise TypeError(f"content is bytes or a Path, not {type(content).__name__}")
        headers["Content-Type"] = "application/octet-stream"
        length = len(content) if isinstance(content, bytes) else content.stat().st_size
        headers["Content-Length"] = str(length)
    given = {name: _plain(one) for name, one in (query or {}).items() if _is_given(one)}
    return Request(method, path, given, headers, sent, content)


def _is_given(one: object) -> bool:
    return one is not None and one != ()


def _plain(one: Any) -> Any:
    if isinstance(one, bool):
        return "true" if one else "false"
    if isinstance(one, Sequence) and not isinstance(one, str):
        return list(one)
    return one


def parsed(response: httpx.Response, kind: Any) -> Any:
    """The value of an answer.

    Raises:
        NotThisService: it is not JSON, or not such a value.
    """
    try:
        return _adapter(kind).validate_json(response.content)
    except ValidationError as error:
        raise NotThisService(str(response.url), str(error)) from error


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def refused(response: httpx.Response) -> ApiError:
    """The error of an answer of 400 and above, whose text was read."""
    try:
        problem = ProblemOut.model_validate_json(response.content)
    except ValidationError:
        text = response.text[:500] or response.reason_phrase
        problem = ProblemOut.model_construct(
            type="about:blank", title=text, status=response.status_code, detail=text
        )
    return ApiError(problem)


@dataclass(frozen=True)
class ServerEvent:
    """One event of a stream: its kind, its data as they came, and where to go on from."""

    kind: str
    data: str
    id: str = ""


class EventLines:
    """Server-sent events of lines: a blank one ends an event, a colon begins a comment."""

    def __init__(self) -> None:
        self._kind, self._data, self._id = "message", list[str](), ""

    def take(self, line: str) -> ServerEvent | None:
        """The event that this line ends, if it does."""
        if not line:
            found = None
            if self._data:
                found = ServerEvent(self._kind, "\n".join(self._data), self._id)
            self._kind, self._data = "message", []
            return found
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._kind = value
        elif name == "data":
            self._data.append(value)
        elif name == "id":
            self._id = value
        return None


def retry_after_s(response: httpx.Response | None, attempt: int) -> float:
    """How long to wait before a call is sent again: what the service asks for, or 0.2 s doubled."""
    told = "" if response is None else response.headers.get("Retry-After", "")
    return min(float(told), 30.0) if told.isdecimal() else 0.2 * 2.0**attempt
