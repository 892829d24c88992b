"""Models as people have them: made ready in a copy, or refused in a line that says what to do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from lookup_tables.quantized import quantize
from nas_service.compilation.shares import shares_of
from nas_service.compilation.uploads import inspect as uploads
from nas_service.compilation.uploads.any_graph import inspect_graph
from nas_service.errors import InvalidData

IMAGE = np.random.default_rng(0).standard_normal((1, 3, 8, 8), dtype=np.float32)


def _weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


def _classifier(opset: int, *nodes: onnx.NodeProto, **initializers: np.ndarray) -> onnx.ModelProto:
    """A convolution, `nodes` from `made` to `fed`, a linear layer; as exporters of `opset` do."""
    middle = nodes or (helper.make_node("Relu", ["made"], ["fed"]),)
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["image", "first"], ["made"], name="first", pads=[1, 1, 1, 1]),
            *middle,
            helper.make_node("Flatten", ["fed"], ["flat"]),
            helper.make_node("Gemm", ["flat", "second", "third"], ["scores"], name="second"),
        ],
        "g",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 5])],
        [
            numpy_helper.from_array(one, name)
            for name, one in {
                "first": _weights(4, 3, 3, 3),
                "second": _weights(256, 5),
                "third": _weights(5),
                **initializers,
            }.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    model.ir_version = 8
    return model


def _look(model: onnx.ModelProto, tmp_path: Path) -> dict[str, object]:
    onnx.save(model, tmp_path / "m.onnx")
    return uploads.inspect(tmp_path / "m.onnx", tmp_path / "ready.onnx")


def _answers(path: Path) -> np.ndarray:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return np.asarray(session.run(None, {session.get_inputs()[0].name: IMAGE})[0])


@pytest.mark.parametrize("opset", [9, 11])
def test_an_old_opset_is_raised_in_a_copy_that_can_be_quantised(opset: int, tmp_path: Path) -> None:
    found = _look(_classifier(opset), tmp_path)
    assert found["notes"] == [f"opset {opset} was converted to 17"]
    np.testing.assert_allclose(
        _answers(tmp_path / "ready.onnx"), _answers(tmp_path / "m.onnx"), atol=1e-5
    )
    quantize(tmp_path / "ready.onnx", tmp_path / "int8.onnx", [{"image": IMAGE}] * 4)
    shares = shares_of(tmp_path / "int8.onnx", "int8")
    assert shares is not None
    assert (shares.n_layers, shares.n_layers_in_precision) == (2, 2)


def test_weights_that_are_inputs_too_are_weights_alone(tmp_path: Path) -> None:
    model = _classifier(13)
    for one in model.graph.initializer:
        value = helper.make_tensor_value_info(one.name, TensorProto.FLOAT, list(one.dims))
        model.graph.input.append(value)
    found = _look(model, tmp_path)
    assert found["notes"] == ["3 weights were inputs, too, and are weights alone now"]
    assert [one.name for one in onnx.load(tmp_path / "ready.onnx").graph.input] == ["image"]


def test_training_mode_and_random_numbers_are_refused_with_the_way_out(tmp_path: Path) -> None:
    statistics = {name: np.ones(4, np.float32) for name in ("scale", "bias", "mean", "variance")}
    norm = helper.make_node(
        "BatchNormalization",
        ["made", *statistics],
        ["fed", "new_mean", "new_variance"],
        name="norm",
        training_mode=1,
    )
    with pytest.raises(InvalidData, match=r"training mode \(norm\): call model.eval\(\)"):
        _look(_classifier(15, norm, **statistics), tmp_path)
    drop = helper.make_node("Dropout", ["made", "rate", "on"], ["fed"], name="drop")
    switched = {"rate": np.array(0.5, np.float32), "on": np.array(True)}
    with pytest.raises(InvalidData, match=r"training mode \(drop\)"):
        _look(_classifier(13, drop, **switched), tmp_path)
    noise = helper.make_node("RandomNormalLike", ["made"], ["noise"], name="noise")
    added = helper.make_node("Add", ["made", "noise"], ["fed"])
    with pytest.raises(InvalidData, match="draws random numbers"):
        _look(_classifier(13, noise, added), tmp_path)


def test_answers_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    root = helper.make_node("Log", ["made"], ["fed"])
    with pytest.raises(InvalidData, match="not finite"):
        _look(_classifier(13, root), tmp_path)


def test_a_quantised_file_is_recognised(tmp_path: Path) -> None:
    onnx.save(_classifier(13), tmp_path / "plain.onnx")
    quantize(tmp_path / "plain.onnx", tmp_path / "int8.onnx", [{"image": IMAGE}] * 4)
    found = _look(onnx.load(tmp_path / "int8.onnx"), tmp_path)
    assert found["quantised"] is True
    shares = shares_of(tmp_path / "int8.onnx", "int8")
    assert shares is not None
    assert shares.sentence("int8").startswith("2 of 2 layers")


def test_one_pair_of_conversions_makes_no_int8_file(tmp_path: Path) -> None:
    """The input alone goes through integers: no layer is in int8, and the file says so."""
    scale = {"s": np.array(0.05, np.float32), "z": np.array(128, np.uint8)}
    q = helper.make_node("QuantizeLinear", ["made", "s", "z"], ["q"])
    dq = helper.make_node("DequantizeLinear", ["q", "s", "z"], ["fed"])
    onnx.save(_classifier(13, q, dq, **scale), tmp_path / "one.onnx")
    shares = shares_of(tmp_path / "one.onnx", "int8")
    assert shares is not None
    assert shares.nothing
    assert shares.sentence("int8") == (
        "0 of 2 layers and 0% of the weights are in int8; in float: first, second"
    )
    assert _look(onnx.load(tmp_path / "one.onnx"), tmp_path)["quantised"] is False


class _Net(nn.Module):
    def __init__(self, form: str = "tensor") -> None:
        super().__init__()
        self.form = form
        self.conv = nn.Conv2d(3, 4, 3)
        self.norm = nn.BatchNorm2d(4)
        self.linear = nn.Linear(144, 5)

    def forward(self, x: torch.Tensor) -> object:
        y = self.linear(torch.flatten(torch.relu(self.norm(self.conv(x))), 1))
        return {"tensor": y, "tuple": (y, y), "dictionary": {"scores": y}}[self.form]


def _program(module: nn.Module, image: torch.Tensor, tmp_path: Path) -> dict[str, object]:
    torch.export.save(torch.export.export(module, (image,)), tmp_path / "m.pt2")
    return uploads.inspect(tmp_path / "m.pt2", tmp_path / "ready.pt2")


@pytest.mark.parametrize(
    ("form", "named"),
    [("tuple", "a tuple of 2, not one tensor"), ("dictionary", r"a dictionary \(scores\)")],
)
def test_programs_with_other_outputs_are_refused_by_name(
    form: str, named: str, tmp_path: Path
) -> None:
    with pytest.raises(InvalidData, match=named):
        _program(_Net(form).eval(), torch.randn(1, 3, 8, 8), tmp_path)


def test_a_program_in_training_mode_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidData, match=r"training mode .*model\.eval\(\)"):
        _program(_Net().train(), torch.randn(1, 3, 8, 8), tmp_path)


def test_a_program_for_channels_last_is_exported_again(tmp_path: Path) -> None:
    torch.manual_seed(0)
    image = torch.from_numpy(IMAGE).to(memory_format=torch.channels_last)
    module = _Net().eval()
    found = _program(module, image, tmp_path)
    assert found["notes"] == [
        "its example was not contiguous (channels last); it was exported again"
    ]
    again = torch.export.load(tmp_path / "ready.pt2")
    assert again.example_inputs[0][0].is_contiguous()
    with torch.no_grad():
        np.testing.assert_allclose(
            again.module()(torch.from_numpy(IMAGE)), module(image), atol=1e-6
        )


def _open(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with height and width left open, by a name and by -1."""
    dims = model.graph.input[0].type.tensor_type.shape.dim
    dims[2].dim_param = "height"
    dims[3].dim_value = -1
    return model


def test_open_sizes_are_asked_for_and_taken(tmp_path: Path) -> None:
    model = _open(_classifier(17))
    with pytest.raises(InvalidData, match=r"\(1, 3, \?, \?\): sizes are not fixed; .*--shape"):
        _look(model, tmp_path)
    told = uploads.inspect(tmp_path / "m.onnx", tmp_path / "ready.onnx", shape=(3, 8, 8))
    assert (told["channels"], told["size"], told["classes"]) == (3, 8, 5)
    assert np.allclose(_answers(tmp_path / "ready.onnx"), _answers(tmp_path / "m.onnx"))


def test_a_shape_that_is_not_the_models_own_is_refused(tmp_path: Path) -> None:
    onnx.save(_classifier(17), tmp_path / "m.onnx")
    with pytest.raises(InvalidData, match="takes images of 3x8x8, which cannot be made 3x9x9"):
        uploads.inspect(tmp_path / "m.onnx", tmp_path / "ready.onnx", shape=(3, 9, 9))


def test_channels_last_are_turned_in_a_first_step(tmp_path: Path) -> None:
    model = _classifier(17)
    inner = helper.make_node("Transpose", ["pictures"], ["image"], perm=[0, 3, 1, 2])
    model.graph.node.insert(0, inner)
    del model.graph.input[:]
    model.graph.input.append(
        helper.make_tensor_value_info("pictures", TensorProto.FLOAT, [1, 8, 8, 3])
    )
    told = _look(model, tmp_path)
    assert (told["channels"], told["size"]) == (3, 8)
    assert "channels last (8 x 8 x 3)" in told["notes"][0]  # type: ignore[index]
    session = onnxruntime.InferenceSession(str(tmp_path / "m.onnx"))
    expected = session.run(None, {"pictures": np.ascontiguousarray(IMAGE.transpose(0, 2, 3, 1))})
    assert np.allclose(_answers(tmp_path / "ready.onnx"), expected[0])


def test_what_answers_with_more_than_a_vector_is_refused_by_its_output(tmp_path: Path) -> None:
    model = _classifier(17)
    model.graph.output[0].type.tensor_type.shape.dim.add().dim_value = 1
    with pytest.raises(InvalidData, match=r"its output scores is \(1, 5, 1\), not \(1, classes\)"):
        _look(model, tmp_path)


@pytest.mark.parametrize("opset", [11, 17])
@pytest.mark.parametrize("linear", [True, False])
def test_sparse_weights_are_written_out(tmp_path: Path, opset: int, linear: bool) -> None:
    dense = np.zeros((4, 3), np.float32)
    dense[1, 2], dense[3, 0] = 5.0, -2.0
    at = np.array([5, 9]) if linear else np.array([[1, 2], [3, 0]])
    values = numpy_helper.from_array(np.float32([5.0, -2.0]), "w")
    weight = helper.make_sparse_tensor(values, numpy_helper.from_array(at, "at"), [4, 3])
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
        sparse_initializer=[weight],
    )
    opsets = [helper.make_opsetid("", opset)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "a.onnx")
    told = inspect_graph(tmp_path / "a.onnx", tmp_path / "ready.onnx")
    assert "1 weights were stored sparse, and are dense now" in told["notes"]
    session = onnxruntime.InferenceSession(str(tmp_path / "ready.onnx"))
    x = np.float32([[1, 2, 3, 4]])
    assert np.allclose(session.run(None, {"x": x})[0], x @ dense)
