"""A block as a small ONNX graph, from its sizes alone.

Given the weights of the torch block (normalisation folded in) the graph computes the same output.
Without weights it draws some from a seed: what a block costs does not depend on their values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from onnx import ModelProto, NodeProto, TensorProto, checker, helper, numpy_helper

from lookup_tables.blocks import Block

OPSET = 20
IR_VERSION = 10  # the newest that the oldest supported ONNX Runtime reads

Array = npt.NDArray[np.float32]


def input_names(block: Block) -> list[str]:
    """The graph's inputs: `input`, or `input_0`, `input_1`, ... where a block adds tensors."""
    return ["input"] if block.kind != "add" else [f"input_{i}" for i in range(block.terms)]


def weight_shapes(block: Block) -> dict[str, tuple[int, ...]]:
    """Name and shape of every weight of the graph."""
    i, o, m, k, se = (
        block.in_channels,
        block.out_channels,
        block.mid_channels,
        block.kernel,
        block.se_channels,
    )
    shapes: dict[str, tuple[int, ...]] = {}

    def convolution(name: str, outputs: int, inputs: int, kernel: int = 1) -> None:
        shapes[f"{name}.weight"] = (outputs, inputs, kernel, kernel)
        shapes[f"{name}.bias"] = (outputs,)

    if block.kind in {"conv", "conv_relu", "relu_conv"}:
        convolution("conv", o, i, k)
    elif block.kind == "mbconv":
        if m != i:
            convolution("expand", m, i)
        convolution("depthwise", m, 1, k)
        if se:
            convolution("squeeze", se, m)
            convolution("excite", m, se)
        convolution("project", o, m)
    elif block.kind == "head":
        convolution("conv", m, i)
        shapes |= {"linear.weight": (o, m), "linear.bias": (o,)}
    elif block.kind == "norm_head":
        shapes |= {"norm.scale": (1, i, 1, 1), "norm.shift": (1, i, 1, 1)}
        shapes |= {"linear.weight": (o, i), "linear.bias": (o,)}
    elif block.kind == "residual_reduction":
        convolution("first", o, i, 3)
        convolution("second", o, o, 3)
        convolution("shortcut", o, i)
    return shapes


def random_weights(block: Block, seed: int) -> dict[str, Array]:
    """Weights that keep activations of unit size."""
    generator = np.random.default_rng(seed)
    weights = {}
    for name, shape in weight_shapes(block).items():
        fan_in = int(np.prod(shape[1:])) if len(shape) > 1 else 1
        scale = 0.05 if name.endswith(("bias", "shift")) else np.sqrt(2.0 / fan_in)
        weights[name] = (scale * generator.standard_normal(shape)).astype(np.float32)
    return weights


def block_graph(
    block: Block, weights: Mapping[str, Array] | None = None, *, seed: int = 0
) -> ModelProto:
    """Build the graph of `block` for one image, with `weights` or random ones."""
    values = random_weights(block, seed) if weights is None else weights
    builder = _Builder()
    inputs = input_names(block)
    builder.build(block, inputs)
    initializers = [
        numpy_helper.from_array(np.ascontiguousarray(values[name], dtype=np.float32), name)
        for name in weight_shapes(block)
    ]
    shape = [1, block.in_channels, block.height, block.width]
    out_shape = (
        [1, block.out_channels]
        if block.kind in {"head", "norm_head"}
        else [1, block.out_channels, block.out_height, block.out_width]
    )
    graph = helper.make_graph(
        builder.nodes,
        block.key,
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in inputs],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, out_shape)],
        initializers,
    )
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    checker.check_model(model)
    return model


class _Builder:
    """Collects nodes; every method returns the name of the tensor it makes."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []

    def build(self, block: Block, inputs: Sequence[str]) -> None:
        makers = {
            "conv": self._conv_kind,
            "conv_relu": self._conv_kind,
            "relu_conv": self._conv_kind,
            "mbconv": self._mbconv,
            "head": self._head,
            "norm_head": self._norm_head,
            "residual_reduction": self._residual_reduction,
            "avg_pool": self._avg_pool,
            "add": self._add_kind,
        }
        last = makers[block.kind](block, list(inputs))
        for node in self.nodes:  # the last tensor is the graph's output
            for place, name in enumerate(node.output):
                if name == last:
                    node.output[place] = "output"

    def _conv_kind(self, block: Block, inputs: list[str]) -> str:
        x = inputs[0]
        if block.kind == "relu_conv":
            x = self._node("Relu", [x])
        x = self._conv(x, "conv", kernel=block.kernel, stride=block.stride)
        return self._node("Relu", [x]) if block.kind == "conv_relu" else x

    def _mbconv(self, block: Block, inputs: list[str]) -> str:
        x = inputs[0]
        if block.mid_channels != block.in_channels:
            x = self._node("Relu", [self._conv(x, "expand")])
        x = self._conv(
            x,
            "depthwise",
            kernel=block.kernel,
            stride=block.stride,
            groups=block.mid_channels,
        )
        x = self._node("Relu", [x])
        if block.se_channels:
            squeezed = self._node("GlobalAveragePool", [x])
            squeezed = self._node("Relu", [self._conv(squeezed, "squeeze")])
            gate = self._node("Sigmoid", [self._conv(squeezed, "excite")])
            x = self._node("Mul", [x, gate])
        x = self._conv(x, "project")
        return self._node("Add", [inputs[0], x]) if block.residual else x

    def _head(self, _: Block, inputs: list[str]) -> str:
        x = self._node("Relu", [self._conv(inputs[0], "conv")])
        return self._classify(x)

    def _norm_head(self, _: Block, inputs: list[str]) -> str:
        x = self._node("Add", [self._node("Mul", [inputs[0], "norm.scale"]), "norm.shift"])
        return self._classify(self._node("Relu", [x]))

    def _residual_reduction(self, _: Block, inputs: list[str]) -> str:
        x = self._conv(self._node("Relu", [inputs[0]]), "first", kernel=3, stride=2)
        x = self._conv(self._node("Relu", [x]), "second", kernel=3)
        pooled = self._node(
            "AveragePool", [inputs[0]], kernel_shape=[2, 2], strides=[2, 2], pads=[0, 0, 0, 0]
        )
        return self._node("Add", [self._conv(pooled, "shortcut"), x])

    def _avg_pool(self, _: Block, inputs: list[str]) -> str:
        return self._node(
            "AveragePool",
            inputs,
            kernel_shape=[3, 3],
            strides=[1, 1],
            pads=[1, 1, 1, 1],
            count_include_pad=0,
        )

    def _add_kind(self, _: Block, inputs: list[str]) -> str:
        total = inputs[0]
        for name in inputs[1:]:
            total = self._node("Add", [total, name])
        return total if len(inputs) > 1 else self._node("Identity", inputs)

    def _classify(self, x: str) -> str:
        pooled = self._node("Flatten", [self._node("GlobalAveragePool", [x])])
        return self._node("Gemm", [pooled, "linear.weight", "linear.bias"], transB=1)

    def _conv(self, x: str, name: str, *, kernel: int = 1, stride: int = 1, groups: int = 1) -> str:
        return self._node(
            "Conv",
            [x, f"{name}.weight", f"{name}.bias"],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
            group=groups,
        )

    def _node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output
