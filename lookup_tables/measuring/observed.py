"""How steady a machine was while it measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from lookup_tables.measuring.reference import Reference


@dataclass(frozen=True, slots=True)
class Steadiness:
    """The state that a measurement holds in, and the share of the watched time spent in it.

    `niceness` and `core` are what the measuring thread was given, None where the system does not
    allow it. `n_unsettled` files had not settled, and would have in about `more_s` further seconds;
    None where nothing tells.
    """

    reference: Reference
    state_share: float
    watched_s: float
    niceness: int | None = None
    core: int | None = None
    n_unsettled: int = 0
    more_s: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "reference": self.reference.as_dict()}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Steadiness:
        """The inverse of `as_dict`."""
        return cls(**{**values, "reference": Reference.from_dict(values["reference"])})
