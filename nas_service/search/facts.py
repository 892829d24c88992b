"""What a search has settled and observed so far: each part is written by one step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypedDict

from nas_service.errors import StepFailed

Json = dict[str, Any]


class FactsUpdate(TypedDict, total=False):
    """Some of `SearchFacts`, as a step writes them."""

    opened_because: str
    notes: Sequence[str]
    tables: Sequence[str]
    other_tables: Mapping[str, Sequence[str]]
    steadiness: Sequence[Json]
    limit_ms: float
    limit_source: str
    operator_check: Json
    rules_check: Sequence[Json]
    supernet_id: str
    predictor_id: str
    certification: Json
    corrections: Sequence[Json]
    n_chosen: int
    diff: Json | None
    test_part: Json
    n_published: int


@dataclass(frozen=True, slots=True)
class SearchFacts:
    """None, or empty, is what is not known yet.

    When it is stored: why it was opened again, and notes on the request. `tables`: versions of the
    device's tables, one a deployment, of those of further devices, and how steadily each was
    measured. `feasible`: the latency limit, where it came from, and what operators rule out.
    Training: supernet and predictor. `certify`: what was measured before winners were chosen, and
    how often the search went on with tables that this corrected.
    `winners`: how many were chosen at first. `report`: the front beside that of the search that
    was opened again, what the test part tells apart, and how many files are published.
    """

    opened_because: str | None = None
    notes: Sequence[str] = ()
    tables: Sequence[str] = ()
    other_tables: Mapping[str, Sequence[str]] = field(default_factory=dict)
    steadiness: Sequence[Json] = ()
    limit_ms: float | None = None
    limit_source: str | None = None
    operator_check: Json | None = None
    rules_check: Sequence[Json] = ()
    supernet_id: str | None = None
    predictor_id: str | None = None
    certification: Json = field(default_factory=dict)
    corrections: Sequence[Json] = ()
    n_chosen: int | None = None
    diff: Json | None = None
    test_part: Json | None = None
    n_published: int | None = None

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> SearchFacts:
        """The facts of a stored row; what an earlier version wrote beside them is passed over."""
        known = {one.name for one in fields(cls)}
        return cls(**{name: value for name, value in stored.items() if name in known})

    def as_dict(self) -> Json:
        """Plain JSON values of what is known."""
        every = {one.name: getattr(self, one.name) for one in fields(self)}
        return {name: value for name, value in every.items() if value or isinstance(value, int)}

    @property
    def settled_limit_ms(self) -> float:
        """The latency limit.

        Raises:
            StepFailed: it is not settled yet.
        """
        if self.limit_ms is None:
            raise StepFailed("the latency limit is not settled yet")
        return float(self.limit_ms)
