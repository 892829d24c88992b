"""What a search tells beside its front: how it came about, what matters, how two differ."""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from datetime import datetime
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.candidates import Opened, opened_search
from nas_service.api.dependencies import Services, With
from nas_service.api.documents.base import Choice
from nas_service.api.documents.searches import FrontDiff
from nas_service.api.idempotency import RepeatableRoute
from nas_service.errors import InvalidSpec
from nas_service.search.candidate_set import SCORE
from nas_service.search.importance import main_effects, means_by_value
from nas_service.search.reopen import front_diff
from nas_service.search.spec import SearchSpec
from nas_service.storage import front_revisions, searches

_N_KEPT = 64
"""Searches whose moments are kept in memory: they are asked for with each refresh of a page."""

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["candidates"])


class FrontMoment(BaseModel):
    """A front as it was: how much it held, after how many queries."""

    revision: int
    at: datetime
    n_evaluations: int | None
    hypervolume: float | None = Field(description="Of the predicted front, 1 is everything.")
    n_front: int
    n_measured: int


class ValueMean(BaseModel):
    """A value of a decision: how many candidates have it, and their mean."""

    value: Choice
    n: int
    mean: float | None


class DecisionImportance(BaseModel):
    """How much of the variance a decision explains alone, and what each of its values gives."""

    name: str
    share: float = Field(description="Correlation ratio (eta squared), 0 to 1.")
    values: list[ValueMean]


class ImportanceOut(BaseModel):
    """Decisions by how much they matter to a quantity, over all candidates of the search."""

    of: str
    n_candidates: int
    decisions: list[DecisionImportance]


_moments: OrderedDict[tuple[str, datetime], list[FrontMoment]] = OrderedDict()
"""By a search's id and when it began: one that is opened again has the id of one removed."""
_lock = threading.Lock()


@router.get("/searches/{search_id}/history")
@allow(Rule.READ)
def history(search_id: str, with_: With) -> list[FrontMoment]:
    """The fronts of a search, oldest first: its hypervolume over queries."""
    with with_.database.session() as session:
        key = (search_id, searches.get_search(session, search_id).created_at)
        with _lock:
            known = _moments.get(key, [])
        after = known[-1].revision if known else 0
        bodies = front_revisions.front_bodies(session, search_id, after=after)
    found = [*known, *(_moment(body, at) for body, at in bodies)]
    with _lock:  # a stored front never changes
        _moments[key] = found
        _moments.move_to_end(key)
        while len(_moments) > _N_KEPT:
            _moments.popitem(last=False)
    return found


@router.get("/searches/{search_id}/importance")
@allow(Rule.READ)
def importance(
    search_id: str,
    with_: With,
    of: Annotated[str, Query(max_length=64, description="A column: score, latency_ms ...")] = SCORE,
) -> ImportanceOut:
    """Which decisions matter to a quantity, as predicted for this search's candidates."""
    return important(opened_search(with_, search_id), of)


@router.get("/searches/{search_id}/differences/{other_id}")
@allow(Rule.READ)
def differences(search_id: str, other_id: str, with_: With) -> FrontDiff:
    """What is on the front of `other_id` and not of `search_id`, and the other way round.

    Gains are null where they are of other data, metrics, devices, objectives or limits.
    """
    first, second = (_document(with_, one) for one in (search_id, other_id))
    with with_.database.session() as session:
        one, other = (searches.get_search(session, name) for name in (search_id, other_id))
    if one.value.space != other.value.space:
        raise InvalidSpec(
            f"searches of {one.value.space} and of {other.value.space} have no networks in common",
            field="other_id",
        )
    found = front_diff(first, second, _alike(one.value, other.value))
    if (one.dataset_id, one.value.metric) != (other.dataset_id, other.value.metric):
        found["best_accuracy_gain"] = None  # scores of something else
    if one.device_id != other.device_id or one.dataset_id != other.dataset_id:
        found["hypervolume_gain"] = None
    return FrontDiff.model_validate(found)


def important(opened: Opened, of: str) -> ImportanceOut:
    """What `importance` answers."""
    found, decisions = opened.candidates, opened.columns.decisions
    values = opened.columns.number(of)
    shares = main_effects(found.architectures, values)
    order = np.argsort(-shares, kind="stable").tolist()
    told = []
    for k in order:
        counts, means = means_by_value(found.architectures[:, k], values)
        each = [
            ValueMean(value=value, n=int(counts[i]), mean=float(means[i]) if counts[i] else None)
            for i, value in enumerate(decisions[k].values[: len(counts)])
        ]
        told.append(
            DecisionImportance(
                name=decisions[k].name, share=round(float(shares[k]), 4), values=each
            )
        )
    return ImportanceOut(of=of, n_candidates=len(found), decisions=told)


def _alike(one: SearchSpec, other: SearchSpec) -> bool:
    """Whether hypervolumes are of the same space: of equal metrics, objectives and limits."""
    return all(
        getattr(one, name) == getattr(other, name)
        for name in ("metric", "objectives", "limits", "max_latency_ms", "limit_on")
    )


def _moment(body: str, at: datetime) -> FrontMoment:
    told = json.loads(body)
    return FrontMoment(
        revision=told["revision"],
        at=at,
        n_evaluations=told.get("n_evaluations"),
        hypervolume=told.get("hypervolume"),
        n_front=len(told.get("front", [])),
        n_measured=len(told.get("measured", [])),
    )


def _document(with_: Services, search_id: str) -> dict[str, object]:
    with with_.database.session() as session:
        revision = front_revisions.revision_of(session, search_id)
        body = front_revisions.front_body(session, search_id, revision)
    found: dict[str, object] = json.loads(body) if body else {}
    return found
