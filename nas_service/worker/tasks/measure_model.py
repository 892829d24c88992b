"""Compile a compressed model for each target, compare it with the original, measure both."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from lookup_tables.measuring.protocol import OnProgress
from lookup_tables.measuring.reference import Reference
from lookup_tables.measuring.timing import Timing
from lookup_tables.profile import LocalProfiler, Profiler, references_from
from lookup_tables.runtimes import runner
from nas_service.compilation.benchmark import PROTOCOL
from nas_service.compilation.gate import Found, Terms, decide
from nas_service.compilation.memory import peak_memory_bytes
from nas_service.compilation.parity import Parity, parity_of
from nas_service.compilation.toolchains import runs_here
from nas_service.compression.structured import macs_ratio
from nas_service.engine.child import Progress
from nas_service.errors import NasError
from nas_service.lineage import lineage
from nas_service.plugins import COMPILERS, load
from nas_service.storage import artifacts, devices
from nas_service.storage.devices import StoredDevice
from nas_service.worker.context import Context
from nas_service.worker.remote import AgentProfiler
from nas_service.worker.remote_files import RemoteFiles
from nas_service.worker.tasks.built_files import Built, build, runtimes_there
from nas_service.worker.tasks.profile import keep_references

SESSIONS = 3
N_IMAGES_THERE = 32
"""Test images that are sent to a device elsewhere to be answered there."""
BASE = ("onnxruntime", "fp32")
"""What every model is compared with beside the fp32 of its own runtime."""


def measure_model(params: dict[str, Any], report: Progress) -> dict[str, Any]:
    """Rows of compression `compression_id`, one a target; what passes the gate is published."""
    context = Context.from_params(params)
    owner = params["compression_id"]
    with context.database.session() as session:
        device = devices.get_device(session, params["device_id"])
        stored = {one.name: one for one in artifacts.artifacts_of(session, owner)}
    there = runtimes_there(context, device)
    folder = context.scratch(f"measure-{owner}")
    try:
        for name, one in stored.items():
            shutil.copyfile(context.blobs.path(one.sha256), folder / name)
        wanted = [(one["runtime"], one["precision"]) for one in params["targets"]]
        here = [r for r, _ in wanted if runs_here(load(COMPILERS, r).toolchain)]
        bases = dict.fromkeys([BASE, *((runtime, "fp32") for runtime in here)])
        built: dict[tuple[str, str, str], Built] = {}
        refused: dict[tuple[str, str, str], str] = {}
        everything = [("original", *one) for one in bases] + [("compressed", *o) for o in wanted]
        with context.building(params):
            for number, key in enumerate(everything):
                report(0.7 * number / len(everything), f"compiling {key[0]} for {key[1]} {key[2]}")
                try:
                    built[key] = build(context, device, there, key, folder)
                except NasError as error:
                    refused[key] = str(error)
        report(0.7, "measuring")
        _measure(context, device, params["job_id"], built, int(params["seed"]), folder, report)
        report(0.95, "judging")
        passes = json.loads((folder / "passes.json").read_text())
        promised = float(params["speedup_share"]) * macs_ratio(passes)
        terms = Terms(float(params["max_loss"]), max(1.0, promised))
        rows = [
            _row(folder, runtime, precision, built, refused, terms) for runtime, precision in wanted
        ]
        _store(context, params, device.id, rows, built, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"rows": rows}


def _measure(
    context: Context,
    device: StoredDevice,
    job_id: str,
    built: dict[tuple[str, str, str], Built],
    seed: int,
    folder: Path,
    report: Progress,
) -> None:
    """Sessions of all files interleaved; the middle one counts."""
    ran = {"/".join(key): one for key, one in built.items() if one.logits is not None}
    if not ran:
        return
    number = 0

    def on_progress(_: float, note: str) -> None:
        said = f"measuring, session {number + 1} of {SESSIONS}"
        report(0.7 + 0.08 * number, f"{said}: {note}" if note else said)

    references = references_from(device.facts.get("references"))
    profiler: Profiler
    if device.local:
        profiler, take = _measured_here(ran, references, on_progress)
    else:
        files = {name: (one.path, one.target) for name, one in ran.items()}
        profiler = AgentProfiler(context, device, job_id, references)
        remote = RemoteFiles(profiler, files, on_progress=on_progress)
        take = remote.measure
        for name, logits in remote.outputs(ran, _first_images(folder)).items():
            ran[name].logits_there = logits
    sessions = []
    for number in range(SESSIONS):  # what progress is told of
        on_progress(0.0, "")
        sessions.append(take(seed + number))
    keep_references(context, device.id, profiler)
    for name, one in ran.items():
        timings = [session[name] for session in sessions]
        steady = [timing for timing in timings if timing.stable] or timings
        middle = median(timing.p50_ms for timing in steady)
        one.timing = min(steady, key=lambda timing: abs(timing.p50_ms - middle))
        one.stable = bool(sum(timing.stable for timing in timings) * 2 > SESSIONS)


def _first_images(folder: Path) -> Path:
    """What is sent to the device to be answered there."""
    path = folder / "first-images.npz"
    with np.load(folder / "test.npz", allow_pickle=False) as arrays:
        np.savez(path, images=arrays["images"][:N_IMAGES_THERE])
    return path


def _measured_here(
    ran: dict[str, Built], references: Mapping[str, Reference], on_progress: OnProgress
) -> tuple[LocalProfiler, Callable[[int], dict[str, Timing]]]:
    runners: dict[str, Callable[[], object]] = {
        name: runner(one.path, one.target) for name, one in ran.items()
    }
    targets = {name: one.target for name, one in ran.items()}
    profiler = LocalProfiler(references)
    return profiler, lambda seed: profiler.measure_loaded(
        runners, targets, protocol=PROTOCOL, seed=seed, on_progress=on_progress
    )


def _row(
    folder: Path,
    runtime: str,
    precision: str,
    built: dict[tuple[str, str, str], Built],
    refused: dict[tuple[str, str, str], str],
    terms: Terms,
) -> dict[str, Any]:
    """A target's row: the original beside what came of it, and the verdict."""
    key = ("compressed", runtime, precision)
    base_key = ("original", runtime, "fp32")
    base = built.get(base_key) or built.get(("original", *BASE))
    row: dict[str, Any] = {"runtime": runtime, "precision": precision, "published": False}
    if key not in built:
        return {**row, "reason": refused[key], "original": None, "compressed": None}
    one = built[key]
    labels = np.load(folder / "test.npz")["labels"]
    row["original"] = None if base is None else _told(base, labels)
    row["compressed"] = _told(one, labels)
    row["notes"] = one.notes
    if one.shares is not None:
        row["shares"] = {**one.shares.as_dict(), "text": one.shares.sentence(precision)}
        if one.shares.nothing and precision != "fp32":
            told = one.shares.sentence(precision)
            return {**row, "reason": f"nothing of it is in {precision}: {told}"}
    if one.logits is None:
        return {**row, "reason": str(one.notes.get("status", "not run on hardware"))}
    reference = np.load(folder / "reference.npz")["logits"]
    same: Parity = parity_of(one.logits, reference, precision)
    row["parity"] = same.as_dict()
    if one.logits_there is not None:
        on_device = parity_of(one.logits_there, reference[: len(one.logits_there)], precision)
        row["parity_on_device"] = on_device.as_dict()
        same = same if on_device.ok else on_device
    if base is None or base.logits is None:
        told = refused.get(base_key, "the original does not run")
        return {**row, "reason": f"nothing to compare with: {told}"}
    own = _original_parity(folder, base)
    if not own.ok:
        return {
            **row,
            "reason": f"nothing to compare with: the original's file in fp32 for "
            f"{base.target.runtime} is not the original: {own.why}",
        }
    published, reason = decide(_found(one, labels), _found(base, labels), same, terms)
    return {**row, "published": published, "reason": reason}


def _original_parity(folder: Path, base: Built) -> Parity:
    """The original's own fp32 file beside the module that it was made of."""
    name = "original-reference.npz"
    reference = folder / (name if (folder / name).is_file() else "reference.npz")
    assert base.logits is not None
    return parity_of(base.logits, np.load(reference)["logits"], "fp32")


def _told(one: Built, labels: np.ndarray[Any, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {
        "target": one.target.key,
        "size_bytes": one.path.stat().st_size,
        "accuracy": None,
        "latency_ms": None,
        "latency": None,
        "stable": None,
        "peak_memory_bytes": None,
    }
    if one.logits is not None:
        found["accuracy"] = round(float((one.logits.argmax(1) == labels).mean()), 6)
    if one.timing is not None:
        found["latency_ms"] = one.timing.p50_ms
        found["latency"] = one.timing.as_dict()
        found["stable"] = one.stable
    if one.target.runtime == "onnxruntime" and one.logits_there is None:
        found["peak_memory_bytes"] = peak_memory_bytes(one.path)
    return found


def _found(one: Built, labels: np.ndarray[Any, Any]) -> Found:
    assert one.logits is not None
    return Found(
        accuracy=float((one.logits.argmax(1) == labels).mean()),
        latency_ms=None if one.timing is None else one.timing.p50_ms,
        stable=one.stable,
        size_bytes=one.path.stat().st_size,
        latency_error=0.0 if one.timing is None else one.timing.error or 0.0,
        sha256=hashlib.sha256(one.path.read_bytes()).hexdigest(),
    )


def _store(
    context: Context,
    params: dict[str, Any],
    device_id: str,
    rows: list[dict[str, Any]],
    built: dict[tuple[str, str, str], Built],
    folder: Path,
) -> None:
    """Keep the published files with their measurements, and the report."""
    owner = params["compression_id"]
    protocol = PROTOCOL.as_dict()
    from_what = lineage(seed=params["seed"], protocol=protocol, recipe=params["recipe"])
    with context.database.session() as session:
        for row in rows:
            one = built.get(("compressed", row["runtime"], row["precision"]))
            # kept, too, where nothing is wrong but that the machine was unsteady: it can be
            # fetched, and measured later
            unsteady = one is not None and one.timing is not None and not one.stable
            if one is None or not (row["published"] or one.logits is None or unsteady):
                continue
            row["kept"] = "published" if row["published"] else "not measured steadily"
            if one.logits is None:
                row["kept"] = "not run here"
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
        passes = json.loads((folder / "passes.json").read_text())
        told.write_text(json.dumps({"passes": passes, "rows": rows}, indent=1))
        artifacts.add_artifact(
            session,
            context.blobs,
            told,
            owner=owner,
            name="report.json",
            kind="report",
            lineage=from_what,
        )
