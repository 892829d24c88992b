"""Lookup tables, and prices from them."""

from __future__ import annotations

import json
import sys
import tempfile
import threading
from pathlib import Path
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse
from pydantic import BaseModel, Field
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from lookup_tables import files
from lookup_tables.errors import InvalidTable
from lookup_tables.table import LookupTable
from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Listing, Paging, Services, Strict, With, listing_of
from nas_service.api.documents.base import Decisions
from nas_service.api.documents.tables import TableOut
from nas_service.api.idempotency import RepeatableRoute
from nas_service.api.profiling import ImageIn
from nas_service.api.uploads import sent_as
from nas_service.compilation.process import Limits, OverLimit, run_limited
from nas_service.errors import (
    InvalidSpec,
    MissingBlocks,
    NotFound,
    StepFailed,
    Unavailable,
    lacking,
)
from nas_service.learning.registry import required_sample
from nas_service.search.cost import CostModel, StructureModel
from nas_service.space.base import parse
from nas_service.storage import devices
from nas_service.storage.reopening import newest_tables, reopen_for_device
from nas_service.storage.spaces import open_space

router = APIRouter(route_class=RepeatableRoute, prefix="/v1", tags=["lookup tables"])
MAX_RATIO, MIN_COMPARED = 100.0, 5
"""Tables of one device do not differ so much over so many blocks unless their units do."""
READING = Limits(time_s=60.0, memory_bytes=2 * 1024**3, file_bytes=64 * 1024**2)
"""What reading a table file may take."""
_READERS = threading.BoundedSemaphore(2)
"""So many are read at once; others wait."""


class PriceIn(Strict):
    """An architecture as a search returns it, and a device to price it on."""

    device: str
    space: str
    image: ImageIn
    decisions: Decisions
    probability: float = Field(default=0.9, gt=0.5, lt=1)


class Price(BaseModel):
    """What an architecture is expected to cost on one target; an estimate, not a measurement."""

    target: str
    precision: str
    table_version: str
    estimated_latency_ms: float
    latency_upper_ms: float
    estimated_size_bytes: int
    macs: int
    parameters: int


@router.post("/lookup-tables", status_code=201, openapi_extra=sent_as("application/octet-stream"))
@allow(Rule.WRITE, max_body_bytes=None)
async def upload(request: Request, with_: With, response: Response) -> TableOut:
    """Add a table in the documented file format; all of it or, with every problem named, none."""
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > files.MAX_BYTES:
            raise InvalidSpec(f"a table file has at most {files.MAX_BYTES:,} bytes", field="body")
    return await run_in_threadpool(_add, bytes(content), with_, response)


def _add(content: bytes, with_: Services, response: Response) -> TableOut:
    _require_readable(content)
    table = files.parse(content.decode())
    with with_.database.session() as session:
        device = devices.get_device(session, table.target.device)
        _check_units(session, with_, device.id, table)
        target = devices.add_target(session, device.id, table.target)
        added = devices.add_table(session, with_.blobs, table, target.id, spaces=[])
        again = reopen_for_device(session, with_.blobs, device)
    for job in again:
        with_.enqueue(job)
    response.headers["Location"] = f"/v1/lookup-tables/{added.id}"
    return TableOut.of(added)


def _require_readable(content: bytes) -> None:
    """Refuse a file with its problems; one that takes too much takes only a process of its own."""
    try:
        with _READERS, tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "table.jsonl"
            path.write_bytes(content)
            command = [sys.executable, "-m", "lookup_tables.checked", str(path)]
            problems = json.loads(run_limited(command, "reading the table", READING))
    except OverLimit as error:
        raise InvalidSpec(error.detail, field="body") from error
    except (StepFailed, OSError) as error:  # of this machine, and not of the file
        raise lacking(error) or Unavailable(f"the table cannot be read now: {error}") from error
    if problems:
        raise InvalidSpec(str(InvalidTable(problems)), field="body", problems=problems)


def _check_units(session: Session, with_: Services, device_id: str, table: LookupTable) -> None:
    """Refuse a table that is hundreds of times off an earlier one of the same device."""
    mine = {entry.block: entry.p10_ms for entry in table.entries}
    for stored in newest_tables(session, device_id, calibrated=False):
        known = devices.load_table(with_.blobs, stored)
        ratios = [mine[e.block] / e.p10_ms for e in known.entries if e.block in mine]
        if len(ratios) < MIN_COMPARED:
            continue
        middle = float(np.median(ratios))
        if not 1.0 / MAX_RATIO <= middle <= MAX_RATIO:
            raise InvalidSpec(
                f"p10_ms: the values are {middle:.3g} times those of table {stored.version} of the "
                "same device; latencies are in ms. If that one is wrong, delete it first",
                field="p10_ms",
            )


@router.get("/lookup-tables")
@allow(Rule.READ)
def list_tables(
    with_: With,
    page: Paging,
    target_id: Annotated[str | None, Query(description="Of one target.")] = None,
) -> Listing[TableOut]:
    """Lookup tables, newest first."""
    with with_.database.session() as session:
        found = devices.list_tables(
            session, target_id=target_id, cursor=page.cursor, limit=page.limit
        )
    return listing_of(found, TableOut.of)


@router.get("/lookup-tables/{table_id}")
@allow(Rule.READ)
def get_table(table_id: str, with_: With) -> TableOut:
    """What is known of a table, by id or version."""
    with with_.database.session() as session:
        return TableOut.of(devices.get_table(session, table_id))


@router.get("/lookup-tables/{table_id}/content", response_class=FileResponse)
@allow(Rule.READ)
def content(table_id: str, with_: With) -> Response:
    """The table file."""
    with with_.database.session() as session:
        stored = devices.get_table(session, table_id)
    with with_.blobs.local(stored.sha256) as path:
        return FileResponse(
            path, media_type="application/jsonl", filename=f"{stored.version}.jsonl"
        )


@router.post("/lookup-tables/{table_id}:retire")
@allow(Rule.WRITE)
def retire(table_id: str, with_: With) -> TableOut:
    """Take a table out of use: the one before it prices the searches that follow."""
    with with_.database.session() as session:
        return TableOut.of(devices.retire_table(session, table_id))


@router.post("/lookup-tables/{table_id}:use")
@allow(Rule.WRITE)
def use(table_id: str, with_: With) -> TableOut:
    """Make a table the current one of its target."""
    with with_.database.session() as session:
        return TableOut.of(devices.use_table(session, table_id))


@router.post("/prices")
@allow(Rule.READ)
def price(body: PriceIn, with_: With) -> list[Price]:
    """Estimate what an architecture costs on every target of a device that has a table for it."""
    sample = required_sample({"image": body.image.model_dump()})
    with with_.database.session() as session:
        space = open_space(session, with_.blobs, body.space, sample)
    genotype = parse(space, body.decisions)[None, :]
    if not space.valid(genotype)[0]:
        raise InvalidSpec("the architecture's input does not reach its output", field="decisions")
    structure = StructureModel(space)(genotype)
    found = []
    lacking: MissingBlocks | None = None
    with with_.database.session() as session:
        device = devices.get_device(session, body.device)
        for target in devices.targets_of(session, device.id):
            for stored in devices.tables_of_target(session, target.id):
                table = devices.load_table(with_.blobs, stored)
                try:
                    model = CostModel(space, table, table.calibration)
                except MissingBlocks as error:
                    lacking = lacking or error
                    continue
                latency = float(model.latency_ms(genotype)[0])
                found.append(
                    Price(
                        target=target.key,
                        precision=target.precision,
                        table_version=stored.version,
                        estimated_latency_ms=round(latency, 5),
                        latency_upper_ms=round(latency * model.upper_factor(body.probability), 5),
                        estimated_size_bytes=int(structure.size_bytes(target.value.deployment)[0]),
                        macs=int(structure.macs[0]),
                        parameters=int(structure.parameters[0]),
                    )
                )
                break
    if found:
        return found
    if lacking is not None:
        raise lacking
    raise NotFound(f"device {body.device!r} has no lookup table", field="device")
