"""Kind `temporal_separable`."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from lookup_tables.blocks.temporal_separable import TemporalSeparableBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule
from nas_service.networks.blocks.temporal import TemporalNorm


def _pointwise(block: TemporalSeparableBlock) -> TemporalSeparableBlock:
    return replace(block, kernel=1, stride=1, dilation=1)


class TemporalSeparable(BlockModule[TemporalSeparableBlock]):
    """Each channel over time, then all channels a step; the input where it is residual."""

    def __init__(self, block: TemporalSeparableBlock) -> None:
        super().__init__(block)
        channels = block.in_channels
        self.depthwise = TemporalNorm(block, channels, channels, groups=channels)
        self.pointwise = TemporalNorm(_pointwise(block), channels, block.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.relu(self.pointwise(torch.relu(self.depthwise(x))))
        return x + y if self.block.residual else y

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`."""
        found: dict[str, Array] = {}
        for name, one in (("depthwise", self.depthwise), ("pointwise", self.pointwise)):
            found[f"{name}.weight"], found[f"{name}.bias"] = one.folded()
        return found

    def run_as(self, block: TemporalSeparableBlock, *inputs: Tensor) -> Tensor:
        """See `BlockModule.run_as`."""
        (x,) = inputs
        y = torch.relu(self.depthwise.cut(x, block, block.in_channels, depthwise=True))
        y = torch.relu(self.pointwise.cut(y, _pointwise(block), block.out_channels))
        return x + y if block.residual else y

    def silence(self) -> None:
        """See `BlockModule.silence`."""
        if self.block.residual:
            nn.init.zeros_(self.pointwise.norm.weight)
