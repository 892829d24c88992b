"""What of a network can be chosen: each option is tried by itself on a copy, then all together."""

from __future__ import annotations

import copy
import io
import tempfile
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, fx, nn

from lookup_tables.blocks.image import kept_channels
from nas_service.networks.elastic.groups import ChannelGroup, Frozen, find_groups
from nas_service.networks.elastic.layers import not_elastic
from nas_service.networks.elastic.members import Plan, cut_out, shapes_of
from nas_service.networks.elastic.regions import Region, find_regions
from nas_service.networks.export import export

SHARES = (0.25, 0.5, 0.75, 1.0)
"""Of a group's channels, rounded to the multiples of eight that runtimes are fast at."""
_SIZES = (0.5, 0.75)
"""Of the side of the model's own input."""
_LEAST_SIDE = 16
_SIDE_STEP = 8
_SAID = 160
"""Characters of what torch says."""
_LEAST_CROPPED = 5
"""Taps a side from which on a depthwise kernel may be cropped, to 3 and what lies between."""
_FEWEST = 16
"""Channels below which a group is not worth a choice."""
Tell = Callable[[float, str], None]


@dataclass(frozen=True)
class Width:
    """A choice of channels: groups that go together, and how many each keeps, value by value."""

    name: str
    shares: tuple[float, ...]
    groups: tuple[ChannelGroup, ...]

    def channels(self, value: int) -> dict[str, int]:
        """What each group keeps at the value of that position."""
        return {one.name: kept(one.size, self.shares[value]) for one in self.groups}


def kept(channels: int, share: float) -> int:
    """Channels of a group that a share of them is."""
    return channels if share >= 1.0 else kept_channels(channels, share)


@dataclass(frozen=True)
class Kernel:
    """A choice of how many taps a side a depthwise layer keeps; its own last."""

    layer: str
    taps: tuple[int, ...]


@dataclass(frozen=True)
class Options:
    """Everything that can be chosen about a network of that input `shape`, batch first, of 1.

    `sizes` are sides that it reads, its own last, be it the only one.
    """

    network: fx.GraphModule
    shape: tuple[int, ...]
    widths: tuple[Width, ...]
    regions: tuple[Region, ...]
    kernels: tuple[Kernel, ...]
    sizes: tuple[int, ...]
    frozen: tuple[Frozen, ...]

    @property
    def n_values(self) -> tuple[int, ...]:
        """Values of every decision: widths, regions, kernels, then the size of the input."""
        widths = (len(one.shares) for one in self.widths)
        kernels = (len(one.taps) for one in self.kernels)
        return (*widths, *(2 for _ in self.regions), *kernels, len(self.sizes))

    @property
    def n_choices(self) -> int:
        """Decisions that have more than one value."""
        return sum(one > 1 for one in self.n_values)

    def plan(self, row: Sequence[int]) -> Plan:
        """The member of a genotype."""
        channels: dict[str, int] = {}
        for width, value in zip(self.widths, row, strict=False):
            channels |= width.channels(int(value))
        depths = row[len(self.widths) : len(self.widths) + len(self.regions)]
        gone = [one for one, value in zip(self.regions, depths, strict=True) if not value]
        rest = row[len(self.widths) + len(self.regions) :]
        kernels = zip(self.kernels, rest, strict=False)
        return Plan(channels, gone, {one.layer: one.taps[int(value)] for one, value in kernels})

    def input_shape(self, row: Sequence[int]) -> tuple[int, ...]:
        """What the member reads."""
        if len(self.sizes) == 1:
            return self.shape
        side = self.sizes[int(row[-1])]
        return (*self.shape[:2], side, side)

    @property
    def groups(self) -> list[ChannelGroup]:
        """All groups of all widths."""
        return [group for one in self.widths for group in one.groups]


def find_options(network: fx.GraphModule, shape: tuple[int, ...], tell: Tell) -> Options:
    """What can be chosen; every option of it runs, and so do all together."""
    sample = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    tell(0.0, "looking for channels that go together")
    groups, frozen = find_groups(network, sample)
    expected = _answers(network, sample)
    widths: list[Width] = []
    for number, group in enumerate(groups):
        tell(0.1 + 0.5 * number / len(groups), f"trying width {number + 1} of {len(groups)}")
        shares = _shares(group.size)
        fewest = Plan({group.name: kept(group.size, shares[0])})
        reason = (
            f"{group.size} channels are too few to choose from"
            if len(shares) < 2
            else why_not(network, groups, fewest, sample, expected)
        )
        if reason:
            frozen.append(Frozen(group.name, reason))
        else:
            widths.append(Width(f"width.{group.name}", shares, (group,)))
    regions: list[Region] = []
    found = find_regions(network, shapes_of(network, shape))
    for number, region in enumerate(found):
        tell(0.6 + 0.2 * number / len(found), f"trying without {region.name}")
        reason = why_not(network, groups, Plan({}, [region]), sample, expected)
        if reason:
            frozen.append(Frozen(region.name, f"it cannot be left out: {reason}"))
        else:
            regions.append(region)
    tell(0.8, "trying kernels and input sizes")
    kernels = _kernels(network, sample, expected)
    if reason := why_not_exported(network, shape):
        raise not_elastic(f"torch does not write it as an ONNX graph ({reason})")
    sizes, size_frozen = _sizes(network, shape, expected)
    frozen += size_frozen
    options = Options(network, shape, tuple(widths), tuple(regions), kernels, sizes, tuple(frozen))
    return _together(options, expected)


def _answers(network: fx.GraphModule, sample: Tensor) -> tuple[int, ...]:
    with torch.no_grad():
        return tuple(network(sample).shape)


def _shares(channels: int) -> tuple[float, ...]:
    """Shares that keep different numbers of channels."""
    if channels < _FEWEST:
        return (1.0,)
    found: dict[int, float] = {}
    for share in reversed(SHARES):
        found.setdefault(kept(channels, share), share)
    return tuple(sorted(found.values()))


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
        answered = _answers(member, sample)
    except Exception as error:  # noqa: BLE001  # whatever torch raises on shapes that do not fit
        lines = str(error).strip().splitlines()
        return f"some of its shapes are fixed ({lines[0] if lines else type(error).__name__})"
    if answered != expected:
        return "it is what the network answers with"
    return ""


def _kernels(
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


def _sizes(
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


def _together(options: Options, expected: tuple[int, ...]) -> Options:
    """Without the options that break what others leave, found one by one where there are such."""
    sample = torch.randn(options.shape, generator=torch.Generator().manual_seed(0))
    network, groups = options.network, options.groups
    smallest = options.plan([0] * len(options.n_values))
    if not why_not(network, groups, smallest, sample, expected):
        return options
    frozen = list(options.frozen)
    channels: dict[str, int] = {}
    widths = []
    for width in options.widths:
        more = channels | width.channels(0)
        reason = why_not(network, groups, Plan(more), sample, expected)
        if reason:
            frozen.append(Frozen(width.groups[0].name, f"not beside the others: {reason}"))
        else:
            widths.append(width)
            channels = more
    regions: list[Region] = []
    for region in options.regions:
        reason = why_not(network, groups, Plan(channels, [*regions, region]), sample, expected)
        if reason:
            frozen.append(Frozen(region.name, f"not beside the others: {reason}"))
        else:
            regions.append(region)
    return replace(options, widths=tuple(widths), regions=tuple(regions), frozen=tuple(frozen))


def random_rows(options: Options, n: int, seed: int) -> list[list[int]]:
    """Members drawn alike from all of them."""
    generator = np.random.default_rng(seed)
    return [[int(generator.integers(one)) for one in options.n_values] for _ in range(n)]
