"""Members of an elastic network: narrower, shorter ones with the same weights.

What is kept of a layer is told by index, so that a member can be cut out with weights of its own,
or run with the shared ones in their place.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, fx, nn

from nas_service.networks.elastic.groups import INPUTS, OUTPUTS, ChannelGroup
from nas_service.networks.elastic.regions import Region
from nas_service.networks.elastic.swaps import Swap, swapped_in

Kept = Mapping[str, Mapping[int, Tensor]]
"""Of tensors by name (`conv1.weight`): axis, and the places of it that stay."""


@dataclass(frozen=True)
class Plan:
    """Which member: channels that groups keep, by the group's name, and regions left out."""

    channels: Mapping[str, int]
    without: Sequence[Region] = ()
    kernels: Mapping[str, int] = field(default_factory=dict)
    """Taps a side that depthwise layers keep, by the layer's name: those in the middle."""
    swaps: Sequence[Swap] = ()
    """Layers in whose place their pairs stand."""


def cut_out(
    network: fx.GraphModule,
    groups: Collection[ChannelGroup],
    plan: Plan,
    *,
    borrow: bool = False,
) -> tuple[fx.GraphModule, Kept]:
    """The member with copies of its weights, and which part of each tensor they are.

    Where it may `borrow`, layers that are whole in it are the network's own.
    """
    places = _places_gone(groups, plan.channels)
    graph = fx.Graph()
    copied: dict[fx.Node, fx.Node] = {}
    result = graph.graph_copy(network.graph, copied)
    graph.output(result)
    by_name = {old.name: new for old, new in copied.items()}
    order = {node: number for number, node in enumerate(graph.nodes)}
    # the last first: where one begins at another's end, its readers follow to what comes before
    for region in sorted(plan.without, key=lambda one: order[by_name[one.exit]], reverse=True):
        exit_node, entry = by_name[region.exit], by_name[region.entry]
        exit_node.replace_all_uses_with(entry)
    root = nn.Module()
    kept: dict[str, dict[int, Tensor]] = {}
    _remove_dead(graph)
    swapped_in(graph, plan.swaps)
    needed = {str(node.target) for node in graph.nodes if node.op in {"call_module", "get_attr"}}
    for name in sorted(needed):
        _take(network, root, name, places, kept, borrow=borrow, taps=plan.kernels.get(name))
    member = fx.GraphModule(root, graph)
    member.train(network.training)
    return member, kept


def _remove_dead(graph: fx.Graph) -> None:
    """Remove what nothing reads any more."""
    for node in reversed(list(graph.nodes)):
        if not node.users and node.op not in {"output", "placeholder"}:
            graph.erase_node(node)


_Gone = Mapping[tuple[str, str], tuple[frozenset[int], int]]


def _places_gone(groups: Collection[ChannelGroup], channels: Mapping[str, int]) -> _Gone:
    """Of layers by name and side: the places that go, and along which axis tensors are cut."""
    gone: dict[tuple[str, str], tuple[frozenset[int], int]] = {}
    for group in groups:
        n = channels.get(group.name, group.size)
        left_out = set(group.order[n:])
        if not left_out:
            continue
        for cut in group.cuts:
            places = (
                place
                for place, channel in zip(cut.places, cut.channels, strict=True)
                if channel in left_out
            )
            before, _ = gone.get((cut.layer, cut.side), (frozenset(), 0))
            gone[cut.layer, cut.side] = (before | frozenset(places), cut.axis)
    return gone


def _take(
    network: fx.GraphModule,
    root: nn.Module,
    name: str,
    gone: _Gone,
    kept: dict[str, dict[int, Tensor]],
    *,
    borrow: bool,
    taps: int | None,
) -> None:
    """Put a layer, or a tensor by itself, into `root` as it is cut."""
    found = getattr(network, name)
    outputs, axis = gone.get((name, OUTPUTS), (frozenset(), 0))
    if isinstance(found, Tensor):
        if outputs:
            kept[name] = {axis: _left(found.shape[axis], outputs)}
            value = _picked(found, axis, kept[name][axis])
        else:
            value = found.detach().clone()
        if isinstance(found, nn.Parameter):
            root.register_parameter(name, nn.Parameter(value))
        else:
            root.register_buffer(name, value)
        return
    inputs, _ = gone.get((name, INPUTS), (frozenset(), 0))
    if taps == getattr(found, "kernel_size", (None,))[0]:
        taps = None
    if borrow and not outputs and not inputs and taps is None:
        root.add_module(name, found)
        return
    layer = copy.deepcopy(found)
    if outputs or inputs:
        for tensor, axes in _cut_layer(layer, outputs, inputs).items():
            kept[f"{name}.{tensor}"] = axes
    if taps is not None:
        kept.setdefault(f"{name}.weight", {}).update(_crop(layer, taps))
    root.add_module(name, layer)


def _crop(layer: nn.Module, taps: int) -> dict[int, Tensor]:
    """Keep the middle of a convolution's kernel, and what it sees of its input."""
    assert isinstance(layer, nn.Conv1d | nn.Conv2d)
    edge = (int(layer.kernel_size[0]) - taps) // 2
    axes = {axis: torch.arange(edge, edge + taps) for axis in range(2, layer.weight.ndim)}
    value = layer.weight.detach()
    for axis, places in axes.items():
        value = _picked(value, axis, places)
    layer.weight = nn.Parameter(value)
    layer.kernel_size = (taps,) * len(axes)
    if not isinstance(layer.padding, str):
        layer.padding = tuple(
            int(pad) - edge * int(wide)
            for pad, wide in zip(layer.padding, layer.dilation, strict=True)
        )
        layer._reversed_padding_repeated_twice = [
            one for pad in reversed(layer.padding) for one in (int(pad), int(pad))
        ]
    return axes


def _left(size: int, gone: Collection[int]) -> Tensor:
    return torch.tensor([one for one in range(size) if one not in gone], dtype=torch.long)


def _picked(tensor: Tensor, axis: int, places: Tensor) -> Tensor:
    return tensor.detach().index_select(axis, places.to(tensor.device))


def _cut_layer(
    layer: nn.Module, outputs: frozenset[int], inputs: frozenset[int]
) -> dict[str, dict[int, Tensor]]:
    """Cut a layer in place; which part of each of its tensors is left."""
    axes: dict[str, dict[int, Tensor]] = {}

    def cut(tensor: str, axis: int, size: int, gone: frozenset[int]) -> None:
        if gone and getattr(layer, tensor, None) is not None:
            axes.setdefault(tensor, {})[axis] = _left(size, gone)

    if isinstance(layer, nn.ConvTranspose2d):
        cut("weight", 0, layer.in_channels, inputs)
        cut("weight", 1, layer.out_channels, outputs)
        cut("bias", 0, layer.out_channels, outputs)
    elif isinstance(layer, nn.Conv1d | nn.Conv2d):
        cut("weight", 0, layer.out_channels, outputs)
        cut("bias", 0, layer.out_channels, outputs)
        if layer.groups == 1:
            cut("weight", 1, layer.in_channels, inputs)
    elif isinstance(layer, nn.Linear):
        cut("weight", 0, layer.out_features, outputs)
        cut("bias", 0, layer.out_features, outputs)
        cut("weight", 1, layer.in_features, inputs)
    else:  # normalisation and PReLU: a number a channel
        for tensor in ("weight", "bias", "running_mean", "running_var"):
            value = getattr(layer, tensor, None)
            if value is not None and value.ndim == 1:
                cut(tensor, 0, len(value), outputs)
    for tensor, by_axis in axes.items():
        value = getattr(layer, tensor).detach()
        for axis, left in by_axis.items():
            value = _picked(value, axis, left)
        parameter = isinstance(getattr(layer, tensor), nn.Parameter)
        setattr(layer, tensor, nn.Parameter(value) if parameter else value)
    _resize(layer)
    return axes


def _resize(layer: nn.Module) -> None:
    """Let a layer's sizes say what its tensors are."""
    if isinstance(layer, nn.ConvTranspose2d):
        layer.in_channels, layer.out_channels = layer.weight.shape[:2]
    elif isinstance(layer, nn.Conv1d | nn.Conv2d):
        depthwise = layer.groups > 1
        layer.out_channels = layer.weight.shape[0]
        layer.in_channels = layer.out_channels if depthwise else layer.weight.shape[1]
        layer.groups = layer.out_channels if depthwise else 1
    elif isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = layer.weight.shape
    elif isinstance(layer, nn.LayerNorm):
        layer.normalized_shape = tuple(layer.weight.shape)
    elif isinstance(layer, nn.BatchNorm2d):
        assert layer.running_mean is not None
        layer.num_features = len(layer.running_mean)
    elif isinstance(layer, nn.PReLU):
        layer.num_parameters = len(layer.weight)


class _Shapes(fx.Interpreter):
    """Runs a graph and notes the shape of every tensor."""

    def __init__(self, network: fx.GraphModule) -> None:
        super().__init__(network)
        self.found: dict[str, tuple[int, ...]] = {}

    def run_node(self, n: fx.Node) -> object:
        result = super().run_node(n)
        if isinstance(result, Tensor):
            self.found[n.name] = tuple(result.shape)
        return result


def shapes_of(
    network: fx.GraphModule, shape: Sequence[int], *, device: str = "cpu"
) -> dict[str, tuple[int, ...]]:
    """The shape of every node's tensor, by the node's name, for an input of that shape."""
    interpreter = _Shapes(network)
    with torch.no_grad():
        interpreter.run(torch.zeros(tuple(shape), device=device))
    return interpreter.found
