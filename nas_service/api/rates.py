"""How many requests a caller may make: counted before anything of one is read."""

from __future__ import annotations

import hashlib
import math
import time

from limits import parse_many
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter
from starlette.types import Scope


class Rates:
    """Counts by token where one is shown, by address otherwise; each API process for itself."""

    def __init__(self, limits: str) -> None:
        self._items = parse_many(limits)
        self._limiter = FixedWindowRateLimiter(MemoryStorage())

    def wait_s(self, scope: Scope) -> int | None:
        """After how many seconds to ask again; None where the request may be made now."""
        caller = _caller(scope)
        for item in self._items:
            if not self._limiter.hit(item, caller):
                left = self._limiter.get_window_stats(item, caller).reset_time - time.time()
                return max(1, math.ceil(left))
        return None


def _caller(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"authorization":
            return hashlib.sha256(value).hexdigest()
    client = scope.get("client")
    return str(client[0]) if client else "unknown"
