"""Structured pruning: whole channels go, layers that depend on each other together.

Groups of layers come from the graph of the module (torch-pruning; Fang et al., 2023), importance is
the norm of a group's weights, compared over the whole network.
"""

from __future__ import annotations

import copy
import warnings

import torch
from torch import nn

from nas_service.compression.base import PassContext
from nas_service.compression.structured import classifier_of, torch_pruning_for
from nas_service.errors import StepFailed
from nas_service.networks.build import count_macs

_STEPS = 40
_MULTIPLES = (16, 8, 4, 1)
"""Vector units compute so many channels at once: 16 floats with AVX-512, 8 with AVX2, 4 on Arm."""
_NEAR = (0.85, 1.1)
"""Of the MACs that were asked for: coarse multiples that end farther away are not taken."""


class ChannelsPass:
    """Prune until `macs` of the MACs are left; channels in multiples of `round_to`.

    0 takes the largest of 16, 8, 4 and 1 that ends near the MACs asked for.
    """

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The smaller copy, to be fine-tuned.

        Raises:
            Unsupported: torch-pruning is not installed.
            StepFailed: the MACs cannot be brought down that far.
        """
        wanted = float(context.options["macs"])
        asked = int(context.options["round_to"])
        image = torch.zeros(1, context.data.train.images.shape[1], context.size, context.size)
        left = 1.0
        for multiple in (asked,) if asked else _MULTIPLES:
            pruned, left = _pruned(network, image, wanted, multiple)
            if left <= _NEAR[1] * wanted and (asked or left >= _NEAR[0] * wanted):
                return pruned
        if left <= _NEAR[1] * wanted:  # one channel at a time, and still far below: so be it
            return pruned
        raise StepFailed(
            f"pass channels left {left:.0%} of the MACs, {wanted:.0%} were asked for; "
            "round_to of fewer channels lets it go further"
        )


def _pruned(
    network: nn.Module, image: torch.Tensor, wanted: float, multiple: int
) -> tuple[nn.Module, float]:
    """A pruned copy and the share of MACs left."""
    torch_pruning = torch_pruning_for("channels")
    pruned = copy.deepcopy(network).eval()
    before = count_macs(pruned, image)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pruner = torch_pruning.pruner.MetaPruner(
            pruned,
            image,
            importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
            global_pruning=True,
            pruning_ratio=0.9,
            max_pruning_ratio=0.9,
            iterative_steps=_STEPS,
            round_to=multiple,
            ignored_layers=[classifier_of(pruned)],
        )
        left = 1.0
        for _ in range(_STEPS):
            pruner.step()
            left = count_macs(pruned, image) / before
            if left <= wanted:
                break
    return pruned, left
