"""Compress one winner, then compile and measure its files."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lookup_tables.runtimes.registry import reads_graphs
from nas_service.compilation.samples import save_samples
from nas_service.compression.base import PassContext, Teacher
from nas_service.compression.graph_samples import calibration_inputs
from nas_service.compression.searched import graphs_of, recipes_of
from nas_service.compression.ship import ship
from nas_service.engine.child import Progress
from nas_service.jobs.params import WinnerJob
from nas_service.learning.base import Data
from nas_service.lineage import lineage
from nas_service.networks.build import build
from nas_service.search.spec import FP32_AND_INT8, SearchSpec
from nas_service.space.base import IntArray, SearchSpace, describe, input_size
from nas_service.space.elastic.space import is_own
from nas_service.storage import artifacts, datasets, searches, supernets
from nas_service.storage.datasets import StoredDataset
from nas_service.storage.supernets import StoredSupernet
from nas_service.training.loop import TrainRecipe, recalibrate
from nas_service.training.loop import train as train_network
from nas_service.worker.context import Context, make_space
from nas_service.worker.data import open_data
from nas_service.worker.recipes import finetune_options, standalone_recipe
from nas_service.worker.tasks.profile_files import source_of
from nas_service.worker.tasks.supernet import (
    open_supernet,
    subnet_of,
    teacher_of,
)

N_PARITY = 32


def compress(context: Context, job: WinnerJob, report: Progress) -> None:
    """Weights, fine-tuning, export and int8 for winner `winner_id`; its files become artifacts."""
    with context.database.session() as session:
        winner = searches.get_winner(session, job.winner_id)
        search = searches.get_search(session, winner.search_id)
        dataset = datasets.get_dataset(session, search.dataset_id)
        known = search.facts.supernet_id
        shared = supernets.get_supernet(session, known) if known else None
    spec = search.value
    space = make_space(context, spec.space, dataset.sample)
    genotype = winner.genotype.row
    torch.manual_seed(spec.seed)
    report(0.05, "loading weights")
    network, data, size, teacher = _weights(context, spec, space, genotype, shared, dataset)
    folder = context.scratch(f"compress-{winner.id}")
    options = finetune_options(spec.training, len(data.train), data.task.training)
    samples = data.prepared(data.test.inputs[:N_PARITY], size).contiguous()
    wanted = graphs_of([*FP32_AND_INT8, *spec.deployments])
    n_recipes = 1 + len(recipes_of(spec.deployments))
    files: dict[str, tuple[Path, str]] = {}
    made_by: dict[str, dict[str, Any]] = {}
    report(0.1, "fine-tuning")
    pass_context = PassContext(data, size, seed=spec.seed, teacher=teacher)
    for number, made in enumerate(ship(wanted, network, pass_context, folder, options), start=1):
        prefix = f"{made.recipe}." if made.recipe else ""
        with torch.no_grad():
            outputs = made.network.eval()(samples).numpy()
        save_samples(folder / f"{prefix}parity.npz", inputs=samples.numpy(), outputs=outputs)
        torch.save(made.network.state_dict(), folder / f"{prefix}weights.pt")
        files |= {f"{graph}.onnx": (path, "onnx") for graph, path in made.graphs.items()}
        if any(not reads_graphs(one.runtime) for one in spec.deployments):
            source = source_of(
                made.network,
                folder / f"{prefix}program.onnx",
                calibration_inputs(pass_context),
            )
            assert source.program is not None
            assert source.calibration is not None
            files[f"{prefix}program.pt2"] = (source.program, "torch_program")
            files[f"{prefix}calibration.npz"] = (source.calibration, "calibration")
        files[f"{prefix}weights.pt"] = (folder / f"{prefix}weights.pt", "torch_weights")
        files[f"{prefix}parity.npz"] = (folder / f"{prefix}parity.npz", "parity")
        for name in files.keys() - made_by.keys():
            int8: dict[str, Any] = {"static_int8": {}} if name.endswith("int8.onnx") else {}
            made_by[name] = {**{k: dict(v) for k, v in made.passes.items()}, **int8}
        report(0.1 + 0.8 * number / n_recipes, made.recipe or "fine-tuned")
    preprocessing = dataset.task.preprocessing(dataset.facts, data, size)
    for name, told in (
        ("architecture", describe(space, genotype)),
        ("preprocessing", preprocessing),
    ):
        (folder / f"{name}.json").write_text(json.dumps(told, indent=1))
        files[f"{name}.json"] = (folder / f"{name}.json", name)
    of = {"data": dataset.digest, "supernet": None if shared is None else shared.sha256}
    from_what = {
        name: lineage(seed=spec.seed, **of, recipe=made_by.get(name, {})) for name in files
    }
    _store(context, winner.id, files, from_what)
    shutil.rmtree(folder, ignore_errors=True)


def _weights(
    context: Context,
    spec: SearchSpec,
    space: SearchSpace,
    genotype: IntArray,
    shared: StoredSupernet | None,
    dataset: StoredDataset,
) -> tuple[nn.Module, Data, int, Teacher | None]:
    """The network as it goes into compression: of shared weights, or trained on its own."""
    if shared is not None:
        supernet, data = open_supernet(context, shared, dataset)
        network, size = subnet_of(supernet, data, genotype)
        return network, data, size, teacher_of(supernet, data)
    data = open_data(context, dataset, spec.training.max_train_images, space=space)
    size = input_size(space, genotype)
    network = build(space, genotype, seed=spec.seed)
    told = standalone_recipe(
        spec.training, len(data.train), data.task.training, from_weights=is_own(space)
    )
    recipe = TrainRecipe(**told)
    train_network(network, data, size, recipe, seed=spec.seed)
    recalibrate(network, data, size)
    return network, data, size, None


def _store(
    context: Context,
    winner_id: str,
    files: Mapping[str, tuple[Path, str]],
    from_what: Mapping[str, dict[str, Any]],
) -> None:
    """Keep a winner's files by name, each of a kind and with what it was made of."""
    with context.database.session() as session:
        stored = {
            name: artifacts.add_artifact(
                session,
                context.blobs,
                path,
                owner=winner_id,
                name=name,
                kind=kind,
                lineage=from_what[name],
            ).id
            for name, (path, kind) in files.items()
        }
        searches.update_winner(session, winner_id, compressed=stored, state="compressed")
