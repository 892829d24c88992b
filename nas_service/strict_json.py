"""JSON in which no key is given twice: of two values one would be lost without a word."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any


class GivenTwice(ValueError):
    """An object has a key twice."""


def loads(text: str | bytes) -> Any:
    """What a text of JSON says.

    Raises:
        GivenTwice: an object in it has a key twice; the message names the key.
        ValueError: it is no JSON.
    """
    return json.loads(text, object_pairs_hook=_apart)


def _apart(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = Counter(key for key, _ in pairs).most_common(1)[0][0]
        raise GivenTwice(f"{twice!r} is given twice")
    return found
