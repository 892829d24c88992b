"""Texts in a body of JSON that are none: halves of characters, which nothing can store."""

from __future__ import annotations

import json
import re

from nas_service.errors import InvalidSpec

_MAY_BE_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


def require_texts(body: bytes) -> None:
    """Raise `InvalidSpec` where a text has one half of a surrogate pair alone."""
    if not _MAY_BE_HALF.search(body):
        return
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        return  # whoever reads it says why
    try:
        json.dumps(given, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start : error.start + 1].encode("ascii", "backslashreplace")
        raise InvalidSpec(
            f"body: a text has {half.decode()}, half of a character, alone", field="body"
        ) from error
