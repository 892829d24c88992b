"""Compile a compressed model for each target, compare it with the original, measure both."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from lookup_tables.conditions import meter_of_this_machine
from lookup_tables.measure import Timing, measure
from lookup_tables.runtimes import runner, runtime_versions
from lookup_tables.target import Target
from nas_service.compilation.base import Compiler, FloatArray32, Source
from nas_service.compilation.benchmark import PROTOCOL
from nas_service.compilation.cache import CompileCache
from nas_service.compilation.gate import Found, decide
from nas_service.compilation.memory import peak_memory_bytes
from nas_service.compilation.parity import Parity, parity_of
from nas_service.compilation.toolchains import require
from nas_service.compilation.verify import logits_of
from nas_service.engine.child import Progress
from nas_service.errors import NasError
from nas_service.lineage import lineage
from nas_service.plugins import COMPILERS, load
from nas_service.storage import artifacts, devices
from nas_service.worker.context import Context, require_this_machine

SESSIONS = 3
BASE = ("onnxruntime", "fp32")
"""What every model is compared with beside the fp32 of its own runtime."""


@dataclass
class Built:
    """A compiled file and what is known of it."""

    path: Path
    target: Target
    notes: dict[str, Any]
    logits: FloatArray32 | None = None
    timing: Timing | None = None
    stable: bool = False


def measure_model(params: dict[str, Any], report: Progress) -> dict[str, Any]:
    """Rows of compression `compression_id`, one a target; what passes the gate is published."""
    context = Context.from_params(params)
    owner = params["compression_id"]
    with context.database.session() as session:
        device = devices.get_device(session, params["device_id"])
        stored = {one.name: one for one in artifacts.artifacts_of(session, owner)}
    require_this_machine(device)
    folder = context.scratch(f"measure-{owner}")
    try:
        for name, one in stored.items():
            shutil.copyfile(context.blobs.path(one.sha256), folder / name)
        wanted = [(one["runtime"], one["precision"]) for one in params["targets"]]
        here = [r for r, _ in wanted if not load(COMPILERS, r).toolchain.hardware]
        bases = dict.fromkeys([BASE, *((runtime, "fp32") for runtime in here)])
        built: dict[tuple[str, str, str], Built] = {}
        refused: dict[tuple[str, str, str], str] = {}
        everything = [("original", *one) for one in bases] + [("compressed", *o) for o in wanted]
        for number, key in enumerate(everything):
            report(0.7 * number / len(everything), f"compiling {key[0]} for {key[1]} {key[2]}")
            try:
                built[key] = _build(context, device.name, key, folder)
            except NasError as error:
                refused[key] = str(error)
        report(0.7, "measuring")
        _measure(built, int(params["seed"]), report)
        report(0.95, "judging")
        rows = [
            _row(folder, runtime, precision, built, refused, float(params["max_loss"]))
            for runtime, precision in wanted
        ]
        _store(context, params, device.id, rows, built, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {"rows": rows}


def _build(context: Context, device: str, key: tuple[str, str, str], folder: Path) -> Built:
    """Compile one model for one target, and run it on the test images in a process of its own."""
    which, runtime, precision = key
    compiler: Compiler = load(COMPILERS, runtime)()
    version = require(compiler.toolchain, context.settings)
    target = Target(device, runtime, runtime_versions().get(runtime, version), precision)
    cache = CompileCache(context.settings.var_dir / "compiled", context.settings)
    source = _source(which, precision, folder)
    made = cache.compile(compiler, source, target, folder / f"{which}-{runtime}-{precision}")
    built = Built(made.path, target, dict(made.notes))
    if compiler.toolchain.hardware:
        return built  # an estimate at best: not run on hardware
    built.logits = logits_of(
        made.path, target, folder / "test.npz", folder / f"{which}-{runtime}-{precision}.npz"
    )
    return built


def _source(which: str, precision: str, folder: Path) -> Source:
    def there(name: str) -> Path | None:
        path = folder / name
        return path if path.is_file() else None

    graph = there(f"{which}.onnx")
    if which == "compressed" and precision != "fp32":
        graph = there("graph.onnx") or graph
    return Source(graph, there(f"{which}.pt2"), folder / "calibration.npz")


def _measure(built: dict[tuple[str, str, str], Built], seed: int, report: Progress) -> None:
    """Sessions of all files interleaved; the middle one counts."""
    ran = {"/".join(key): one for key, one in built.items() if one.logits is not None}
    runners: dict[str, Callable[[], object]] = {
        name: runner(one.path, one.target) for name, one in ran.items()
    }
    if not runners:
        return
    sessions = []
    for number in range(SESSIONS):
        report(0.7 + 0.08 * number, f"measuring, session {number + 1} of {SESSIONS}")
        sessions.append(
            measure(runners, PROTOCOL, seed=seed + number, meter=meter_of_this_machine())
        )
    for name, one in ran.items():
        timings = [session[name] for session in sessions]
        steady = [timing for timing in timings if timing.stable] or timings
        middle = median(timing.p50_ms for timing in steady)
        one.timing = min(steady, key=lambda timing: abs(timing.p50_ms - middle))
        one.stable = bool(sum(timing.stable for timing in timings) * 2 > SESSIONS)


def _row(
    folder: Path,
    runtime: str,
    precision: str,
    built: dict[tuple[str, str, str], Built],
    refused: dict[tuple[str, str, str], str],
    max_loss: float,
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
    if one.logits is None:
        return {**row, "reason": str(one.notes.get("status", "not run on hardware"))}
    reference = np.load(folder / "reference.npz")["logits"]
    same: Parity = parity_of(one.logits, reference, precision)
    row["parity"] = same.as_dict()
    if base is None or base.logits is None:
        told = refused.get(base_key, "the original does not run")
        return {**row, "reason": f"nothing to compare with: {told}"}
    published, reason = decide(_found(one, labels), _found(base, labels), same, max_loss)
    return {**row, "published": published, "reason": reason}


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
    if one.target.runtime == "onnxruntime":
        found["peak_memory_bytes"] = peak_memory_bytes(one.path)
    return found


def _found(one: Built, labels: np.ndarray[Any, Any]) -> Found:
    assert one.logits is not None
    return Found(
        accuracy=float((one.logits.argmax(1) == labels).mean()),
        latency_ms=None if one.timing is None else one.timing.p50_ms,
        stable=one.stable,
        size_bytes=one.path.stat().st_size,
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
    from_what = lineage(seed=params["seed"], protocol=PROTOCOL.as_dict(), recipe=params["recipe"])
    with context.database.session() as session:
        for row in rows:
            one = built.get(("compressed", row["runtime"], row["precision"]))
            if one is None or not (row["published"] or one.logits is None):
                continue
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
