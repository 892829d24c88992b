"""Make an ONNX graph ready to be compiled: what can be mended is, in a copy, and told.

What cannot is refused in one line that says what to do.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from onnx import helper, numpy_helper

from nas_service.compilation.uploads.inner_graphs import graphs_within
from nas_service.compilation.uploads.opsets import raised
from nas_service.compilation.uploads.refusal import bad

LEAST_OPSET = 13
"""Quantisers want channels' own scales, which opset 13 has first; older graphs become 17."""
_LEAST_IR = 4
"""Since then weights need not be inputs, too."""
_RANDOM = {
    *("RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike"),
    *("Multinomial", "Bernoulli"),
}
_CHANNELS = (1, 3, 4)
_MOST_WEIGHTS = 2**28
_QUANTISED = {
    *("QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"),
}


def made_ready(model: Any) -> tuple[Any, list[str]]:
    """The model as compilers take it, and sentences on what was changed.

    Raises:
        InvalidData: it is in training mode, draws random numbers, or cannot be converted.
    """
    _require_inference(model.graph)
    notes = []
    if n_sparse := sum(_made_dense(graph) for _, graph in graphs_within(model.graph)):
        notes.append(f"{n_sparse} weights were stored sparse, and are dense now")
    weights = {one.name for one in model.graph.initializer}
    both = [one for one in model.graph.input if one.name in weights]
    if both:
        kept = [one for one in model.graph.input if one.name not in weights]
        del model.graph.input[:]
        model.graph.input.extend(kept)
        model.ir_version = max(model.ir_version, _LEAST_IR)
        notes.append(f"{len(both)} weights were inputs, too, and are weights alone now")
    if _constants_to_weights(model.graph):
        model.ir_version = max(model.ir_version, _LEAST_IR)
    opset = next((one.version for one in model.opset_import if one.domain in ("", "ai.onnx")), 0)
    if opset < LEAST_OPSET:
        model, on_opset = raised(model, opset)
        notes += on_opset
    return model, notes


def _made_dense(graph: Any) -> int:
    """Write out weights of which the file has what is not 0 alone; how many there were."""
    sparse = list(graph.sparse_initializer)
    for one in sparse:
        sides = tuple(one.dims)
        if not 0 < math.prod(sides) <= _MOST_WEIGHTS:
            raise bad(f"its sparse weight {one.values.name} is {sides}")
        values, at = numpy_helper.to_array(one.values), numpy_helper.to_array(one.indices)
        if at.size and (
            at.min() < 0 or (at >= (math.prod(sides) if at.ndim == 1 else sides)).any()
        ):
            raise bad(f"its sparse weight {one.values.name} has numbers outside of {sides}")
        dense = np.zeros(sides, values.dtype)
        if at.ndim == 1:
            dense.reshape(-1)[at] = values
        else:
            dense[tuple(at.T)] = values
        graph.initializer.append(numpy_helper.from_array(dense, one.values.name))
    del graph.sparse_initializer[:]
    return len(sparse)


def _constants_to_weights(graph: Any) -> bool:
    """Some exporters write weights as nodes; quantisers and counts look for them in one place.

    Gives whether there were any.
    """
    kept = []
    for node in graph.node:
        value = next((one.t for one in node.attribute if one.name == "value"), None)
        if node.op_type != "Constant" or value is None:
            kept.append(node)
            continue
        value.name = node.output[0]
        graph.initializer.append(value)
    found = len(kept) < len(graph.node)
    if found:
        del graph.node[:]
        graph.node.extend(kept)
    return found


def channels_first(model: Any, name: str, sides: list[int]) -> tuple[list[int], list[str]]:
    """Put a Transpose before a graph that takes `(1, height, width, channels)`; its new sizes.

    That is where two equal sides come before 1, 3 or 4; other graphs stay as they are.
    """
    _, first, second, last = sides
    if not (first == second and first not in _CHANNELS and last in _CHANNELS):
        return sides, []
    inner = f"{name}_channels_last"
    for _, graph in graphs_within(model.graph):
        for node in graph.node:
            node.input[:] = [inner if one == name else one for one in node.input]
        for one in graph.output if graph is not model.graph else ():  # a branch may give it back
            one.name = inner if one.name == name else one.name
    turn = helper.make_node("Transpose", [name], [inner], perm=[0, 2, 3, 1], name=inner)
    model.graph.node.insert(0, turn)
    note = (
        f"it takes pictures with channels last ({first} x {second} x {last}); they are turned in a "
        f"first step, so that it and all made of it take {last} x {first} x {second}"
    )
    return [sides[0], last, first, second], [note]


def is_quantised(model: Any) -> bool:
    """Whether layers of the graph are in integers already."""
    makers = {name: node for node in model.graph.node for name in node.output}
    for node in model.graph.node:
        if node.op_type in _QUANTISED:
            return True
        sources = [makers.get(name) for name in node.input[:2]]
        if node.op_type in {"Conv", "Gemm", "MatMul", "ConvTranspose"} and all(
            one is not None and one.op_type == "DequantizeLinear" for one in sources
        ):
            return True
    return False


def _require_inference(graph: Any) -> None:
    """Refuse graphs that answer otherwise each time they are asked."""
    constants = {one.name: one for one in graph.initializer}
    for node in graph.node:
        if node.op_type == "Constant":
            for attribute in node.attribute:
                if attribute.name == "value":
                    constants[node.output[0]] = attribute.t
    for node in graph.node:
        name = node.name or node.op_type
        if node.op_type in _RANDOM:
            raise bad(f"it draws random numbers ({name}): no two answers of it are the same")
        flags = {one.name: one.i for one in node.attribute}
        training = node.op_type == "BatchNormalization" and flags.get("training_mode", 0)
        if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
            told = constants.get(node.input[2])
            training = told is None or bool(numpy_helper.to_array(told).any())
        if training:
            raise bad(
                f"it is in training mode ({name}): call model.eval() before the export, or export "
                "with training=TrainingMode.EVAL"
            )
