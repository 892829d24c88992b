"""ONNX files with any number of inputs and outputs of any type and rank."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import numpy_helper
from onnx.helper import tensor_dtype_to_np_dtype

from lookup_tables.quantized import LAYERS, name_nodes
from nas_service.compilation.uploads.onnx_files import load_graph
from nas_service.compilation.uploads.ready import is_quantised, made_ready
from nas_service.compilation.uploads.refusal import bad
from nas_service.recorded.given import TARGETS
from nas_service.recorded.signature import Signature, Tensor

_NUMBERS = "fiub"
_MOST_NUMBERS = 2**40
"""Of an input's fixed sizes together."""


def inspect_graph(path: Path, normalised: Path) -> dict[str, Any]:
    """Check a file, write it with sizes as they are; see `inspect_signature`."""
    model, operators = load_graph(path)
    model, notes = made_ready(model)
    _infer_outputs(model)
    signature = _signature(model)
    name_nodes(model)  # what stays in float is told by name
    del model.graph.value_info[:]  # runtimes infer them anew
    try:
        onnx.checker.check_model(model)
        onnx.save(model, normalised)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        onnxruntime.InferenceSession(str(normalised), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # what checker and runtime raise share no base
        first = str(error).strip().splitlines()[0]
        raise bad(f"ONNX Runtime does not load it: {first}") from error
    _require_numbers(model)
    return {
        "form": "onnx",
        "signature": signature.as_dict(),
        "operators": sorted(operators),
        "layers": [node.name for node in model.graph.node if node.op_type in LAYERS],
        "notes": notes,
        "quantised": is_quantised(model),
    }


def _infer_outputs(model: Any) -> None:
    """Fill in sizes of outputs that do not say any, where they follow from the graph."""
    lacking = [
        one
        for one in model.graph.output
        if one.type.HasField("tensor_type") and not one.type.tensor_type.HasField("shape")
    ]
    if not lacking:
        return
    inferred = {one.name: one for one in onnx.shape_inference.infer_shapes(model).graph.output}
    for one in lacking:
        one.CopyFrom(inferred[one.name])


def _require_numbers(model: Any) -> None:
    """Refuse weights that are no numbers; infinities may mask something out."""
    for one in model.graph.initializer:
        is_float = tensor_dtype_to_np_dtype(one.data_type).kind == "f"
        if is_float and np.isnan(numpy_helper.to_array(one)).any():
            raise bad(f"its weight {one.name} has values that are no numbers")


def _signature(model: Any) -> Signature:
    weights = {one.name for one in model.graph.initializer}
    inputs = tuple(_tensor(one) for one in model.graph.input if one.name not in weights)
    outputs = tuple(_tensor(one) for one in model.graph.output)
    for one in model.graph.input:
        if one.name not in weights:
            _require_sizes(one)
    if not inputs or not outputs:
        raise bad(f"it has {len(inputs)} inputs and {len(outputs)} outputs")
    for name, n in Counter(one.name for one in outputs).items():
        if n > 1:
            raise bad(f"its output {name} is there {n} times; give each a name of its own")
    if any(one.name == TARGETS for one in inputs):
        raise bad(f"its input {TARGETS!r} is named as what is right of the samples; rename it")
    return Signature(inputs, outputs)


def _require_sizes(value: Any) -> None:
    """Refuse an input of which there can be none; -1 is how some write an open size."""
    told = [one.dim_value for one in value.type.tensor_type.shape.dim if one.HasField("dim_value")]
    odd = next((one for one in told if one == 0 or one < -1), None)
    if odd is not None:
        raise bad(f"its input {value.name} has a side of {odd}")
    if math.prod(one for one in told if one > 0) > _MOST_NUMBERS:
        raise bad(f"its input {value.name} is {tuple(told)}, which is too large")


def _tensor(value: Any) -> Tensor:
    kind = value.type.WhichOneof("value")
    told = value.type.tensor_type
    if kind != "tensor_type":
        raise bad(f"{value.name} is a {str(kind).removesuffix('_type')}, not a tensor of numbers")
    if not told.elem_type:
        raise bad(f"{value.name} does not say what its numbers are")
    dtype = tensor_dtype_to_np_dtype(told.elem_type)
    if dtype.kind not in _NUMBERS:
        raise bad(f"{value.name} is of {dtype}, not of numbers")
    sizes = tuple(
        one.dim_value if one.HasField("dim_value") and one.dim_value > 0 else None
        for one in told.shape.dim
    )
    return Tensor(value.name, dtype.name, sizes)
