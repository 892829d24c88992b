"""What files of each runtime count of themselves, beside the network that they were made of."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from lookup_tables.target import Target
from nas_service.compilation import toolchains
from nas_service.compilation.base import FloatArray32, Source
from nas_service.compilation.shares import grown, shares_of
from nas_service.plugins import CONVERTERS, load
from nas_service.settings import Settings
from tests.tools import lacks

RUNTIMES = [
    "onnxruntime",
    "openvino",
    pytest.param("litert", marks=pytest.mark.matrix),
    pytest.param("executorch", marks=pytest.mark.matrix),
]


def _layers(program: Path) -> list[torch.Tensor]:
    """Weights of convolutions and linear layers, as the exported program has them."""
    module = torch.export.load(program)
    return [one for one in module.state_dict.values() if one.ndim >= 2]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_layers_and_weights_are_counted_from_the_file(
    runtime: str, compiled_network: tuple[Source, FloatArray32, FloatArray32], tmp_path: Path
) -> None:
    compiler = load(CONVERTERS, runtime)()
    told = toolchains.status(compiler.toolchain, Settings())
    if not told.ready:
        lacks(f"no {', '.join(told.missing)}: {told.how}")
    source = compiled_network[0]
    assert source.program is not None
    weights = _layers(source.program)
    n_weights = sum(one.numel() for one in weights)
    for precision in ("fp32", "int8"):
        target = Target("here", runtime, "", precision)
        made = compiler.compile(source, target, tmp_path / precision).path
        found = shares_of(made, precision)
        assert found is not None
        assert found.n_layers == len(weights)
        # gates may stay in float, where a runtime multiplies by them in float
        assert found.n_layers_in_precision >= 0.8 * len(weights)
        if found.n_weights != n_weights:  # ONNX counts normalisation's and biases as well
            assert runtime == "onnxruntime"
        other = "int8" if precision == "fp32" else "fp32"
        against = shares_of(made, other)
        assert against is not None
        assert against.n_layers_in_precision <= 0.2 * len(weights)


def test_a_format_that_nothing_reads_is_unknown(tmp_path: Path) -> None:
    assert shares_of(tmp_path / "model.tvm.zip", "fp32") is None


def test_a_recurrent_layer_that_grew_is_named(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    wide = generator.standard_normal((1, 16, 4)).astype(np.float32)
    narrow = generator.standard_normal((1, 16, 4)).astype(np.float32)

    def saved(path: Path, *weights: np.ndarray) -> Path:
        names = [f"w{number}" for number in range(len(weights))]
        graph = helper.make_graph(
            [helper.make_node("RNN", ["x", *names], ["y"], name="recurrent", hidden_size=16)],
            "g",
            [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 4])],
            [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 1, 1, 16])],
            [numpy_helper.from_array(one, name) for name, one in zip(names, weights, strict=True)],
        )
        onnx.save(helper.make_model(graph), path)
        return path

    original = saved(tmp_path / "original.onnx", wide)
    assert grown(original, saved(tmp_path / "larger.onnx", wide, narrow)) == ["recurrent"]
    assert grown(original, saved(tmp_path / "same.onnx", wide)) == []


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_layers_in_branches_are_counted_too(runtime: str, tmp_path: Path) -> None:
    compiler = load(CONVERTERS, runtime)()
    told = toolchains.status(compiler.toolchain, Settings())
    if not told.ready:
        lacks(f"no {', '.join(told.missing)}: {told.how}")
    weights = [
        numpy_helper.from_array(np.full((4, 4), one, np.float32), f"weight{one}")
        for one in range(3)
    ]
    branches = [
        helper.make_graph(
            [helper.make_node("MatMul", ["hidden", f"weight{one}"], [f"of{one}"])],
            f"branch{one}",
            [],
            [helper.make_tensor_value_info(f"of{one}", TensorProto.FLOAT, [1, 4])],
            [weights[one]],
        )
        for one in (1, 2)
    ]
    nodes = [
        helper.make_node("MatMul", ["x", "weight0"], ["hidden"]),
        helper.make_node("If", ["which"], ["y"], then_branch=branches[0], else_branch=branches[1]),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 4]),
        helper.make_tensor_value_info("which", TensorProto.BOOL, [1]),
    ]
    output = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 4])
    graph = helper.make_graph(nodes, "g", inputs, [output], weights[:1])
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), tmp_path / "m.onnx")
    target = Target("here", runtime, "", "fp32")
    made = compiler.compile(Source(tmp_path / "m.onnx", None, None), target, tmp_path / "made").path
    found = shares_of(made, "fp32")
    assert found is not None
    assert (found.n_layers, found.n_layers_in_precision) == (3, 3)
