"""Channels that go together: which layers have to be cut alike, and in which order they go.

Dependencies between layers are found by torch-pruning (Fang et al., 2023, DepGraph) on the rebuilt
network, importance is the norm of a channel's weights over all layers of its group. What comes out
are plain numbers, so that members are cut without the library.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, fx, nn

from nas_service.networks.dependencies import torch_pruning_for

INPUTS, OUTPUTS = "inputs", "outputs"


@dataclass(frozen=True)
class Cut:
    """A layer's inputs or outputs that belong to a group.

    The one at `places[i]` goes with channel `channels[i]` of the group; a layer after a flattened
    map has several places a channel. `layer` is a module's name, or that of a tensor by itself,
    which is cut along `axis`.
    """

    layer: str
    side: str
    places: tuple[int, ...]
    channels: tuple[int, ...]
    axis: int = 0


@dataclass(frozen=True)
class ChannelGroup:
    """Channels of a group from the most important down, and every layer that they run through."""

    name: str
    order: tuple[int, ...]
    cuts: tuple[Cut, ...]

    @property
    def size(self) -> int:
        """How many channels there are."""
        return len(self.order)


@dataclass(frozen=True)
class Frozen:
    """What stays as it is, and why."""

    name: str
    reason: str


def find_groups(network: fx.GraphModule, sample: Tensor) -> tuple[list[ChannelGroup], list[Frozen]]:
    """Groups of channels of a network that answers `sample`; weights stay as they are."""
    library = torch_pruning_for("elastic widths")
    names = {module: name for name, module in network.named_modules()}
    names |= {one: name for name, one in network.named_parameters(recurse=False)}
    uses = _uses(network)
    found: list[ChannelGroup] = []
    frozen = [
        Frozen(name, "its weights are tied: several places of the network use them")
        for name, n in uses.items()
        if n > 1
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            graph = library.DependencyGraph().build_dependency(network, example_inputs=sample)
            listed = list(graph.get_all_groups(root_module_types=list(_MAKERS)))
        except Exception as error:  # noqa: BLE001  # whatever the library does not know
            return [], [*frozen, Frozen("all layers", f"widths: {_said(error)}")]
        importance = library.importance.GroupMagnitudeImportance(p=2)
        for group in listed:
            root = names.get(group[0].dep.target.module, "?")
            try:
                found.append(_group(graph, group, importance, names, root))
            except _NotElastic as error:
                frozen.append(Frozen(root, str(error)))
            except Exception as error:  # noqa: BLE001  # as above
                frozen.append(Frozen(root, _said(error)))
    tied = {one.name for one in frozen}
    free = [one for one in found if not tied & {cut.layer for cut in one.cuts}]
    return _named(network, free), frozen


class _NotElastic(Exception):
    """Why a group is left as it is."""


def _said(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def _uses(network: fx.GraphModule) -> dict[str, int]:
    counts: dict[str, int] = {}
    for node in network.graph.nodes:
        if node.op == "call_module":
            counts[str(node.target)] = counts.get(str(node.target), 0) + 1
    return counts


def _group(
    graph: Any, listed: Any, importance: Any, names: dict[Any, str], root: str
) -> ChannelGroup:
    module, prune = listed[0].dep.target.module, listed[0].dep.handler
    n = graph.get_out_channels(module)
    whole = graph.get_pruning_group(module, prune, list(range(n)))
    scores = importance(whole)
    if scores is None:
        raise _NotElastic("no layer of its group tells which channels matter")
    cuts = []
    for item in whole:
        target = item.dep.target
        if target.module not in names:
            continue  # an operator without weights
        name = names[target.module]
        layer = target.module
        side = INPUTS if "in_channels" in item.dep.handler.__name__ else OUTPUTS
        axis = 0
        if isinstance(layer, nn.Parameter):
            axis = int(target.pruning_dim)
        elif isinstance(layer, nn.Conv2d | nn.Conv1d) and layer.groups > 1:
            if layer.groups != layer.in_channels:
                raise _NotElastic(f"{name} is convolved in {layer.groups} groups")
            side = OUTPUTS
        elif isinstance(layer, nn.GroupNorm):
            raise _NotElastic(f"{name} normalises in groups")
        elif not isinstance(layer, _CUT):
            raise _NotElastic(f"{name} ({type(layer).__name__}) cannot be cut")
        channels = tuple(int(one) for one in item.root_idxs)
        places = tuple(int(one) for one in item.idxs)
        if len(channels) != len(places) or len(set(places)) != len(places):
            raise _NotElastic(f"which channels of {name} go together is not clear")
        if not 0 <= min(channels) <= max(channels) < n:
            raise _NotElastic(f"channels of {name} come from elsewhere too")
        cuts.append(Cut(name, side, places, channels, axis))
    order = torch.argsort(scores, descending=True, stable=True).tolist()
    return ChannelGroup(root, tuple(int(one) for one in order), tuple(dict.fromkeys(cuts)))


_MAKERS = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
_CUT = (*_MAKERS, nn.BatchNorm2d, nn.LayerNorm, nn.PReLU)


def _named(network: fx.GraphModule, groups: Sequence[ChannelGroup]) -> list[ChannelGroup]:
    """Each with the name of the first layer that makes its channels, in order of execution."""
    called = [str(node.target) for node in network.graph.nodes if node.op == "call_module"]
    taken: set[str] = set()
    found = []
    for group in groups:
        makers = {
            cut.layer
            for cut in group.cuts
            if cut.side == OUTPUTS and isinstance(getattr(network, cut.layer), _MAKERS)
        }
        name = next((one for one in called if one in makers - taken), group.name)
        taken.add(name)
        found.append(replace(group, name=name))
    return sorted(found, key=lambda one: called.index(one.name))
