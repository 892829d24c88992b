"""What a candidate is expected to take on every device of the project that has tables for it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from fastapi import APIRouter
from pydantic import BaseModel, Field

from lookup_tables.errors import LookupTableError
from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.candidates import Opened, opened_search, row_of
from nas_service.api.dependencies import Services, With
from nas_service.api.idempotency import RepeatableRoute
from nas_service.errors import MissingBlocks
from nas_service.search.cost import CostModel
from nas_service.storage import devices
from nas_service.storage.devices import StoredDevice, StoredTable
from nas_service.storage.reopening import newest_tables
from nas_service.storage.session import Database

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["candidates"])
MOST_DEVICES = 50
"""The newest ones: each has tables to be read."""


class DeviceCost(BaseModel):
    """A candidate's architecture on one target, as the newest calibrated table there prices it."""

    device: str
    target: str
    precision: str
    table_version: str
    latency_ms: float
    latency_upper_ms: float = Field(description="Kept with the probability of the search's limit.")
    slowest_block: int = Field(description="Its number among the candidate's blocks.")
    slowest_share: float = Field(description="Its share of the sum of all blocks.")


@router.get("/searches/{search_id}/candidates/{index}/devices")
@allow(Rule.READ)
def on_devices(search_id: str, index: int, with_: With) -> list[DeviceCost]:
    """A candidate's expected latency on every device that has tables of all of its blocks."""
    opened = opened_search(with_, search_id)
    return costs_on_devices(with_, opened, row_of(opened, index))


def costs_on_devices(with_: Services, opened: Opened, row: int) -> list[DeviceCost]:
    """What `on_devices` answers: the search's own device first, then by name."""
    own = opened.search.device_id
    found: list[tuple[bool, str, DeviceCost]] = []
    for device, stored in _tables(with_.database):
        cost = _cost(with_, opened, row, device, stored)
        if cost is not None:
            found.append((device.id != own, device.name, cost))
    return [cost for _, _, cost in sorted(found, key=lambda one: one[:2])]


def _tables(database: Database) -> Iterator[tuple[StoredDevice, StoredTable]]:
    with database.session() as session:
        every = devices.list_devices(session, cursor=None, limit=MOST_DEVICES).items
        found = [(one, table) for one in every for table in newest_tables(session, one.id)]
    yield from found


def _cost(
    with_: Services, opened: Opened, row: int, device: StoredDevice, stored: StoredTable
) -> DeviceCost | None:
    """None where the table lacks a block of the space."""
    assert opened.space is not None, "there are candidates"
    table = devices.load_table(with_.blobs, stored)
    architecture = opened.candidates.architectures[row]
    try:
        model = CostModel(opened.space, table, table.calibration, table.ratios)
        latency_ms = float(model.latency_ms(architecture[None, :])[0])
        blocks = table.latency_ms([node.block for node in opened.space.wire(architecture)])
    except (MissingBlocks, LookupTableError):
        return None
    factor = model.upper_factor(opened.search.value.limit_probability)
    slowest = int(np.argmax(blocks))
    return DeviceCost(
        device=device.name,
        target=table.target.key,
        precision=table.target.deployment.name,
        table_version=stored.version,
        latency_ms=round(latency_ms, 6),
        latency_upper_ms=round(latency_ms * factor, 6),
        slowest_block=slowest,
        slowest_share=round(float(blocks[slowest] / blocks.sum()), 5),
    )
