"""How much of a file is in the precision that it is said to have, counted from the file itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
"""Layers that have weights, as ONNX calls them; recurrent ones beside."""
_RECURRENT = {"LSTM", "GRU", "RNN"}
_INTEGER = {
    *("QLinearConv", "ConvInteger", "QLinearMatMul", "MatMulInteger", "QGemm"),
    *("DynamicQuantizeLSTM", "DynamicQuantizeMatMul", "MatMulIntegerToFloat", "QAttention"),
}


@dataclass(frozen=True, slots=True)
class Shares:
    """Layers with weights in the stated precision, of all; weights in it, of all, by number.

    `in_float` names up to twenty of the others.
    """

    n_layers: int
    n_layers_in_precision: int
    n_weights: int
    n_weights_in_precision: int
    in_float: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {**asdict(self), "in_float": list(self.in_float)}

    @property
    def nothing(self) -> bool:
        """Whether no layer at all is in the stated precision, of a file that has layers."""
        return self.n_layers > 0 and self.n_layers_in_precision == 0

    def sentence(self, precision: str) -> str:
        """`3 of 4 layers and 98 % of the weights are in int8; fc in float`."""
        weights = self.n_weights_in_precision / self.n_weights if self.n_weights else 0.0
        text = (
            f"{self.n_layers_in_precision} of {self.n_layers} layers and {weights:.0%} of the "
            f"weights are in {precision}"
        )
        return text + (f"; in float: {', '.join(self.in_float)}" if self.in_float else "")


def shares_of(path: Path, precision: str) -> Shares | None:
    """What a compiled file says of itself; None where nothing here reads its format."""
    count = _READERS.get(path.suffix.lower())
    try:
        return None if count is None else count(path, precision)
    except ImportError:  # its runtime is not installed: unknown, which is no refusal
        return None


def _of_onnx(path: Path, precision: str) -> Shares:
    import onnx

    graph = onnx.load(path).graph
    sizes = {one.name: int(np.prod(one.dims)) for one in graph.initializer}
    kinds = {one.name: one.data_type for one in graph.initializer}
    maker = {name: node for node in graph.node for name in node.output}
    types = onnx.TensorProto
    forms: dict[str, set[int]] = {
        "int8": {int(types.INT8), int(types.UINT8)},
        "fp16": {int(types.FLOAT16)},
        "bf16": {int(types.BFLOAT16)},
    }
    in_precision = forms.get(precision, {int(types.FLOAT)})
    layers = inside = 0
    in_float: list[str] = []
    for node in graph.node:
        if node.op_type not in WEIGHTED | _RECURRENT | _INTEGER:
            continue
        if node.op_type in WEIGHTED and not _weights_of(node, maker, sizes):
            continue  # a product of two activations
        layers += 1
        if _is_in(node, maker, kinds, in_precision, precision):
            inside += 1
        elif len(in_float) < 20:
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


def _of_tflite(path: Path, precision: str) -> Shares:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    tensors = {one["index"]: one for one in interpreter.get_tensor_details()}
    in_precision = {"int8": (np.int8, np.uint8), "fp16": (np.float16,)}.get(
        precision, (np.float32,)
    )
    layers = inside = weights = kept = 0
    in_float: list[str] = []
    for op in interpreter._get_ops_details():
        if op["op_name"] not in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}:
            continue
        layers += 1
        weight = tensors.get(int(op["inputs"][1]))
        if weight is None:
            continue
        size = int(np.prod(weight["shape"]))
        weights += size
        if weight["dtype"] in in_precision:
            inside += 1
            kept += size
        elif len(in_float) < 20:
            in_float.append(str(weight["name"]))
    return Shares(layers, inside, weights, kept, tuple(in_float))


_READERS: dict[str, Callable[[Path, str], Shares]] = {".onnx": _of_onnx, ".tflite": _of_tflite}
