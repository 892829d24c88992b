"""The first page: what is running, and what needs somebody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from fastapi import APIRouter, Request, Response

from nas_service.access.identity import Rule
from nas_service.api import searches
from nas_service.api.access.rules import allow
from nas_service.api.dependencies import Bounds, Services, With
from nas_service.api.schemas import JobOut
from nas_service.dashboard.rendering import PageRoute, page
from nas_service.queues import CONCURRENCY
from nas_service.storage import agents, datasets, devices, jobs, leases
from nas_service.storage.jobs import Job
from nas_service.storage.session import now

router = APIRouter(route_class=PageRoute, include_in_schema=False)
_N_NEWEST = 10
_N_SHOWN = 50
_N_FAILED = 5
_FAILED_FOR = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class Need:
    """Something that somebody has to do, and where."""

    text: str
    href: str = ""
    link: str = ""


@router.get("/")
@allow(Rule.READ)
def home(request: Request, with_: With) -> Response:
    """What is running, what needs somebody, and the newest searches."""
    newest = searches.list_searches(with_, Bounds(None, _N_NEWEST)).items
    with with_.database.session() as session:
        running = [JobOut.of(one) for one in jobs.first_open(session, _N_SHOWN)]
        counts = jobs.count_by_state(session)
    return page(
        request,
        "home.html",
        needs=list(_needs(with_)),
        running=running,
        n_more=sum(counts.get(one, 0) for one in jobs.OPEN) - len(running),
        searches=newest,
    )


def _needs(with_: Services) -> Iterator[Need]:
    with with_.database.session() as session:
        served = {queue for queues in leases.live_workers(session).values() for queue in queues}
        known = devices.list_devices(session, cursor=None, limit=200).items
        has_data = bool(datasets.list_datasets(session, cursor=None, limit=1).items)
        failed = _failed(jobs.list_jobs(session, cursor=None, limit=200).items)
        why = {one.name: agents.why_unmeasured(session, one) for one in known}
    if missing := sorted(set(CONCURRENCY) - served):
        queues = ", ".join(missing)
        yield Need(f"No worker serves {queues}: start one with `nas worker`.", "/health", "Health")
    if not known:
        yield Need("There is no device yet.", "/devices", "Add this machine")
    if not has_data:
        yield Need("There is no data set yet.", "/datasets", "Add one")
    for name, reason in why.items():
        if reason:
            yield Need(reason, f"/devices/{name}", name)
    for one, times in failed:
        often = f" ({times} times)" if times > 1 else ""
        yield Need(f"{one.kind} failed{often}: {_why(one)}", f"/jobs/{one.id}", "What happened")


def _failed(newest: Sequence[Job]) -> list[tuple[Job, int]]:
    """Failures of the last days that nothing has made good since, alike ones once: how often each.

    The same kind of work on the same thing makes good what failed before.
    """
    found: dict[tuple[str, str], list[Job]] = {}
    done: set[tuple[str, str]] = set()
    for one in newest:  # newest first
        if one.parent is not None or now() - one.created_at > _FAILED_FOR:
            continue
        if one.state == "succeeded":
            done.add((one.kind, one.subject))
        elif one.state == "failed" and (one.kind, one.subject) not in done:
            found.setdefault((one.kind, _why(one)), []).append(one)
    return [(alike[0], len(alike)) for alike in found.values()][:_N_FAILED]


def _why(job: Job) -> str:
    return str((job.problem or {}).get("detail", "no reason was given"))
