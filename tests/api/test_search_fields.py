"""A search's request, what is stored of it, and what is sent have the same fields."""

from __future__ import annotations

from nas_service.api.documents.searches import SpecOut, TrainingAsked
from nas_service.api.search_requests import SearchIn, TrainingIn
from nas_service.search.spec import SearchSpec

_OF_ITS_JOB = {"priority"}
"""What a request says of the job: the search is the same one, however urgent."""


def test_no_field_is_asked_for_and_then_lost() -> None:
    stored = SearchSpec(dataset="d", space="s", device="b").as_dict()
    asked = set(SearchIn.model_fields) - _OF_ITS_JOB
    assert set(stored) == asked == set(SpecOut.model_fields)
    assert set(stored["training"]) == set(TrainingIn.model_fields)
    assert set(TrainingAsked.model_fields) == set(TrainingIn.model_fields)


def test_what_was_stored_before_a_field_came_has_that_field_s_default() -> None:
    """Beside `dataset`, `space`, `device` and `precisions`, which there always were."""
    needed = {"dataset": "d", "space": "s", "device": "b"}
    asked = SearchIn.model_validate(needed)
    sent = SpecOut.model_validate({**needed, "precisions": list(asked.precisions)})
    own = asked.model_dump(mode="json", exclude=_OF_ITS_JOB) | {
        "metric": sent.metric
    }  # the task's first, once settled
    assert sent.model_dump(mode="json") == own
