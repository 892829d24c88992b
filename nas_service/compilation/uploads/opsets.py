"""Graphs of old opsets, brought to one that compilers take without a change in what they answer.

The converter of the onnx package leaves out two changes of meaning: Resize has taken the middles of
pixels since opset 11 where it took their corners before, and Hardmax one axis since 13 where it
took all from that axis on. The first is put right here; what answers otherwise is refused.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import onnxruntime
from onnx import TensorProto, helper, version_converter
from onnx.helper import tensor_dtype_to_np_dtype
from onnx.numpy_helper import to_array

from nas_service.compilation.uploads.inner_graphs import graphs_within
from nas_service.compilation.uploads.refusal import bad
from nas_service.compilation.uploads.same_answers import same

OPSET = 17
_MIDDLES_SINCE = 11
_ONE_AXIS_SINCE = {"Hardmax": 13}
_SIDES = (16, 64, 224)
"""Open sizes are tried as these, one after the other, until the graph runs."""
_LARGEST = 10**8
_NUMBERS = frozenset(
    {
        *(TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE, TensorProto.BOOL),
        *(TensorProto.INT8, TensorProto.INT16, TensorProto.INT32, TensorProto.INT64),
        *(TensorProto.UINT8, TensorProto.UINT16, TensorProto.UINT32, TensorProto.UINT64),
    }
)
Feeds = dict[str, Any]


def raised(model: Any, opset: int) -> tuple[Any, list[str]]:
    """A graph of `OPSET` that answers as the given one does, and sentences on it.

    Raises:
        InvalidData: it cannot be converted, or answers otherwise afterwards.
    """
    try:
        converted = version_converter.convert_version(model, OPSET)
    except Exception as error:  # the converter raises what its C++ part does
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise bad(
            f"it is of opset {opset}, which cannot be converted to {OPSET} ({first}); export it "
            f"again with opset {OPSET}"
        ) from error
    converted.ir_version = max(converted.ir_version, 8)
    if opset < _MIDDLES_SINCE:
        _take_corners(converted.graph)
    notes = [f"opset {opset} was converted to {OPSET}"]
    unchanged = _answers_the_same(model, converted)
    if unchanged is False:
        raise bad(
            f"it is of opset {opset}, and answers otherwise once it is converted to {OPSET}; "
            f"export it again with opset {OPSET}"
        )
    # which branch noise has taken is not known
    every = list(graphs_within(model.graph))
    within = [one for depth, one in every if depth or unchanged is None]
    _require_known_meaning(within, _constants([one for _, one in every]), opset)
    if unchanged is None:
        notes.append("it could not be run before and after, to compare its answers")
    return converted, notes


def _take_corners(graph: Any) -> None:
    for _, inner in graphs_within(graph):
        for node in inner.node:
            if node.op_type != "Resize":
                continue
            present = {one.name for one in node.attribute}
            for name, value in (
                ("coordinate_transformation_mode", "asymmetric"),
                ("nearest_mode", "floor"),
            ):
                if name not in present:
                    node.attribute.append(helper.make_attribute(name, value))


def _constants(graphs: Sequence[Any]) -> dict[str, Any]:
    """Weights of graphs, as they are stored or as nodes give them, by name."""
    found = {one.name: one for graph in graphs for one in graph.initializer}
    for graph in graphs:
        for node in graph.node:
            for one in node.attribute if node.op_type == "Constant" else ():
                if one.name == "value":
                    found[node.output[0]] = one.t
    return found


def _require_known_meaning(graphs: Sequence[Any], constants: Mapping[str, Any], opset: int) -> None:
    for graph in graphs:
        for node in graph.node:
            shrinks = opset < _MIDDLES_SINCE and _may_shrink_by_nearest(node, constants)
            if shrinks or opset < _ONE_AXIS_SINCE.get(node.op_type, 0):
                raise bad(
                    f"it is of opset {opset}, since which {node.op_type} has got another meaning; "
                    f"export it again with opset {OPSET}"
                )


def _may_shrink_by_nearest(node: Any, constants: Mapping[str, Any]) -> bool:
    """Whether a Resize, of opset 10, takes the nearest pixels of a larger map."""
    if node.op_type != "Resize":
        return False
    mode = next((one.s for one in node.attribute if one.name == "mode"), b"nearest")
    scales = constants.get(node.input[1])
    return mode == b"nearest" and (scales is None or bool((to_array(scales) < 1.0).any()))


def _answers_the_same(before: Any, after: Any) -> bool | None:
    """Whether the second answers to noise as the first does; None where the first does not run."""
    for feeds in _noise(before):
        first, second = _answers(before, feeds), _answers(after, feeds)
        if first is not None:  # what ran before has to run afterwards, too
            return second is not None and all(map(_same, second, first))
    return None


def _answers(model: Any, feeds: Feeds) -> list[Any] | None:
    """What a graph answers; None where it does not run on that."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    try:
        session = onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        return list(session.run(None, feeds))
    except Exception:  # noqa: BLE001  # what it raises shares no base; other sizes may suit it
        return None


def _same(found: Any, expected: Any) -> bool:
    expected = np.asarray(expected)
    return expected.dtype.kind not in "fiub" or same(np.asarray(found), expected)


def _noise(model: Any) -> Iterator[Feeds]:
    """Made-up inputs: fixed sizes as they are, the first open one 1, the others of each side."""
    weights = {one.name for one in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in weights]
    for side in _SIDES:
        generator = np.random.default_rng(0)
        feeds = {}
        for one in inputs:
            tensor = one.type.tensor_type
            if tensor.elem_type not in _NUMBERS:  # what is none is refused later
                return
            sizes = [
                dim.dim_value if dim.dim_value > 0 else (side if place else 1)
                for place, dim in enumerate(tensor.shape.dim)
            ]
            if math.prod(sizes) > _LARGEST:
                return
            dtype = tensor_dtype_to_np_dtype(tensor.elem_type)
            values = generator.standard_normal(sizes)
            # whole numbers may be places in a table: the smallest ones are in any
            given = values if dtype.kind == "f" else values > 0
            feeds[one.name] = np.asarray(given).astype(dtype)  # a scalar is an array, too
        yield feeds
