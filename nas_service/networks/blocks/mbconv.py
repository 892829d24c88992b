"""Kind `mbconv`: inverted residuals."""

from __future__ import annotations

import torch
import torch.nn.functional as functional
from torch import Tensor, nn

from lookup_tables.blocks.mbconv import MbConvBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule
from nas_service.networks.blocks.layers import ConvNorm, named, plain


class MbConv(BlockModule[MbConvBlock]):
    """Expansion, depthwise convolution, squeeze-excitation, projection."""

    def __init__(self, block: MbConvBlock) -> None:
        super().__init__(block)
        mid = block.mid_channels
        self.expand = ConvNorm(block.in_channels, mid) if block.expanded else None
        self.depthwise = ConvNorm(mid, mid, block.kernel, block.stride, groups=mid)
        self.squeeze = nn.Conv2d(mid, block.se_channels, 1) if block.se_channels else None
        self.excite = nn.Conv2d(block.se_channels, mid, 1) if block.se_channels else None
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.project = ConvNorm(mid, block.out_channels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = x if self.expand is None else torch.relu(self.expand(x))
        y = torch.relu(self.depthwise(y))
        if self.squeeze is not None and self.excite is not None:
            y = y * torch.sigmoid(self.excite(torch.relu(self.squeeze(self.pool(y)))))
        y = self.project(y)
        return x + y if self.block.residual else y

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`."""
        weights = {**named("depthwise", self.depthwise), **named("project", self.project)}
        if self.expand is not None:
            weights |= named("expand", self.expand)
        if self.squeeze is not None and self.excite is not None:
            weights |= plain("squeeze", self.squeeze) | plain("excite", self.excite)
        return weights

    def run_as(self, block: MbConvBlock, *inputs: Tensor) -> Tensor:
        """See `BlockModule.run_as`."""
        (x,) = inputs
        y, mid = x, block.mid_channels
        if block.expanded:
            assert self.expand is not None
            y = torch.relu(self.expand.cut(y, mid))
        y = torch.relu(self.depthwise.cut(y, mid, block.kernel, block.stride, depthwise=True))
        if block.se_channels:
            y = y * self._gate(y, block.se_channels, mid)
        y = self.project.cut(y, block.out_channels)
        return x + y if block.residual else y

    def _gate(self, y: Tensor, inner: int, mid: int) -> Tensor:
        """Squeeze-excitation with the leading channels."""
        squeeze, excite = self.squeeze, self.excite
        assert squeeze is not None
        assert excite is not None
        assert squeeze.bias is not None
        assert excite.bias is not None
        gate = y.mean((2, 3), keepdim=True)
        gate = functional.conv2d(gate, squeeze.weight[:inner, :mid], squeeze.bias[:inner])
        gate = functional.conv2d(torch.relu(gate), excite.weight[:mid, :inner], excite.bias[:mid])
        return torch.sigmoid(gate)

    def silence(self) -> None:
        """See `BlockModule.silence`: a residual branch adds nothing (Yu et al., 2020, BigNAS)."""
        if self.block.residual:
            nn.init.zeros_(self.project.norm.weight)
