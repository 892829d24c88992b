import pytest

from lookup_tables.blocks.convolution import ConvBlock, ConvReluBlock
from lookup_tables.blocks.mbconv import MbConvBlock
from lookup_tables.blocks.registry import block_of
from lookup_tables.errors import LookupTableError


def test_macs_and_parameters_of_a_convolution_by_hand() -> None:
    block = ConvReluBlock(3, 16, 32, 32, kernel=3, stride=2)
    assert block.macs == 16 * 16 * 3 * 16 * 9
    assert block.parameters == 3 * 16 * 9 + 2 * 16
    assert block.weights == 3 * 16 * 9 + 16
    assert (block.out_height, block.out_width) == (16, 16)


def test_macs_and_parameters_of_an_inverted_residual_by_hand() -> None:
    block = MbConvBlock(8, 8, 4, 4, kernel=5, mid_channels=32, se_channels=8, residual=1)
    expand, depthwise, project = 16 * 8 * 32, 16 * 32 * 25, 16 * 32 * 8
    assert block.macs == expand + depthwise + project + 2 * 32 * 8
    normalised = (8 * 32 + 64) + (32 * 25 + 64) + (32 * 8 + 16)
    assert block.parameters == normalised + (32 * 8 + 8) + (8 * 32 + 32)


def test_a_separable_block_has_no_expansion() -> None:
    block = MbConvBlock(8, 16, 4, 4, kernel=3, mid_channels=8)
    assert block.macs == 16 * 8 * 9 + 16 * 8 * 16
    assert block.n_layers == 2


def test_an_odd_size_is_halved_upwards() -> None:
    assert ConvBlock(3, 8, 7, 7, kernel=3, stride=2).out_height == 4


def test_keys_name_every_size_that_is_not_its_default() -> None:
    assert ConvBlock(3, 8, 7, 9, kernel=3).key == "conv-i3-o8-h7-w9-k3"


@pytest.mark.parametrize(
    ("sizes", "named"),
    [
        ({"kind": "conv2"}, "conv2"),
        ({"kind": "conv", "stride": 0}, "stride"),
        ({"kind": "mbconv", "mid_channels": 8, "residual": 1, "stride": 2}, "residual"),
    ],
)
def test_impossible_blocks_are_refused(sizes: dict[str, object], named: str) -> None:
    given = {"in_channels": 8, "out_channels": 8, "height": 4, "width": 4, **sizes}
    kind = str(given.pop("kind"))
    with pytest.raises(LookupTableError, match=named):
        block_of(kind, given)
