from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import helper, numpy_helper

from lookup_tables.blocks import Block
from lookup_tables.blocks.add import AddBlock
from lookup_tables.blocks.avg_pool import AvgPoolBlock
from lookup_tables.blocks.convolution import ReluConvBlock
from lookup_tables.blocks.front_end import FrontEndBlock
from lookup_tables.blocks.mbconv import MbConvBlock
from lookup_tables.blocks.residual_reduction import ResidualReductionBlock
from lookup_tables.graphs import block_graph
from lookup_tables.in_float import before_logarithms
from lookup_tables.quantized import half_precision, quantize, sort_nodes, with_integer_borders

BLOCKS = [
    MbConvBlock(8, 8, 8, 8, kernel=3, mid_channels=32, se_channels=8, residual=1),
    ReluConvBlock(8, 8, 8, 8, kernel=3),
    AddBlock(8, 8, 8, 8, terms=2),
    AvgPoolBlock(8, 8, 8, 8),
    ResidualReductionBlock(8, 16, 8, 8),
]


def _quantized(block: Block, folder: Path) -> tuple[Path, list[dict[str, np.ndarray]]]:
    onnx.save(block_graph(block, seed=1), folder / "fp32.onnx")
    generator = np.random.default_rng(0)
    shape = (1, block.in_channels, block.height, block.width)
    batches = [
        {name: generator.standard_normal(shape, dtype=np.float32) for name in block.inputs}
        for _ in range(4)
    ]
    quantize(folder / "fp32.onnx", folder / "int8.onnx", batches)
    return folder / "int8.onnx", batches


def _run(path: Path, fed: dict[str, np.ndarray]) -> np.ndarray:
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(None, fed)[0]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.kind)
def test_int8_is_near_to_float(block: Block, tmp_path: Path) -> None:
    path, batches = _quantized(block, tmp_path)
    expected, found = _run(tmp_path / "fp32.onnx", batches[0]), _run(path, batches[0])
    noise = ((found - expected) ** 2).mean() / (expected**2).mean()
    assert noise < 0.01


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.kind)
def test_integer_borders_leave_no_float_outside(block: Block, tmp_path: Path) -> None:
    path, _ = _quantized(block, tmp_path)
    with_integer_borders(path)
    graph = onnx.load(path).graph
    kinds = {v.type.tensor_type.elem_type for v in [*graph.input, *graph.output]}
    assert kinds == {onnx.TensorProto.UINT8}
    shape = (1, block.in_channels, block.height, block.width)
    fed = {value.name: np.full(shape, 100, np.uint8) for value in graph.input}
    assert _run(path, fed).dtype == np.uint8


def test_average_pools_compute_in_float_inside_an_int8_network(tmp_path: Path) -> None:
    """ONNX Runtime's integer pool takes ten times as long as the float one."""
    _quantized(ResidualReductionBlock(8, 16, 8, 8), tmp_path)
    options = ort.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    ort.InferenceSession(tmp_path / "int8.onnx", options, providers=["CPUExecutionProvider"])
    found = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert "AveragePool" in found
    assert "QLinearAveragePool" not in found
    assert found.count("QLinearConv") == 3


@pytest.mark.parametrize("coefficients", [0, 11])
def test_energies_stay_in_float_up_to_their_logarithm(coefficients: int, tmp_path: Path) -> None:
    """A tone a thousand times as weak as another is seen in int8, too."""
    block = FrontEndBlock(1, 400, 64, 20, coefficients)
    onnx.save(block_graph(block), tmp_path / "fp32.onnx")
    time = np.arange(400)
    tone = np.sin(0.2 * time) + 1e-3 * np.sin(2.5 * time)
    fed = {"input": tone.astype(np.float32)[None, None]}
    quantize(tmp_path / "fp32.onnx", tmp_path / "int8.onnx", [fed])
    expected, found = _run(tmp_path / "fp32.onnx", fed), _run(tmp_path / "int8.onnx", fed)
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()
    kinds = [node.op_type for node in onnx.load(tmp_path / "int8.onnx").graph.node]
    assert ("QuantizeLinear" in kinds) == bool(coefficients)  # what follows is in integers
    with_integer_borders(tmp_path / "int8.onnx")
    session = ort.InferenceSession(tmp_path / "int8.onnx", providers=["CPUExecutionProvider"])
    assert session.get_inputs()[0].type == "tensor(uint8)"


def test_what_ends_in_a_logarithm_is_no_front_end(tmp_path: Path) -> None:
    """Scores of many layers as logarithms: all of these may be in integers."""
    names = [f"w{number}" for number in range(4)]
    nodes = [
        helper.make_node("Conv", [f"x{n}", names[n]], [f"x{n + 1}"], name=f"conv{n}")
        for n in range(4)
    ]
    nodes += [
        helper.make_node("Softmax", ["x4"], ["shares"], axis=1, name="softmax"),
        helper.make_node("Log", ["shares"], ["y"], name="log"),
    ]
    weights = np.random.default_rng(0).standard_normal((4, 8, 8, 1, 1)).astype(np.float32)
    graph = helper.make_graph(
        nodes,
        "scores",
        [helper.make_tensor_value_info("x0", onnx.TensorProto.FLOAT, [1, 8, 4, 4])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 8, 4, 4])],
        [numpy_helper.from_array(one, name) for one, name in zip(weights, names, strict=True)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "scores.onnx")
    assert before_logarithms(tmp_path / "scores.onnx") == []


@pytest.mark.parametrize("variance", [1.0, 4e8, 1e-12])
def test_half_precision_keeps_constants_that_it_cannot_hold(
    variance: float, tmp_path: Path
) -> None:
    """A normalisation by hand: two channels of one variance, gain 2, offset 1."""
    constants = {"gain": [2.0, 2.0], "offset": [1.0, 1.0], "mean": [0.0, 0.0]}
    constants["variance"] = [variance, variance]
    shape = [1, 2, 3, 3]
    graph = helper.make_graph(
        [helper.make_node("BatchNormalization", ["x", *constants], ["y"], epsilon=0.0)],
        "normalisation",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(np.array(values, np.float32), name)
            for name, values in constants.items()
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "fp32.onnx")
    half_precision(tmp_path / "fp32.onnx", tmp_path / "fp16.onnx")
    # no larger than what fp16 itself can hold
    x = np.full(shape, np.sqrt(min(variance, 1e9)), np.float32)
    assert _run(tmp_path / "fp16.onnx", {"x": x}) == pytest.approx(3.0, rel=0.01)


def test_nodes_in_half_precision_stand_behind_what_they_read(tmp_path: Path) -> None:
    """The converter puts conversions of inputs last; a branch reads what lies outside of it."""
    weight = numpy_helper.from_array(np.ones((4, 4), np.float32), "weight")
    branches = [
        helper.make_graph(
            [helper.make_node(kind, ["hidden"], [f"of_{kind}"])],
            kind,
            [],
            [helper.make_tensor_value_info(f"of_{kind}", onnx.TensorProto.FLOAT, [1, 4])],
        )
        for kind in ("Relu", "Neg")
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "weight"], ["hidden"]),
        helper.make_node("If", ["which"], ["y"], then_branch=branches[0], else_branch=branches[1]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [
            helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [1, 4]),
            helper.make_tensor_value_info("which", onnx.TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [1, 4])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "fp32.onnx")
    half_precision(tmp_path / "fp32.onnx", tmp_path / "fp16.onnx")
    onnx.checker.check_model(tmp_path / "fp16.onnx")
    session = ort.InferenceSession(str(tmp_path / "fp16.onnx"))
    x = np.float32([[1, -2, 3, 4]])
    for which, expected in ((True, 6.0), (False, -6.0)):
        (y,) = session.run(None, {"x": x, "which": np.array(which)})
        assert np.allclose(y, expected)

    shuffled = onnx.load(tmp_path / "fp16.onnx")
    backwards = list(reversed(shuffled.graph.node))
    del shuffled.graph.node[:]
    shuffled.graph.node.extend(backwards)
    sort_nodes(shuffled.graph)
    onnx.checker.check_model(shuffled)
    circle = helper.make_graph(
        [helper.make_node("Neg", [a], [b]) for a, b in (("a", "b"), ("b", "a"))], "c", [], []
    )
    with pytest.raises(ValueError, match="circle"):
        sort_nodes(circle)
