"""Candidates of a search on their device: measured, and what that says of the tables."""

from __future__ import annotations

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
from nas_service.networks.build import build
from nas_service.networks.export import export
from nas_service.plugins import CONVERTERS, load
from nas_service.search.candidates import Candidate
from nas_service.search.certifier import Certifier
from nas_service.search.cost import CostModel
from nas_service.search.evaluate import Problem
from nas_service.space.base import SearchSpace, describe, input_size, parse
from nas_service.space.genotypes import Genotype, Genotypes
from nas_service.storage import devices
from nas_service.storage.devices import StoredTable
from nas_service.storage.searches import StoredSearch
from nas_service.worker.context import Context
from nas_service.worker.delivery.bench import Bench, open_bench
from nas_service.worker.devices.base import MeasuringDevice
from nas_service.worker.tasks.profile import keep_references
from nas_service.worker.tasks.profile_files import source_of

_RELOADED = 8
"""A machine that was under load a moment ago is back under it in this part of the time."""


@dataclass
class CandidateWork:
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
