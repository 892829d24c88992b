"""Searches from searches: the same with changes, or more of one that has ended."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from nas_service.access.identity import Rule
from nas_service.api import searches as of_searches
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Strict, With
from nas_service.api.idempotency import RepeatableRoute
from nas_service.api.schemas import Accepted, JobOut
from nas_service.api.search_requests import MAX_QUERIES, SearchIn, asked_of, require_room
from nas_service.errors import Conflict
from nas_service.storage import devices, jobs, reopening, searches
from nas_service.storage.searches import FINAL
from nas_service.storage.session import new_id

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["searches"])


def _changes() -> type[BaseModel]:
    """A model with every field of a search, none of which has to be there."""
    fields: dict[str, Any] = {}
    for name, field in SearchIn.model_fields.items():
        kind: Any = field.annotation
        fields[name] = (kind | None, Field(default=None, description=field.description))
    made: type[BaseModel] = create_model(
        "SearchChanges",
        __config__=ConfigDict(extra="forbid"),
        __doc__="What a search is to have otherwise; the rest is as it was.",
        **fields,
    )
    return made


SearchChanges = _changes()


class ExtendIn(Strict):
    """How many more queries to spend."""

    n_queries: int = Field(ge=1, le=MAX_QUERIES)


@router.post("/searches/{search_id}:clone", status_code=202)
@allow(Rule.WRITE)
def clone(
    search_id: str,
    with_: With,
    response: Response,
    body: SearchChanges | None = None,  # type: ignore[valid-type]  # made of the fields of another
) -> Accepted:
    """Start the same search with some things changed; from the beginning.

    Of `training` what is named is changed; `limits` are replaced as a whole.
    """
    with with_.database.session() as session:
        known = asked_of(searches.get_search(session, search_id).spec)
        known["priority"] = jobs.priority_of(session, search_id)
    given: Any = body
    changes = {} if given is None else given.model_dump(exclude_unset=True)
    if isinstance(changes.get("training"), dict):
        changes["training"] = {**known["training"], **changes["training"]}
    try:
        asked = SearchIn.model_validate(known | changes)
    except ValidationError as error:
        found = error.errors(include_url=False)
        raise RequestValidationError(
            [{**one, "loc": ("body", *one["loc"])} for one in found]
        ) from error
    return of_searches.submit(asked, with_, response)


@router.post("/searches/{search_id}:extend", status_code=202)
@allow(Rule.WRITE)
def extend(search_id: str, body: ExtendIn, with_: With, response: Response) -> Accepted:
    """Go on with a search that has ended, in a new one: it knows all that this one was told.

    Its page and `GET /v1/searches/{id}/again` say what entered the front and what left.
    """
    with with_.database.session() as session:
        search = searches.get_search(session, search_id)
        if search.state not in FINAL:
            raise Conflict(f"search {search_id} is {search.state}: it can be extended when it ends")
        require_room(session, search.value)
        device = devices.get_device(session, search.device_id)
        why = f"{body.n_queries} more queries ({new_id('ext')})"
        job = reopening.open_again(session, search, device, why, n_queries=body.n_queries)
        with_.require_few(session)
    assert job is not None, "each reason is new"
    with_.enqueue(job)
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return Accepted(id=job.subject, href=f"/v1/searches/{job.subject}", job=JobOut.of(job))
