"""Supernets and the accuracy predictors fitted on them."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from nas_service.errors import NotFound
from nas_service.lineage import lineage
from nas_service.storage.models.trained import PredictorRow, SupernetRow
from nas_service.storage.rows import Page, insert_once, page_of, value_of
from nas_service.storage.session import new_id, now


@dataclass(frozen=True, slots=True)
class StoredSupernet:
    """Shared weights; `sha256` is there once they are trained."""

    id: str
    natural_key: str
    dataset_id: str
    space: str
    space_digest: str
    recipe: dict[str, Any]
    seed: int
    sha256: str | None
    metrics: dict[str, Any]
    lineage: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True, slots=True)
class StoredPredictor:
    """An accuracy predictor; `sha256` names its training set once it is fitted."""

    id: str
    natural_key: str
    supernet_id: str | None
    dataset_id: str
    space: str
    name: str
    sha256: str | None
    quality: dict[str, Any]
    shipping: dict[str, Any]
    lineage: dict[str, Any]
    created_at: datetime


def natural_key(**facts: Any) -> str:
    """A name that equal facts share."""
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def ensure_supernet(
    session: Session,
    *,
    dataset_id: str,
    data_digest: str,
    space: str,
    space_digest: str,
    recipe: dict[str, Any],
    seed: int,
) -> StoredSupernet:
    """The supernet of these facts, made to be trained where there is none."""
    key = natural_key(data=data_digest, space=space_digest, recipe=recipe, seed=seed)
    row = SupernetRow(
        id=new_id("sup"),
        natural_key=key,
        dataset_id=dataset_id,
        space=space,
        space_digest=space_digest,
        recipe=recipe,
        seed=seed,
        metrics={},
        lineage=lineage(seed=seed, data=data_digest, space=space_digest),
        created_at=now(),
    )
    insert_once(session, row)
    query = select(SupernetRow).where(SupernetRow.natural_key == key)
    return value_of(StoredSupernet, session.scalars(query).one())


def get_supernet(session: Session, supernet_id: str) -> StoredSupernet:
    """The supernet of that id."""
    row = session.get(SupernetRow, supernet_id)
    if row is None:
        raise NotFound(f"no supernet {supernet_id!r}")
    return value_of(StoredSupernet, row)


def list_supernets(session: Session, *, cursor: str | None, limit: int) -> Page[StoredSupernet]:
    """Supernets, newest first."""
    return page_of(
        session,
        select(SupernetRow),
        SupernetRow.id,
        lambda row: value_of(StoredSupernet, row),
        cursor=cursor,
        limit=limit,
    )


def set_trained(
    session: Session, supernet_id: str, *, sha256: str, metrics: dict[str, Any]
) -> None:
    """Note what training gave."""
    session.execute(
        update(SupernetRow)
        .where(SupernetRow.id == supernet_id)
        .values(sha256=sha256, metrics=metrics)
    )


def ensure_predictor(
    session: Session,
    *,
    dataset_id: str,
    supernet_id: str | None,
    space: str,
    name: str,
    facts: dict[str, Any],
) -> StoredPredictor:
    """The predictor of these facts, made to be fitted where there is none."""
    key = natural_key(dataset=dataset_id, supernet=supernet_id, space=space, name=name, **facts)
    row = PredictorRow(
        id=new_id("pre"),
        natural_key=key,
        supernet_id=supernet_id,
        dataset_id=dataset_id,
        space=space,
        name=name,
        quality={},
        shipping={},
        lineage=lineage(seed=facts.get("seed"), supernet=supernet_id, settings=facts),
        created_at=now(),
    )
    insert_once(session, row)
    query = select(PredictorRow).where(PredictorRow.natural_key == key)
    return value_of(StoredPredictor, session.scalars(query).one())


def get_predictor(session: Session, predictor_id: str) -> StoredPredictor:
    """The predictor of that id."""
    row = session.get(PredictorRow, predictor_id)
    if row is None:
        raise NotFound(f"no predictor {predictor_id!r}")
    return value_of(StoredPredictor, row)


def list_predictors(session: Session, *, cursor: str | None, limit: int) -> Page[StoredPredictor]:
    """Predictors, newest first."""
    return page_of(
        session,
        select(PredictorRow),
        PredictorRow.id,
        lambda row: value_of(StoredPredictor, row),
        cursor=cursor,
        limit=limit,
    )


def set_fitted(
    session: Session, predictor_id: str, *, sha256: str, quality: dict[str, Any]
) -> None:
    """Note the training set and how good the predictor is."""
    session.execute(
        update(PredictorRow)
        .where(PredictorRow.id == predictor_id)
        .values(sha256=sha256, quality=quality)
    )


def set_delivery_gap(session: Session, predictor_id: str, shipping: dict[str, Any]) -> None:
    """Note what the probes taught."""
    session.execute(
        update(PredictorRow).where(PredictorRow.id == predictor_id).values(shipping=shipping)
    )
