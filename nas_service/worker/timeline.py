"""Where a search's time went: its steps and those of the jobs it waited for."""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from nas_service.storage import jobs


def timeline(session: Session, search_id: str) -> list[dict[str, Any]]:
    """Steps in order of their start: job, step, when it started and how long it took, in s.

    A step that runs on, as the one that asks, has taken None yet. One that was cut off and run
    again counts from its first start.
    """
    every = [jobs.get_job(session, search_id), *jobs.children_of(session, search_id)]
    began = every[0].created_at
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for job in every:
        for event in jobs.events_of(session, job.id):
            key = (job.id, event.step)
            at_s = round((event.at - began).total_seconds(), 2)
            if event.event == "started":
                row = {"job": job.id, "kind": job.kind, "step": event.step}
                found.setdefault(key, {**row, "started_s": at_s, "took_s": None})
            elif key in found:
                found[key]["took_s"] = round(at_s - found[key]["started_s"], 2)
    return sorted(found.values(), key=lambda row: float(row["started_s"]))


def parts(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Seconds a kind of job and step, as `supernet/train`; several of a kind are added up."""
    found: dict[str, float] = {}
    for row in rows:
        name = row["kind"] if row["step"] == row["kind"] else f"{row['kind']}/{row['step']}"
        found[name] = round(found.get(name, 0.0) + (row["took_s"] or 0.0), 2)
    return found
