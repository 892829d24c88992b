"""Does accuracy by shared weights rank subnets as training each by itself does?"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.rows import Row, parser, report
from nas_service.datasets import ingest
from nas_service.learning.image_classification import data as training_data
from nas_service.networks.supernet import Supernet
from nas_service.plugins import SPACES, load
from nas_service.settings import Settings
from nas_service.space.base import ImageShape
from nas_service.space.sampling import distinct
from nas_service.training.loop import TrainRecipe
from nas_service.training.sandwich import train_supernet
from nas_service.worker.evaluators import StandaloneEvaluator, SupernetEvaluator
from predictors.quality import kendall, spearman


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("sharing", __doc__ or "")
    options.add_argument("--data", type=Path, help="data set; default: CIFAR-10 of the bench data")
    options.add_argument("--networks", type=int, default=20)
    options.add_argument("--epochs", type=int, default=5, help="epochs of the supernet")
    options.add_argument("--alone-epochs", type=int, default=5, help="epochs of each network")
    options.add_argument("--max-train-images", type=int, default=5000)
    options.add_argument("--batch", type=int, default=64)
    options.add_argument("--supernet", type=Path, help="trained supernet weights to use")
    given = options.parse_args(arguments)
    source = given.data or Settings().bench_data / "cifar10"
    if not source.exists():
        print(f"nas: {source} does not exist; give --data or set NAS_BENCH_DATA", file=sys.stderr)
        return 1
    torch.use_deterministic_algorithms(True)
    stored = Path("var/bench")
    stored.mkdir(parents=True, exist_ok=True)
    found = ingest.ingest(source)
    found.save(stored / "sharing.npz")
    data = training_data.load(stored / "sharing.npz", max_train=given.max_train_images)
    shape = ImageShape(found.images.shape[1], found.images.shape[3], len(found.classes))
    space = load(SPACES, "mbconv")(shape)
    recipe = TrainRecipe(epochs=given.epochs, batch=given.batch, flip=True)
    supernet = Supernet(space, seed=given.seed)
    if given.supernet:
        supernet.load_state_dict(torch.load(given.supernet, weights_only=True))
    else:
        train_supernet(
            supernet,
            data,
            recipe,
            seed=given.seed,
            on_step=lambda step, steps, loss: (
                print(f"supernet: {step}/{steps} {loss:.3f}", file=sys.stderr)
                if step % 50 == 0
                else None
            ),
        )
    genotypes = distinct(space, given.networks, np.random.default_rng([given.seed, 5]))
    shared = SupernetEvaluator(supernet, data).evaluate(genotypes, fidelity=1.0, seed=given.seed)
    alone_recipe = TrainRecipe(epochs=given.alone_epochs, batch=given.batch, flip=True)
    alone_evaluator = StandaloneEvaluator(space, data, alone_recipe)
    alone = np.empty(len(genotypes))
    started = time.monotonic()
    for i in range(len(genotypes)):
        part = genotypes[i : i + 1]
        alone[i] = alone_evaluator.evaluate(part, fidelity=1.0, seed=given.seed)[0]
        left = (time.monotonic() - started) / (i + 1) * (len(genotypes) - i - 1)
        print(
            f"network {i + 1}: shared {shared[i]:.3f}, alone {alone[i]:.3f}, {left:.0f} s left",
            file=sys.stderr,
        )
    case = f"{source.name}, {len(data.train)} images"
    n = len(genotypes)
    report(
        [
            Row("sharing", case, "shared weights", "kendall", n, kendall(shared, alone)),
            Row("sharing", case, "shared weights", "spearman", n, spearman(shared, alone)),
            Row("sharing", case, "shared weights", "mean_accuracy", n, shared.mean(), shared.std()),
            Row("sharing", case, "stand-alone", "mean_accuracy", n, alone.mean(), alone.std()),
        ],
        given.out,
    )
    return 0
