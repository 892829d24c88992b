"""A network's operators as blocks that tables price: kinds, sizes, and what reads what.

A runtime folds normalisation into the convolution before it and joins a ReLU to it; views cost
nothing. What no family stands for is priced as a copy of its output, and named.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from torch import fx, nn

from lookup_tables.blocks.traced_pointwise import MOVE, NORM, SIMPLE, SOFTMAX
from nas_service.networks.elastic.layers import ATEN
from nas_service.networks.elastic.operators import (
    FORMS,
    FREE,
    JOINED,
    LARGEST,
    POOLS,
    PRODUCTS,
    RECURRENT,
)

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Traced:
    """An operator with its sizes; `nodes` are the graph's that it stands for, the last its output.

    `inputs` name the pieces that it reads, the sample as an empty name.
    """

    name: str
    kind: str
    sizes: Mapping[str, int]
    inputs: tuple[str, ...]


@dataclass
class Tracing:
    """The pieces of a network in order, the piece behind every node, and what nothing stood for.

    `joins` are the nodes that a runtime joins, with those that they are joined to; where they are
    given nothing else is joined, so that members have the pieces of the whole.
    """

    joins: set[tuple[str, str]] | None
    pieces: list[Traced] = field(default_factory=list)
    piece_of: dict[str, str] = field(default_factory=dict)
    unknown: set[str] = field(default_factory=set)
    met: set[tuple[str, str]] = field(default_factory=set)
    """The joins that there were."""


def trace(
    network: fx.GraphModule, shapes: Shapes, joins: set[tuple[str, str]] | None = None
) -> Tracing:
    """The pieces of a network whose nodes have these shapes, for a batch of one."""
    made = Tracing(joins)
    joined: set[fx.Node] = set()
    for node in network.graph.nodes:
        if node.op in {"placeholder", "get_attr"}:
            made.piece_of[node.name] = ""
        elif node.op != "output" and node not in joined:
            _add(network, node, shapes, made, joined)
    return made


def _add(
    network: fx.GraphModule, node: fx.Node, shapes: Shapes, made: Tracing, joined: set[fx.Node]
) -> None:
    sources = [one for one in node.all_input_nodes if one.name in shapes and one.op != "get_attr"]
    read = tuple(dict.fromkeys(made.piece_of[one.name] for one in node.all_input_nodes))
    inputs = tuple(made.piece_of[one.name] for one in sources)
    blocks = _blocks_of(network, node, [shapes[one.name] for one in sources], shapes, made)
    if not blocks:  # a view, or what never runs in inference
        made.piece_of[node.name] = read[0] if read else ""
        return
    last = node
    if blocks[-1][0] in {"traced_conv", "traced_linear"}:
        last, relu = _followers(network, node, made.joins)
        joined |= set(_between(node, last))
        blocks[-1][1]["relu"] = int(relu)
    for number, (kind, sizes) in enumerate(blocks):
        name = node.name if number == len(blocks) - 1 else f"{node.name}.{number}"
        made.pieces.append(Traced(name, kind, sizes, inputs))
        inputs = (name,)
    inside = [node, *_between(node, last)]
    made.met |= {(one.name, other.name) for one, other in pairwise(inside)}
    for one in inside:
        made.piece_of[one.name] = node.name


_Blocks = list[tuple[str, dict[str, int]]]


def _blocks_of(
    network: fx.GraphModule,
    node: fx.Node,
    given: Sequence[tuple[int, ...]],
    shapes: Shapes,
    made: Tracing,
) -> _Blocks:
    shape = shapes.get(node.name)
    if node.op == "call_module":
        assert shape is not None
        return _of_layer(network.get_submodule(str(node.target)), given[0], shape)
    if shape is None or node.target in FREE or node.target is operator.getitem:
        return _recurrent(node, given) if node.target in RECURRENT else []
    if node.target in PRODUCTS and len(given) == 2:
        return [_product(given[0], given[1])]
    if node.target is ATEN.scaled_dot_product_attention.default:
        return _attention(given)
    if node.target in POOLS:
        return [_pool(node, given[0], shape)]
    form = FORMS.get(node.target)
    if form is None:
        made.unknown.add(str(node.target))
        form = MOVE
    terms = 2 if form == SIMPLE and len(given) > 1 else 1
    return [_pointwise(form, terms, shape)]


def _of_layer(layer: nn.Module, given: tuple[int, ...], shape: tuple[int, ...]) -> _Blocks:
    if isinstance(layer, nn.ConvTranspose2d):
        # as many products as a convolution of its kernel on the smaller side
        stride = int(layer.stride[0])
        kernel = math.ceil(int(layer.kernel_size[0]) / stride)
        return [
            _conv(given[1], shape[1], 1, given[2:], (kernel,) * 2, (1, 1), (kernel // 2,) * 2, 1)
        ]
    if isinstance(layer, nn.Conv1d | nn.Conv2d):
        window = tuple(int(one) for one in layer.kernel_size)
        dilation = int(layer.dilation[0])
        pads = (
            tuple(dilation * (one - 1) // 2 for one in window)
            if layer.padding == "same"
            else (0,) * len(window)
            if isinstance(layer.padding, str)
            else tuple(int(one) for one in layer.padding)
        )
        steps = tuple(int(one) for one in layer.stride)
        sides = given[2:]
        if len(window) == 1:
            window, steps, pads, sides = (1, *window), (1, *steps), (0, *pads), (1, *sides)
        return [_conv(given[1], shape[1], layer.groups, sides, window, steps, pads, dilation)]
    if isinstance(layer, nn.Linear):
        rows = math.prod(given[:-1])
        return [_linear(rows, given[-1], shape[-1])]
    if isinstance(layer, nn.LayerNorm | nn.GroupNorm):
        return [_pointwise(NORM, 1, shape)]
    return [_pointwise(SIMPLE, 1, shape)]


def _conv(
    inputs: int,
    outputs: int,
    groups: int,
    sides: Sequence[int],
    kernel: Sequence[int],
    stride: Sequence[int],
    pads: Sequence[int],
    dilation: int,
) -> tuple[str, dict[str, int]]:
    return "traced_conv", {
        "in_channels": inputs,
        "out_channels": outputs,
        "groups": groups,
        "height": sides[0],
        "width": sides[1],
        "kernel_height": kernel[0],
        "kernel_width": kernel[1],
        "stride_height": stride[0],
        "stride_width": stride[1],
        "pad_height": pads[0],
        "pad_width": pads[1],
        "dilation": dilation,
        "relu": 0,
    }


def _linear(rows: int, inputs: int, outputs: int) -> tuple[str, dict[str, int]]:
    return "traced_linear", {
        "rows": rows,
        "in_features": inputs,
        "out_features": outputs,
        "relu": 0,
    }


def _pointwise(form: int, terms: int, shape: Sequence[int]) -> tuple[str, dict[str, int]]:
    channels = shape[1] if len(shape) > 1 else 1
    others = [one for place, one in enumerate(shape) if place != 1]
    return "traced_pointwise", {
        "operation": form,
        "terms": terms,
        "channels": channels,
        "positions": math.prod(others),
    }


def _product(left: Sequence[int], right: Sequence[int]) -> tuple[str, dict[str, int]]:
    rows = left[-2] if len(left) > 1 else 1
    return "traced_product", {
        "batch": math.prod(left[:-2]),
        "rows": rows,
        "inner": left[-1],
        "columns": right[-1],
    }


def _attention(given: Sequence[tuple[int, ...]]) -> _Blocks:
    """Scores, softmax and the weighted sum."""
    queries, keys, values = given[:3]
    scores = (*queries[:-1], keys[-2])
    folded = (1, math.prod(scores[:-1]), scores[-1])
    return [
        _product(queries, (*keys[:-2], keys[-1], keys[-2])),
        _pointwise(SOFTMAX, 1, folded),
        _product(scores, values),
    ]


def _recurrent(node: fx.Node, given: Sequence[tuple[int, ...]]) -> _Blocks:
    """The products of all steps; that they wait for each other is left to the calibration."""
    gates = RECURRENT[node.target]
    (samples, steps, features), hidden = given[0], given[1][-1]
    return [_linear(samples * steps, features + hidden, gates * hidden)]


def _pool(
    node: fx.Node, given: tuple[int, ...], shape: tuple[int, ...]
) -> tuple[str, dict[str, int]]:
    sides = given[2:] if len(given) > 3 else (1, given[-1])
    outs = shape[2:] if len(shape) == len(given) and len(given) > 3 else (1, 1)
    largest = int(node.target in LARGEST)
    stride = max(1, sides[1] // max(1, outs[1]))
    everything = tuple(outs) == (1, 1)
    kernel = tuple(sides) if everything else (min(stride, sides[0]), min(stride, sides[1]))
    return "traced_pool", {
        "channels": given[1],
        "height": sides[0],
        "width": sides[1],
        "kernel_height": kernel[0],
        "kernel_width": kernel[1],
        "stride": 1 if everything else stride,
        "pad": 0,
        "largest": largest,
    }


def _followers(
    network: fx.GraphModule, node: fx.Node, joins: set[tuple[str, str]] | None
) -> tuple[fx.Node, bool]:
    """The last node that a runtime joins to a layer, and whether a ReLU is among them."""
    last = node
    while len(last.users) == 1:
        user = next(iter(last.users))
        if joins is not None and (last.name, user.name) not in joins:
            break
        if user.op == "call_module" and isinstance(
            network.get_submodule(str(user.target)), nn.BatchNorm2d
        ):
            last = user
            continue
        relu = user.target in JOINED
        return (user, True) if relu else (last, False)
    return last, False


def _between(first: fx.Node, last: fx.Node) -> list[fx.Node]:
    found = []
    while first is not last:
        first = next(iter(first.users))
        found.append(first)
    return found
