"""Train a supernet, fit an accuracy predictor on its subnets, learn what shipping does."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lookup_tables.target import PLAIN_RUNTIME, Target
from nas_service.compilation.executable import Executable
from nas_service.compression.base import PassContext, Teacher
from nas_service.compression.ship import ship
from nas_service.engine.child import Progress
from nas_service.errors import StepFailed
from nas_service.jobs.params import SupernetJob
from nas_service.learning.base import Data, Split
from nas_service.learning.metric import Judged
from nas_service.networks.shared_weights import shared_weights
from nas_service.networks.sharing import SharedWeights
from nas_service.plugins import PREDICTORS, load
from nas_service.search.cost import StructureModel
from nas_service.search.delivery_gap import fit_delivery_gap
from nas_service.space.base import IntArray, SearchSpace, input_size
from nas_service.space.sampling import distinct, unique
from nas_service.space.stages import AlikeInStages, stages_of
from nas_service.storage import datasets, supernets
from nas_service.storage.datasets import StoredDataset
from nas_service.storage.supernets import StoredSupernet
from nas_service.training.loop import TrainRecipe, recalibrate
from nas_service.training.sandwich import train_supernet
from nas_service.worker.context import Context, make_space
from nas_service.worker.data import open_data
from nas_service.worker.evaluators import SupernetEvaluator, validation_part
from nas_service.worker.tasks.front import training_set
from predictors.base import Prediction
from predictors.quality import coverage, kendall
from predictors.saved import SavedPredictor

LEVEL = 0.8
"""Level at which a predictor's intervals are checked on held-out subnets."""


def open_supernet(
    context: Context, stored: StoredSupernet, dataset: StoredDataset, *, trained: bool = True
) -> tuple[SharedWeights, Data]:
    """The supernet, with its trained weights, and the data it was trained on."""
    space = make_space(context, stored.space, dataset.sample)
    data = open_data(context, dataset, stored.recipe.get("max_train"), space=space)
    # a GPU has no such algorithm for some gradients: it is warned of, and goes on
    torch.use_deterministic_algorithms(True, warn_only=data.device.type != "cpu")
    supernet = shared_weights(space, seed=stored.seed)
    if trained:
        if stored.sha256 is None:
            raise StepFailed(f"supernet {stored.id} is not trained yet")
        with context.blobs.local(stored.sha256) as path:
            weights = torch.load(path, weights_only=True)
        supernet.load_state_dict(weights)
    supernet.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch stubs
    return supernet, data


def teacher_of(supernet: SharedWeights, data: Data) -> Teacher:
    """The largest subnet's answers; of a user's own model those of the model as it came."""
    space = supernet.space
    largest = space.largest()
    size = input_size(space, largest)
    original = supernet.original()
    network = supernet.subnet(largest) if original is None else original
    if original is None:
        recalibrate(network, data, size)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch stubs

    def answers(inputs: Tensor) -> Tensor:
        network.to(inputs.device)
        with torch.no_grad():
            outputs: Tensor = network(data.prepared(inputs, size))
            return outputs

    return answers


def subnet_of(supernet: SharedWeights, data: Data, genotype: IntArray) -> tuple[nn.Module, int]:
    """A subnet with statistics of its own, and the size of its input."""
    size = input_size(supernet.space, genotype)
    network = supernet.subnet(genotype)
    recalibrate(network, data, size)
    return network, size


PLAIN = Target("this machine", PLAIN_RUNTIME, "", "fp32")


def judged_as_shipped(
    path: Path, data: Data, split: Split, size: int, target: Target = PLAIN
) -> Judged:
    """What a shipped file is worth on a split, run as it is shipped: one sample at a time."""
    executable = Executable(path, target)
    outputs = []
    for start in range(0, len(split), 250):
        samples = data.prepared(split.inputs[start : start + 250], size).contiguous().numpy()
        outputs += [executable.run(sample[None]) for sample in samples]
    return data.task.judge(np.concatenate(outputs), split.targets.numpy())


def train(context: Context, job: SupernetJob, report: Progress) -> None:
    """Train supernet `supernet_id`, from its last checkpoint where it was cut off."""
    with context.database.session() as session:
        stored = supernets.get_supernet(session, job.supernet_id)
        dataset = datasets.get_dataset(session, stored.dataset_id)
    if stored.sha256 is not None:
        return
    supernet, data = open_supernet(context, stored, dataset, trained=False)
    folder = context.scratch(f"supernet-{stored.id}")
    started = time.monotonic()

    def on_step(step: int, n_steps: int, loss: float) -> None:
        report(step / n_steps, f"supernet: step {step} of {n_steps}, loss {loss:.3f}")

    train_supernet(
        supernet,
        data,
        TrainRecipe(**stored.recipe),
        seed=stored.seed,
        teacher=teacher_of(supernet, data) if supernet.original() is not None else None,
        checkpoint=folder / "checkpoint.pt",
        on_step=on_step,
    )
    weights = folder / "supernet.pt"
    torch.save(supernet.state_dict(), weights)
    sha256 = context.blobs.put(weights)
    metrics = {
        "train_s": round(time.monotonic() - started, 1),
        "threads": context.threads(),
        "trained_on": str(data.device),
    }
    with context.database.session() as session:
        supernets.set_trained(session, stored.id, sha256=sha256, metrics=metrics)
    shutil.rmtree(folder, ignore_errors=True)


def fit_predictor(context: Context, job: SupernetJob, report: Progress) -> None:
    """Evaluate sampled subnets and fit predictor `predictor_id`; its quality on held-out ones."""
    with context.database.session() as session:
        stored = supernets.get_predictor(session, job.predictor_id)
        assert stored.supernet_id is not None
        shared = supernets.get_supernet(session, stored.supernet_id)
        dataset = datasets.get_dataset(session, stored.dataset_id)
    if stored.sha256 is not None:
        return
    supernet, data = open_supernet(context, shared, dataset)
    space = supernet.space
    fitted, held_out = _evaluated(
        space, job.n_initial, job.n_holdout, np.random.default_rng([shared.seed, 3])
    )
    genotypes, n_initial = np.concatenate([fitted, held_out]), len(fitted)
    # the corners anchor the predictor where searches end
    genotypes[0], genotypes[1] = space.smallest(), space.largest()
    metric = data.task.metric(job.metric)
    evaluator = SupernetEvaluator(supernet, data, metric=metric.name)
    accuracy = np.empty(len(genotypes))
    for i in range(len(genotypes)):
        accuracy[i] = evaluator.evaluate(genotypes[i : i + 1], fidelity=1.0, seed=shared.seed)[0]
        report((i + 1) / len(genotypes), f"evaluated subnet {i + 1} of {len(genotypes)}")
    features = space.features(genotypes)
    make = load(PREDICTORS, stored.name)
    fit_part, held = slice(0, n_initial), slice(n_initial, None)
    predictor = make(seed=shared.seed, names=space.feature_names)
    predictor.fit(features[fit_part], accuracy[fit_part])
    quality = _quality(
        predictor.predict(features[held]), accuracy[held], accuracy[fit_part], len(data.validation)
    )
    quality["metric"] = metric.name
    folder = context.scratch(f"predictor-{stored.id}")
    path = folder / "predictor.zip"
    options = {"names": list(space.feature_names)}
    SavedPredictor(stored.name, shared.seed, features, accuracy, options, genotypes).save(path)
    sha256 = context.blobs.put(path)
    with context.database.session() as session:
        supernets.set_fitted(session, stored.id, sha256=sha256, quality=quality)
    shutil.rmtree(folder, ignore_errors=True)


def _evaluated(
    space: SearchSpace, n_initial: int, n_holdout: int, generator: np.random.Generator
) -> tuple[IntArray, IntArray]:
    """Distinct networks to fit the predictor on, and to check it on; fewer of a small space.

    Of a space with stages, the second half of the former is of its upper level, as far as that has
    networks enough.
    """
    drawn = distinct(space, n_initial + n_holdout, generator)
    if len(drawn) < n_initial + n_holdout:  # some of a small space is held out
        n_initial = round(len(drawn) * n_initial / (n_initial + n_holdout))
    fitted, held_out = drawn[:n_initial], drawn[n_initial:]
    if stages := stages_of(space):
        half = n_initial // 2
        alike = AlikeInStages(space, stages).canonical(fitted[half:])
        every = unique(np.concatenate([held_out, fitted[:half], alike, fitted[half:]]))
        fitted = every[len(held_out) :][:n_initial]
    return fitted, held_out


def learn_delivery_gap(context: Context, job: SupernetJob, report: Progress) -> None:
    """Ship a few probes and learn, a recipe and precision at a time, what that does to accuracy."""
    with context.database.session() as session:
        stored = supernets.get_predictor(session, job.predictor_id)
        assert stored.supernet_id is not None
        shared = supernets.get_supernet(session, stored.supernet_id)
        dataset = datasets.get_dataset(session, stored.dataset_id)
    if stored.shipping:
        return
    supernet, data = open_supernet(context, shared, dataset)
    space = supernet.space
    genotypes, accuracy = training_set(context, stored, space)
    # spread over cost as winners are, so that slopes can be seen; corners are left to the search
    macs = StructureModel(space)(genotypes).macs
    inner = np.arange(2, len(genotypes))
    order = inner[np.argsort(macs[inner], kind="stable")]
    n_probes = min(job.n_probes, len(order))
    places = np.rint(np.linspace(0, len(order) - 1, n_probes)).astype(int)
    chosen = order[places]
    teacher = teacher_of(supernet, data)
    wanted = ["fp32", "int8", *job.graphs]
    shipped: dict[str, list[float]] = {graph: [] for graph in wanted}
    folder = context.scratch(f"probes-{stored.id}")
    part = validation_part(data)
    metric = data.task.metric(job.metric)
    for number, row in enumerate(chosen):
        report(number / n_probes, f"shipping probe {number + 1} of {n_probes}")
        network, size = subnet_of(supernet, data, genotypes[row])
        pass_context = PassContext(data, size, seed=shared.seed, teacher=teacher)
        for made in ship(wanted, network, pass_context, folder, job.finetune):
            for graph, path in made.graphs.items():
                value = metric.value(judged_as_shipped(path, data, part, size))
                shipped[graph].append(metric.score(value))
    shutil.rmtree(folder, ignore_errors=True)
    models = {
        graph: fit_delivery_gap(
            accuracy[chosen], macs[chosen], np.array(values), low=metric.lowest_score
        ).as_dict()
        for graph, values in shipped.items()
    }
    learned = {
        "models": models,
        "probes": [
            {
                "genotype": genotypes[row].tolist(),
                "shared_accuracy": float(accuracy[row]),
                **{f"{graph}_accuracy": shipped[graph][i] for graph in shipped},
            }
            for i, row in enumerate(chosen)
        ],
        "finetune": job.finetune,
    }
    with context.database.session() as session:
        supernets.set_delivery_gap(session, stored.id, learned)


def _quality(
    prediction: Prediction, actual: np.ndarray[Any, Any], seen: np.ndarray[Any, Any], n_samples: int
) -> dict[str, Any]:
    """How good the predictor is on subnets it has not seen, beside a constant."""
    tau = kendall(prediction.mean, actual)
    return {
        "n_train": len(seen),
        "n_holdout": len(actual),
        "kendall": None if np.isnan(tau) else round(tau, 4),
        "coverage_level": LEVEL,
        "coverage": round(coverage(prediction, actual, LEVEL), 4),
        "mean_abs_error": round(float(np.abs(prediction.mean - actual).mean()), 5),
        "constant_mean_abs_error": round(float(np.abs(np.median(seen) - actual).mean()), 5),
        "accuracy_min": round(float(min(seen.min(), actual.min())), 5),
        "accuracy_max": round(float(max(seen.max(), actual.max())), 5),
        "accuracy_standard_error": round(
            float(np.sqrt(max(actual.mean() * (1 - actual.mean()), 0.0) / min(n_samples, 2000))), 5
        ),
    }
