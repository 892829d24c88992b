"""A search that goes on with what was measured of its own candidates.

Measuring candidates near the limit corrects the tables. What is searched by them then comes nearer
to the limit: a solver takes what is priced too low first, and passes over what is priced too high.
"""

from __future__ import annotations

from typing import Any

from nas_service.engine.child import Progress
from nas_service.jobs.params import CorrectionJob
from nas_service.jobs.results import Corrected
from nas_service.storage import searches
from nas_service.worker.context import Context

NEAR_ENOUGH = 0.95
"""Of the limit, as the slowest certified candidate was measured: there is no more to be had."""


def correct_search(context: Context, job: CorrectionJob, report: Progress) -> Corrected:
    """Whether round `number` of a search is worth while; if so, it is noted with the search."""
    del report
    with context.database.session() as session:
        search = searches.get_search(session, job.search_id)
        before = [one for one in search.facts.corrections if one["number"] < job.number]
        told = search.facts.certification
        n_told = len(searches.evaluations_of(session, search.id))
        share = share_of_limit(told, search.facts.settled_limit_ms)
        goes_on = (
            job.number <= search.value.corrections
            and bool(told.get("recalibrated_tables"))
            and (share is None or share < NEAR_ENOUGH)
        )
        if goes_on:
            note = {
                "number": job.number,
                "share_of_limit": share,
                "tables": told["recalibrated_tables"],
                "n_evaluations": n_told,
                "counted": {name: told.get(name, 0) for name in ("budget", "spent", "unstable")},
            }
            searches.add_facts(session, search.id, corrections=[*before, note])
    return Corrected(goes_on=goes_on)


def share_of_limit(certification: dict[str, Any], limit_ms: float) -> float | None:
    """How near to the limit the slowest certified candidate was measured; None without one."""
    measured = [
        float(one["measured_latency_ms"])
        for one in certification.get("measured", [])
        if one["certified"]
    ]
    return round(max(measured) / limit_ms, 4) if measured else None
