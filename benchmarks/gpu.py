"""What a GPU is worth here: training, compiling and measuring on it, beside the processor.

Training is of one `mbconv` network on pictures of noise, whose contents do not matter to how long
it takes: images a second after an epoch that warms up. Files are made of random networks by every
runtime for GPUs that is ready, compared with torch, and timed beside ONNX Runtime on the processor.
Without a GPU the processor's rows stand alone. `benchmarks/gpu_check.sh` runs it within 8 minutes.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmarks.compilers import Tally, one_network, rows_of
from benchmarks.rows import Row, keep, parser, report
from lookup_tables.runtimes.nvidia import nvidia_models
from nas_service.compilation.toolchains import runs_here
from nas_service.datasets import ingest
from nas_service.errors import Unsupported
from nas_service.learning.base import Data
from nas_service.learning.image_classification import data as training_data
from nas_service.networks.build import build
from nas_service.space.base import ImageShape, input_size
from nas_service.space.mbconv import MbconvSpace
from nas_service.space.sampling import distinct
from nas_service.training.device import training_device
from nas_service.training.loop import TrainRecipe, train

RUNTIMES = ("onnxruntime", "aot-inductor-cuda", "tensorrt")
_SIDE, _CLASSES = 32, 10


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("gpu", __doc__ or "")
    options.add_argument("--images", type=int, default=8_000, help="of an epoch")
    options.add_argument("--networks", type=int, default=6, help="that are compiled")
    given = options.parse_args(arguments)
    print(f"GPUs: {', '.join(nvidia_models()) or 'none answers here'}", file=sys.stderr)
    rows: list[Row] = []
    for name in ("cpu", "cuda"):
        try:
            device = training_device(name)
        except Unsupported as error:
            print(f"left out: training on {name}: {error}", file=sys.stderr)
            continue
        rows.append(_training(given.images, given.seed, device))
        keep(rows, given.out)
    ready = [one for one in RUNTIMES if runs_here(one)]
    for one in set(RUNTIMES) - set(ready):
        print(f"left out: {one} does not run here", file=sys.stderr)
    rows += _compiled(ready, given.networks, given.seed)
    report(rows, given.out)
    return 0


def _training(n_images: int, seed: int, device: torch.device) -> Row:
    """Images a second of one network's training."""
    space = MbconvSpace(ImageShape(_SIDE, 3, _CLASSES))
    row = space.largest()
    network = build(space, row, seed=seed)
    data, size = _pictures(n_images, seed, device), input_size(space, row)
    recipe = TrainRecipe(epochs=1, batch=128, learning_rate=0.05)
    train(network, data, size, recipe, seed=seed)
    start = time.perf_counter()
    train(network, data, size, recipe, seed=seed)
    took_s = time.perf_counter() - start
    return Row(
        "gpu", "training, mbconv largest", str(device), "images_per_s", n_images, n_images / took_s
    )


def _pictures(n: int, seed: int, device: torch.device) -> Data:
    random = np.random.default_rng(seed)
    n_all = n * 2  # what is held out comes on top
    with tempfile.TemporaryDirectory() as folder:
        source, stored = Path(folder) / "noise.npz", Path(folder) / "stored.npz"
        pixels = random.integers(0, 256, (n_all, _SIDE, _SIDE, 3), dtype=np.uint8)
        np.savez(source, x=pixels, y=np.arange(n_all) % _CLASSES)
        ingest.ingest(source).save(stored)
        return training_data.load(stored, max_train=n, device=device)


def _compiled(runtimes: list[str], n: int, seed: int) -> list[Row]:
    space = MbconvSpace(ImageShape(_SIDE, 3, _CLASSES))
    tallies: dict[tuple[str, str], Tally] = {}
    for number, genotype in enumerate(distinct(space, n, np.random.default_rng([seed, 29]))):
        print(f"network {number + 1} of {n}", file=sys.stderr)
        with tempfile.TemporaryDirectory() as folder:
            size = input_size(space, genotype)
            network = build(space, genotype, seed=number)
            one_network(network, size, Path(folder), runtimes, tallies, number)
    return rows_of("mbconv", tallies, n)
