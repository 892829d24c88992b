"""What a search has settled, as a value and as it is stored."""

from __future__ import annotations

import pytest

from nas_service.errors import StepFailed
from nas_service.search.facts import FactsUpdate, SearchFacts


def test_what_is_known_survives_storage_and_the_rest_is_left_out() -> None:
    stored = {"limit_ms": 1.5, "tables": ["a", "b"], "n_published": 0, "notes": ["look"]}
    facts = SearchFacts.from_dict(stored)
    assert facts.as_dict() == stored
    assert SearchFacts.from_dict({}).as_dict() == {}


def test_what_an_earlier_version_wrote_beside_is_passed_over() -> None:
    facts = SearchFacts.from_dict({"limit_ms": 2.0, "gone": {"x": 1}})
    assert facts == SearchFacts(limit_ms=2.0)


def test_a_limit_that_is_not_settled_is_no_number() -> None:
    assert SearchFacts(limit_ms=2).settled_limit_ms == 2.0
    with pytest.raises(StepFailed, match="not settled"):
        _ = SearchFacts().settled_limit_ms


def test_every_fact_can_be_written_by_a_step() -> None:
    assert set(FactsUpdate.__annotations__) == set(SearchFacts.__dataclass_fields__)
