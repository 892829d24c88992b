"""What torch modules of blocks over time share."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lookup_tables.blocks.signal import TemporalBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import array
from nas_service.networks.blocks.layers import leading, scale_and_shift


class TemporalNorm(nn.Module):
    """A convolution over time without bias, then batch normalisation."""

    def __init__(self, block: TemporalBlock, inputs: int, outputs: int, *, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(
            inputs,
            outputs,
            block.kernel,
            block.stride,
            block.padding,
            block.dilation,
            groups,
            bias=False,
        )
        self.norm = nn.BatchNorm1d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(x))
        return y

    def folded(self) -> tuple[Array, Array]:
        """Weight and bias of the one convolution that this is in inference."""
        scale, shift = scale_and_shift(self.norm)
        return array(self.conv.weight * scale[:, None, None]), array(shift)

    def cut(
        self, x: Tensor, block: TemporalBlock, outputs: int, *, depthwise: bool = False
    ) -> Tensor:
        """Its leading `outputs` channels with the centre of its kernel, by batch statistics."""
        inputs = 1 if depthwise else x.shape[1]
        weight = leading(self.conv.weight, torch.Size((outputs, inputs, block.kernel)))
        x = functional.conv1d(
            x,
            weight,
            None,
            block.stride,
            block.padding,
            block.dilation,
            outputs if depthwise else 1,
        )
        norm = self.norm
        return functional.batch_norm(
            x, None, None, norm.weight[:outputs], norm.bias[:outputs], training=True, eps=norm.eps
        )
