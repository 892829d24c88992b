"""Passes on graphs: static, mixed and dynamic int8, and fp16."""

from __future__ import annotations

import shutil
import tempfile
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import torch

from lookup_tables.measuring.timing import Protocol
from lookup_tables.profile import LocalProfiler
from lookup_tables.quantized import half_precision, name_nodes, quantize
from lookup_tables.target import Target
from nas_service.compression.base import PassContext
from nas_service.errors import InvalidSpec
from nas_service.learning.base import LearningTask

_SENSITIVITY_SAMPLES = 256
_ROUNDING = 1e-9
_TRIAL = Protocol(turns=12, most_turns=12, repeats=5)
_CLEARLY = 0.97
"""Faster by more than what timings repeat within."""


class StaticInt8Pass:
    """Ranges from training samples, then int8 weights and activations.

    Options: n_images; activations, uint8 (fast on x86 and Arm here), int8 (symmetric, with biases
    in float: what TensorRT takes), or measured: both are timed on this machine, and int8 is taken
    where it is clearly faster.
    """

    def apply(self, source: Path, destination: Path, context: PassContext) -> None:
        """Write the int8 graph."""
        wanted = context.options.get("activations", "uint8")
        batches = batches_of(source, context)
        if wanted != "measured":
            quantize(source, destination, batches, signed=wanted == "int8")
            return
        with tempfile.TemporaryDirectory(dir=destination.parent) as name:
            made = {kind: Path(name) / f"{kind}.onnx" for kind in ("uint8", "int8")}
            for kind, path in made.items():
                quantize(source, path, batches, signed=kind == "int8")
            target = Target("this-machine", "onnxruntime", "", "int8")
            timings = LocalProfiler().measure(made, target, protocol=_TRIAL, seed=context.seed)
            clearly = timings["int8"].p50_ms < _CLEARLY * timings["uint8"].p50_ms
            shutil.move(made["int8" if clearly else "uint8"], destination)


class MixedInt8Pass:
    """int8 where it costs little, float where it costs much.

    Each layer's sensitivity is the drop of the signal-to-noise ratio when it alone is in int8.
    Layers go back to float, most sensitive first, until the score on validation samples is within
    `max_loss` of the float graph's.
    """

    def apply(self, source: Path, destination: Path, context: PassContext) -> None:
        """Write the mixed graph."""
        batches = batches_of(source, context)
        allowed = float(context.options["max_loss"])
        data = context.data
        rows = slice(0, _SENSITIVITY_SAMPLES)
        inputs = data.prepared(data.validation.inputs[rows], context.size).contiguous().numpy()
        targets = data.validation.targets[rows].numpy()

        score = partial(_score, task=data.task, inputs=inputs, targets=targets)
        wanted = score(source) - allowed - _ROUNDING
        with tempfile.TemporaryDirectory(dir=destination.parent) as name:
            model = onnx.load(source)
            name_nodes(model)  # layers are told apart by their names
            source = Path(name) / "named.onnx"
            onnx.save(model, source)
            trial = Path(name) / "trial.onnx"
            quantize(source, trial, batches)
            if score(trial) < wanted:
                layers = _by_sensitivity(source, Path(name), batches, inputs[:64])
                low, high = 0, len(layers)  # how many stay in float: fewest that are enough
                while low < high:
                    middle = (low + high) // 2
                    quantize(source, trial, batches, excluded=layers[:middle])
                    if score(trial) >= wanted:
                        high = middle
                    else:
                        low = middle + 1
                quantize(source, trial, batches, excluded=layers[:high])
            shutil.move(trial, destination)


class DynamicInt8Pass:
    """int8 weights; activations are quantised while the network runs. No samples are needed."""

    def apply(self, source: Path, destination: Path, context: PassContext) -> None:
        """Write the graph."""
        from onnxruntime.quantization import QuantType, quantize_dynamic

        del context
        partial = destination.with_name(destination.name + ".partial")
        # unsigned weights: ONNX Runtime has no kernel of integer convolution for signed ones
        quantize_dynamic(str(source), str(partial), weight_type=QuantType.QUInt8)
        partial.replace(destination)


class Fp16Pass:
    """Half-precision weights and arithmetic; inputs and outputs stay fp32."""

    def apply(self, source: Path, destination: Path, context: PassContext) -> None:
        """Write the graph."""
        del context
        half_precision(source, destination)


def batches_of(source: Path, context: PassContext) -> list[dict[str, np.ndarray]]:
    """Calibration samples of the training split, one a batch, by the graph's input."""
    wanted = int(context.options.get("n_images", 128))
    inputs = calibration_inputs(context, wanted)
    name = onnx.load(source, load_external_data=False).graph.input[0].name
    return [{name: inputs[i : i + 1]} for i in range(len(inputs))]


def calibration_inputs(context: PassContext, wanted: int = 128) -> np.ndarray:
    """Prepared training samples drawn by the context's seed: `(n, ...)`.

    Raises:
        InvalidSpec: they do not fit.
    """
    most = context.data.most_prepared(context.size)
    if min(wanted, len(context.data.train)) > most:
        shape = " x ".join(map(str, context.data.example(context.size)[1:]))
        raise InvalidSpec(
            f"{wanted} {context.data.task.samples} of {shape} are too many to find ranges with; "
            f"at most {most} fit",
            field="n_images",
        )
    generator = torch.Generator().manual_seed(context.seed)
    rows = torch.randperm(len(context.data.train), generator=generator)[:wanted]
    prepared = context.data.prepared(context.data.train.inputs[rows], context.size)
    return np.asarray(prepared.contiguous().numpy())


def _by_sensitivity(
    source: Path, folder: Path, batches: list[dict[str, np.ndarray]], inputs: np.ndarray
) -> list[str]:
    """Names of convolutions and matrix products, those that int8 hurts most first."""
    model = onnx.load(source, load_external_data=False)
    layers = [n.name for n in model.graph.node if n.op_type in {"Conv", "Gemm", "MatMul"}]
    plain = _outputs(source, inputs)
    noise = {}
    for layer in layers:
        trial = folder / "layer.onnx"
        quantize(source, trial, batches[:32], only=[layer])
        noise[layer] = float(((_outputs(trial, inputs) - plain) ** 2).mean())
    return sorted(layers, key=lambda name: -noise[name])


def _outputs(graph: Path, inputs: np.ndarray) -> np.ndarray:
    session = ort.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    rows = [session.run(None, {name: inputs[i : i + 1]})[0] for i in range(len(inputs))]
    return np.concatenate(rows)


def _score(graph: Path, task: LearningTask, inputs: np.ndarray, targets: np.ndarray) -> float:
    """The score of a graph by the task's first metric."""
    metric = task.metric()
    return metric.score(metric.value(task.judge(_outputs(graph, inputs), targets)))
