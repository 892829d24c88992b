"""How much of a request is read."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import Message, Receive

MAX_BODY_BYTES = 32 * 1024**2
"""Of a JSON document; uploads have limits of their own."""


def limited(connection: HTTPConnection, receive: Receive, at_most: int) -> Receive:
    """The same, until more came than a document has; a length that says so is refused unread.

    Raises:
        HTTPException: 413 for too long a body, 400 for a length that is no number.
    """
    said = connection.headers.get("content-length")
    if said is not None:
        if not (said.isascii() and said.isdecimal()):
            raise HTTPException(400, f"Content-Length: {said[:40]!r} is no number")
        if len(said) > 18 or int(said) > at_most:
            raise HTTPException(413, f"a document has at most {at_most:,} bytes, not {said[:40]}")
    seen = 0

    async def watched() -> Message:
        nonlocal seen
        message = await receive()
        seen += len(message.get("body", b""))
        if seen > at_most:
            raise HTTPException(413, f"a document has at most {at_most:,} bytes")
        return message

    return watched
