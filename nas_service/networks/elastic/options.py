"""What of a network can be chosen: each option is tried by itself on a copy, then all together."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import fx, nn

from lookup_tables.blocks.image import kept_channels
from nas_service.networks.elastic.groups import ChannelGroup, Frozen, find_groups
from nas_service.networks.elastic.layers import not_elastic
from nas_service.networks.elastic.members import Plan, shapes_of
from nas_service.networks.elastic.regions import Region, find_regions
from nas_service.networks.elastic.swaps import (
    Swap,
    add_swaps,
    cut_with_pairs,
    find_swaps,
)
from nas_service.networks.elastic.trials import (
    Kernel,
    answers_of,
    find_kernels,
    find_sizes,
    why_not,
    why_not_exported,
)

SHARES = (0.25, 0.5, 0.75, 1.0)
"""Of a group's channels, rounded to the multiples of eight that runtimes are fast at."""
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
class Options:
    """Everything that can be chosen about a network of that input `shape`, batch first, of 1.

    `sizes` are sides that it reads, its own last, be it the only one.
    """

    network: fx.GraphModule
    shape: tuple[int, ...]
    widths: tuple[Width, ...]
    regions: tuple[Region, ...]
    kernels: tuple[Kernel, ...]
    swaps: tuple[Swap, ...]
    sizes: tuple[int, ...]
    frozen: tuple[Frozen, ...]

    @property
    def n_values(self) -> tuple[int, ...]:
        """Values of every decision: widths, regions, kernels, swaps, then the input's size."""
        widths = (len(one.shares) for one in self.widths)
        kernels = (len(one.taps) for one in self.kernels)
        regions, swaps = (2 for _ in self.regions), (2 for _ in self.swaps)
        return (*widths, *regions, *kernels, *swaps, len(self.sizes))

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
        swaps = zip(self.swaps, rest[len(self.kernels) :], strict=False)
        return Plan(
            channels,
            gone,
            {one.layer: one.taps[int(value)] for one, value in kernels},
            [one for one, value in swaps if not value],
        )

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
    expected = answers_of(network, sample)
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
    kernels = find_kernels(network, sample, expected)
    if reason := why_not_exported(network, shape):
        raise not_elastic(f"torch does not write it as an ONNX graph ({reason})")
    sizes, size_frozen = find_sizes(network, shape, expected)
    frozen += size_frozen
    tell(0.9, "trying cheaper layers")
    swaps = []
    found_swaps = find_swaps(network, _products(network, shape))
    add_swaps(network, found_swaps)
    for one in found_swaps:
        reason = why_not(network, groups, Plan({}, swaps=[one]), sample, expected)
        if reason:
            frozen.append(Frozen(one.layer, f"nothing cheaper stands for it: {reason}"))
        else:
            swaps.append(one)
    chosen = [group for one in widths for group in one.groups]
    cut = {one.name: one for one in cut_with_pairs(network, chosen, swaps)}
    through = [replace(w, groups=tuple(cut[one.name] for one in w.groups)) for w in widths]
    options = Options(
        network, shape, tuple(through), tuple(regions), kernels, tuple(swaps), sizes, tuple(frozen)
    )
    return _together(options, expected)


def _products(network: fx.GraphModule, shape: tuple[int, ...]) -> dict[str, int]:
    """Multiply-accumulates of every layer, for one sample."""
    shapes, found = shapes_of(network, shape), {}
    for node in network.graph.nodes:
        weight = getattr(getattr(network, str(node.target), None), "weight", None)
        if node.op == "call_module" and weight is not None and weight.ndim > 1:
            of = shapes[node.name]
            linear = isinstance(network.get_submodule(str(node.target)), nn.Linear)
            found[str(node.target)] = weight.numel() * math.prod(of[1:-1] if linear else of[2:])
    return found


def _shares(channels: int) -> tuple[float, ...]:
    """Shares that keep different numbers of channels."""
    if channels < _FEWEST:
        return (1.0,)
    found: dict[int, float] = {}
    for share in reversed(SHARES):
        found.setdefault(kept(channels, share), share)
    return tuple(sorted(found.values()))


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
    swaps: list[Swap] = []
    for one in options.swaps:
        plan = Plan(channels, regions, swaps=[*swaps, one])
        reason = why_not(network, groups, plan, sample, expected)
        if reason:
            frozen.append(Frozen(one.layer, f"not beside the others: {reason}"))
        else:
            swaps.append(one)
    return replace(
        options,
        widths=tuple(widths),
        regions=tuple(regions),
        swaps=tuple(swaps),
        frozen=tuple(frozen),
    )


def random_rows(options: Options, n: int, seed: int) -> list[list[int]]:
    """Members drawn alike from all of them."""
    generator = np.random.default_rng(seed)
    return [[int(generator.integers(one)) for one in options.n_values] for _ in range(n)]
