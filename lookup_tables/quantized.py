"""Static int8 quantisation of ONNX graphs for ONNX Runtime: one recipe for blocks and networks.

Unsigned activations, signed weights with a scale a channel, quantise and dequantise nodes (QDQ):
the form for which ONNX Runtime's x86 and Arm kernels are fast. A table priced with another
form than the networks ship in would price something else.
"""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process

Array = npt.NDArray[np.float32]


class _Batches(CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, batches: Sequence[dict[str, Array]]) -> None:
        self._batches = iter(batches)

    def get_next(self) -> dict[str, Array] | None:
        return next(self._batches, None)


def quantize(
    source: Path,
    destination: Path,
    batches: Sequence[dict[str, Array]],
    *,
    signed: bool = False,
    only: Sequence[str] | None = None,
    excluded: Sequence[str] = (),
) -> None:
    """Write the int8 form of the graph at `source`, with ranges seen on `batches`.

    A batch maps input names to arrays of the graph's own shapes. Activations are unsigned unless
    `signed`; `only` and `excluded` name the nodes that are quantised, and that are not.
    """
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # the library logs advice on the root logger
    ort.set_default_logger_severity(3)  # and opens sessions that warn of what it left unused
    try:
        with tempfile.TemporaryDirectory(dir=destination.parent) as folder:
            prepared = Path(folder) / "prepared.onnx"
            quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
            quantize_static(
                str(prepared),
                str(destination),
                _Batches(batches),
                quant_format=QuantFormat.QDQ,
                per_channel=True,
                activation_type=QuantType.QInt8 if signed else QuantType.QUInt8,
                weight_type=QuantType.QInt8,
                nodes_to_quantize=None if only is None else list(only),
                nodes_to_exclude=list(excluded),
            )
    finally:
        logger.setLevel(level)


def half_precision(source: Path, destination: Path) -> None:
    """Write the graph with fp16 weights and arithmetic; inputs and outputs stay fp32."""
    from onnxruntime.transformers.float16 import convert_float_to_float16

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it tells of every weight that it rounds to zero
        model = convert_float_to_float16(onnx.load(source), keep_io_types=True)
    partial = destination.with_name(destination.name + ".partial")
    onnx.save(model, partial)
    partial.replace(destination)


def is_half(path: Path) -> bool:
    """Whether most weights of a graph are fp16 already."""
    weights = onnx.load(path, load_external_data=False).graph.initializer
    return any(one.data_type == onnx.TensorProto.FLOAT16 for one in weights)


def is_quantized(path: Path) -> bool:
    """Whether a graph has quantise and dequantise nodes, or integer operators."""
    nodes = onnx.load(path, load_external_data=False).graph.node
    return any("QuantizeLinear" in n.op_type or n.op_type.startswith("QLinear") for n in nodes)


def with_integer_borders(path: Path) -> None:
    """Rewrite a quantised block in place to take and give uint8 tensors.

    Between two blocks of a quantised network activations stay uint8; a block measured with float
    borders would pay for conversions that the network does not make. A block that was left in float
    gets conversions inside its borders, as it has them in a network, where the runtime fuses them
    with it (an average pool alone in float took 0.014 ms, fused as in a network 0.15 ms).
    """
    model = onnx.load(path)
    graph = model.graph
    nodes = list(graph.node)
    for value in list(graph.input):
        readers = [n for n in nodes if value.name in n.input]
        if any(n.op_type != "QuantizeLinear" for n in readers):
            inner = f"{value.name}_float"
            _rename(nodes, value.name, inner)
            nodes.insert(0, _conversion(graph, "DequantizeLinear", value.name, inner))
            _set_integer(value, value.name)
            continue
        inner = readers[0].output[0]
        for reader in readers:
            _rename(nodes, reader.output[0], inner)
            nodes.remove(reader)
        _set_integer(value, inner)
    for value in list(graph.output):
        writer = next(n for n in nodes if value.name in n.output)
        if writer.op_type != "DequantizeLinear":
            outer = f"{value.name}_uint8"
            nodes.append(_conversion(graph, "QuantizeLinear", value.name, outer))
            _set_integer(value, outer)
            continue
        nodes.remove(writer)
        _set_integer(value, writer.input[0])
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, path)


def _conversion(graph: onnx.GraphProto, operator: str, source: str, result: str) -> onnx.NodeProto:
    """A conversion between float and uint8 with a scale of its own."""
    names = [f"{result}_scale", f"{result}_zero_point"]
    graph.initializer.append(numpy_helper.from_array(np.array(0.05, np.float32), names[0]))
    graph.initializer.append(numpy_helper.from_array(np.array(128, np.uint8), names[1]))
    return helper.make_node(operator, [source, *names], [result])


def _rename(nodes: Sequence[onnx.NodeProto], old: str, new: str) -> None:
    for node in nodes:
        for place, name in enumerate(node.input):
            if name == old:
                node.input[place] = new


def _set_integer(value: onnx.ValueInfoProto, name: str) -> None:
    value.name = name
    value.type.tensor_type.elem_type = onnx.TensorProto.UINT8
