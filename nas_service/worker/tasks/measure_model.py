"""Compile a compressed model for each target, compare it with the original, measure both."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from lookup_tables.runtimes.registry import runtime
from nas_service.compilation import kept
from nas_service.compilation.benchmark import PROTOCOL
from nas_service.compilation.gate import UNSTEADY, Found, Terms, decide
from nas_service.compilation.parity import Parity, parity_of
from nas_service.compilation.samples import Array, read_samples
from nas_service.compilation.shares import grown
from nas_service.compilation.toolchains import runs_here
from nas_service.compression.structured import macs_ratio
from nas_service.engine.child import Progress
from nas_service.errors import NasError
from nas_service.jobs.params import CompressionJob
from nas_service.learning.base import LearningTask
from nas_service.lineage import lineage
from nas_service.storage import artifacts, datasets, devices
from nas_service.worker.context import Context
from nas_service.worker.devices.reach import device_of
from nas_service.worker.tasks.built_files import Built, Key, build
from nas_service.worker.tasks.model_sessions import BASE, base_of, measure


def measure_model(context: Context, job: CompressionJob, report: Progress) -> None:
    """Rows of compression `compression_id`, one a target; what passes the gate is published.

    With `again`, `targets` are some of those that were asked for; the others keep their rows.
    """
    owner = job.compression_id
    with context.database.session() as session:
        device = device_of(context, devices.get_device(session, job.device_id))
        task = datasets.get_dataset(session, job.dataset_id).task
        stored = {one.name: one for one in artifacts.artifacts_of(session, owner)}
    device.require()
    folder = context.scratch(f"measure-{owner}")
    try:
        for name, one in stored.items():
            with context.blobs.local(one.sha256) as path:
                shutil.copyfile(path, folder / name)
        wanted = [(one["runtime"], one["precision"]) for one in job.targets]
        here = [r for r, _ in wanted if runs_here(r)]
        bases = dict.fromkeys([BASE, *((runtime, "fp32") for runtime in here)])
        built: dict[Key, Built] = {}
        refused: dict[Key, str] = {}
        everything = [("original", *one) for one in bases] + [("compressed", *o) for o in wanted]
        with context.building():
            for number, key in enumerate(everything):
                report(0.7 * number / len(everything), f"compiling {key[0]} for {key[1]} {key[2]}")
                try:
                    built[key] = build(context, device, key, folder)
                except NasError as error:
                    refused[key] = str(error)
        report(0.7, "measuring")
        measure(context, device, built, job.seed, folder, report)
        report(0.95, "judging")
        passes = json.loads((folder / "passes.json").read_text())
        promised = job.speedup_share * macs_ratio(passes)
        terms = Terms(job.max_loss, max(1.0, promised))
        rows = [
            _row(folder, runtime, precision, built, refused, terms, task)
            for runtime, precision in wanted
        ]
        if job.again:
            rows = _among(rows, json.loads((folder / "report.json").read_text())["rows"])
        _store(context, job, device.stored.id, rows, built, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _among(rows: list[dict[str, Any]], before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of an earlier measurement, with the new ones in the places of theirs."""
    new = {(row["runtime"], row["precision"]): row for row in rows}
    return [new.get((row["runtime"], row["precision"]), row) for row in before]


def _row(
    folder: Path,
    runtime: str,
    precision: str,
    built: dict[Key, Built],
    refused: dict[Key, str],
    terms: Terms,
    task: LearningTask,
) -> dict[str, Any]:
    """A target's row: the original beside what came of it, and the verdict."""
    key = ("compressed", runtime, precision)
    base_key = base_of(key, built)
    base = None if base_key is None else built[base_key]
    row: dict[str, Any] = {"runtime": runtime, "precision": precision, "published": False}
    if key not in built:
        return {**row, "reason": refused[key], "original": None, "compressed": None}
    one = built[key]
    judge = partial(_accuracy, task, read_samples(folder / "test.npz", "targets"))
    row["original"] = None if base is None else _told(base, judge)
    row["compressed"] = _told(one, judge)
    row["notes"] = one.notes
    if one.shares is not None:
        row["shares"] = {**one.shares.as_dict(), "text": one.shares.sentence(precision)}
        if one.shares.nothing and precision != "fp32":
            told = one.shares.sentence(precision)
            return {**row, "reason": f"nothing of it is in {precision}: {told}"}
    if base is not None and base.path.suffix == one.path.suffix == ".onnx":
        row["grown"] = grown(base.path, one.path)
    if one.outputs is None:
        return {**row, "reason": str(one.notes.get("status", "not run on hardware"))}
    reference = read_samples(folder / "reference.npz", "outputs")
    same: Parity = parity_of(one.outputs, reference, precision, task.agreement)
    row["parity"] = same.as_dict()
    if one.outputs_there is not None:
        first = reference[: len(one.outputs_there)]
        on_device = parity_of(one.outputs_there, first, precision, task.agreement)
        row["parity_on_device"] = on_device.as_dict()
        same = same if on_device.ok else on_device
    if base is None or base.outputs is None:
        told = refused.get(("original", runtime, "fp32"), "the original does not run")
        return {**row, "reason": f"nothing to compare with: {told}"}
    own = _original_parity(folder, base, task)
    if not own.ok:
        return {
            **row,
            "reason": f"nothing to compare with: the original's file in fp32 for "
            f"{base.target.runtime} is not the original: {own.why}",
        }
    published, reason = decide(_found(one, judge), _found(base, judge), same, terms)
    return {**row, "published": published, "reason": reason}


def _original_parity(folder: Path, base: Built, task: LearningTask) -> Parity:
    """The original's own fp32 file beside the module that it was made of."""
    name = "original-reference.npz"
    reference = folder / (name if (folder / name).is_file() else "reference.npz")
    assert base.outputs is not None
    return parity_of(base.outputs, read_samples(reference, "outputs"), "fp32", task.agreement)


def _accuracy(task: LearningTask, targets: Array, outputs: Array) -> float:
    """The score of outputs by the task's first metric."""
    metric = task.metric()
    return metric.score(metric.value(task.judge(outputs, targets)))


Judge = Callable[[Array], float]


def _told(one: Built, judge: Judge) -> dict[str, Any]:
    found: dict[str, Any] = {
        "target": one.target.key,
        "size_bytes": one.path.stat().st_size,
        "accuracy": None,
        "latency_ms": None,
        "latency": None,
        "stable": None,
        "peak_memory_bytes": None,
    }
    if one.outputs is not None:
        found["accuracy"] = round(judge(one.outputs), 6)
    if one.timing is not None:
        found["latency_ms"] = one.timing.p50_ms
        found["latency"] = one.timing.as_dict()
        found["stable"] = one.stable
    if one.outputs is not None and one.outputs_there is None:  # it runs here, and nowhere else
        (allocated,) = runtime(one.target.runtime).peak_memory_bytes([one.path])
        found["peak_memory_bytes"] = allocated
    return found


def _found(one: Built, judge: Judge) -> Found:
    assert one.outputs is not None
    return Found(
        accuracy=judge(one.outputs),
        latency_ms=None if one.timing is None else one.timing.p50_ms,
        stable=one.stable,
        size_bytes=one.path.stat().st_size,
        latency_error=0.0 if one.timing is None else one.timing.error or 0.0,
        sha256=hashlib.sha256(one.path.read_bytes()).hexdigest(),
    )


def _store(
    context: Context,
    job: CompressionJob,
    device_id: str,
    rows: list[dict[str, Any]],
    built: dict[Key, Built],
    folder: Path,
) -> None:
    """Keep the published files with their measurements, and the report."""
    owner = job.compression_id
    protocol = PROTOCOL.as_dict()
    from_what = lineage(seed=job.seed, protocol=protocol, recipe=job.recipe)
    with context.database.session() as session:
        for row in rows:
            one = built.get(("compressed", row["runtime"], row["precision"]))
            # kept, too, where nothing is wrong but that the machine was unsteady: it can be
            # fetched, and measured later
            unsteady = row["reason"] == UNSTEADY
            if one is None or not (row["published"] or one.outputs is None or unsteady):
                continue
            row["kept"] = kept.PUBLISHED if row["published"] else kept.UNSTEADY
            if one.outputs is None:
                row["kept"] = kept.NOT_RUN
            added = artifacts.add_artifact(
                session,
                context.blobs,
                one.path,
                owner=owner,
                name=one.path.name,
                kind="compiled",
                lineage={**from_what, "target": one.target.key, "sha256_of": "compressed"},
            )
            row["artifact"] = added.id
            if one.timing is not None:
                target = devices.add_target(session, device_id, one.target)
                artifacts.add_measurement(
                    session,
                    artifact_id=added.id,
                    target_id=target.id,
                    values=one.timing.as_dict(),
                    lineage=from_what,
                )
        told = folder / "report.json"
        document = {  # one that was compressed before there were notes has none
            name: json.loads(file.read_text()) if (file := folder / f"{name}.json").exists() else []
            for name in ("passes", "made_ready")
        }
        told.write_text(json.dumps({**document, "rows": rows}, indent=1))
        artifacts.add_artifact(
            session,
            context.blobs,
            told,
            owner=owner,
            name="report.json",
            kind="report",
            lineage=from_what,
        )
