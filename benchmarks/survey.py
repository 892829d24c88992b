"""The survey's table again: float, int8 after training and int8 trained for, on every runtime.

Reference networks are trained on CIFAR-10 at a width that suits this machine. For each runtime: the
file's size, its latency measured here, its accuracy by that runtime. Beside them stand the figures
that were published for TensorFlow Lite on a Pixel 2 (one big core, 224 or 299 pixels, ImageNet),
with their fp32 column, which is left out where the table is usually shown.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from benchmarks.images import images as load_images
from benchmarks.rows import Row, keep, parser, report
from lookup_tables.measuring.anchors import processor_anchors
from lookup_tables.measuring.machine import Machine
from lookup_tables.measuring.protocol import measure
from lookup_tables.measuring.timing import Protocol
from lookup_tables.runtimes.registry import runner
from lookup_tables.target import Target
from nas_service.compilation import toolchains
from nas_service.compilation.base import Converter, Source
from nas_service.compilation.verify import outputs_of
from nas_service.compression.base import PassContext
from nas_service.compression.catalogue import checked_options
from nas_service.compression.graph_samples import calibration_inputs
from nas_service.compression.quantization_aware import QatPass
from nas_service.errors import NasError
from nas_service.learning.base import Data
from nas_service.networks.export import export, export_program
from nas_service.networks.names import REFERENCE_NETWORKS
from nas_service.networks.reference import reference
from nas_service.plugins import CONVERTERS, load
from nas_service.settings import Settings
from nas_service.training.loop import TrainRecipe, recalibrate, train

RUNTIMES = ("onnxruntime", "openvino", "litert", "executorch")
PROTOCOL = Protocol(turns=20, warmups=3, repeats=5)
PUBLISHED_BYTES = {
    "mobilenet_v1": {"fp32": 16.9e6, "ptq": 4.3e6},
    "mobilenet_v2": {"fp32": 14.0e6, "ptq": 3.6e6},
    "inception_v3": {"fp32": 95.7e6, "ptq": 23.9e6},
}
# top-1 on ImageNet, latency in ms, megabytes (TensorFlow Lite's model optimisation page)
PUBLISHED = {
    "mobilenet_v1": {"fp32": (0.709, 124), "ptq": (0.657, 112), "qat": (0.70, 64)},
    "mobilenet_v2": {"fp32": (0.719, 89), "ptq": (0.637, 98), "qat": (0.709, 54)},
    "inception_v3": {"fp32": (0.78, 1130), "ptq": (0.772, 845), "qat": (0.775, 543)},
}


def main(arguments: list[str]) -> int:
    """Run and report."""
    options = parser("survey", __doc__ or "")
    options.add_argument("--data", type=Path, help="data set; default: CIFAR-10 of NAS_BENCH_DATA")
    options.add_argument(
        "--network",
        action="append",
        choices=[*REFERENCE_NETWORKS, "all"],
        help="default: the survey's three",
    )
    options.add_argument("--width", type=float, default=0.25)
    options.add_argument("--epochs", type=int, default=6, help="0: sizes and latencies alone")
    options.add_argument("--qat-epochs", type=int, default=2)
    options.add_argument("--train-images", type=int, default=10_000)
    options.add_argument("--test-images", type=int, default=2_000)
    given = options.parse_args(arguments)
    data = load_images(given.data, given.train_images, given.test_images)
    rows: list[Row] = []
    chosen = given.network or list(PUBLISHED)
    for name in REFERENCE_NETWORKS if "all" in chosen else chosen:
        print(f"{name}: training for {given.epochs} epochs", file=sys.stderr)
        rows += _network(name, data, given.width, given.epochs, given.qat_epochs, given.seed)
        keep(rows, given.out)
    report(rows, given.out)
    return 0


def _network(
    name: str, data: Data, width: float, epochs: int, qat_epochs: int, seed: int
) -> list[Row]:
    network = reference(name, channels=3, size=32, classes=10, width=width, seed=seed)
    columns = {"fp32": (network, "fp32"), "ptq": (network, "int8")}
    if epochs:
        recipe = TrainRecipe(epochs=epochs, batch=64, learning_rate=0.1, flip=True)
        train(network, data, 32, recipe, seed=seed)
    recalibrate(network, data, 32)
    context = PassContext(data, 32, seed=seed)
    if epochs:
        given = checked_options(1, "qat", {"epochs": qat_epochs, "batch": 64, "flip": True})
        taught = QatPass().apply(network, PassContext(data, 32, seed=seed, options=given))
        columns["qat"] = (taught, "int8")
    case = f"{name} at width {width:g}"
    rows = []
    with tempfile.TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        np.savez(folder / "calibration.npz", images=calibration_inputs(context))
        images = data.prepared(data.test.inputs, 32).contiguous().numpy()
        np.savez(folder / "test.npz", images=images)
        ran: dict[str, Callable[[], object]] = {}
        for column, (module, precision) in columns.items():
            export(module, folder / f"{column}.onnx", (1, 3, 32, 32))
            export_program(module, folder / f"{column}.pt2", (1, 3, 32, 32))
            source = Source(
                folder / f"{column}.onnx", folder / f"{column}.pt2", folder / "calibration.npz"
            )
            for runtime in RUNTIMES:
                told = f"{runtime}, {column}"
                print(f"{case}: {told}", file=sys.stderr)
                made = _file(case, told, runtime, precision, source, data, folder, ran)
                rows += [one for one in made if epochs or one.metric != "accuracy"]
        timings = measure(ran, PROTOCOL, Machine(processor_anchors()), seed=seed).timings
    for told, timing in timings.items():
        rows.append(Row("survey", case, told, "latency_ms", timing.n, timing.p50_ms))
    for column, (accuracy, latency) in PUBLISHED.get(name, {}).items():
        told = f"published (ImageNet, Pixel 2), {column}"
        rows.append(Row("survey", name, told, "accuracy", 50_000, accuracy))
        rows.append(Row("survey", name, told, "latency_ms", 1, float(latency)))
        if column in PUBLISHED_BYTES[name]:
            rows.append(Row("survey", name, told, "size_bytes", 1, PUBLISHED_BYTES[name][column]))
    return rows


def _file(
    case: str,
    told: str,
    runtime: str,
    precision: str,
    source: Source,
    data: Data,
    folder: Path,
    ran: dict[str, Callable[[], object]],
) -> list[Row]:
    """Size and accuracy of one file; it joins those that are timed."""
    if not toolchains.status(toolchains.toolchain(runtime), Settings()).ready:
        print(f"left out {runtime}: it is not installed", file=sys.stderr)
        return []
    compiler: Converter = load(CONVERTERS, runtime)()
    target = Target("this-machine", runtime, "", precision)
    try:
        made = compiler.compile(source, target, folder / runtime)
        logits = outputs_of(made.path, target, folder / "test.npz", folder / "logits.npz")
    except NasError as error:
        print(f"{case}, {told}: {error}", file=sys.stderr)
        return []
    ran[told] = runner(made.path, target)
    labels = data.test.targets.numpy()
    right = float((logits.argmax(1) == labels).mean())
    size = float(made.path.stat().st_size)
    return [
        Row("survey", case, told, "accuracy", len(labels), right),
        Row("survey", case, told, "size_bytes", 1, size),
    ]


if __name__ == "__main__":
    torch.set_num_threads(2)
    sys.exit(main(sys.argv[1:]))
