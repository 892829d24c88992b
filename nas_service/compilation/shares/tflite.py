"""LiteRT files: convolutions and matrix products by the type of their weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from nas_service.compilation.shares.base import Layer, Shares, counted

_LAYERS = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
_TYPES = {"int8": (np.int8, np.uint8), "fp16": (np.float16,)}


def of_tflite(path: Path, precision: str) -> Shares:
    """The shares of a LiteRT file.

    Raises:
        ImportError: its runtime is not installed.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    tensors = {one["index"]: one for one in interpreter.get_tensor_details()}
    types = _TYPES.get(precision, (np.float32,))
    layers = []
    for op in interpreter._get_ops_details():
        if op["op_name"] not in _LAYERS:
            continue
        weight = tensors.get(int(op["inputs"][1]))
        if weight is None:
            layers.append(Layer(str(op["op_name"]), 0, False, False))
            continue
        inside = weight["dtype"] in types
        layers.append(Layer(str(weight["name"]), int(np.prod(weight["shape"])), inside, inside))
    return counted(layers)
