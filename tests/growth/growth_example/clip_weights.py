"""A compression pass: weights far from the others are brought back to three deviations."""

from __future__ import annotations

import copy

import torch
from torch import nn

from nas_service.compression.base import PassContext


class ClipWeightsPass:
    """Sizes stay as they are, so that a search may choose it: `fp32+clip_weights`."""

    keeps_sizes = True

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The clipped copy."""
        del context
        clipped = copy.deepcopy(network)
        with torch.no_grad():
            for weight in (one for one in clipped.parameters() if one.ndim > 1):
                reach = 3.0 * float(weight.std())
                weight.clamp_(-reach, reach)
        return clipped.eval()
