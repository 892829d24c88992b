"""Measure candidates near the limit before any is fine-tuned: who keeps it, and what it is worth.

What a network computes does not change how long it takes, so random weights do. The certifier
says which candidate to measure next; every measurement also corrects the calibration of the table.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from lookup_tables.calibrate import Calibration, fit_calibration, rescaled
from lookup_tables.quantized import quantize
from lookup_tables.runtimes.registry import reads_graphs
from lookup_tables.table import TRANSFERRED, LookupTable
from lookup_tables.target import Deployment
from nas_service.compilation.base import Converter, Source
from nas_service.compilation.benchmark import ON_REFERENCE, PROTOCOL, limited, protocol_for
from nas_service.compression.searched import SearchedRecipe
from nas_service.compression.width import narrow
from nas_service.engine.child import Progress
from nas_service.errors import Unreachable
from nas_service.jobs.params import SearchJob
from nas_service.networks.build import build
from nas_service.networks.export import export
from nas_service.plugins import CONVERTERS, load
from nas_service.search import certificate
from nas_service.search.candidates import Candidate, Candidates
from nas_service.search.certifier import MIN_REPEATS, Certifier
from nas_service.search.cost import CostModel
from nas_service.search.evaluate import Problem
from nas_service.space.base import SearchSpace, describe, input_size, parse
from nas_service.space.genotypes import Genotype, Genotypes
from nas_service.storage import devices, searches
from nas_service.storage.devices import StoredTable
from nas_service.storage.searches import StoredSearch
from nas_service.worker.context import Context
from nas_service.worker.delivery.bench import Bench, open_bench
from nas_service.worker.delivery.measured_winner import spread_of
from nas_service.worker.devices.base import MeasuringDevice
from nas_service.worker.devices.reach import device_of
from nas_service.worker.tasks.front import all_candidates, evaluated_before
from nas_service.worker.tasks.profile import keep_references
from nas_service.worker.tasks.profile_files import source_of
from nas_service.worker.tasks.tables import open_problem

NEAR = 1.25
"""Candidates expected to take longer than this many limits are not worth a measurement."""
MAX_CANDIDATES = 2000
_RELOADED = 8
"""A machine that was under load a moment ago is back under it in this part of the time."""


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
    work = _Work(context, search, device, tables, problem, folder)
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


@dataclass
class _Work:
    """Measures candidates and corrects calibrations with what comes out."""

    context: Context
    search: StoredSearch
    device: MeasuringDevice
    tables: list[StoredTable]
    problem: Problem
    folder: Path
    benches: dict[Genotype, Bench] = field(default_factory=dict)
    seen: dict[Deployment, dict[Genotype, list[float]]] = field(default_factory=dict)
    revised: dict[str, tuple[LookupTable, Calibration]] = field(default_factory=dict)
    why_unstable: str = ""

    def measure(self, one: Candidate, number: int) -> float | None:
        """p50 of one more session; None where it was not stable."""
        if one.genotype not in self.benches:
            self.benches[one.genotype] = self._bench(one, number)
        seed = self.search.value.seed + 7919 * number
        bench = self.benches[one.genotype]
        timing = bench.session(seed)[one.deployment.name]
        keep_references(self.context, self.device.stored.id, bench.profiler)
        if timing.n_turns < PROTOCOL.least_turns:
            self.why_unstable = timing.reason
            return None
        value = limited(timing, self.search.value.limit_on)
        self.seen.setdefault(one.deployment, {}).setdefault(one.genotype, []).append(value)
        return value

    def _bench(self, one: Candidate, number: int) -> Bench:
        space = self.problem.space.architectures
        genotype = one.genotype.row
        shape = space.sample.input_shape(input_size(space, genotype))
        folder = self.folder / f"candidate{number}"
        folder.mkdir(parents=True, exist_ok=True)
        with self.context.building():
            graph = folder / "fp32.onnx"
            network: torch.nn.Module = build(space, genotype, seed=number)
            width = SearchedRecipe.of(one.deployment).width
            if width < 1.0:
                network = narrow(network, torch.zeros(shape), width)
            export(network, graph, shape)
            if one.deployment.form == "int8":
                generator = np.random.default_rng(number)
                batches = [
                    {"input": generator.standard_normal(shape, dtype=np.float32)} for _ in range(4)
                ]
                quantize(graph, folder / "int8.onnx", batches)
                graph = folder / "int8.onnx"
            source = Source(graph)
            if not reads_graphs(one.deployment.runtime):
                samples = np.random.default_rng(number).standard_normal(
                    (16, *shape[1:]), dtype=np.float32
                )
                source = source_of(network, folder / "fp32.onnx", samples)
        target = self.problem.costs[one.genotype.deployment].target
        converter: Converter = load(CONVERTERS, target.runtime)()
        made = converter.compile(source, target, folder / one.deployment.name.replace(":", "-"))
        return open_bench(
            self.device,
            {one.deployment.name: (made.path, target)},
            protocol=protocol_for(
                self.search.value.limit_on,
                self.search.value.sustained_s / (1 if number == 0 else _RELOADED),
            ),
        )

    def revise(self, certifier: Certifier, candidates: list[Candidate]) -> None:
        """Fit calibrations again, measured candidates among the networks, and estimate anew.

        Only where limits are held in the reference state: tables are of that, and what was observed
        or sustained would make them tables of something else.
        """
        if self.search.value.limit_on != ON_REFERENCE:
            return
        costs = list(self.problem.costs)
        for stored in {one.version: one for one in self.tables}.values():
            table = devices.load_table(self.context.blobs, stored)
            space = self.problem.space.architectures
            known = calibration_set(space, table)
            if known is None:
                continue
            rows, measured = known
            model = CostModel(space, table, None)
            plain = [model.sums_by_column(rows)]
            values = list(measured)
            transferred = any(entry.source == TRANSFERRED for entry in table.entries)
            # recipes share a table; what one narrowed is no network of the space, so what was seen
            # of it corrects its own estimates and is not kept with the table
            for kept in (True, False):
                for which in self._priced_by(stored, kept=kept):
                    seen = self.seen.get(self.problem.space.deployments[which], {})
                    if seen:
                        rows = Genotypes.of(seen).architectures
                        plain.append(costs[which].sums_by_column(rows))
                        values += [float(np.median(one)) for one in seen.values()]
                if len(values) == len(measured):
                    continue
                if transferred and table.calibration is not None:
                    new = np.concatenate(plain[1:]), np.array(values[len(measured) :])
                    calibration = rescaled(table.calibration, *new)  # has no columns
                else:
                    calibration = fit_calibration(
                        np.concatenate(plain),
                        np.array(values),
                        parts=model.parts(),
                        variants=model.variants,
                        junctions=model.junctions,
                    )
                if kept:
                    self.revised[stored.version] = (table, calibration)
                for which in self._priced_by(stored, kept=kept):
                    costs[which] = costs[which].calibrated(calibration)
        genotypes = Genotypes.of(one.genotype for one in candidates)
        estimate = replace(self.problem, costs=tuple(costs)).latency_ms(genotypes)
        certifier.revise(estimate, certifier.spread)

    def _priced_by(self, stored: StoredTable, *, kept: bool) -> list[int]:
        """Positions of the deployments of a table whose recipes keep sizes, or do not."""
        return [
            which
            for which, (table, one) in enumerate(
                zip(self.tables, self.problem.space.deployments, strict=True)
            )
            if table.version == stored.version and (SearchedRecipe.of(one).width == 1.0) == kept
        ]

    def store_calibrations(self) -> list[str]:
        """Keep corrected calibrations as new versions of their tables; returns the versions."""
        versions = []
        space = self.problem.space.architectures
        for stored in {one.version: one for one in self.tables}.values():
            if stored.version not in self.revised:
                continue
            table, calibration = self.revised[stored.version]
            seen = [
                item
                for which in self._priced_by(stored, kept=True)
                for item in self.seen.get(self.problem.space.deployments[which], {}).items()
            ]
            networks = [
                *table.provenance["calibration_networks"],
                *(
                    {
                        "architecture": describe(space, g.row)["decisions"],
                        "p50_ms": round(float(np.median(values)), 6),
                        "n_sessions": len(values),
                    }
                    for g, values in seen
                ),
            ]
            provenance = {
                **table.provenance,
                "calibration_networks": networks,
                "recalibrated": {"from": stored.version, "search": self.search.id},
            }
            corrected = replace(table, calibration=calibration, provenance=provenance)
            with self.context.database.session() as session:
                added = devices.add_table(
                    session,
                    self.context.blobs,
                    corrected,
                    stored.target_id,
                    spaces=list(stored.spaces),
                    latency_check=stored.latency_check,
                    seed=self.search.value.seed,
                )
            versions.append(added.version)
        return versions


def calibration_set(
    space: SearchSpace, table: LookupTable
) -> tuple[np.ndarray[Any, np.dtype[np.int64]], np.ndarray[Any, np.dtype[np.float64]]] | None:
    """The networks that a table's calibration was fitted on, or None where it does not say."""
    networks = table.provenance.get("calibration_networks")
    if not networks:
        return None
    rows = np.array([parse(space, one["architecture"]) for one in networks], dtype=np.int64)
    return rows, np.array([float(one["p50_ms"]) for one in networks])
