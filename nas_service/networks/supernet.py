"""Shared weights for the whole `mbconv` space.

A subnet uses the leading channels of every layer, the centre of every depthwise kernel and the
leading layers of every stage (Yu et al., 2019, slimmable networks; Cai et al., 2020,
Once-for-All). Normalisation has no running statistics while the supernet trains: a subnet taken
out gets its own by recalibration.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor, nn

from lookup_tables.blocks import Block
from nas_service.errors import InvalidSpec
from nas_service.networks.blocks.base import BlockModule
from nas_service.networks.blocks.layers import leading
from nas_service.networks.blocks.registry import block_module
from nas_service.networks.build import Network
from nas_service.networks.sharing import SharedWeights
from nas_service.space.base import IntArray, SearchSpace, Slot


class Supernet(SharedWeights):
    """The modules of the largest network, run at the sizes of any other."""

    def __init__(self, space: SearchSpace, *, seed: int = 0) -> None:
        super().__init__(space)
        if not space.has_supernet:
            raise InvalidSpec(
                f"space {space.name} shares no weights; use the evaluator 'standalone'",
                field="evaluator",
            )
        placed = [(slot.name, block) for slot in space.slots for block in _largest(space, slot)]
        self._places = [name for name, _ in placed]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.blocks = nn.ModuleList(block_module(block) for _, block in placed)
        for module in self._module_at().values():
            # residual branches start silent (Yu et al., 2020, BigNAS, section 3.1), so that
            # subnets of every depth begin as the same function
            module.silence()

    def _placed(self, genotype: IntArray) -> Iterator[tuple[str, Block]]:
        for slot in self.space.slots:
            values = tuple(self.space.decisions[i].values[genotype[i]] for i in slot.reads)
            for block in slot.blocks(values):
                yield slot.name, block

    def _module_at(self) -> dict[str, BlockModule[Any]]:
        modules = zip(self._places, self.blocks, strict=True)
        return {name: cast("BlockModule[Any]", module) for name, module in modules}

    def forward(self, x: Tensor, genotype: IntArray) -> Tensor:
        """Logits of the subnet on images of its own resolution, batch statistics throughout."""
        module_at = self._module_at()
        for name, block in self._placed(genotype):
            x = module_at[name].run_as(block, x)
        return x

    def subnet(self, genotype: IntArray) -> Network:
        """A network of its own with a copy of the subnet's weights; statistics not yet set."""
        network = Network(self.space.wire(genotype))
        module_at = self._module_at()
        row = self.space.canonical(genotype[None, :])[0]
        with torch.no_grad():
            for (name, _), target in zip(self._placed(row), network.blocks, strict=True):
                _copy(module_at[name], target)
        return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]  # torch stubs


def _largest(space: SearchSpace, slot: Slot) -> tuple[Block, ...]:
    """The blocks of a slot in the largest network; in another, where that has none there."""
    row = space.canonical(space.largest()[None, :])[0]
    decisions = [space.decisions[place] for place in slot.reads]
    own = [int(row[place]) for place in slot.reads]
    others = [
        [*own[:at], value, *own[at + 1 :]]
        for at, one in enumerate(decisions)
        for value in reversed(range(one.size))
    ]
    for indices in (own, *others):
        chosen = zip(decisions, indices, strict=True)
        blocks = slot.blocks(tuple(one.values[index] for one, index in chosen))
        if blocks:
            return blocks
    return ()


def _copy(source: nn.Module, target: nn.Module) -> None:
    """Copy the part of `source` that `target` has, layer by layer."""
    theirs = dict(source.named_modules())
    for name, layer in target.named_modules():
        other = theirs.get(name)
        if "weight" in dict(layer.named_buffers(recurse=False)):
            continue  # fixed, and told by sizes
        if isinstance(layer, nn.Conv1d | nn.Conv2d):
            assert isinstance(other, nn.Conv1d | nn.Conv2d)
            layer.weight.copy_(leading(other.weight, layer.weight))
            if layer.bias is not None and other.bias is not None:
                layer.bias.copy_(other.bias[: len(layer.bias)])
        elif isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            assert isinstance(other, nn.BatchNorm1d | nn.BatchNorm2d)
            layer.weight.copy_(other.weight[: len(layer.weight)])
            layer.bias.copy_(other.bias[: len(layer.bias)])
        elif isinstance(layer, nn.Linear):
            assert isinstance(other, nn.Linear)
            outputs, inputs = layer.weight.shape
            layer.weight.copy_(other.weight[:outputs, :inputs])
            layer.bias.copy_(other.bias[:outputs])
