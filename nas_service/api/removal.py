"""Deletion: what depends on a thing is named, and goes with it where that is asked for."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel

from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Services, With
from nas_service.api.idempotency import RepeatableRoute
from nas_service.storage import removal

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["deletion"])
Force = Annotated[bool, Query(description="Remove what depends on it, too.")]


class RemovedItem(BaseModel):
    """Something that was removed."""

    kind: str
    id: str
    name: str


class Removed(BaseModel):
    """Everything that went, the thing that was asked for last. Bytes go with garbage collection."""

    removed: list[RemovedItem]


@router.delete("/datasets/{name}")
@allow(Rule.WRITE)
def remove_dataset(name: str, with_: With, force: Force = False) -> Removed:
    """Remove a data set; searches and supernets on it depend on it."""
    return _remove(with_, "dataset", name, force=force)


@router.delete("/devices/{name}")
@allow(Rule.WRITE)
def remove_device(name: str, with_: With, force: Force = False) -> Removed:
    """Remove a device with its targets, tables, certificates and agent; searches depend on it."""
    return _remove(with_, "device", name, force=force)


@router.delete("/lookup-tables/{table_id}")
@allow(Rule.WRITE)
def remove_table(table_id: str, with_: With, force: Force = False) -> Removed:
    """Remove a table; searches that it priced depend on it. `:retire` only takes it out of use."""
    return _remove(with_, "table", table_id, force=force)


@router.delete("/searches/{search_id}")
@allow(Rule.WRITE)
def remove_search(search_id: str, with_: With) -> Removed:
    """Remove a search with its fronts, winners, files and certificates."""
    return _remove(with_, "search", search_id, force=False)


@router.delete("/supernets/{supernet_id}")
@allow(Rule.WRITE)
def remove_supernet(supernet_id: str, with_: With) -> Removed:
    """Remove a supernet with its predictors; the next search trains another one."""
    return _remove(with_, "supernet", supernet_id, force=False)


@router.delete("/compressions/{compression_id}")
@allow(Rule.WRITE)
def remove_compression(compression_id: str, with_: With) -> Removed:
    """Remove a compressed model with its files; what was uploaded for it stays."""
    return _remove(with_, "compression", compression_id, force=False)


def _remove(with_: Services, kind: str, name: str, *, force: bool) -> Removed:
    with with_.database.session() as session:
        gone = removal.remove(session, kind, name, force=force)
    return Removed(removed=[RemovedItem(**one.as_dict()) for one in gone])
