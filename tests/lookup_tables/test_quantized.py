from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from lookup_tables.blocks import Block
from lookup_tables.graphs import block_graph, input_names
from lookup_tables.quantized import quantize, with_integer_borders

BLOCKS = [
    Block("mbconv", 8, 8, 8, 8, kernel=3, mid_channels=32, se_channels=8, residual=1),
    Block("relu_conv", 8, 8, 8, 8, kernel=3),
    Block("add", 8, 8, 8, 8, terms=2),
    Block("avg_pool", 8, 8, 8, 8, kernel=3),
    Block("residual_reduction", 8, 16, 8, 8, kernel=3, stride=2),
]


def _quantized(block: Block, folder: Path) -> tuple[Path, list[dict[str, np.ndarray]]]:
    onnx.save(block_graph(block, seed=1), folder / "fp32.onnx")
    generator = np.random.default_rng(0)
    shape = (1, block.in_channels, block.height, block.width)
    batches = [
        {name: generator.standard_normal(shape, dtype=np.float32) for name in input_names(block)}
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
