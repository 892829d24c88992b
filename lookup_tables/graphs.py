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


def random_weights(block: Block, seed: int) -> dict[str, Array]:
    """Weights that keep activations of unit size; those that are fixed are what they are."""
    generator = np.random.default_rng(seed)
    weights = dict(block.fixed_weights())
    for name, shape in block.weight_shapes().items():
        if name in weights:
            continue
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
    builder.finish(block.build(builder, list(block.inputs)))
    initializers = [
        numpy_helper.from_array(np.ascontiguousarray(values[name], dtype=np.float32), name)
        for name in block.weight_shapes()
    ]
    given = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, list(shape))
        for name, shape in block.inputs.items()
    ]
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, list(block.output_shape))
    graph = helper.make_graph(builder.nodes, block.key, given, [output], initializers)
    model = helper.make_model(
        graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
    )
    checker.check_model(model)
    return model


class _Builder:
    """See `GraphBuilder`."""

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []

    def finish(self, last: str) -> None:
        """Name the graph's output: the last tensor that was made."""
        for node in self.nodes:
            for place, name in enumerate(node.output):
                if name == last:
                    node.output[place] = "output"

    def convolution(
        self, x: str, name: str, *, kernel: int = 1, stride: int = 1, groups: int = 1
    ) -> str:
        """See `GraphBuilder.convolution`."""
        return self.node(
            "Conv",
            [x, f"{name}.weight", f"{name}.bias"],
            kernel_shape=[kernel, kernel],
            strides=[stride, stride],
            pads=[kernel // 2] * 4,
            group=groups,
        )

    def node(self, operator: str, inputs: Sequence[str], **attributes: Any) -> str:
        """See `GraphBuilder.node`."""
        output = f"t{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), [output], **attributes))
        return output
