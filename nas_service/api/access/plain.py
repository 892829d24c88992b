"""Bodies of JSON that say something else than what would be read: a key twice, half a character."""

from __future__ import annotations

import json
import re

from nas_service import strict_json
from nas_service.errors import InvalidSpec

_MAY_BE_HALF = re.compile(rb"\\u[dD][89a-fA-F]")


def require_plain(body: bytes) -> None:
    """Raise `InvalidSpec` for a key given twice, or a half of a surrogate pair alone in a text."""
    try:
        given = strict_json.loads(body)
    except strict_json.GivenTwice as error:
        raise InvalidSpec(f"body: {error}", field="body") from error
    except (ValueError, RecursionError):
        return  # whoever reads it says why
    if not _MAY_BE_HALF.search(body):
        return
    try:
        json.dumps(given, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start : error.start + 1].encode("ascii", "backslashreplace")
        raise InvalidSpec(
            f"body: a text has {half.decode()}, half of a character, alone", field="body"
        ) from error
