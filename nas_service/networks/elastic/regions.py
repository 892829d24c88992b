"""Parts of a network that can be left out: residual branches, found by dominators of its graph.

Where a sum adds to a tensor what was computed from that tensor alone, the network goes on without
what was added. Of nested ones the innermost are taken, so that no two of them share an operator.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile

import networkx as nx
from torch import fx

from nas_service.networks.elastic.layers import ATEN

_SUMS = {ATEN.add.Tensor}
_AGAIN_THE_SAME = {ATEN.relu.default, ATEN.relu6.default}
"""Activations that change nothing the second time."""
Shapes = Mapping[str, tuple[int, ...]]
"""Of every node's tensor, by the node's name."""


@dataclass(frozen=True)
class Region:
    """Everything between the tensors of two nodes of equal shape; `inside` are the nodes' names.

    Without it, whatever reads `exit` reads `entry`.
    """

    name: str
    entry: str
    exit: str
    inside: tuple[str, ...]


def find_regions(network: fx.GraphModule, shapes: Shapes) -> list[Region]:
    """Disjoint regions in order of execution."""
    # numbers read off the sample's shape are no way that its values take
    nodes = [one for one in network.graph.nodes if one.target is not ATEN.sym_size.int]
    graph = nx.DiGraph()
    for node in nodes:
        graph.add_edges_from(
            (source, node)
            for source in node.all_input_nodes
            if source.target is not ATEN.sym_size.int
        )
    start = next(one for one in nodes if one.op == "placeholder")
    dominators = nx.immediate_dominators(graph, start)
    found: list[Region] = []
    taken: set[str] = set()
    for node in nodes:
        region = _region(network, graph, dominators, node, shapes)
        # inner ones end before outer ones do
        if region is not None and not taken & set(region.inside):
            found.append(region)
            taken |= set(region.inside)
    counts = Counter(one.name for one in found)
    return [
        one if counts[one.name] == 1 else replace(one, name=f"{one.name}_{number}")
        for number, one in _numbered(found)
    ]


def _numbered(regions: Sequence[Region]) -> list[tuple[int, Region]]:
    """Each with how many of its name there are up to it: a transformer's block has two."""
    seen: Counter[str] = Counter()
    numbered = []
    for one in regions:
        seen[one.name] += 1
        numbered.append((seen[one.name], one))
    return numbered


def _region(
    network: fx.GraphModule,
    graph: nx.DiGraph,
    dominators: Mapping[fx.Node, fx.Node],
    node: fx.Node,
    shapes: Shapes,
) -> Region | None:
    if node.target not in _SUMS or len(node.all_input_nodes) != 2:
        return None
    for entry, branch in (node.all_input_nodes, reversed(node.all_input_nodes)):
        if shapes.get(entry.name) != shapes.get(node.name) or not _above(dominators, entry, branch):
            continue
        inside = (nx.ancestors(graph, branch) | {branch}) & nx.descendants(graph, entry)
        if any(user not in inside | {node} for one in inside for user in one.users):
            continue  # what is computed there is read elsewhere, too
        layers = [one for one in inside if one.op == "call_module"]
        if not any(_multiplies(network, str(one.target)) for one in layers):
            continue
        last, follower = node, _only_user(node)
        if follower is not None and follower.target == entry.target in _AGAIN_THE_SAME:
            last = follower
        order = [one for one in network.graph.nodes if one in inside]
        names = (*(one.name for one in order), node.name)
        names = names if last is node else (*names, last.name)
        called = [str(one.target) for one in order if one.op == "call_module"]
        return Region(_common(called), entry.name, last.name, names)
    return None


def _above(dominators: Mapping[fx.Node, fx.Node], entry: fx.Node, node: fx.Node) -> bool:
    """Whether every way from the input to `node` leads through `entry`."""
    while node in dominators and dominators[node] is not node and dominators[node] is not None:
        node = dominators[node]
        if node is entry:
            return True
    return False


def _only_user(node: fx.Node) -> fx.Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _multiplies(network: fx.GraphModule, name: str) -> bool:
    weight = getattr(network.get_submodule(name), "weight", None)
    return weight is not None and weight.ndim > 1


def _common(layers: Sequence[str]) -> str:
    """What the names of layers begin with, `layer1_0` of `layer1_0_conv1` and `layer1_0_bn1`."""
    parts = [one.split("_") for one in layers]
    same = [one[0] for one in takewhile(lambda one: len(set(one)) == 1, zip(*parts, strict=False))]
    return "_".join(same) or layers[0]
