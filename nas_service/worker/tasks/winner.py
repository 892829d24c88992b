"""Compress one winner, then compile and measure its files."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sqlalchemy.orm import Session

from lookup_tables import anchor
from lookup_tables.measure import Timing
from lookup_tables.profile import runner
from nas_service.compilation.base import Compiler, Executable
from nas_service.compilation.benchmark import PROTOCOL, benchmark
from nas_service.compilation.parity import compare
from nas_service.compression.apply import apply
from nas_service.compression.base import PassContext
from nas_service.engine.child import Progress
from nas_service.lineage import lineage
from nas_service.networks.build import build
from nas_service.plugins import COMPILERS, load
from nas_service.search.certify import Measured, judge, standard_error
from nas_service.space.base import describe, input_size
from nas_service.storage import artifacts, datasets, devices, searches, supernets
from nas_service.training.data import load as load_data
from nas_service.training.loop import TrainRecipe, recalibrate
from nas_service.training.loop import train as train_network
from nas_service.worker.context import Context, make_space, require_this_machine
from nas_service.worker.recipes import finetune_options, supernet_recipe
from nas_service.worker.tasks.supernet import (
    compression_recipe,
    open_supernet,
    shipped_accuracy,
    subnet_of,
    teacher_of,
)

N_PARITY = 32


def compress(params: dict[str, Any], report: Progress) -> dict[str, Any]:
    """Weights, fine-tuning, export and int8 for winner `winner_id`; its files become artifacts."""
    context = Context.from_params(params)
    with context.database.session() as session:
        winner = searches.get_winner(session, params["winner_id"])
        search = searches.get_search(session, winner.search_id)
        dataset = datasets.get_dataset(session, search.dataset_id)
        shared = (
            supernets.get_supernet(session, search.facts["supernet_id"])
            if search.facts.get("supernet_id")
            else None
        )
    spec = search.value
    space = make_space(spec.space, dataset.image)
    genotype = np.array(winner.genotype[:-1], dtype=np.int64)
    torch.manual_seed(spec.seed)
    report(0.05, "loading weights")
    if shared is not None:
        supernet, data = open_supernet(context, shared, dataset)
        network, size = subnet_of(supernet, data, genotype)
        teacher = teacher_of(supernet, data)
    else:
        torch.set_num_threads(context.threads())
        data = load_data(
            context.blobs.path(dataset.sha256 or ""), max_train=spec.training.max_train_images
        )
        size, teacher = input_size(space, genotype), None
        network = build(space, genotype, seed=spec.seed)
        recipe = TrainRecipe(**supernet_recipe(spec.training, len(data.train)))
        train_network(network, data, size, recipe, seed=spec.seed)
        recalibrate(network, data, size)
    folder = context.scratch(f"compress-{winner.id}")
    options = finetune_options(spec.training, len(data.train))
    made = apply(
        compression_recipe(options),
        network,
        PassContext(data, size, seed=spec.seed, teacher=teacher),
        folder,
        channels=space.image.channels,
        on_step=lambda name: report(0.3 if name == "finetune" else 0.8, name),
    )
    images = data.prepared(data.test.images[:N_PARITY], size).contiguous()
    with torch.no_grad():
        logits = made.network.eval()(images).numpy()
    np.savez(folder / "parity.npz", images=images.numpy(), logits=logits)
    torch.save(made.network.state_dict(), folder / "weights.pt")
    description = describe(space, genotype)
    (folder / "architecture.json").write_text(json.dumps(description, indent=1))
    preprocessing = {
        "size": size,
        "channels": space.image.channels,
        "scale": 1 / 255,
        "mean": list(data.mean),
        "std": list(data.std),
        "resize": "bilinear, antialiased",
        "layout": "NCHW",
    }
    (folder / "preprocessing.json").write_text(json.dumps(preprocessing, indent=1))
    from_what = lineage(
        seed=spec.seed,
        data=dataset.digest,
        supernet=None if shared is None else shared.sha256,
        recipe={"finetune": options, "static_int8": {}},
    )
    files = {
        "fp32.onnx": (made.exported, "onnx"),
        "int8.onnx": (made.final, "onnx"),
        "weights.pt": (folder / "weights.pt", "torch_weights"),
        "architecture.json": (folder / "architecture.json", "architecture"),
        "preprocessing.json": (folder / "preprocessing.json", "preprocessing"),
        "parity.npz": (folder / "parity.npz", "parity"),
    }
    stored = {}
    with context.database.session() as session:
        for name, (path, kind) in files.items():
            added = artifacts.add_artifact(
                session,
                context.blobs,
                path,
                owner=winner.id,
                name=name,
                kind=kind,
                lineage=from_what,
            )
            stored[name] = added.id
        searches.update_winner(session, winner.id, compressed=stored, state="compressed")
    shutil.rmtree(folder, ignore_errors=True)
    return {"artifacts": stored}


def measure(params: dict[str, Any], report: Progress) -> dict[str, Any]:
    """Compile, compare with the torch module, measure and judge the files of `winner_id`."""
    context = Context.from_params(params)
    with context.database.session() as session:
        winner = searches.get_winner(session, params["winner_id"])
        search = searches.get_search(session, winner.search_id)
        dataset = datasets.get_dataset(session, search.dataset_id)
        device = devices.get_device(session, search.device_id)
        stored = {a.name: a for a in artifacts.artifacts_of(session, winner.id)}
        tables = [devices.get_table(session, one) for one in search.facts["tables"]]
        targets = _targets(session, search, tables)
    spec = search.value
    anchors = [t.provenance.get("anchor_p50_ms") for t in tables]
    then_ms = next((float(one) for one in anchors if one), None)
    require_this_machine(device)
    torch.set_num_threads(context.threads())
    data = load_data(
        context.blobs.path(dataset.sha256 or ""), max_train=spec.training.max_train_images
    )
    size = input_size(
        make_space(spec.space, dataset.image), np.array(winner.genotype[:-1], dtype=np.int64)
    )
    with np.load(context.blobs.path(stored["parity.npz"].sha256), allow_pickle=False) as arrays:
        images, logits = arrays["images"], arrays["logits"]
    folder = context.scratch(f"measure-{winner.id}")
    loaded: dict[str, tuple[Executable, np.ndarray[Any, Any]]] = {}
    compiled: dict[str, Path] = {}
    # fp32 is always measured beside the others: it is what they have to be faster than
    precisions = ("fp32", *(p for p in spec.precisions if p != "fp32"))
    for precision in precisions:
        report(0.1, f"compiling {precision}")
        target = targets[precision].value
        compiler: Compiler = load(COMPILERS, target.runtime)()
        graph = folder / f"{precision}.onnx"
        shutil.copyfile(context.blobs.path(stored[f"{precision}.onnx"].sha256), graph)
        compiled[precision] = compiler.compile(graph, target, folder)
        loaded[precision] = (compiler.load(compiled[precision], target), images[:1])
    report(0.3, "measuring")
    done = benchmark(
        loaded,
        anchor_runner=runner(anchor.write_anchor(folder), targets["fp32"].value),
        anchor_then_ms=then_ms,
        seed=spec.seed,
    )
    timings = done.timings
    report(0.7, "checking parity and accuracy")
    measured: dict[str, Measured] = {}
    for precision in precisions:
        same = compare(loaded[precision][0], images, logits, precision)
        measured[precision] = Measured(
            precision=precision,
            accuracy=shipped_accuracy(compiled[precision], data, data.test, size),
            n_test=len(data.test),
            latency_ms=timings[precision].p50_ms,
            stable=timings[precision].stable,
            size_bytes=compiled[precision].stat().st_size,
            parity_ok=same.ok,
            parity_max_abs=same.max_abs,
            agreement=same.agreement,
        )
    shutil.rmtree(folder, ignore_errors=True)
    limit = float(search.facts["limit_ms"])
    rows = [
        {
            **_row(winner, measured[precision], measured["fp32"], timings[precision], limit),
            "machine_shift": done.machine_shift,
            "measuring_attempts": done.attempts,
        }
        for precision in spec.precisions
    ]
    with context.database.session() as session:
        for row in rows:
            precision = row["precision"]
            artifacts.add_measurement(
                session,
                artifact_id=stored[f"{precision}.onnx"].id,
                target_id=targets[precision].id,
                values=timings[precision].as_dict(),
                lineage=lineage(seed=spec.seed, protocol=PROTOCOL.as_dict()),
            )
        searches.update_winner(session, winner.id, results=rows, state="measured")
    return {"rows": rows}


def _targets(
    session: Session, search: searches.StoredSearch, tables: list[devices.StoredTable]
) -> dict[str, devices.StoredTarget]:
    """The targets that the search's tables are of, and fp32 beside them, by precision."""
    found = [devices.get_target(session, table.target_id) for table in tables]
    by_precision = {target.precision: target for target in found}
    if "fp32" not in by_precision:
        plain = replace(found[0].value, precision="fp32")
        by_precision["fp32"] = devices.add_target(session, search.device_id, plain)
    return by_precision


def _row(
    winner: searches.StoredWinner,
    one: Measured,
    reference: Measured,
    timing: Timing,
    limit_ms: float,
) -> dict[str, Any]:
    """Estimates and measurements side by side, each under a name of its own."""
    estimate = winner.estimates[one.precision]
    verdict = judge(one, limit_ms, reference)
    return {
        "winner": winner.id,
        "rank": winner.rank,
        "architecture": estimate["architecture"],
        "target": estimate["target"],
        "precision": one.precision,
        "predicted_accuracy": estimate["predicted_accuracy"],
        "measured_accuracy": round(one.accuracy, 6),
        "measured_accuracy_standard_error": round(standard_error(one.accuracy, one.n_test), 6),
        "n_test": one.n_test,
        "predicted_latency_ms": estimate["predicted_latency_ms"],
        "predicted_latency_upper_ms": estimate["latency_upper_ms"],
        "measured_latency_ms": one.latency_ms,
        "latency": timing.as_dict(),
        "predicted_size_bytes": estimate["size_bytes"],
        "size_bytes": one.size_bytes,
        "macs": estimate["macs"],
        "parameters": estimate["parameters"],
        "limit_ms": limit_ms,
        "limit_holds": verdict.limit_holds,
        "parity_max_abs": one.parity_max_abs,
        "parity_agreement": one.agreement,
        "published": verdict.published,
        "reason": verdict.reason,
    }
