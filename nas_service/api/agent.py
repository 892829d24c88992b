"""What device agents call, and the file that they are; each knows its own device alone."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import FileResponse
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from lookup_tables.agent_file import agent_file
from nas_service.access.identity import Rule
from nas_service.api.access.rules import allow
from nas_service.api.agent_reports import (
    FinishIn,
    HelloIn,
    HelloOut,
    ProgressIn,
    ProgressOut,
    TakeIn,
    TaskOut,
    wrong_with,
)
from nas_service.api.agent_waiting import AgentsWaiting
from nas_service.api.dependencies import Asking, Services, With, unaudited
from nas_service.api.idempotency import RepeatableRoute
from nas_service.api.waking import Waking
from nas_service.errors import InvalidSpec, NotFound
from nas_service.storage import agents, certified, devices
from nas_service.storage.reopening import reopen_for_device
from nas_service.storage.session import now

router = APIRouter(route_class=RepeatableRoute, tags=["agents"])
MAX_SKEW_S = 60.0


def device_of(who: Asking, services: Annotated[Services, Depends(unaudited)]) -> str:
    """The device whose agent asks; that it did is noted."""
    assert who.device_id is not None, "its route is for agents"
    with services.database.session() as session:
        agents.note_seen(session, who.device_id)
    return who.device_id


Mine = Annotated[str, Depends(device_of)]


@router.get("/agent.pyz", response_class=Response)
@allow(Rule.OPEN)
def agent_as_a_file() -> Response:
    """The agent as one file that Python runs; it needs numpy and a runtime."""
    headers = {"Content-Disposition": 'attachment; filename="agent.pyz"'}
    return Response(agent_file(), media_type="application/zip", headers=headers)


_YEAR_5138_S = 1e11
"""What no clock shows, NaN and infinity among it."""


@router.post("/v1/agent:hello")
@allow(Rule.DEVICE)
def hello(body: HelloIn, with_: With, mine: Mine) -> HelloOut:
    """An agent starts and says what machine it is on."""
    said = body.conditions.get("at")
    skew = None
    if isinstance(said, int | float) and abs(said) < _YEAR_5138_S:
        skew = round(float(said) - time.time(), 1)
    with with_.database.session() as session:
        facts = {**body.model_dump(mode="json"), "clock_skew_s": skew}
        first = agents.note_hello(session, mine, facts, body.instance)
        device = devices.get_device(session, mine)
        certified.retire_runtimes(session, mine, body.runtimes)
        again = reopen_for_device(session, with_.blobs, device, unprofiled=True) if first else []
    for job in again:
        with_.enqueue(job)
    return HelloOut(device=device.name, clock_skew_s=skew)


@router.post(
    "/v1/agent/tasks:take",
    response_model=TaskOut,
    responses={204: {"description": "Nothing to do"}},
)
@allow(Rule.DEVICE, audited=False)
async def take(body: TakeIn, with_: With, mine: Mine, request: Request) -> Any:
    """Lease the next task; waits for one as long as asked."""

    def look() -> agents.DeviceTask | None:
        with with_.database.session() as session:
            return agents.take_task(session, mine, body.instance)

    waiting: AgentsWaiting = request.app.state.agents_waiting
    until = time.monotonic() + body.wait_s
    waking: Waking = request.app.state.waking
    while True:  # waiting agents must not hold the threads that other requests need
        ticket = waking.ticket()
        if await request.is_disconnected():  # it would never see what it is given
            return Response(status_code=204)
        found = await run_in_threadpool(look)
        if found is not None:
            return TaskOut(id=found.id, lease=found.lease or "", **found.payload)
        left_s = until - time.monotonic()
        if left_s <= 0:
            return Response(status_code=204)
        await waiting.for_work(mine, left_s, ticket)


@router.get("/v1/agent/files/{sha256}", response_class=FileResponse)
@allow(Rule.DEVICE, audited=False)
def file(sha256: str, with_: With, mine: Mine) -> FileResponse:
    """A file of one of this device's open tasks."""
    with with_.database.session() as session:
        if sha256 not in agents.files_of_open_tasks(session, mine):
            raise NotFound(f"no open task of this device has a file {sha256}")
    with with_.blobs.local(sha256) as path:
        return FileResponse(path, media_type="application/octet-stream")


@router.post("/v1/agent/tasks/{task_id}:progress")
@allow(Rule.DEVICE, audited=False)
def progress(task_id: str, body: ProgressIn, with_: With, mine: Mine) -> ProgressOut:
    """Prolong a lease."""
    with with_.database.session() as session:
        task = agents.task_of_device(session, task_id, mine)
        kept = agents.keep_task(session, task, body.lease, body.fraction, body.note)
    return ProgressOut(cancelled=not kept)


@router.post("/v1/agent/tasks/{task_id}:finish")
@allow(Rule.DEVICE)
def finish(task_id: str, body: FinishIn, with_: With, mine: Mine) -> ProgressOut:
    """Report; a report that says too little or the impossible counts as a failed run."""
    with with_.database.session() as session:
        task = agents.task_of_device(session, task_id, mine)
        problem = body.problem or wrong_with(body, task.payload)
        if problem is not None:
            agents.fail_task(session, task, body.lease, problem)
        else:
            agents.finish_task(session, task, body.lease, _result(session, body, mine))
    if problem is not None and body.problem is None:
        raise InvalidSpec(problem, field="timings")
    return ProgressOut(cancelled=False)


def _result(session: Session, body: FinishIn, mine: str) -> dict[str, Any]:
    """The report under this machine's clock where the agent's is wrong."""
    agent = agents.get_agent(session, mine)
    skew = None if agent is None else agent.facts.get("clock_skew_s")
    result = body.model_dump(mode="json", exclude={"lease", "problem"})
    received = now().isoformat(timespec="seconds")
    if skew is None or abs(skew) > MAX_SKEW_S:
        for one in result["timings"].values():
            one["measured_at"] = received
    return {**result, "received_at": received}
