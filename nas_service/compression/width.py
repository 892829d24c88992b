"""Uniform channel pruning: every layer keeps the same share of its channels.

Which channels go together follows from the module's graph (torch-pruning; Fang et al., 2023); in
each group those of the largest norm stay. Unlike pruning by importance over the whole network, the
sizes that come out are known beforehand, so that a search can price them.
"""

from __future__ import annotations

import copy
import warnings

import torch
from torch import nn

from lookup_tables.blocks.image import kept_channels
from nas_service.compression.base import PassContext
from nas_service.compression.structured import last_layers, require_on_images, require_runs
from nas_service.networks.dependencies import torch_pruning_for


class WidthPass:
    """Keep the share `keep` of every layer's channels, in multiples of eight."""

    def apply(self, network: nn.Module, context: PassContext) -> nn.Module:
        """The narrower copy, to be fine-tuned."""
        sample = torch.zeros(context.data.example(context.size))
        return narrow(network, sample, float(context.options["keep"]))


def narrow(network: nn.Module, sample: torch.Tensor, keep: float) -> nn.Module:
    """A copy whose layers keep `kept_channels` of their channels; the classifier's rows stay.

    Raises:
        Unsupported: torch-pruning is not installed, or does not know the network's layers.
    """
    require_on_images(network, "width")
    torch_pruning = torch_pruning_for("pass width")
    narrower = copy.deepcopy(network).eval()
    last = last_layers(narrower)
    importance = torch_pruning.importance.GroupMagnitudeImportance(p=2)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        graph = torch_pruning.DependencyGraph().build_dependency(narrower, example_inputs=sample)
        groups = list(
            graph.get_all_groups(ignored_layers=last, root_module_types=[nn.Conv2d, nn.Linear])
        )
        for group in groups:
            root, prune = group[0].dep.target.module, group[0].dep.handler
            channels = graph.get_out_channels(root)
            gone = channels - kept_channels(channels, keep)
            if gone:
                weakest = importance(group).argsort()[:gone].tolist()
                graph.get_pruning_group(root, prune, weakest).prune()
    require_runs(narrower, sample, "width")
    return narrower
