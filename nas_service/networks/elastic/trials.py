"""Whether a network runs with an option, tried on a copy of it."""

from __future__ import annotations

import copy
import io
import tempfile
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, fx, nn

from nas_service.networks.elastic.groups import ChannelGroup, Frozen
from nas_service.networks.elastic.members import Plan, cut_out
from nas_service.networks.export import export

_SIZES = (0.5, 0.75)
"""Of the side of the model's own input."""
_LEAST_SIDE = 16
_SIDE_STEP = 8
_SAID = 160
"""Characters of what torch says."""
_LEAST_CROPPED = 5
"""Taps a side from which on a depthwise kernel may be cropped, to 3 and what lies between."""


@dataclass(frozen=True)
class Kernel:
    """A choice of how many taps a side a depthwise layer keeps; its own last."""

    layer: str
    taps: tuple[int, ...]


def answers_of(network: fx.GraphModule, sample: Tensor) -> tuple[int, ...]:
    """The shape of what a network answers."""
    with torch.no_grad():
        return tuple(network(sample).shape)


def why_not(
    network: fx.GraphModule,
    groups: Sequence[ChannelGroup],
    plan: Plan,
    sample: Tensor,
    expected: tuple[int, ...],
) -> str:
    """Why a member does not run, or answers in another shape; nothing where it does."""
    try:
        member, _ = cut_out(network, groups, plan, borrow=True)
        answered = answers_of(member, sample)
    except Exception as error:  # noqa: BLE001  # whatever torch raises on shapes that do not fit
        lines = str(error).strip().splitlines()
        return f"some of its shapes are fixed ({lines[0] if lines else type(error).__name__})"
    if answered != expected:
        return "it is what the network answers with"
    return ""


def find_kernels(
    network: fx.GraphModule, sample: Tensor, expected: tuple[int, ...]
) -> tuple[Kernel, ...]:
    """Depthwise layers whose kernel can be cropped to its middle."""
    found = []
    for name, layer in network.named_children():
        if not isinstance(layer, nn.Conv1d | nn.Conv2d) or layer.groups == 1:
            continue
        taps = set(map(int, layer.kernel_size))
        depthwise = layer.groups == layer.in_channels == layer.out_channels
        if not depthwise or len(taps) > 1 or max(taps) < _LEAST_CROPPED or max(taps) % 2 == 0:
            continue
        one = Kernel(name, tuple(range(3, max(taps) + 1, 2)))
        if not why_not(network, [], Plan({}, [], {name: 3}), sample, expected):
            found.append(one)
    return tuple(found)


def why_not_exported(network: fx.GraphModule, shape: tuple[int, ...]) -> str:
    """Why a network cannot be written as an ONNX graph, which delivers it; nothing where it can."""
    # torch prints the whole graph where it cannot write it
    with tempfile.TemporaryDirectory() as folder, redirect_stdout(io.StringIO()):
        try:
            export(copy.deepcopy(network), Path(folder) / "network.onnx", shape)
        except Exception as error:  # noqa: BLE001  # torch has its own for each operator
            lines = str(error).strip().splitlines() or [type(error).__name__]
            return lines[0].rstrip(".")[:_SAID]
    return ""


def find_sizes(
    network: fx.GraphModule, shape: tuple[int, ...], expected: tuple[int, ...]
) -> tuple[tuple[int, ...], list[Frozen]]:
    """Sides of the input that the network answers in the same shape."""
    if len(shape) != 4 or shape[2] != shape[3]:
        return (shape[-1],), []
    own, reason = shape[2], ""
    found = {own}
    for share in _SIZES:
        side = round(own * share / _SIDE_STEP) * _SIDE_STEP
        if side < _LEAST_SIDE or side in found:
            continue
        smaller = (*shape[:2], side, side)
        reason = why_not(network, [], Plan({}), torch.randn(smaller), expected)
        reason = reason or why_not_exported(network, smaller)
        if not reason:
            found.add(side)
    frozen = [Frozen("input size", reason)] if reason and len(found) == 1 else []
    return tuple(sorted(found)), frozen
