"""The offline kit: a device without Python or network is profiled by hand, and read back.

A kit is a zip of models, the commands that time them, and a CSV to fill. It holds the same files
that a profile would measure, so that what comes back makes the same tables.
"""

from __future__ import annotations

import csv
import io
import json
import math
import shutil
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files as package_files
from pathlib import Path

import numpy as np

from lookup_tables.errors import InvalidTable, LookupTableError
from lookup_tables.importers import ANCHOR_COLUMNS, NetworkLatency, network_latencies
from lookup_tables.measuring.anchors import anchor_graph
from lookup_tables.measuring.observed import Steadiness
from lookup_tables.measuring.protocol import OnProgress
from lookup_tables.measuring.reference import Reference, find_reference
from lookup_tables.measuring.timing import REFERENCE, UNKNOWN_STATE, Protocol, Timing
from lookup_tables.profile import NO_PROTOCOLS, References
from lookup_tables.target import PLAIN_RUNTIME, Target
from nas_service.engine.child import Progress
from nas_service.errors import InvalidSpec
from nas_service.jobs.params import KitImportJob, KitJob
from nas_service.learning.registry import required_sample
from nas_service.lineage import lineage
from nas_service.space.base import FloatArray
from nas_service.storage import artifacts, devices
from nas_service.storage.session import now
from nas_service.worker.context import Context, space_on
from nas_service.worker.devices.agent import AgentDevice
from nas_service.worker.tasks.profile import store_tables
from nas_service.worker.tasks.profile_files import Clock, block_files, network_files
from nas_service.worker.tasks.profile_plan import plan_of
from nas_service.worker.tasks.profile_space import profile_space

N_BLOCKS = 64
NETWORKS = AgentDevice.n_networks
_NO_HURRY_S = 1e6


def make_kit(context: Context, job: KitJob, report: Progress) -> None:
    """Build the kit of device `device_id` for a space; it becomes an artifact of the device."""
    with context.database.session() as session:
        device = devices.get_device(session, job.device_id)
    space = space_on(context, job.space, required_sample(job.sample), device)
    seed, precisions = job.seed, list(job.precisions)
    targets = [Target("kit", PLAIN_RUNTIME, "", precision) for precision in precisions]
    folder = context.scratch(f"kit-{context.job_id}")
    plan = plan_of(space, seed, NETWORKS, N_BLOCKS)
    clock = Clock(time.monotonic(), _NO_HURRY_S)
    groups = {"blocks": block_files(plan.blocks, targets, folder / "blocks", clock, report)}
    for group, rows, span in (
        ("fit", plan.for_fit, (0.3, 0.7)),
        ("check", plan.for_check, (0.7, 0.95)),
    ):
        groups[group] = network_files(
            space, rows, targets, folder / group, report, span, None, len(rows)
        )
    models = {
        f"{group}/{precision}/{number}": paths[precision]
        for group, every in groups.items()
        for number, paths in every.items()
        for precision in precisions
    }
    report(0.96, f"packing {len(models)} models")
    place = folder / "kit.zip"
    _pack(place, models)
    asked = job.model_dump(include={"space", "sample", "precisions", "seed"})
    with context.database.session() as session:
        artifacts.add_artifact(
            session,
            context.blobs,
            place,
            owner=job.device_id,
            name=f"kit-{job.space}-{space.sample.size}.zip",
            kind="kit",
            lineage={**lineage(seed=seed), "kit": asked},
        )
    shutil.rmtree(folder, ignore_errors=True)


def import_kit(context: Context, job: KitImportJob, report: Progress) -> None:
    """Make tables from a filled CSV, the text of `results`; all of it or nothing."""
    asked = job.kit
    with context.database.session() as session:
        device = devices.get_device(session, job.device_id)
    space = space_on(context, asked["space"], required_sample(asked.get("sample") or asked), device)
    folder = context.scratch(f"kit-import-{context.job_id}")
    results = folder / "results.csv"
    results.write_text(job.results, encoding="utf-8")
    try:
        filled = FilledKit.of(network_latencies(results))
        targets = [
            Target(device.name, PLAIN_RUNTIME, job.runtime_version, precision)
            for precision in asked["precisions"]
        ]
        made = profile_space(
            space,
            targets,
            _NO_HURRY_S,
            int(asked["seed"]),
            folder,
            report,
            profiler=filled,
            networks=NETWORKS,
            max_blocks=N_BLOCKS,
        )
    except InvalidTable as error:
        raise InvalidSpec(str(error), field="results", problems=list(error.problems)) from error
    except LookupTableError as error:
        raise InvalidSpec(str(error), field="results") from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    store_tables(context, device, targets, made, space, int(asked["seed"]))


_ANCHOR = "graph"
"""Whose graph a kit runs before and after each model."""


@dataclass(frozen=True)
class FilledKit:
    """A `Profiler` that replays recorded timings, by the names that a kit gave its models."""

    timings: Mapping[str, Timing]
    references: References
    steadiness: Steadiness | None

    @classmethod
    def of(cls, rows: Sequence[NetworkLatency]) -> FilledKit:
        """Rows of a filled kit; where the anchor stands beside them, they are held to a state."""
        known = [
            (one.anchor_before_ms, one.anchor_after_ms)
            for one in rows
            if one.anchor_before_ms is not None and one.anchor_after_ms is not None
        ]
        if not known or len(known) < len(rows):
            return cls({one.name: timing_of(one) for one in rows}, {}, None)
        logs = np.log(np.array(known, dtype=np.float64))
        reference = find_reference([_ANCHOR], logs.reshape(-1, 1), np.ones(2 * len(rows)))
        # how long the device was watched is not known: readings are all there is
        reference = replace(reference, watched_s=0.0, doubt="")
        share = sum(map(float, _inside(reference, logs))) / len(rows)
        timings = {
            one.name: timing_of(one, reference, share, inside=bool(inside))
            for one, inside in zip(rows, _inside(reference, logs), strict=True)
        }
        return cls(timings, {"kit": reference}, Steadiness(reference, round(share, 4), 0.0))

    def measure(
        self,
        models: Mapping[str, Path],
        target: Target,
        *,
        protocol: Protocol,
        protocols: Mapping[str, Protocol] = NO_PROTOCOLS,
        budget_s: float | None = None,
        seed: int = 0,
        on_progress: OnProgress | None = None,
    ) -> dict[str, Timing]:
        """What was recorded of each model; `InvalidSpec` names those of which nothing was."""
        del target, protocol, protocols, budget_s, seed, on_progress
        missing = [name for name in models if name not in self.timings]
        if missing:
            raise InvalidSpec(
                f"results: {len(missing)} models have no row, as {', '.join(missing[:5])}",
                field="results",
            )
        return {name: self.timings[name] for name in models}


def _inside(reference: Reference, logs: FloatArray) -> list[bool]:
    """Of each pair of readings `(n, 2)`: whether both are of the reference state."""
    return [all(reference.holds({_ANCHOR: float(np.exp(v))}) for v in pair) for pair in logs]


def timing_of(
    told: NetworkLatency,
    reference: Reference | None = None,
    share: float | None = None,
    *,
    inside: bool = True,
) -> Timing:
    """A timing from what a tool printed; percentiles that it did not are the median."""
    p50 = told.p50_ms
    reason = "" if inside else "the anchor beside it says that the device was in another state"
    return Timing(
        p10_ms=p50,
        p50_ms=p50,
        p90_ms=told.p90_ms or p50,
        p99_ms=told.p99_ms or told.p90_ms or p50,
        spread=0.0,
        n=max(told.n, 1),
        stable=math.isfinite(p50) and inside,
        measured_at=now().isoformat(timespec="seconds"),
        state=UNKNOWN_STATE if reference is None else REFERENCE,
        n_turns=1,
        state_share=share,
        reason=reason,
    )


def _pack(place: Path, models: Mapping[str, Path]) -> None:
    template = io.StringIO()
    writer = csv.writer(template, lineterminator="\n")
    writer.writerow(["name", "p50_ms", "p90_ms", "p99_ms", "n", *ANCHOR_COLUMNS])
    writer.writerows([name, *[""] * 6] for name in models)
    texts = package_files("nas_service").joinpath("templates")
    with zipfile.ZipFile(place, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in models.items():
            archive.write(path, f"models/{name}.onnx")
        archive.writestr("anchor.onnx", anchor_graph())
        archive.writestr("results.csv", template.getvalue())
        archive.writestr("README.txt", texts.joinpath("kit.txt").read_text())
        archive.writestr("measure.sh", texts.joinpath("kit.sh").read_text())
        archive.writestr("models.json", json.dumps(list(models)))
