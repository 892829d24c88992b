"""Kind `temporal_decoder`."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from lookup_tables.blocks.temporal_decoder import PLACES, TemporalDecoderBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule, array
from nas_service.networks.blocks.layers import plain


class TemporalDecoder(BlockModule[TemporalDecoderBlock]):
    """Means over places of time, a code, and the window that is made of it."""

    places: Tensor

    def __init__(self, block: TemporalDecoderBlock) -> None:
        super().__init__(block)
        # follows from the steps: it is not learned, and not shared between networks
        self.register_buffer("places", averaging(block.steps), persistent=False)
        self.code = nn.Linear(PLACES * block.channels, block.code)
        self.mid = nn.Linear(block.code, block.mid_channels)
        self.window = nn.Linear(block.mid_channels, block.outputs)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.flatten(x @ self.places, 1)
        y: Tensor = self.window(torch.relu(self.mid(torch.relu(self.code(x)))))
        return y

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`."""
        return {
            "places.weight": array(self.places),
            **plain("code", self.code),
            **plain("mid", self.mid),
            **plain("window", self.window),
        }

    def run_as(self, block: TemporalDecoderBlock, *inputs: Tensor) -> Tensor:
        """See `BlockModule.run_as`."""
        (x,) = inputs
        x = torch.flatten(x @ averaging(block.steps).to(x), 1)
        x = torch.relu(_leading(self.code, x, block.code))
        return _leading(self.window, torch.relu(_leading(self.mid, x, block.mid_channels)))


def averaging(steps: int) -> Tensor:
    """The matrix `(steps, PLACES)` of means over equal parts, whose edges are rounded outwards."""
    return functional.adaptive_avg_pool1d(torch.eye(steps), PLACES)


def _leading(linear: nn.Linear, x: Tensor, outputs: int | None = None) -> Tensor:
    weight = linear.weight[:outputs, : x.shape[1]]
    return functional.linear(x, weight, linear.bias[:outputs])
