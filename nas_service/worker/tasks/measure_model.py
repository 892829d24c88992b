"""Compile a compressed model for each target, compare it with the original, measure both."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nas_service.compilation import kept
from nas_service.compilation.benchmark import PROTOCOL
from nas_service.compilation.toolchains import runs_here
from nas_service.compression.structured import macs_ratio
from nas_service.delivery.bundle import PARITY, BundledFile, write_bundle
from nas_service.delivery.signing import Signer
from nas_service.delivery.verdict import UNSTEADY, Terms
from nas_service.engine.child import Progress
from nas_service.errors import NasError
from nas_service.jobs.params import CompressionJob
from nas_service.lineage import lineage
from nas_service.storage import artifacts, datasets, devices
from nas_service.worker.context import Context
from nas_service.worker.delivery.built import Built, build, target_of
from nas_service.worker.delivery.model_files import Key, source_of
from nas_service.worker.delivery.model_judges import ModelJudge, judge_of
from nas_service.worker.delivery.model_rows import Comparison
from nas_service.worker.delivery.sessions import BASE, Timed, measure
from nas_service.worker.devices.base import MeasuringDevice
from nas_service.worker.devices.reach import device_of

FOLDER = "model"
"""Where the files are in the bundle."""


def measure_model(context: Context, job: CompressionJob, report: Progress) -> None:
    """Rows of compression `compression_id`, one a target; what passes the gate is published.

    With `again`, `targets` are some of those that were asked for; the others keep their rows.
    """
    owner = job.compression_id
    with context.database.session() as session:
        device = device_of(context, devices.get_device(session, job.device_id))
        dataset = None if job.dataset_id is None else datasets.get_dataset(session, job.dataset_id)
        stored = {one.name: one for one in artifacts.artifacts_of(session, owner)}
    device.require()
    folder = context.scratch(f"measure-{owner}")
    try:
        for name, one in stored.items():
            with context.blobs.local(one.sha256) as path:
                shutil.copyfile(path, folder / name)
        wanted = [(one["runtime"], one["precision"]) for one in job.targets]
        judge = judge_of(job, folder, dataset)
        keep_float = tuple(job.keep_float)
        with context.building():
            built, refused = _built(context, device, wanted, folder, judge, keep_float, report)
        report(0.7, "measuring")
        timed = measure(context, device, built, job.seed, folder, report)
        report(0.95, "judging")
        passes = json.loads((folder / "passes.json").read_text())
        promised = job.speedup_share * macs_ratio(passes)
        terms = Terms(job.max_loss, max(1.0, promised))
        comparison = Comparison(judge, terms, built, timed, refused)
        rows = [comparison.row(*one) for one in wanted]
        if job.again:
            rows = _among(rows, json.loads((folder / "report.json").read_text())["rows"])
        _store(context, job, judge, rows, built, timed, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _built(
    context: Context,
    device: MeasuringDevice,
    wanted: Sequence[tuple[str, str]],
    folder: Path,
    judge: ModelJudge,
    keep_float: tuple[str, ...],
    report: Progress,
) -> tuple[dict[Key, Built], dict[Key, str]]:
    """The original's fp32 files and those that are asked for; and why one could not be made."""
    here = [runtime for runtime, _ in wanted if runs_here(runtime)]
    bases = dict.fromkeys([BASE, *((runtime, "fp32") for runtime in here)])
    every: list[Key] = [("original", *one) for one in bases]
    every += [("compressed", *one) for one in wanted]
    built: dict[Key, Built] = {}
    refused: dict[Key, str] = {}
    for number, key in enumerate(every):
        which, runtime, precision = key
        report(0.7 * number / len(every), f"compiling {which} for {runtime} {precision}")
        try:
            target = target_of(context, device, runtime, precision)
            source = replace(source_of(which, precision, folder), keep_float=keep_float)
            made = build(context, source, target, folder / "-".join(key))
            judge.answer(made)
        except NasError as error:
            refused[key] = str(error)
        else:
            built[key] = made
    return built, refused


def _among(rows: list[dict[str, Any]], before: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Rows of an earlier measurement, with the new ones in the places of theirs."""
    new = {(row["runtime"], row["precision"]): row for row in rows}
    return [new.get((row["runtime"], row["precision"]), row) for row in before]


def _store(
    context: Context,
    job: CompressionJob,
    judge: ModelJudge,
    rows: list[dict[str, Any]],
    built: Mapping[Key, Built],
    timed: Mapping[Key, Timed],
    folder: Path,
) -> None:
    """Keep the published files with their measurements, the report and the bundle."""
    owner = job.compression_id
    from_what = lineage(seed=job.seed, protocol=PROTOCOL.as_dict(), recipe=job.recipe)
    files: dict[str, Path] = {}
    signer = context.signer()  # it stores what it has, so before anything else is being stored
    with context.database.session() as session:
        for row in rows:
            key = ("compressed", row["runtime"], row["precision"])
            one = built.get(key)
            why = None if one is None else _why_kept(row, one)
            if one is None or why is None:
                continue
            row["kept"] = why
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
            row["file"] = one.path.name
            files[one.path.name] = one.path
            if key in timed:
                target = devices.add_target(session, job.device_id, one.target)
                artifacts.add_measurement(
                    session,
                    artifact_id=added.id,
                    target_id=target.id,
                    values=timed[key].timing.as_dict(),
                    lineage=from_what,
                )
        _write(folder, judge, rows, files, signer)
        for name, kind in (("report.json", "report"), ("bundle.zip", "bundle")):
            artifacts.add_artifact(
                session,
                context.blobs,
                folder / name,
                owner=owner,
                name=name,
                kind=kind,
                lineage=from_what,
            )


def _why_kept(row: dict[str, Any], one: Built) -> str | None:
    """Why a file is kept; None where it is not.

    So is one with which nothing is wrong but that the machine was unsteady: it can be fetched, and
    measured later.
    """
    if not one.ran:
        return kept.NOT_RUN
    if row["published"]:
        return kept.PUBLISHED
    return kept.UNSTEADY if row["reason"].endswith(UNSTEADY) else None


def _write(
    folder: Path,
    judge: ModelJudge,
    rows: list[dict[str, Any]],
    files: Mapping[str, Path],
    signer: Signer,
) -> None:
    """Write `report.json` and `bundle.zip`."""
    document = {  # one that was compressed before there were notes has none
        name: json.loads(file.read_text()) if (file := folder / f"{name}.json").exists() else []
        for name in ("passes", "made_ready")
    }
    document["rows"] = rows
    (folder / "report.json").write_text(json.dumps(document, indent=1))
    _bundle(folder, document, judge, files, signer)


def _bundle(
    folder: Path,
    document: dict[str, Any],
    judge: ModelJudge,
    files: Mapping[str, Path],
    signer: Signer,
) -> None:
    """Put what was kept together, with samples that tell whether it computes the same elsewhere."""
    beside, texts = judge.bundled()
    # files that are not measured again this time are here as they were stored
    named = [one["file"] for one in document["rows"] if one.get("file")]
    files = {name: folder / name for name in named} | dict(files)
    contents = {
        f"{FOLDER}/{name}": path for name, path in {**beside, **files}.items() if path.is_file()
    }
    kept = [
        BundledFile(
            folder=FOLDER,
            file=row["file"],
            parity=PARITY,
            runtime=row["runtime"],
            precision=row["precision"],
            measured_latency_ms=row["compressed"]["latency_ms"],
            published=row["published"],
        )
        for row in document["rows"]
        if row.get("file") in files and files[row["file"]].is_file()
    ]
    write_bundle(folder / "bundle.zip", document, kept, contents, texts, signer)
