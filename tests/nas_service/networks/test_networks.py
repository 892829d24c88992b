from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch

from lookup_tables.blocks.add import AddBlock
from lookup_tables.blocks.avg_pool import AvgPoolBlock
from lookup_tables.blocks.convolution import ConvBlock, ConvReluBlock, ReluConvBlock
from lookup_tables.blocks.head import HeadBlock
from lookup_tables.blocks.mbconv import MbConvBlock
from lookup_tables.blocks.norm_head import NormHeadBlock
from lookup_tables.blocks.residual_reduction import ResidualReductionBlock
from lookup_tables.testing import BlockContract
from nas_service.learning.detection.shape import BoxedImageShape
from nas_service.learning.segmentation.shape import MaskedImageShape
from nas_service.learning.signals.window import Window
from nas_service.networks.build import build, count_macs, count_parameters
from nas_service.networks.export import export
from nas_service.networks.supernet import Supernet
from nas_service.networks.testing import BlockModuleContract, as_if_trained
from nas_service.plugins import BLOCK_FAMILIES, BLOCK_MODULES, names
from nas_service.search.cost import StructureModel
from nas_service.space.base import ImageShape, SearchSpace, input_size
from nas_service.space.mbconv import MbconvSpace
from nas_service.space.sampling import uniform
from nas_service.space.temporal import TemporalSpace
from tests.contracts import test_detection, test_segmentation, test_signals, test_traced

BLOCKS = [
    ConvBlock(3, 16, 9, 9, kernel=3),
    ConvReluBlock(3, 16, 8, 8, kernel=3, stride=2),
    ReluConvBlock(16, 16, 8, 8, kernel=1),
    MbConvBlock(8, 8, 8, 8, kernel=5, mid_channels=32, se_channels=8, residual=1),
    MbConvBlock(8, 16, 7, 7, kernel=3, stride=2, mid_channels=8),
    MbConvBlock(8, 16, 7, 7, kernel=7, stride=2, mid_channels=16, se_channels=8),
    HeadBlock(16, 10, 3, 3, mid_channels=32),
    NormHeadBlock(16, 10, 4, 4),
    ResidualReductionBlock(16, 32, 8, 8),
    AvgPoolBlock.of(4, 6, 6),
    AddBlock.of(4, 6, 6, terms=3),
]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.key)
class TestBlocks(BlockContract, BlockModuleContract):
    """Both halves of every family; `block` is given by the parameters."""


def test_every_family_of_ours_has_its_contract() -> None:
    families = (test_signals, test_segmentation, test_detection, test_traced)
    others = [block for one in families for block in one.BLOCKS]
    kinds = {block.kind for block in (*BLOCKS, *others)}
    assert kinds == set(names(BLOCK_FAMILIES)) == set(names(BLOCK_MODULES))


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
        as_if_trained(network, i)
        image = torch.randn(1, 3, size, size)
        with torch.no_grad():
            expected = network(image).numpy()
        assert count_macs(network, image) == structure.macs[i]
        assert count_parameters(network) == structure.parameters[i]
        export(network, tmp_path / "n.onnx", (1, 3, size, size))
        session = ort.InferenceSession(tmp_path / "n.onnx", providers=["CPUExecutionProvider"])
        found = session.run(None, {"input": image.numpy()})[0]
        assert np.abs(found - expected).max() <= 1e-4 * max(1.0, np.abs(expected).max())


def test_equal_seeds_build_equal_networks(mbconv: MbconvSpace) -> None:
    first, second = (build(mbconv, mbconv.smallest(), seed=3).state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    "space",
    [
        MbconvSpace(ImageShape(16, 1, 4)),
        MbconvSpace(MaskedImageShape(32, 1, 4, 24)),  # type: ignore[arg-type]  # as plug-ins are called
        TemporalSpace(Window(70, 3, 4)),
        TemporalSpace(Window(100, 3, 64, code=8)),
        TemporalSpace(Window(300, 2, 4)),
        TemporalSpace(Window(2047, 2, 4)),
        MbconvSpace(BoxedImageShape(48, 3, 2)),  # type: ignore[arg-type]  # as plug-ins are called
    ],
    ids=[
        "images",
        "masks",
        "signals",
        "signals given back",
        "signals with fronts",
        "long signals",
        "boxes",
    ],
)
def test_a_subnet_taken_out_computes_what_the_supernet_computes(space: SearchSpace) -> None:
    supernet = Supernet(space, seed=1)
    for module in supernet.modules():  # residual branches start silent; wake them
        if isinstance(module, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
    rows = [space.smallest(), space.largest(), *uniform(space, 4, np.random.default_rng(2))]
    for row in rows:
        size = input_size(space, row)
        images = torch.randn(6, *space.sample.input_shape(size)[1:])
        with torch.no_grad():
            shared = supernet(images, row)
            alone = supernet.subnet(row).train()(images)
        assert torch.allclose(shared, alone, atol=1e-4)
