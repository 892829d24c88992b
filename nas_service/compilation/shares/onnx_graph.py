"""ONNX graphs: layers whose weights, and for integers also inputs, come out of the precision."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from nas_service.compilation.shares.base import MOST_NAMED, Shares
from nas_service.compilation.uploads.inner_graphs import graphs_within

WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
"""Layers that have weights, as ONNX calls them; recurrent ones beside."""
_RECURRENT = {"LSTM", "GRU", "RNN"}
_INTEGER = {
    *("QLinearConv", "ConvInteger", "QLinearMatMul", "MatMulInteger", "QGemm"),
    *("DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QAttention"),
}


def of_onnx(path: Path, precision: str) -> Shares:
    """The shares of an ONNX file."""
    import onnx

    graphs = [one for _, one in graphs_within(onnx.load(path).graph)]
    nodes = [node for graph in graphs for node in graph.node]
    constants = [one for graph in graphs for one in graph.initializer]
    sizes = {one.name: int(np.prod(one.dims)) for one in constants}
    kinds = {one.name: one.data_type for one in constants}
    maker = {name: node for node in nodes for name in node.output}
    types = onnx.TensorProto
    forms: dict[str, set[int]] = {
        "int8": {int(types.INT8), int(types.UINT8)},
        "fp16": {int(types.FLOAT16)},
        "bf16": {int(types.BFLOAT16)},
    }
    in_precision = forms.get(precision, {int(types.FLOAT)})
    layers = inside = 0
    in_float: list[str] = []
    for node in nodes:
        if node.op_type not in WEIGHTED | _RECURRENT | _INTEGER:
            continue
        if node.op_type in WEIGHTED and not _weights_of(node, maker, sizes):
            continue  # a product of two activations
        layers += 1
        if _is_in(node, maker, kinds, in_precision, precision):
            inside += 1
        elif len(in_float) < MOST_NAMED:
            in_float.append(node.name or node.output[0])
    numbers = {name: n for name, n in sizes.items() if n > 1}
    kept = sum(n for name, n in numbers.items() if kinds[name] in in_precision)
    return Shares(layers, inside, sum(numbers.values()), kept, tuple(in_float))


def _weights_of(node: Any, maker: dict[str, Any], sizes: dict[str, int]) -> list[str]:
    """Initialisers that a layer reads, through conversions."""
    found = []
    for name in node.input[1:]:
        while name in maker and maker[name].op_type in {
            *("DequantizeLinear", "QuantizeLinear", "Cast", "Transpose", "Identity"),
        }:
            name = maker[name].input[0]
        if name in sizes:
            found.append(name)
    return found


def _is_in(
    node: Any, maker: dict[str, Any], kinds: dict[str, int], in_precision: set[int], precision: str
) -> bool:
    if precision != "int8":
        return any(
            kinds.get(name) in in_precision for name in _weights_of(node, maker, dict(kinds))
        )
    if node.op_type in _INTEGER:
        return True
    # the form that runtimes turn into integer kernels: input and weights come out of integers
    made_by = [maker.get(name) for name in node.input[:2]]
    if not all(one is not None and one.op_type == "DequantizeLinear" for one in made_by):
        return False
    return made_by[1] is not None and kinds.get(made_by[1].input[0]) in in_precision


def grown(original: Path, made: Path) -> list[str]:
    """Layers whose weights take more bytes in `made` than in `original`, by name."""
    before, after = _bytes_by_layer(original), _bytes_by_layer(made)
    return [name for name, size in after.items() if size > before.get(name, size)]


def _bytes_by_layer(path: Path) -> dict[str, int]:
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(path).graph
    sizes = {one.name: numpy_helper.to_array(one).nbytes for one in graph.initializer}
    maker = {name: node for node in graph.node for name in node.output}
    found = {}
    for node in graph.node:
        if node.name and node.op_type in WEIGHTED | _RECURRENT | _INTEGER:
            names = {*_weights_of(node, maker, sizes), *(one for one in node.input if one in sizes)}
            found[node.name] = sum(sizes[one] for one in names)
    return found
