"""Small ONNX files of any make: refused in a line, or made ready and compressed as promised.

What is promised is measured here with ONNX Runtime itself: a file that is made ready answers as
the one that was given, and an int8 file that passes has no column of its outputs that died.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from nas_service.compilation.base import Source
from nas_service.compilation.quantise import quantise
from nas_service.compilation.shares import shares_of
from nas_service.compilation.uploads.onnx_files import inspect_onnx
from nas_service.errors import InvalidData, Unsupported
from nas_service.learning.registry import learning_task
from nas_service.recorded.parity import parity_of

AGREE = learning_task().agreement

OPERATORS = [
    *("Conv", "Relu", "MaxPool", "AveragePool", "BatchNormalization", "Sigmoid", "Skip", "Scale"),
    *("Dropout", "Training", "Random", "Log", "Clip"),
]
ODD = {"Training", "Random"}


@dataclass(frozen=True)
class Plan:
    """A classifier to be made: operators in a row, and what is odd about it."""

    operators: tuple[str, ...]
    opset: int
    weights_are_inputs: bool
    two_outputs: bool
    large_column: bool
    seed: int


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    return Plan(
        operators=tuple(draw(st.lists(st.sampled_from(OPERATORS), min_size=1, max_size=5))),
        opset=draw(st.sampled_from([9, 11, 12, 13, 15, 17, 20])),
        weights_are_inputs=draw(st.booleans()),
        two_outputs=draw(st.integers(0, 9)) == 0,
        large_column=draw(st.booleans()),
        seed=draw(st.integers(0, 10_000)),
    )


def _make(plan: Plan) -> onnx.ModelProto:
    generator = np.random.default_rng(plan.seed)
    weights: dict[str, np.ndarray] = {}
    nodes: list[onnx.NodeProto] = []
    at, channels = "image", 3

    def weight(*shape: int, scale: float = 1.0) -> str:
        name = f"w{len(weights)}"
        weights[name] = (scale * generator.standard_normal(shape)).astype(np.float32)
        return name

    def add(kind: str, *inputs: str, **attributes: object) -> str:
        out = f"t{len(nodes)}"
        nodes.append(
            helper.make_node(kind, [at, *inputs], [out], name=f"n{len(nodes)}", **attributes)
        )
        return out

    def normalised(name: str, **attributes: object) -> str:
        parts = [weight(channels) for _ in range(3)]
        weights["positive" + name] = np.ones(channels, np.float32)
        return add("BatchNormalization", *parts, "positive" + name, **attributes)

    for number, kind in enumerate(plan.operators):
        if kind == "Conv":
            at = add("Conv", weight(8, channels, 3, 3, scale=0.3), pads=[1] * 4)
            channels = 8
        elif kind in {"MaxPool", "AveragePool"}:
            at = add(kind, kernel_shape=[3, 3], pads=[1] * 4)
        elif kind == "BatchNormalization":
            at = normalised(str(number))
        elif kind == "Training" and plan.opset >= 15:
            at = normalised(str(number), training_mode=1)
            nodes[-1].output.extend([f"mean{number}", f"variance{number}"])
        elif kind == "Random":
            noise = add("RandomNormalLike")
            at = add("Add", noise)
        elif kind == "Skip":
            other = add("Conv", weight(channels, channels, 1, 1, scale=0.3))
            at = add("Add", other)
        elif kind == "Scale":
            at = add("Mul", weight(1, channels, 1, 1))
        elif kind == "Clip" and plan.opset >= 11:
            weights.setdefault("low", np.array(-1.0, np.float32))
            at = add("Clip", "low")
        elif kind in {"Relu", "Sigmoid", "Dropout", "Log"}:
            at = add(kind)
    at = add("GlobalAveragePool")
    at = add("Flatten")
    last = weight(channels, 5)
    if plan.large_column:  # pixels beside scores
        weights[last][:, 0] *= 500.0
    weights["bias"] = generator.standard_normal(5).astype(np.float32)
    nodes.append(helper.make_node("Gemm", [at, last, "bias"], ["scores"], name="last"))
    outputs = [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 5])]
    if plan.two_outputs:
        outputs.append(helper.make_tensor_value_info(at, TensorProto.FLOAT, [1, channels]))
    inputs = [helper.make_tensor_value_info("image", TensorProto.FLOAT, [1, 3, 8, 8])]
    if plan.weights_are_inputs:
        inputs += [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, list(one.shape))
            for name, one in weights.items()
        ]
    initializers = [numpy_helper.from_array(one, name) for name, one in weights.items()]
    graph = helper.make_graph(nodes, "g", inputs, outputs, initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", plan.opset)])
    model.ir_version = 8
    return model


def _answers(path: Path, images: np.ndarray) -> np.ndarray:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name
    return np.concatenate([session.run(["scores"], {name: one[None]})[0] for one in images])


def _line(error: Exception, outcome: str) -> str:
    """The outcome, where the error says in one line what is wrong."""
    assert len(str(error).splitlines()) == 1
    return outcome


def _check(plan: Plan) -> str:
    """What became of a plan; asserts that nothing is otherwise than promised."""
    folder = Path(tempfile.mkdtemp())
    try:
        given_path, ready = folder / "given.onnx", folder / "ready.onnx"
        onnx.save(_make(plan), given_path)
        try:
            inspect_onnx(given_path, ready)
        except InvalidData as error:
            return _line(error, "refused")
        assert not set(plan.operators) & ODD or plan.opset < 15
        assert "Random" not in plan.operators
        assert not plan.two_outputs
        images = np.random.default_rng(1).standard_normal((24, 3, 8, 8), dtype=np.float32)
        expected = _answers(given_path, images)
        if not np.isfinite(expected).all():
            return "not finite"
        np.testing.assert_allclose(_answers(ready, images), expected, rtol=1e-3, atol=1e-3)
        np.savez(folder / "images.npz", images=images)
        made = folder / "int8.onnx"
        try:
            quantise(Source(ready, calibration=folder / "images.npz"), made, "onnxruntime")
        except Unsupported as error:
            return _line(error, "unsupported")
        shares, found = shares_of(made, "int8"), _answers(made, images)
        assert shares is not None
        if shares.nothing or not parity_of(found, expected, "int8", AGREE).ok:
            return "not published"
        for column in range(5):  # by this test's own measure
            varied = expected[:, column].std()
            if varied > 1e-3 * np.abs(expected).max():
                assert found[:, column].std() > 0
                noise = (found - expected)[:, column].std()
                assert noise <= varied
        return "published"
    finally:
        shutil.rmtree(folder)


RELAXED = {"deadline": None, "suppress_health_check": list(HealthCheck), "derandomize": True}


@settings(max_examples=40, **RELAXED)
@given(plans())
def test_models_are_refused_in_a_line_or_compressed_as_promised(plan: Plan) -> None:
    _check(plan)


@pytest.mark.matrix
@settings(max_examples=300, **RELAXED)
@given(plans())
def test_three_hundred_models_are_refused_or_compressed_as_promised(plan: Plan) -> None:
    _check(plan)


def test_plain_models_are_published_from_every_opset() -> None:
    """A check that refused everything would keep every promise."""
    for opset in (9, 11, 13, 17, 20):
        plan = Plan(("Conv", "Relu", "Skip", "MaxPool"), opset, opset == 9, False, False, opset)
        assert _check(plan) == "published"
