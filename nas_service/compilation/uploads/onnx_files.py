"""ONNX files that users bring."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from google.protobuf.message import DecodeError
from onnx.inliner import inline_local_functions

from nas_service.compilation.uploads.inner_graphs import graphs_within
from nas_service.compilation.uploads.ready import channels_first, is_quantised, made_ready
from nas_service.compilation.uploads.refusal import answer, bad, require_answers, require_shape

MAX_DEPTH = 4
"""Graphs inside of graphs (branches and loops)."""
_STANDARD = ("", "ai.onnx")


def inspect_onnx(
    path: Path, normalised: Path, shape: Sequence[int] | None = None
) -> dict[str, Any]:
    """Check an ONNX file and write it with a batch of one; see `inspect`."""
    model, operators = load_graph(path)
    name, sides = _image(model, shape)
    model, notes = made_ready(model)
    sides, turned = channels_first(model, name, sides)
    out = model.graph.output[0]
    sizes = _static(out)
    if out.type.tensor_type.HasField("shape") and len(sizes) != 2:
        raise bad(
            f"its output {out.name} is {_shown(sizes)}, not (1, classes): classifiers of one "
            "picture with one vector of scores are taken"
        )
    classes = sizes[-1] if len(sizes) == 2 and sizes[-1] > 0 else None
    try:
        _fix(model.graph, name, [1, *sides[1:]], [1, classes])
        onnx.checker.check_model(model, full_check=True)
        onnx.save(model, normalised)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4
        session = onnxruntime.InferenceSession(
            str(normalised), options, providers=["CPUExecutionProvider"]
        )
        image = np.random.default_rng(0).standard_normal([1, *sides[1:]], dtype=np.float32)
        (logits,) = session.run(None, {name: image})
        (again,) = session.run(None, {name: image})
    except Exception as error:  # what checker and runtime raise share no base
        first = str(error).strip().splitlines()[0]
        raise bad(f"ONNX Runtime does not run it: {first}") from error
    require_answers(logits, again)
    told = answer("onnx", tuple(image.shape), tuple(logits.shape), sorted(operators))
    return {**told, "notes": notes + turned, "quantised": is_quantised(model)}


def load_graph(path: Path) -> tuple[Any, set[str]]:
    """A model file, and the operators of all its graphs.

    Raises:
        InvalidData: it is damaged, or has what is not taken of anybody.
    """
    try:
        model = onnx.load(path, format="protobuf", load_external_data=False)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise bad(f"it is cut off, nested too deeply, or no ONNX file ({error})") from error
    if not model.graph.node:
        raise bad("it is no ONNX file, or has no operators")
    values = [*model.graph.input, *model.graph.output, *model.graph.initializer]
    if odd := [one.name for one in values if isinstance(one.name, bytes)]:
        raise bad(f"the name {odd[0]!r} is not UTF-8")
    model = _without_functions(model)
    return model, set().union(*(_operators(one) for one in (model.graph, *model.functions)))


def _without_functions(model: Any) -> Any:
    """The model with its own functions written out where they are called."""
    if not model.functions:
        return model
    for function in model.functions:
        for _, inner in graphs_within(function):
            _require_in_file(inner)
    try:
        model = inline_local_functions(model)
    except Exception as error:  # what its C++ part raises shares no base
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise bad(f"its functions cannot be written out where they are called: {first}") from error
    own = [one for one in model.opset_import if one.domain in _STANDARD]
    del model.opset_import[:]
    model.opset_import.extend(own)
    return model


def _require_in_file(graph: Any) -> None:
    for tensor in _tensors(graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            raise bad(f"weights of {tensor.name!r} are in another file; save it as one file")


def _operators(graph: Any) -> set[str]:
    """Names of all operators of a graph or function, in inner graphs too."""
    found: set[str] = set()
    for depth, inner in graphs_within(graph):
        if depth > MAX_DEPTH:
            raise bad(f"its graphs are nested more than {MAX_DEPTH} deep")
        _require_in_file(inner)
        for node in inner.node:
            if node.domain not in _STANDARD:
                raise bad(f"operator {node.domain}::{node.op_type} is not one of ONNX's own")
            found.add(node.op_type)
    return found


def _image(model: Any, wanted: Sequence[int] | None) -> tuple[str, list[int]]:
    """Name and sizes of the one input, a batch of images; open ones become the wanted ones."""
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [one for one in model.graph.input if one.name not in weights]
    n_in, n_out = len(inputs), len(model.graph.output)
    if (n_in, n_out) != (1, 1):
        into, out_of = (
            ", ".join(one.name for one in some) for some in (inputs, model.graph.output)
        )
        raise bad(
            f"it has {n_in} inputs ({into}) and {n_out} outputs ({out_of}); classifiers of one "
            "picture with one vector of scores are taken"
        )
    kind = inputs[0].type.tensor_type.elem_type
    if kind != onnx.TensorProto.FLOAT:
        name = onnx.TensorProto.DataType.Name(kind).lower()
        raise bad(f"its input {inputs[0].name} is {name}, not float32")
    shape = _static(inputs[0])
    if len(shape) == 4 and wanted is not None:
        fixed = [given if side < 0 else side for side, given in zip(shape[1:], wanted, strict=True)]
        require_shape(fixed, wanted)
        shape = [shape[0], *fixed]
    if len(shape) != 4 or any(side < 1 for side in shape[1:]):
        if len(shape) == 4:
            raise bad(
                f"its input {inputs[0].name} is {_shown(shape)}: sizes are not fixed; say which "
                "ones, as `--shape 3x224x224`, or export it for pictures of one size"
            )
        raise bad(
            f"its input {inputs[0].name} is {_shown(shape)}, not (1, channels, height, width)"
        )
    if shape[0] not in (-1, 1):
        raise bad(f"it takes batches of {shape[0]}, not of one image")
    return str(inputs[0].name), shape


def _fix(graph: Any, name: str, into: list[int], out_of: list[int | None]) -> None:
    """Write sizes of the input of that name and of the output; None leaves one open.

    Sizes of what lies between are forgotten, as they may say that something is open: runtimes and
    converters infer them anew.
    """
    given = next(one for one in graph.input if one.name == name)
    for value, sizes in ((given, into), (graph.output[0], out_of)):
        shape = value.type.tensor_type.shape
        del shape.dim[:]
        for size in sizes:
            dim = shape.dim.add()
            if size is None:
                dim.dim_param = "classes"
            else:
                dim.dim_value = size
    del graph.value_info[:]


def _tensors(graph: Any) -> Iterator[Any]:
    sparse = list(getattr(graph, "sparse_initializer", ()))
    yield from getattr(graph, "initializer", ())  # functions have none
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("sparse_tensor"):
                sparse.append(attribute.sparse_tensor)
            yield from attribute.tensors
            sparse += attribute.sparse_tensors
    for one in sparse:
        yield one.values
        yield one.indices


def _shown(shape: list[int]) -> str:
    return "(" + ", ".join("?" if size < 0 else str(size) for size in shape) + ")"


def _static(value: Any) -> list[int]:
    """Sizes of a tensor, -1 where they are not fixed."""
    sizes = value.type.tensor_type.shape.dim
    return [one.dim_value if one.HasField("dim_value") else -1 for one in sizes]
