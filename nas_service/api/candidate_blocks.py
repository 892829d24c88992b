"""A candidate's network block by block, with what each block costs on the search's targets."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, Field

from lookup_tables.errors import LookupTableError
from lookup_tables.table import LookupTable
from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.candidates import Opened, opened_search, row_of
from nas_service.api.dependencies import Services, With
from nas_service.api.idempotency import RepeatableRoute
from nas_service.space.base import Node
from nas_service.storage import devices
from nas_service.storage.reopening import newest_tables

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["candidates"])


class BlockOut(BaseModel):
    """One block of a network."""

    kind: str
    sizes: dict[str, int]
    inputs: list[int] = Field(description="Blocks that it reads; -1 is the input.")
    macs: int
    parameters: int


class CostsOut(BaseModel):
    """What the blocks cost on one target, as its table has them: alone, one after another."""

    target: str
    precision: str
    table_version: str
    latency_ms: list[float] = Field(description="Of each block, p10, measured or filled.")
    share: list[float] = Field(description="Of the sum of all blocks.")
    sum_ms: float


class BlocksOut(BaseModel):
    """A network as blocks, and their costs where a table has all of them."""

    blocks: list[BlockOut]
    costs: list[CostsOut]
    without_table: list[str] = Field(description="Targets whose table lacks one of the blocks.")


@router.get("/searches/{search_id}/candidates/{index}/blocks")
@allow(Rule.READ)
def blocks_of(search_id: str, index: int, with_: With) -> BlocksOut:
    """A candidate's blocks, and what each takes on the targets of the search's device."""
    opened = opened_search(with_, search_id)
    return blocks_at(with_, opened, row_of(opened, index))


def blocks_at(with_: Services, opened: Opened, row: int) -> BlocksOut:
    """What `blocks_of` answers."""
    assert opened.space is not None, "there are candidates"
    nodes = list(opened.space.wire(opened.candidates.architectures[row]))
    found, lacking = [], []
    for table, version in _tables(with_, opened.search.device_id):
        try:
            found.append(_costs(table, version, nodes))
        except LookupTableError:
            lacking.append(table.target.key)
    return BlocksOut(
        blocks=[
            BlockOut(
                kind=node.block.kind,
                sizes=dict(node.block.sizes),
                inputs=list(node.inputs),
                macs=node.block.macs,
                parameters=node.block.parameters,
            )
            for node in nodes
        ],
        costs=found,
        without_table=lacking,
    )


def _tables(with_: Services, device_id: str) -> Iterator[tuple[LookupTable, str]]:
    with with_.database.session() as session:
        stored = newest_tables(session, device_id)
    for one in stored:
        yield devices.load_table(with_.blobs, one), one.version


def _costs(table: LookupTable, version: str, nodes: list[Node]) -> CostsOut:
    latency = table.latency_ms([node.block for node in nodes])
    total = float(latency.sum())
    share = latency / total if total > 0 else np.zeros(len(latency))
    return CostsOut(
        target=table.target.key,
        precision=table.target.deployment.name,
        table_version=version,
        latency_ms=[round(float(one), 6) for one in latency],
        share=[round(float(one), 5) for one in share],
        sum_ms=round(total, 6),
    )
