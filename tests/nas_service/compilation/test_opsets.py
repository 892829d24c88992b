"""Graphs of old opsets answer as they did once they are ready, or are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, numpy_helper
from onnx.helper import (
    make_graph,
    make_model,
    make_node,
    make_opsetid,
    make_tensor_sequence_value_info,
    make_tensor_value_info,
)

from nas_service.compilation.uploads.any_graph import inspect_graph
from nas_service.compilation.uploads.onnx_files import inspect_onnx
from nas_service.compilation.uploads.opsets import _answers_the_same
from nas_service.errors import InvalidData

SIZES = [1, 3, 6, 5]


def _saved(path: Path, opset: int, nodes: list[Any], sizes: list[Any], *weights: Any) -> Path:
    given = make_tensor_value_info("x", TensorProto.FLOAT, sizes)
    answer = make_tensor_value_info("y", TensorProto.FLOAT, None)
    graph = make_graph(nodes, "g", [given], [answer], list(weights))
    model = make_model(graph, opset_imports=[make_opsetid("", opset)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


def _run(path: Path, image: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {session.get_inputs()[0].name: image})
    return np.asarray(found)


@pytest.mark.parametrize("sizes", [SIZES, [1, 3, "height", "width"]])
@pytest.mark.parametrize("mode", ["linear", "nearest"])
@pytest.mark.parametrize("scale", [2.0, 1.7])
@pytest.mark.parametrize(("operator", "opset"), [("Upsample", 9), ("Resize", 10)])
def test_an_old_graph_enlarges_as_it_did(
    tmp_path: Path, operator: str, opset: int, scale: float, mode: str, sizes: list[Any]
) -> None:
    """The middles of pixels are meant since opset 11, their corners before."""
    scales = numpy_helper.from_array(np.array([1, 1, scale, scale], np.float32), "s")
    node = make_node(operator, ["x", "s"], ["y"], mode=mode)
    path = _saved(tmp_path / "old.onnx", opset, [node], sizes, scales)
    told = inspect_graph(path, tmp_path / "ready.onnx")
    assert told["notes"] == [f"opset {opset} was converted to 17"]
    image = np.random.default_rng(1).standard_normal(SIZES).astype(np.float32)
    assert _run(tmp_path / "ready.onnx", image) == pytest.approx(_run(path, image), abs=1e-6)


@pytest.mark.parametrize("opset", [7, 12])
def test_a_graph_that_would_answer_otherwise_is_refused(tmp_path: Path, opset: int) -> None:
    path = _saved(tmp_path / "a.onnx", opset, [make_node("Hardmax", ["x"], ["y"], axis=1)], SIZES)
    with pytest.raises(InvalidData, match=f"opset {opset}, and answers otherwise once it is conv"):
        inspect_graph(path, tmp_path / "ready.onnx")
    # over the last axis alone it has always meant the same
    path = _saved(tmp_path / "b.onnx", opset, [make_node("Hardmax", ["x"], ["y"], axis=3)], SIZES)
    inspect_graph(path, tmp_path / "ready.onnx")


def test_a_graph_that_cannot_be_run_is_told_or_refused(tmp_path: Path) -> None:
    """Its inner sizes fit no picture that is tried."""
    shape = numpy_helper.from_array(np.array([1, 3, 77, 31]), "shape")
    nodes = [make_node("Reshape", ["x", "shape"], ["r"]), make_node("Relu", ["r"], ["y"])]
    path = _saved(tmp_path / "a.onnx", 9, nodes, [1, 3, "h", "w"], shape)
    told = inspect_graph(path, tmp_path / "ready.onnx")
    assert "could not be run before and after" in told["notes"][-1]
    nodes[1] = make_node("Hardmax", ["r"], ["y"], axis=1)
    path = _saved(tmp_path / "b.onnx", 9, nodes, [1, 3, "h", "w"], shape)
    with pytest.raises(InvalidData, match="since which Hardmax has got another meaning"):
        inspect_graph(path, tmp_path / "ready.onnx")


def test_inputs_that_cannot_be_made_up_are_told_or_refused_as_ever(tmp_path: Path) -> None:
    path = _saved(tmp_path / "a.onnx", 9, [make_node("Relu", ["x"], ["y"])], [1_000_000, 1_000_000])
    told = inspect_graph(path, tmp_path / "ready.onnx")
    assert "could not be run before and after" in told["notes"][-1]
    model = onnx.load(path)
    model.opset_import[0].version = 11
    sequence = make_tensor_sequence_value_info("x", TensorProto.FLOAT, [1])
    model.graph.input[0].CopyFrom(sequence)
    model.graph.node[0].CopyFrom(make_node("SequenceLength", ["x"], ["y"]))
    model.graph.output[0].CopyFrom(make_tensor_value_info("y", TensorProto.INT64, []))
    onnx.save(model, path)
    with pytest.raises(InvalidData, match="x is a sequence, not a tensor of numbers"):
        inspect_graph(path, tmp_path / "ready.onnx")


def test_a_picture_with_channels_last_is_turned_for_branches_too(tmp_path: Path) -> None:
    """A branch reads the picture from the graph around it."""
    branches = {
        name: make_graph(
            [make_node("ReduceMean", [of], [f"{name}_m"], axes=[1, 2], keepdims=0)],
            name,
            [],
            [make_tensor_value_info(f"{name}_m", TensorProto.FLOAT, [1, 3])],
        )
        for name, of in (("yes", "x"), ("no", "n"))
    }
    nodes = [
        make_node("Neg", ["x"], ["n"]),
        make_node("If", ["on"], ["y"], then_branch=branches["yes"], else_branch=branches["no"]),
    ]
    on = numpy_helper.from_array(np.array(True), "on")
    path = _saved(tmp_path / "last.onnx", 17, nodes, [1, 8, 8, 3], on)
    model = onnx.load(path)
    model.graph.output[0].CopyFrom(make_tensor_value_info("y", TensorProto.FLOAT, [1, 3]))
    onnx.save(model, path)
    told = inspect_onnx(path, tmp_path / "ready.onnx")
    assert any("channels last" in note for note in told["notes"])
    image = np.random.default_rng(2).standard_normal((1, 8, 8, 3)).astype(np.float32)
    turned = np.ascontiguousarray(image.transpose(0, 3, 1, 2))
    assert _run(tmp_path / "ready.onnx", turned) == pytest.approx(_run(path, image), abs=1e-6)


def test_a_graph_that_runs_no_more_answers_otherwise(tmp_path: Path) -> None:
    relu = onnx.load(_saved(tmp_path / "a.onnx", 9, [make_node("Relu", ["x"], ["y"])], SIZES))
    broken = onnx.load(_saved(tmp_path / "b.onnx", 17, [make_node("Relu", ["no"], ["y"])], SIZES))
    assert _answers_the_same(relu, relu) is True
    assert _answers_the_same(relu, broken) is False
    assert _answers_the_same(broken, relu) is None


def test_a_scalar_input_does_not_keep_answers_from_being_compared(tmp_path: Path) -> None:
    path = _saved(tmp_path / "a.onnx", 11, [make_node("Hardmax", ["x"], ["y"], axis=1)], SIZES)
    model = onnx.load(path)
    model.graph.input.append(make_tensor_value_info("n", TensorProto.INT64, []))
    onnx.save(model, path)
    with pytest.raises(InvalidData, match="answers otherwise once it is converted"):
        inspect_graph(path, tmp_path / "ready.onnx")


def test_small_numbers_beside_large_ones_are_compared_on_their_own_scale(tmp_path: Path) -> None:
    scale = numpy_helper.from_array(np.array(1e5, np.float32), "scale")
    nodes = [
        make_node("Hardmax", ["x"], ["h"], axis=1),
        make_node("Mul", ["x", "scale"], ["m"]),
        make_node("Concat", ["h", "m"], ["y"], axis=1),
    ]
    path = _saved(tmp_path / "a.onnx", 11, nodes, SIZES, scale)
    with pytest.raises(InvalidData, match="answers otherwise once it is converted"):
        inspect_graph(path, tmp_path / "ready.onnx")


def test_a_branch_that_noise_may_not_take_is_refused_where_its_meaning_changed(
    tmp_path: Path,
) -> None:
    branches = {
        name: make_graph(
            [make_node(kind, ["x"], [f"{name}_y"], **more)],
            name,
            [],
            [make_tensor_value_info(f"{name}_y", TensorProto.FLOAT, None)],
        )
        for name, kind, more in (("yes", "Relu", {}), ("no", "Hardmax", {"axis": 1}))
    }
    on = numpy_helper.from_array(np.array(True), "on")
    nodes = [
        make_node("If", ["on"], ["y"], then_branch=branches["yes"], else_branch=branches["no"])
    ]
    path = _saved(tmp_path / "a.onnx", 11, nodes, SIZES, on)
    with pytest.raises(InvalidData, match="since which Hardmax has got another meaning"):
        inspect_graph(path, tmp_path / "ready.onnx")


def test_functions_of_a_file_are_written_out_where_they_are_called(tmp_path: Path) -> None:
    path = _saved(
        tmp_path / "a.onnx", 17, [make_node("Twice", ["x"], ["y"], domain="my.own")], SIZES
    )
    model = onnx.load(path)
    function = onnx.helper.make_function(
        "my.own",
        "Twice",
        ["a"],
        ["b"],
        [make_node("Add", ["a", "a"], ["b"])],
        [onnx.helper.make_opsetid("", 17)],
    )
    model.functions.append(function)
    model.opset_import.append(onnx.helper.make_opsetid("my.own", 1))
    onnx.save(model, path)
    assert inspect_graph(path, tmp_path / "ready.onnx")["operators"] == ["Add"]
    image = np.random.default_rng(2).standard_normal(SIZES).astype(np.float32)
    assert _run(tmp_path / "ready.onnx", image) == pytest.approx(2.0 * image)
