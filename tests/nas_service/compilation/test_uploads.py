"""Models that users bring: what is taken, and why something is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nas_service.compilation.process import Limits
from nas_service.compilation.samples import read_samples
from nas_service.compilation.uploads import inspect as uploads
from nas_service.compilation.uploads.answers import answers_of
from nas_service.errors import InvalidData

Graph = Callable[..., onnx.ModelProto]


def _model(
    *,
    shape: tuple[object, ...] = (1, 3, 8, 8),
    classes: int = 4,
    operator: str = "Relu",
    domain: str = "",
    outputs: int = 1,
) -> onnx.ModelProto:
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, shape)
    sides = [side if isinstance(side, int) else 1 for side in shape]
    weights = np.ones((int(np.prod(sides[1:])), classes), np.float32)
    nodes = [
        helper.make_node(operator, ["image"], ["seen"], domain=domain),
        helper.make_node("Flatten", ["seen"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    out = [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [shape[0], classes])]
    if outputs == 2:
        out.append(helper.make_tensor_value_info("flat", TensorProto.FLOAT, None))
    graph = helper.make_graph(
        nodes, "g", [image], out, [numpy_helper.from_array(weights, "weights")]
    )
    sets = [helper.make_opsetid("", 17)]
    if domain:
        sets.append(helper.make_opsetid(domain, 1))
    return helper.make_model(graph, opset_imports=sets, ir_version=9)


def _nested(depth: int) -> onnx.ModelProto:
    """Branches within branches."""
    truth = helper.make_node("Constant", [], ["yes"], value=numpy_helper.from_array(np.array(True)))

    def leaf(name: str) -> onnx.GraphProto:
        one = numpy_helper.from_array(np.ones(1, np.float32))
        out = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)]
        node = helper.make_node("Constant", [], [name], value=one)
        return helper.make_graph([node], "leaf", [], out)

    def branch(left: int) -> onnx.GraphProto:
        name = f"out{left}"
        if not left:
            return leaf(name)
        out = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None)]
        node = helper.make_node(
            "If", ["yes"], [name], then_branch=branch(left - 1), else_branch=leaf("other")
        )
        return helper.make_graph([node], f"b{left}", [], out)

    model = _model()
    made = branch(depth)
    model.graph.node.insert(0, truth)
    model.graph.node.insert(
        1, helper.make_node("If", ["yes"], ["deep"], then_branch=made, else_branch=leaf("x"))
    )
    return model


def _look(path: Path, tmp_path: Path, **limits: float) -> dict[str, object]:
    given = Limits(**limits) if limits else uploads.LIMITS  # type: ignore[arg-type]
    return uploads.inspect(path, tmp_path / "normalised", given)


@pytest.mark.parametrize("batch", [1, "batch"])
def test_an_onnx_file_is_taken_with_any_batch(batch: int | str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(_model(shape=(batch, 3, 8, 8)), path)
    found = _look(path, tmp_path)
    assert found == {
        "form": "onnx",
        "channels": 3,
        "size": 8,
        "classes": 4,
        "operators": ["Flatten", "MatMul", "Relu"],
        "notes": [],
        "quantised": False,
    }
    written = onnx.load(tmp_path / "normalised").graph.input[0].type.tensor_type.shape.dim
    assert [side.dim_value for side in written] == [1, 3, 8, 8]


@pytest.mark.parametrize(
    ("model", "named"),
    [
        (_model(operator="Twist", domain="my.ops"), "operator my.ops::Twist is not one of ONNX"),
        (_model(operator="NoSuchThing"), "ONNX Runtime does not run it"),
        (_model(shape=(2, 3, 8, 8)), "batches of 2"),
        (_model(shape=(1, 3, "h", "w")), r"\(1, 3, \?, \?\): sizes are not fixed"),
        (_model(shape=(1, 3, 8, 9)), "8 x 9; only square"),
        (_model(outputs=2), r"1 inputs \(image\) and 2 outputs \(logits, flat\)"),
        (_nested(6), "nested more than 4 deep"),
    ],
)
def test_what_is_wrong_with_an_onnx_file_is_named(
    model: onnx.ModelProto, named: str, tmp_path: Path
) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InvalidData, match=named):
        _look(path, tmp_path)
    assert not (tmp_path / "normalised").exists() or named.startswith("8 x 9")


def test_a_bomb_of_nested_messages_is_refused(tmp_path: Path) -> None:
    def field(number: int, content: bytes) -> bytes:
        size, length = len(content), b""
        while True:
            length += bytes([(size & 127) | (128 if size > 127 else 0)])
            size >>= 7
            if not size:
                return bytes([number << 3 | 2]) + length + content

    graph = b""
    for _ in range(2000):  # ModelProto 7 graph, GraphProto 1 node, NodeProto 5, AttributeProto 6
        graph = field(1, field(5, field(6, graph)))
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x08\x09" + field(7, graph))
    with pytest.raises(InvalidData, match="nested too deeply"):
        _look(path, tmp_path)


def test_weights_in_another_file_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(_model(), path, save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(InvalidData, match="weights of 'weights' are in another file"):
        _look(path, tmp_path)


@pytest.mark.parametrize("where", ["sparse", "function"])
def test_data_in_another_file_is_found_wherever_it_is_named(where: str, tmp_path: Path) -> None:
    model = _model()
    outside = TensorProto(name="hidden", data_type=TensorProto.FLOAT, dims=[1])
    outside.data_location = TensorProto.EXTERNAL
    outside.external_data.add(key="location", value="/etc/hostname")
    if where == "sparse":
        model.graph.sparse_initializer.add(dims=[4]).values.CopyFrom(outside)
    else:
        node = helper.make_node("Constant", [], ["out"], value=outside)
        sets = [helper.make_opsetid("", 17)]
        model.functions.append(helper.make_function("mine", "Act", [], ["out"], [node], sets))
    path = tmp_path / "m.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InvalidData, match="weights of 'hidden' are in another file"):
        _look(path, tmp_path)


def test_a_file_that_is_cut_off_or_something_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    whole = _model().SerializeToString()
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InvalidData, match="cut off"):
        _look(path, tmp_path)
    path.write_bytes(b"")
    with pytest.raises(InvalidData, match="no ONNX file"):
        _look(path, tmp_path)


def test_a_file_of_three_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    with path.open("wb") as file:
        file.truncate(3 * 1024**3)  # takes no room on the disk
    with pytest.raises(InvalidData, match="3,221,225,472 bytes, more than"):
        _look(path, tmp_path)


def test_reading_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    onnx.save(_model(), path)
    with pytest.raises(InvalidData, match="over its limit of 0 s"):
        _look(path, tmp_path, time_s=0.05)


def test_a_graph_that_runs_without_end_on_some_image_is_ended(tmp_path: Path) -> None:
    """On the image of zeros that it is looked at with it ends at once."""
    scalar = {
        name: helper.make_tensor_value_info(name, kind, [])
        for name, kind in {
            "number": TensorProto.INT64,
            "go": TensorProto.BOOL,
            "on": TensorProto.BOOL,
            "old": TensorProto.FLOAT,
            "new": TensorProto.FLOAT,
        }.items()
    }
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["on"]), helper.make_node("Cos", ["old"], ["new"])],
        "body",
        [scalar[name] for name in ("number", "go", "old")],
        [scalar[name] for name in ("on", "new")],
    )
    model = _model()
    model.graph.initializer.append(numpy_helper.from_array(np.array(1e12, np.float32), "many"))
    model.graph.initializer.append(numpy_helper.from_array(np.array(True), "yes"))
    nodes = [
        helper.make_node("ReduceSum", ["image"], ["sum"], keepdims=0),
        helper.make_node("Mul", ["sum", "many"], ["times"]),
        helper.make_node("Cast", ["times"], ["count"], to=TensorProto.INT64),
        helper.make_node("Loop", ["count", "yes", "sum"], ["kept"], body=body),
        helper.make_node("Mul", ["kept", "zero"], ["none"]),
        helper.make_node("Add", ["image", "none"], ["fed"]),
    ]
    model.graph.initializer.append(numpy_helper.from_array(np.array(0, np.float32), "zero"))
    model.graph.node[0].input[0] = "fed"
    for place, node in enumerate(nodes):
        model.graph.node.insert(place, node)
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    images = tmp_path / "images.npz"
    np.savez(images, images=np.zeros((2, 3, 8, 8), np.float32))
    answers_of(path, [images], tmp_path / "out.npz")
    assert read_samples(tmp_path / "out.npz", "outputs").shape == (2, 4)
    np.savez(images, images=np.ones((1, 3, 8, 8), np.float32))
    with pytest.raises(InvalidData, match="running it on the samples was ended: over its limit"):
        answers_of(path, [images], tmp_path / "out.npz", Limits(time_s=5.0))
