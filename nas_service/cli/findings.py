"""What `nas doctor` finds."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Literal

from nas_service.settings import Settings

State = Literal["ok", "warning", "fault"]


@dataclass(frozen=True, slots=True)
class Finding:
    """An answer: what was looked at, what was found, and what to do where that is not well."""

    check: str
    state: State
    found: str
    advice: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)


Check = Callable[[Settings], Iterator[Finding]]
