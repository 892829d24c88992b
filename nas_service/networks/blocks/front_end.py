"""Kind `front_end`."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lookup_tables.blocks.front_end import LEAST_ENERGY, FrontEndBlock
from lookup_tables.graphs import Array
from nas_service.networks.blocks.base import BlockModule, array


class FrontEnd(BlockModule[FrontEndBlock]):
    """Energies in bands of frequency as their logarithm; weights are fixed, and not trained."""

    def __init__(self, block: FrontEndBlock) -> None:
        super().__init__(block)
        fixed = block.fixed_weights()
        n = block.channels
        self.spectrum = _fixed(fixed["spectrum.weight"], n, block.hop)
        self.bands = _fixed(fixed["bands.weight"], n)
        self.cepstrum = _fixed(fixed["cepstrum.weight"], n) if block.coefficients else None

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast(x.device.type, enabled=False):  # energies are squares of small numbers
            y: Tensor = self.spectrum(x.float())
            y = torch.log(self.bands(y * y) + LEAST_ENERGY)
            if self.cepstrum is not None:
                y = self.cepstrum(y)
            return y

    def weights(self) -> dict[str, Array]:
        """See `BlockModule.weights`."""
        found = {"spectrum.weight": self.spectrum.weight, "bands.weight": self.bands.weight}
        if self.cepstrum is not None:
            found["cepstrum.weight"] = self.cepstrum.weight
        return {name: array(one) for name, one in found.items()}

    def run_as(self, block: FrontEndBlock, *inputs: Tensor) -> Tensor:
        """See `BlockModule.run_as`: of shorter windows and frames it is another one."""
        (x,) = inputs
        if block == self.block:
            return self.forward(x)
        other: Tensor = _front_end(block, x.device)(x)
        return other


def _front_end(block: FrontEndBlock, device: torch.device) -> FrontEnd:
    key = (block, device)
    if key not in _made:
        _made[key] = FrontEnd(block).to(device)
    return _made[key]


_made: dict[tuple[FrontEndBlock, torch.device], FrontEnd] = {}
"""By sizes and device; a space has few."""


def _fixed(weight: Array, groups: int, stride: int = 1) -> nn.Conv1d:
    """A convolution whose weights are no parameters."""
    outputs, inputs, taps = weight.shape
    layer = nn.Conv1d(inputs * groups, outputs, taps, stride, groups=groups, bias=False)
    del layer.weight
    layer.register_buffer("weight", torch.from_numpy(weight))
    return layer
