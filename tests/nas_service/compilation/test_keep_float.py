"""Layers that are to stay in float do, in each runtime that takes models of any signature."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from lookup_tables.target import Target
from nas_service.compilation import toolchains
from nas_service.compilation.base import Converter, Source
from nas_service.compilation.shares import shares_of
from nas_service.errors import NasError
from nas_service.plugins import CONVERTERS, load
from nas_service.recorded.feeds import save_recorded
from nas_service.settings import Settings
from tests.tools import lacks


def _network(path: Path) -> Path:
    """A convolution with a bias, one without, and a product whose sum has a bias `(1, n)`."""
    random = np.random.default_rng(0)
    weights = {
        "w1": random.normal(0, 0.3, (8, 3, 3, 3)),
        "b1": random.normal(0, 0.3, 8),
        "w2": random.normal(0, 0.3, (8, 8, 3, 3)),
        "w3": random.normal(0, 0.3, (8, 12)),
        "b3": random.normal(0, 0.3, (1, 12)),
    }
    graph = helper.make_graph(
        [
            helper.make_node("Conv", ["x", "w1", "b1"], ["a"], name="first"),
            helper.make_node("Relu", ["a"], ["b"], name="relu"),
            helper.make_node("Conv", ["b", "w2"], ["c"], name="second"),
            helper.make_node("GlobalAveragePool", ["c"], ["d"], name="pool"),
            helper.make_node("Flatten", ["d"], ["e"], name="flatten"),
            helper.make_node("MatMul", ["e", "w3"], ["f"], name="product"),
            helper.make_node("Add", ["f", "b3"], ["y"], name="bias"),
        ],
        "network",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 12])],
        [numpy_helper.from_array(one.astype(np.float32), name) for name, one in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("kept", ["first", "second", "product"])
def test_a_layer_stays_in_float_and_the_others_do_not(
    runtime: str, kept: str, tmp_path: Path
) -> None:
    told = toolchains.status(toolchains.toolchain(runtime), Settings())
    if not told.ready:
        lacks(f"no {', '.join(told.missing)}: {told.how}")
    source = _source(tmp_path, kept)
    converter: Converter = load(CONVERTERS, runtime)()
    made = converter.compile(source, Target("here", runtime, "", "int8"), tmp_path / "out")
    found = shares_of(made.path, "int8")
    assert found is not None
    assert (found.n_layers, found.n_layers_in_precision) == (3, 2)
    (one,) = found.in_float
    # products and sums are joined to one operator of another name
    assert one.startswith("product" if kept == "product" else kept)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_a_layer_that_is_not_there_is_refused_by_name(runtime: str, tmp_path: Path) -> None:
    told = toolchains.status(toolchains.toolchain(runtime), Settings())
    if not told.ready:
        lacks(f"no {', '.join(told.missing)}: {told.how}")
    converter: Converter = load(CONVERTERS, runtime)()
    target = Target("here", runtime, "", "int8")
    with pytest.raises(NasError, match="third"):
        converter.compile(_source(tmp_path, "third"), target, tmp_path / "out")


def _source(folder: Path, kept: str) -> Source:
    random = np.random.default_rng(1)
    samples = [{"x": random.normal(0, 1, (1, 3, 8, 8)).astype(np.float32)} for _ in range(16)]
    calibration = save_recorded(folder / "calibration.npz", samples)
    graph = _network(folder / "network.onnx")
    return Source(graph, calibration=calibration, keep_float=(kept,))
