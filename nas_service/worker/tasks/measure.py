"""Measure a winner's files on their device, compare them with the torch module, certify limits."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from sqlalchemy.orm import Session

from lookup_tables.measuring.timing import SUSTAINED
from lookup_tables.profile import Profiler
from lookup_tables.target import PLAIN_RUNTIME, Deployment
from nas_service.compilation.benchmark import STATISTICS, limited, protocol_for
from nas_service.compilation.memory import peak_memory_bytes
from nas_service.compilation.parity import parity_of
from nas_service.compilation.shares import shares_of
from nas_service.engine.child import Progress
from nas_service.errors import Unreachable
from nas_service.jobs.params import WinnerJob
from nas_service.lineage import lineage
from nas_service.search import certificates
from nas_service.search.certify import Measured
from nas_service.space.base import input_size
from nas_service.storage import artifacts, certified, datasets, devices, searches
from nas_service.storage.devices import StoredDevice, StoredTable, StoredTarget
from nas_service.storage.searches import StoredSearch, StoredWinner
from nas_service.training.metrics import METRICS
from nas_service.worker.bench import open_bench
from nas_service.worker.certifying import bounds_of, certify, typical
from nas_service.worker.context import Context, make_space
from nas_service.worker.images import open_images
from nas_service.worker.remote import can_measure, runtimes_of
from nas_service.worker.tasks.profile import keep_references
from nas_service.worker.tasks.supernet import shipped_classes
from nas_service.worker.tasks.winner_files import files_of, shipped_file
from nas_service.worker.tasks.winner_rows import body_of, row_of


def measure(context: Context, job: WinnerJob, report: Progress) -> dict[str, Any]:
    """Compile, compare, measure and judge the files of `winner_id`; certificates are issued.

    With `again`, results that are there are replaced, and left as they are where none can be had.
    """
    with context.database.session() as session:
        winner = searches.get_winner(session, job.winner_id)
        search = searches.get_search(session, winner.search_id)
        dataset = datasets.get_dataset(session, search.dataset_id)
        device = devices.get_device(session, search.device_id)
        stored = {a.name: a for a in artifacts.artifacts_of(session, winner.id)}
        tables = [devices.get_table(session, one) for one in search.facts.tables]
    there = runtimes_of(context, device) or {}
    with context.database.session() as session:
        targets = targets_of(session, search, tables, there)
    spec = search.value
    names = [one.name for one in spec.deployments]
    spreads = {name: spread_of(table) for name, table in zip(names, tables, strict=True)}
    again = job.again
    if (
        winner.results is not None and not again
    ):  # measured and certified before the step was cut off
        return {"rows": winner.results}
    if not can_measure(context, device, [one.value for one in targets.values()]):
        if again:
            raise Unreachable(f"device {device.name!r} cannot measure now")
        return _unreached(context, search, winner, spreads)
    folder = context.scratch(f"measure-{winner.id}")
    with context.building():
        data = open_images(context, dataset, spec.training.max_train_images, to_train=False)
        size = input_size(make_space(spec.space, dataset.image), winner.genotype.row)
        # fp32 is always measured beside the others: it is what they have to be faster than
        precisions = ("fp32", *(one for one in names if one != "fp32"))
        files = files_of(context, stored, precisions, folder)
        report(0.1, "compiling")
    number = 0

    def on_progress(_: float, note: str) -> None:
        at = 0.2 + 0.6 * number / certificates.MAX_SESSIONS
        report(at, f"measuring, session {number + 1}" + (f": {note}" if note else ""))

    def on_session(session: int) -> None:
        nonlocal number
        number = session
        on_progress(0.0, "")

    try:
        bench = open_bench(
            context,
            device,
            context.job_id,
            files.sources,
            {one: targets[one].value for one in precisions},
            folder,
            images=files.images,
            protocol=protocol_for(spec.limit_on, spec.sustained_s),
            on_progress=on_progress,
        )
        with context.building():
            told_apart = {
                # the very file that ships, by its own runtime here, wherever it is measured
                one: shipped_classes(bench.compiled[one], data, data.test, size, bench.targets[one])
                for one in precisions
            }
        certifier = certify(bench, winner, search, spreads, on_session)
    except Unreachable:
        shutil.rmtree(folder, ignore_errors=True)
        if again:
            raise
        return _unreached(context, search, winner, spreads)
    keep_references(context, device.id, bench.profiler)
    timings = {one: typical(bench, one) for one in precisions}
    report(0.85, "asking the runtime for its memory")
    memory = {one: _memory(context, bench.compiled[one], device) for one in precisions}
    report(0.9, "checking parity")
    metric = METRICS[spec.metric]
    measured: dict[str, Measured] = {}
    for precision in precisions:
        same = parity_of(
            bench.outputs[precision], files.logits[precision], Deployment.parse(precision).precision
        )
        measured[precision] = Measured(
            precision=precision,
            accuracy=metric.value(told_apart[precision]),
            accuracy_standard_error=metric.standard_error(told_apart[precision]),
            metric=metric.label,
            n_test=len(data.test),
            latency_ms=limited(timings[precision], spec.limit_on),
            stable=timings[precision].stable,
            size_bytes=bench.compiled[precision].stat().st_size,
            parity_ok=same.ok,
            parity_max_abs=same.max_abs,
            agreement=same.agreement,
            why_not_same=same.why,
            not_in_precision=_not_in(bench.compiled[precision], precision),
            peak_memory_bytes=memory[precision],
            energy_mj=timings[precision].as_dict().get("energy_mj"),
        )
    rows, steadiness = [], bench.profiler.steadiness
    with context.database.session() as session:
        shipped = {
            one: shipped_file(session, context, winner, one, bench.compiled[one], stored)
            for one in names
        }
    shutil.rmtree(folder, ignore_errors=True)
    with context.database.session() as session:
        for number, precision in enumerate(names):
            estimate = winner.estimates[precision]
            certificate = certificates.certificate_of(
                certifier,
                number,
                spec.limit_probability,
                estimate["predicted_latency_ms"],
                spreads.get(precision),
                statistic=STATISTICS[spec.limit_on],
                why_unstable=timings[precision].reason,
                at_most_ms=bounds_of(bench, precision, spec.limit_on),
            )
            row = {
                **row_of(winner, measured[precision], measured["fp32"], certificate, spec.limits),
                "file": shipped[precision].name,
                "metric": metric.name,
                "classification": told_apart[precision].as_dict(dataset.facts["classes"]),
                "latency": timings[precision].as_dict(),
                "steadiness": steadiness.as_dict() if steadiness else {},
                "sustained_shift": sustained_shift(bench.profiler),
                "n_sessions_unstable": sum(not one[precision].stable for one in bench.sessions),
            }
            rows.append(row)
            artifacts.add_measurement(
                session,
                artifact_id=shipped[precision].id,
                target_id=targets[precision].id,
                values=timings[precision].as_dict(),
                lineage=lineage(
                    seed=spec.seed,
                    protocol=protocol_for(spec.limit_on, spec.sustained_s).as_dict(),
                ),
            )
            certified.issue(
                session,
                search_id=search.id,
                artifact=shipped[precision],
                target_id=targets[precision].id,
                verdict=certificate.verdict,
                body=body_of(
                    row,
                    certificate,
                    targets[precision].key,
                    list(search.facts.tables),
                    timings[precision],
                    steadiness,
                    sustained_shift(bench.profiler),
                ),
            )
        every = {**(winner.compressed or {}), **{one.name: one.id for one in shipped.values()}}
        searches.update_winner(session, winner.id, results=rows, state="measured", compressed=every)
    return {"rows": rows}


def _memory(context: Context, model: Path, device: StoredDevice) -> int | None:
    """What ONNX Runtime allocates, where the device is this machine; unknown elsewhere."""
    if not device.local or model.suffix != ".onnx":
        return None
    with context.building():
        return peak_memory_bytes(model)


def _not_in(file: Path, deployment: str) -> str:
    """What a file counts of itself where nothing of it is in its precision; empty elsewhere."""
    precision = Deployment.parse(deployment).precision
    shares = None if precision == "fp32" else shares_of(file, precision)
    return shares.sentence(precision) if shares is not None and shares.nothing else ""


def sustained_shift(profiler: Profiler) -> float | None:
    """How much slower the device is under load than in a burst, by its anchors; None if unknown."""
    burst = profiler.references.get("processor")
    if profiler.steadiness is None or burst is None:
        return None
    under_load = profiler.steadiness.reference
    if under_load.state != SUSTAINED or not burst.fits(list(under_load.levels_ms)):
        return None
    return round(burst.shift(under_load.levels_ms), 4)


def targets_of(
    session: Session, search: StoredSearch, tables: list[StoredTable], there: Mapping[str, str]
) -> dict[str, StoredTarget]:
    """The targets that the search's tables are of, and plain fp32 beside them, by deployment.

    `there` are the device's runtimes with their versions, as far as they are known.
    """
    found = [devices.get_target(session, table.target_id) for table in tables]
    names = [one.name for one in search.value.deployments]
    by_precision = dict(zip(names, found, strict=True))
    if "fp32" not in by_precision:
        known = {one.value.runtime: one.value.runtime_version for one in found} | dict(there)
        plain = replace(
            found[0].value,
            runtime=PLAIN_RUNTIME,
            runtime_version=known.get(PLAIN_RUNTIME, ""),
            precision="fp32",
        )
        by_precision["fp32"] = devices.add_target(session, search.device_id, plain)
    return by_precision


def spread_of(table: StoredTable) -> float | None:
    """Typical relative error of a table's estimates; None where nothing tells."""
    if not table.calibration:
        return None
    return float(np.sqrt(np.mean(np.square(table.calibration["relative_errors"]))))


def _unreached(
    context: Context,
    search: StoredSearch,
    winner: StoredWinner,
    spreads: dict[str, float | None],
) -> dict[str, Any]:
    """Rows of estimates alone: nothing is published, nothing certified."""
    spec = search.value
    rows = []
    for precision in (one.name for one in spec.deployments):
        estimate = winner.estimates[precision]
        certificate = certificates.predicted_only(
            search.facts.settled_limit_ms,
            spec.limit_probability,
            estimate["predicted_latency_ms"],
            spreads.get(precision),
            statistic=STATISTICS[spec.limit_on],
        )
        rows.append(row_of(winner, None, None, certificate, spec.limits, precision))
    with context.database.session() as session:
        searches.update_winner(session, winner.id, results=rows, state="predicted")
    return {"rows": rows}
