"""Devices: the list, and one with its agent, tables, and how far predictions were off on it."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from fastapi import APIRouter, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy.orm import Session

from lookup_tables.steadiness import TableCard, card_of
from nas_service.access.identity import Rule
from nas_service.api import devices as api
from nas_service.api import profiling
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Paging, With
from nas_service.api.documents.devices import DeviceWithAgent
from nas_service.dashboard.formats import joined, since, size
from nas_service.dashboard.reliability import COVERAGE_SIDE, Prediction, coverage_of, drift_history
from nas_service.dashboard.rendering import PageRoute, page
from nas_service.dashboard.search_facts import Fact
from nas_service.storage import agents, devices, leases, searches
from nas_service.storage.devices import StoredDevice, StoredTable, StoredTarget
from nas_service.storage.session import now

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_AWAY_S = 120.0
_FORM_BYTES = 4096
_N_SEARCHES = 200


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """A device in the list."""

    name: str
    kind: str
    model: str
    by: str
    state: str
    good: bool
    n_tables: int
    created_at: datetime


@dataclass(frozen=True, slots=True)
class TableLine:
    """A target with its current table and how well that was measured."""

    target: str
    precision: str
    table: StoredTable | None
    card: TableCard | None


@dataclass(frozen=True, slots=True)
class Point:
    """A file that was measured on the device beside what was predicted of it."""

    search_id: str
    rank: int
    precision: str
    predicted_ms: float
    upper_ms: float
    measured_ms: float
    probability: float

    @property
    def prediction(self) -> Prediction:
        """The same without where it came from."""
        return Prediction(self.predicted_ms, self.upper_ms, self.probability, self.measured_ms)

    @property
    def off(self) -> float:
        """By what share of the measurement the prediction was off."""
        return abs(self.predicted_ms - self.measured_ms) / self.measured_ms

    @property
    def within(self) -> bool:
        """Whether the measurement stayed below the bound."""
        return self.measured_ms <= self.upper_ms


@router.get("/devices")
@allow(Rule.READ)
def list_devices(request: Request, with_: With, bounds: Paging) -> Response:
    """All devices, newest first."""
    with with_.database.session() as session:
        found = devices.list_devices(session, cursor=bounds.cursor, limit=bounds.limit)
        machines = set(leases.machines(session))
        lines = [line_of(session, one, machines) for one in found.items]
    here = any(one.machine == with_.settings.machine for one in found.items)
    return page(
        request,
        "devices.html",
        devices=lines,
        has_this_machine=here,
        next_cursor=found.next_cursor,
    )


@router.post("/devices")
@allow(Rule.WRITE, max_body_bytes=_FORM_BYTES)
def add_this_machine(with_: With) -> Response:
    """Register the service's own machine, under the name that commands take unless told."""
    body = api.DeviceIn(name="this-machine", this_machine=True)
    made = api.register(body, with_, Response())
    return RedirectResponse(f"/devices/{made.name}", status_code=303)


@router.get("/devices/{name}")
@allow(Rule.READ)
def show(request: Request, name: str, with_: With) -> Response:
    """One device."""
    device = api.get_device(name, with_)
    with with_.database.session() as session:
        stored = devices.get_device(session, name)
        unmeasured = agents.why_unmeasured(session, stored)
        tables = [
            _table(session, one, device.name) for one in devices.targets_of(session, stored.id)
        ]
        points = _points(session, stored.id)
        line = line_of(session, stored, set(leases.machines(session)))
    known = device.facts
    checks = known.drift_checks or ([known.drift] if known.drift is not None else [])
    return page(
        request,
        "device.html",
        coverage=coverage_of([one.prediction for one in points]),
        coverage_side=COVERAGE_SIDE,
        drift=drift_history(checks),
        device=device,
        facts=list(_facts(device, line)),
        unmeasured=unmeasured,
        server=str(request.base_url).rstrip("/"),
        tables=tables,
        points=points,
        within=sum(one.within for one in points),
        median_off=statistics.median(one.off for one in points) if points else None,
    )


@router.post("/devices/{name}/check-drift")
@allow(Rule.WRITE, max_body_bytes=_FORM_BYTES)
def check(name: str, with_: With) -> Response:
    """Look whether the device has moved, and show how far that is."""
    made = profiling.check_drift(name, profiling.DriftIn(), with_, Response())
    return RedirectResponse(f"/jobs/{made.job.id}", status_code=303)


def line_of(session: Session, device: StoredDevice, machines: set[str]) -> DeviceLine:
    """A device as the list has it."""
    if device.machine is not None:
        alive = device.machine in machines
        by, state = f"workers on {device.machine}", "ready" if alive else "no worker there"
    else:
        agent = agents.get_agent(session, device.id)
        seen = None if agent is None else agent.seen_at
        alive = seen is not None and (now() - seen).total_seconds() < _AWAY_S
        by = "its agent" if agent is not None else "nothing yet"
        state = "ready" if alive else f"last seen {since(seen)}" if agent else "needs an agent"
    n_tables = sum(
        len(devices.tables_of_target(session, one.id))
        for one in devices.targets_of(session, device.id)
    )
    return DeviceLine(
        name=device.name,
        kind=str(device.facts.get("kind", "")),
        model=str(device.facts.get("model") or "unknown"),
        by=by,
        state=state,
        good=alive,
        n_tables=n_tables,
        created_at=device.created_at,
    )


def _facts(device: DeviceWithAgent, line: DeviceLine) -> Iterator[Fact]:
    facts = device.facts
    yield Fact("State", line.state)
    yield Fact("Measured by", line.by)
    yield Fact("Kind", line.kind)
    yield Fact("Model", line.model)
    if facts.n_cores:
        yield Fact("Cores", str(facts.n_cores))
    if facts.memory_bytes:
        yield Fact("Memory", size(facts.memory_bytes))
    if facts.unsupported_operators:
        yield Fact("Unsupported operators", joined(facts.unsupported_operators))
    for name, value in facts.labels.items():
        yield Fact(name, value)
    agent = device.agent
    if agent is not None and agent.runtimes:
        told = (f"{name} {version}" for name, version in agent.runtimes.items())
        yield Fact("Runtimes", ", ".join(told))
    if agent is not None and agent.seen_at is not None:
        yield Fact("Last seen", since(agent.seen_at))


def _table(session: Session, target: StoredTarget, device: str) -> TableLine:
    stored = devices.tables_of_target(session, target.id)
    newest = stored[0] if stored else None
    card = None
    if newest is not None:
        card = card_of(newest.provenance, newest.calibration, newest.latency_check, device)
    return TableLine(target.key, target.value.deployment.name, newest, card)


def _points(session: Session, device_id: str) -> Sequence[Point]:
    """Winners' files of searches on the device: every prediction that was put to the test."""
    found = []
    newest = searches.list_searches(session, cursor=None, limit=_N_SEARCHES).items
    for search in (one for one in newest if one.device_id == device_id):
        for winner in searches.winners_of(session, search.id):
            for row in winner.results or []:
                estimate = (row.get("estimates") or {}).get("latency_ms")
                measured = row.get("measured_latency_ms")
                if estimate is None or not measured:
                    continue
                found.append(
                    Point(
                        search.id,
                        winner.rank,
                        row["precision"],
                        estimate["value"],
                        estimate["upper"],
                        measured,
                        search.value.limit_probability,
                    )
                )
    return found
