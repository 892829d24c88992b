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
from nas_service.compression.structured import last_layers, require_on_images, require_runs
from nas_service.errors import StepFailed
from nas_service.networks.build import count_macs
from nas_service.networks.dependencies import torch_pruning_for

_STEPS = 40


class ChannelsPass:
    """Prune until `macs` of the MACs are left; channels in multiples of `round_to`."""

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The smaller copy, to be fine-tuned.

        Raises:
            Unsupported: torch-pruning is not installed, or does not know the network's layers.
            StepFailed: the MACs cannot be brought down that far.
        """
        require_on_images(network, "channels")
        torch_pruning = torch_pruning_for("pass channels")
        wanted = float(context.options["macs"])
        pruned = copy.deepcopy(network).eval()
        sample = torch.zeros(context.data.example(context.size))
        before = count_macs(pruned, sample)
        last = last_layers(pruned)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pruner = torch_pruning.pruner.MetaPruner(
                pruned,
                sample,
                importance=torch_pruning.importance.GroupMagnitudeImportance(p=2),
                global_pruning=True,
                pruning_ratio=0.9,
                max_pruning_ratio=0.9,
                iterative_steps=_STEPS,
                round_to=int(context.options["round_to"]),
                ignored_layers=last,
            )
            for _ in range(_STEPS):
                pruner.step()
                require_runs(pruned, sample, "channels")
                left = count_macs(pruned, sample) / before
                if left <= wanted:
                    break
        if left > 1.1 * wanted:
            raise StepFailed(
                f"pass channels left {left:.0%} of the MACs, {wanted:.0%} were asked for; "
                "round_to of fewer channels lets it go further"
            )
        return pruned
