"""Measure candidates near the limit before any is fine-tuned: who keeps it, and what it is worth.

What a network computes does not change how long it takes, so random weights do. The certifier
says which candidate to measure next; every measurement also corrects the calibration of the table.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nas_service.engine.child import Progress
from nas_service.errors import Unreachable
from nas_service.jobs.params import SearchJob
from nas_service.search import certificate
from nas_service.search.candidates import Candidate, Candidates
from nas_service.search.certifier import MIN_REPEATS, Certifier
from nas_service.search.evaluate import Problem
from nas_service.space.genotypes import Genotype
from nas_service.storage import devices, searches
from nas_service.storage.devices import StoredTable
from nas_service.storage.searches import StoredSearch
from nas_service.worker.context import Context
from nas_service.worker.delivery.measured_winner import spread_of
from nas_service.worker.devices.reach import device_of
from nas_service.worker.tasks.candidate_work import CandidateWork
from nas_service.worker.tasks.front import all_candidates, evaluated_before
from nas_service.worker.tasks.tables import open_problem

NEAR = 1.25
"""Candidates expected to take longer than this many limits are not worth a measurement."""
MAX_CANDIDATES = 2000


def measure_candidates(context: Context, job: SearchJob, report: Progress) -> None:
    """Spend the measuring budget of `search_id`; what was found is kept with the search.

    Where the search has gone on since it was measured, what was found then stands, and half of the
    budget is spent on candidates that are worth more than the best of those.
    """
    with context.database.session() as session:
        search = searches.get_search(session, job.search_id)
        device = device_of(context, devices.get_device(session, search.device_id))
        tables = [devices.get_table(session, one) for one in search.facts.tables]
        told = searches.evaluations_of(session, search.id)
    spec = search.value
    number = len(search.facts.corrections)
    budget = spec.measuring_budget if not number else max(MIN_REPEATS, spec.measuring_budget // 2)
    problem = open_problem(context, search)
    targets = [cost.target for cost in problem.costs]
    if number and not device.can_measure(targets):
        _end_corrections(context, search)
        return
    if budget == 0 or not device.can_measure(targets):
        state = "not asked for" if budget == 0 else certificate.PREDICTED_ONLY
        _note(context, search.id, {"state": state, "measured": []})
        return
    known = evaluated_before(context, search, problem.space.architectures)
    candidates = worth_measuring(problem, all_candidates(problem, spec, known, told))
    earlier = _earlier(search, number)
    candidates = _better(candidates, earlier)
    if not candidates and number:
        _end_corrections(context, search)
        return
    if not candidates:
        _note(context, search.id, {"state": "nothing near the limit", "measured": []})
        return
    folder = context.scratch(f"certify-{search.id}")
    work = CandidateWork(context, search, device, tables, problem, folder)
    certifier = _certifier(problem, candidates, tables, spec.limit_probability)
    spent = unstable = 0
    ended: str | None = None
    while spent + unstable < budget:
        row = certifier.next(budget - spent)
        if row is None:
            break
        report(spent / budget, f"measurement {spent + 1} of at most {budget}")
        try:
            value = work.measure(candidates[row], spent + unstable)
        except Unreachable as error:  # what was measured until now counts
            ended = error.detail
            break
        if value is None:  # what is not stable says nothing, but costs time
            unstable += 1
            continue
        certifier.add(row, value)
        spent += 1
        work.revise(certifier, candidates)
    tables_made = work.store_calibrations()
    shutil.rmtree(folder, ignore_errors=True)
    found = {
        "state": "measured",
        "budget": budget + _before(search, number, "budget"),
        "spent": spent + _before(search, number, "spent"),
        "unstable": unstable + _before(search, number, "unstable"),
        "ended": ended,
        "why_unstable": work.why_unstable,
        "noise": round(certifier.noise, 4),
        "recalibrated_tables": tables_made,
        "measured": [
            *earlier,
            *(
                _told(certifier, candidates, row) | {"round": number}
                for row in map(int, certifier.measured)
            ),
        ],
    }
    _note(context, search.id, found)


def _before(search: StoredSearch, number: int, name: str) -> int:
    """What was counted until the search went on for the `number`th time."""
    return int(search.facts.corrections[number - 1]["counted"][name]) if number else 0


def _end_corrections(context: Context, search: StoredSearch) -> None:
    """Nothing more can be measured: what was found before stands, and corrects nothing anew."""
    _note(context, search.id, {**search.facts.certification, "recalibrated_tables": []})


def _earlier(search: StoredSearch, number: int) -> list[dict[str, Any]]:
    """What was measured before the search went on for the `number`th time."""
    measured = search.facts.certification.get("measured", [])
    return [one for one in measured if one.get("round", 0) < number]


def _better(candidates: list[Candidate], earlier: Sequence[dict[str, Any]]) -> list[Candidate]:
    """Candidates without verdict that are worth more than the best that was certified."""
    known = {Genotype.from_list(one["genotype"]): one["certified"] for one in earlier}
    least = max(
        (one.predicted_accuracy for one in candidates if known.get(one.genotype)), default=-np.inf
    )
    return [
        one for one in candidates if one.genotype not in known and one.predicted_accuracy > least
    ]


def _certifier(
    problem: Problem,
    candidates: Sequence[Candidate],
    tables: Sequence[StoredTable],
    probability: float,
) -> Certifier:
    """Beliefs about the candidates' latencies before any is measured."""
    spreads = [one for table in tables if (one := spread_of(table)) is not None]
    return Certifier(
        limit=problem.limit_ms,
        accuracy=np.array([one.predicted_accuracy for one in candidates]),
        estimate=np.array([one.estimates["latency_ms"].value for one in candidates]),
        spread=max(spreads, default=0.1),
        risk=certificate.risk_of(probability),
    )


def _told(certifier: Certifier, candidates: Sequence[Candidate], row: int) -> dict[str, Any]:
    """What was found out about one candidate."""
    one = candidates[row]
    return {
        "genotype": one.genotype.as_list(),
        "architecture": one.architecture,
        "precision": one.deployment.name,
        "predicted_latency_ms": one.estimates["latency_ms"].value,
        "measured_latency_ms": round(certifier.mean(row), 6),
        "n": len(certifier.values(row)),
        "probability_over": float(f"{certifier.probability_over(row):.3g}"),
        "certified": row in certifier.certified(),
    }


def worth_measuring(problem: Problem, candidates: Candidates) -> list[Candidate]:
    """Candidates that may keep the latency limit and keep every other one, best first."""
    others = replace(problem, limit_ms=NEAR * problem.limit_ms, limit_probability=0.5)
    keeps = np.flatnonzero(others.feasible(candidates.genotypes))
    found = [candidates[row] for row in keeps.tolist()]
    found.sort(key=lambda one: (-one.predicted_accuracy, one.genotype))
    return found[:MAX_CANDIDATES]


def _note(context: Context, search_id: str, found: dict[str, Any]) -> None:
    with context.database.session() as session:
        searches.add_facts(session, search_id, certification=found)
