from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from lookup_tables.blocks import Block
from lookup_tables.graphs import block_graph, input_names
from nas_service.networks.blocks import block_module
from nas_service.networks.build import build, count_macs, count_parameters
from nas_service.networks.export import export
from nas_service.networks.supernet import Supernet
from nas_service.search.cost import StructureModel
from nas_service.space.base import ImageShape, SearchSpace, input_size
from nas_service.space.mbconv import MbconvSpace
from nas_service.space.sampling import uniform

BLOCKS = [
    Block("conv", 3, 16, 9, 9, kernel=3),
    Block("conv_relu", 3, 16, 8, 8, kernel=3, stride=2),
    Block("relu_conv", 16, 16, 8, 8, kernel=1),
    Block("mbconv", 8, 8, 8, 8, kernel=5, mid_channels=32, se_channels=8, residual=1),
    Block("mbconv", 8, 16, 7, 7, kernel=3, stride=2, mid_channels=8),
    Block("mbconv", 8, 16, 7, 7, kernel=7, stride=2, mid_channels=16, se_channels=8),
    Block("head", 16, 10, 3, 3, mid_channels=32),
    Block("norm_head", 16, 10, 4, 4),
    Block("residual_reduction", 16, 32, 8, 8, kernel=3, stride=2),
    Block("avg_pool", 4, 4, 6, 6, kernel=3),
    Block("add", 4, 4, 6, 6, terms=3),
]


def _trained_looking(module: torch.nn.Module, seed: int) -> None:
    """Statistics and affine parameters as training would leave them: not ones and zeros."""
    generator = torch.Generator().manual_seed(seed)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.running_mean.normal_(generator=generator)
            layer.running_var.uniform_(0.5, 2.0, generator=generator)
            with torch.no_grad():
                layer.weight.uniform_(0.5, 2.0, generator=generator)
                layer.bias.normal_(generator=generator)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.key)
def test_a_block_graph_gives_what_its_torch_block_gives(block: Block) -> None:
    module = block_module(block).eval()
    _trained_looking(module, 1)
    shape = (1, block.in_channels, block.height, block.width)
    inputs = [torch.randn(shape) for _ in input_names(block)]
    with torch.no_grad():
        expected = module(*inputs).numpy()
    graph = block_graph(block, module.weights()).SerializeToString()
    session = ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    fed = {name: x.numpy() for name, x in zip(input_names(block), inputs, strict=True)}
    found = session.run(None, fed)[0]
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 1e-4


@pytest.mark.parametrize("name", ["mbconv", "nasbench201"])
def test_sampled_networks_run_export_and_count_as_their_blocks_say(
    name: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    space: SearchSpace = request.getfixturevalue(name)
    rows = np.concatenate(
        [space.smallest()[None], space.largest()[None], uniform(space, 6, np.random.default_rng(7))]
    )
    structure = StructureModel(space)(rows)
    for i, row in enumerate(rows):
        size = input_size(space, row)
        network = build(space, row, seed=i).eval()
        _trained_looking(network, i)
        image = torch.randn(1, 3, size, size)
        with torch.no_grad():
            expected = network(image).numpy()
        assert count_macs(network, image) == structure.macs[i]
        assert count_parameters(network) == structure.parameters[i]
        export(network, tmp_path / "n.onnx", channels=3, size=size)
        session = ort.InferenceSession(tmp_path / "n.onnx", providers=["CPUExecutionProvider"])
        found = session.run(None, {"input": image.numpy()})[0]
        assert np.abs(found - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max())


def test_equal_seeds_build_equal_networks(mbconv: MbconvSpace) -> None:
    first, second = (build(mbconv, mbconv.smallest(), seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_a_subnet_taken_out_computes_what_the_supernet_computes() -> None:
    space = MbconvSpace(ImageShape(16, 1, 4))
    supernet = Supernet(space, seed=1)
    for module in supernet.modules():  # residual branches start silent; wake them
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    rows = [space.smallest(), space.largest(), *uniform(space, 4, np.random.default_rng(2))]
    for row in rows:
        size = input_size(space, row)
        images = torch.randn(6, 1, size, size)
        with torch.no_grad():
            shared = supernet(images, row)
            alone = supernet.subnet(row).train()(images)
        assert torch.allclose(shared, alone, atol=1e-4)
